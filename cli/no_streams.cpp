// Whoever includes <iostream> has the standard streams and their locale set up at the start of the program,
// and a header of CLI11 does. Nothing here writes to them (tests/include_layers.cmake looks), and in a
// program that is over in a millisecond it is a tenth of all instructions: the linker leads both calls here
// instead.

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names.
void __wrap__ZNSt8ios_base4InitC1Ev(void* /*init*/) {}
void __wrap__ZNSt8ios_base4InitD1Ev(void* /*init*/) {}
// NOLINTEND(bugprone-reserved-identifier)
}
