#include "engine/shim/title.h"

#include <algorithm>
#include <cstring>

namespace cancelable {

// The kernel lays the arguments out one behind the other.
Title::Title(int argc, char** argv) noexcept {
    if (argc < 2) return;
    char* const begin = argv[1];
    char* end = begin;
    for (int i = 1; i < argc && argv[i] == end; ++i)
        end = argv[i] + std::strlen(argv[i]) + 1;
    words_ = {begin, end};
}

void Title::set(const std::string& id, const std::string& name) noexcept {
    std::ranges::fill(words_, '\0');
    std::size_t used = 0;
    for (const std::string& word : {std::cref(id), std::cref(name)}) {
        if (used + 1 >= words_.size()) return;
        const std::size_t length = std::min(word.size(), words_.size() - used - 1);
        std::memcpy(words_.data() + used, word.data(), length);
        used += length + 1;
    }
}

}  // namespace cancelable
