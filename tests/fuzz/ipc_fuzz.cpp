#include <cstdint>

#include "ipc_messages.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    // The first byte says how the rest arrives.
    const std::string_view stream(reinterpret_cast<const char*>(data) + 1, size - 1);
    cancelable::ipc::testing::check_stream(stream, 1U + data[0] % 16U);
    // A corpus need not end in newlines to be looked at.
    cancelable::ipc::testing::check_line(stream);
    return 0;
}
