// What libraries do at every start of a program, and this one has no use for. It is over in a millisecond, so
// that each is seen: the linker leads the calls here instead.

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names.

// Whoever includes <iostream> has the standard streams and their locale set up, and a header of CLI11 does.
// Nothing here writes to them (tests/include_layers.cmake looks); it is a tenth of all instructions.
void __wrap__ZNSt8ios_base4InitC1Ev(void* /*init*/) {}
void __wrap__ZNSt8ios_base4InitD1Ev(void* /*init*/) {}

// The C library asks /proc for the directory of the program, should it ever load a shared object that names
// it as $ORIGIN. The kernel makes the process's part of /proc for that, and takes it off again at its end.
// This is the answer where there is no /proc.
const char* __wrap__dl_get_origin() {
    return reinterpret_cast<const char*>(-1);  // NOLINT(performance-no-int-to-ptr)
}

// NOLINTEND(bugprone-reserved-identifier)
}
