#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "../fuzz/ipc_messages.h"

using namespace cancelable::ipc::testing;

namespace {

// The same on every machine: what fails here once fails here always.
class Dice {
public:
    explicit Dice(std::uint64_t seed) : state_(seed) {}
    std::size_t roll(std::size_t sides) {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<std::size_t>(state_ >> 33) % sides;
    }

private:
    std::uint64_t state_;
};

std::vector<std::string> seeds() {
    std::vector<std::string> seeds;
    for (const auto& entry : std::filesystem::directory_iterator(CANCELABLE_FUZZ_SEEDS)) {
        std::ifstream file(entry.path(), std::ios::binary);
        seeds.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
    // The folder has no order of its own.
    std::ranges::sort(seeds);
    return seeds;
}

void mutate(std::string& text, Dice& dice, const std::string& other) {
    const std::size_t at = dice.roll(text.size());
    switch (dice.roll(6)) {
        case 0:
            text[at] = static_cast<char>(dice.roll(256));
            break;
        case 1:
            text.erase(at, 1 + dice.roll(8));
            break;
        case 2:
            text.insert(at, 1, "[]{}\",:\\\n0-e"[dice.roll(13)]);
            break;
        case 3:
            text.insert(at, text.substr(dice.roll(text.size()), dice.roll(40)));
            break;
        case 4:
            text.insert(at, other.substr(dice.roll(other.size()), dice.roll(60)));
            break;
        default:
            text.replace(at, 1, std::to_string(static_cast<std::int64_t>(dice.roll(1U << 31)) - (1 << 30)));
            break;
    }
    if (text.empty()) text = "x";
}

}  // namespace

TEST_CASE("mutated messages are refused or understood, and never the wrong way round") {
    const std::vector<std::string> originals = seeds();
    REQUIRE(originals.size() >= 5);
    Dice dice(42);
    for (int round = 0; round < 10000; ++round) {
        std::string text = originals[dice.roll(originals.size())];
        for (std::size_t changes = 1 + dice.roll(6); changes > 0; --changes)
            mutate(text, dice, originals[dice.roll(originals.size())]);
        check_stream(text.substr(1), 1 + static_cast<unsigned char>(text[0]) % 16U);
        check_line(std::string_view(text).substr(1));
    }
    for (const std::string& original : originals)
        check_stream(original.substr(1), 1);
}
