// How it works: what is executed after its pages were given back brings them in again, and with each of them,
// at once, what the kernel has of the file around it, 64 KiB or more. So giving back is the last thing before
// a wait, and spares the few pages that are executed from then on.
#include "engine/shim/frugal_wait.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace cancelable {
namespace {

// Who has waited for so long will probably wait for longer.
constexpr std::chrono::milliseconds kSettlingTime{100};

using Address = ElfW(Addr);

struct Pages {
    Address begin;
    Address end;
};

// Calls nothing else: see is_needed().
[[gnu::noinline]] int give_back_and_wait(const Pages* first, const Pages* last, pollfd* watched, nfds_t count,
                                         const timespec* left) {
    for (; first != last; ++first)
        // NOLINTNEXTLINE(performance-no-int-to-ptr): a program's headers give addresses as numbers.
        ::madvise(reinterpret_cast<void*>(first->begin), first->end - first->begin, MADV_DONTNEED);
    return ::ppoll(watched, count, left, nullptr);
}

// By what is executed from the first page given back to the end of the wait.
bool is_needed(Address begin, Address end) {
    constexpr Address kLongest = 512;  // in bytes; what is beyond comes back, with what surrounds it
    const Address functions[] = {reinterpret_cast<Address>(&give_back_and_wait),
                                 reinterpret_cast<Address>(&::madvise), reinterpret_cast<Address>(&::ppoll)};
    return std::ranges::any_of(
        functions, [&](Address function) { return function < end && begin < function + kLongest; });
}

int add_unneeded(dl_phdr_info* object, std::size_t, void* list) {
    auto& unneeded = *static_cast<std::vector<Pages>*>(list);
    const auto size = static_cast<Address>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < object->dlpi_phnum; ++i) {
        const ElfW(Phdr)& segment = object->dlpi_phdr[i];
        // A page of a writable segment would come back as it is in the file: without what was written since.
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_W) != 0) continue;
        const Address begin = object->dlpi_addr + segment.p_vaddr;
        const Address end = begin + segment.p_memsz;
        for (Address page = begin & ~(size - 1); page < end; page += size) {
            if (is_needed(page, page + size)) continue;
            if (unneeded.empty() || unneeded.back().end != page) unneeded.push_back({page, page});
            unneeded.back().end += size;
        }
    }
    return 0;
}

timespec time_until(FrugalWait::Clock::time_point due) {
    const auto rest = std::max(due - FrugalWait::Clock::now(), FrugalWait::Clock::duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(rest);
    return {seconds.count(), std::chrono::nanoseconds(rest - seconds).count()};
}

}  // namespace

int FrugalWait::wait(std::span<pollfd> watched, std::optional<Clock::time_point> due) {
    std::vector<Pages> unneeded;
    if (const auto settled = Clock::now() + kSettlingTime; !has_given_back_ && (!due || settled < *due)) {
        const timespec left = time_until(settled);
        const int ready = ::ppoll(watched.data(), watched.size(), &left, nullptr);
        if (ready != 0) return ready;
        has_given_back_ = true;
        ::dl_iterate_phdr(add_unneeded, &unneeded);
        ::malloc_trim(0);
    }
    const timespec left = due ? time_until(*due) : timespec{};
    return give_back_and_wait(unneeded.data(), unneeded.data() + unneeded.size(), watched.data(),
                              watched.size(), due ? &left : nullptr);
}

}  // namespace cancelable
