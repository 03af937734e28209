#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/process/error.h"
#include "ipc/json_value.h"

namespace cancelable::ipc {

// Takes parameters out of a JSON object one by one, checked.
//
// The first failure is kept and finish() reports it; the getters after it do nothing, so that decoding reads
// as a list of fields. What is absent or null leaves the target as it is.
class Params {
public:
    // `what` is how a sentence calls the object: "operation.run", "selector"; it and the document outlive
    // this.
    Params(JsonValue object, std::string_view what);

    void get(std::string_view name, bool& target);
    void get(std::string_view name, std::string& target);  // bytes, as bytes_from_json takes them
    void get(std::string_view name, std::vector<std::string>& target);

    // Seconds on the wire, rounded up to milliseconds: what is not zero does not become zero.
    void get(std::string_view name, std::chrono::milliseconds& target);

    // A name or a number.
    void get_signal(std::string_view name, int& target);

    template <std::integral Integer>
    void get(std::string_view name, Integer& target, std::int64_t min = std::numeric_limits<Integer>::min(),
             std::uint64_t max = std::numeric_limits<Integer>::max()) {
        if (const auto value = integer(name, min, max)) target = static_cast<Integer>(*value);
    }

    template <class T>
    void get(std::string_view name, std::optional<T>& target) {
        if (is_given(name)) get(name, target.emplace());
    }

    // For what is shaped otherwise: the value; nothing where it is absent or null.
    std::optional<JsonValue> take(std::string_view name);

    // Whether it is there and not null.
    bool is_given(std::string_view name) const;
    void require(std::string_view name);

    // Keeps a failure, unless there is one already: `sentence` continues after the parameter's name.
    void fail(std::string_view name, std::string_view sentence);

    // The failure of an object within becomes this one's.
    void adopt(const Error& error);

    // Success, or the first failure, or else one that names a parameter that nobody took.
    Result<> finish() const;

private:
    std::optional<std::int64_t> integer(std::string_view name, std::int64_t min, std::uint64_t max);

    struct Member {
        std::string name;
        JsonValue value;
        bool is_taken = false;
    };
    std::vector<Member> members_;
    std::string_view what_;
    std::optional<Error> error_;
};

}  // namespace cancelable::ipc
