#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/shim/version.h"

namespace cancelable {

// Plain values to bytes and back, for what supervisor and shim tell each other and for records in the runtime
// directory: one machine, one byte order, but not always one version of the program. Hence the rule that
// keeps versions apart: fields are only ever added at the end, and a reader that comes to the end early gets
// zeros.

class ByteWriter {
public:
    template <class T>
        requires std::integral<T> || std::is_enum_v<T>
    void put(T value) {
        const auto wide = static_cast<std::int64_t>(value);
        append(&wide, sizeof wide);
    }
    void put(std::chrono::microseconds duration) { put(duration.count()); }
    void put(std::string_view text) {
        put(text.size());
        append(text.data(), text.size());
        append("", 1);  // A reader may use the text in place, as a C string.
    }

    std::vector<std::byte> take() {
        bytes_.resize(std::exchange(size_, 0));
        return std::exchange(bytes_, {});
    }

private:
    static constexpr std::size_t kUsual = 512;

    void append(const void* data, std::size_t size) {
        if (size_ + size > bytes_.size()) bytes_.resize(std::max(kUsual, 2 * (size_ + size)));
        if (size > 0) std::memcpy(bytes_.data() + size_, data, size);
        size_ += size;
    }

    std::vector<std::byte> bytes_;  // with room at its end
    std::size_t size_ = 0;
};

class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

    template <class T = std::int64_t>
        requires std::integral<T> || std::is_enum_v<T>
    T get() noexcept {
        std::int64_t wide = 0;
        if (rest_.size() < sizeof wide) {
            rest_ = {};
            return T{};
        }
        std::memcpy(&wide, rest_.data(), sizeof wide);
        rest_ = rest_.subspan(sizeof wide);
        return static_cast<T>(wide);
    }
    std::chrono::microseconds get_duration() noexcept { return std::chrono::microseconds(get()); }

    // Stays within the bytes that are read, and is followed by a NUL there.
    std::string_view get_text() noexcept {
        const auto size = get<std::uint64_t>();
        if (size >= rest_.size()) {
            damaged_ = damaged_ || size != 0;
            rest_ = {};
            return {};
        }
        const std::string_view text(reinterpret_cast<const char*>(rest_.data()), size);
        rest_ = rest_.subspan(size + 1);
        return text;
    }

    // A count of things to come, each of at least one byte: never more than can be there.
    std::size_t get_count() noexcept {
        const auto count = get<std::uint64_t>();
        if (count <= rest_.size()) return count;
        damaged_ = true;
        rest_ = {};
        return 0;
    }

    // The writer's number, which the first version of all did not write; see version.h.
    std::uint32_t get_version() noexcept { return std::max(kFirstVersion, get<std::uint32_t>()); }

    bool is_damaged() const noexcept { return damaged_; }
    bool at_end() const noexcept { return rest_.empty(); }

private:
    std::span<const std::byte> rest_;
    bool damaged_ = false;
};

}  // namespace cancelable
