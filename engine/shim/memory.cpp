#include "engine/shim/memory.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>

namespace cancelable {
namespace {

int drop_read_only_segments(dl_phdr_info* object, std::size_t, void*) {
    const auto page = static_cast<ElfW(Addr)>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = object->dlpi_phdr[i];
        // A page of a writable segment would come back as it is in the file: without what was written since.
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const ElfW(Addr) begin = (object->dlpi_addr + segment.p_vaddr) & ~(page - 1);
        const ElfW(Addr) end = object->dlpi_addr + segment.p_vaddr + segment.p_memsz;
        ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    return 0;
}

}  // namespace

void give_memory_back() noexcept {
    ::malloc_trim(0);
    ::dl_iterate_phdr(drop_read_only_segments, nullptr);
}

}  // namespace cancelable
