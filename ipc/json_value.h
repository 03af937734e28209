#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cancelable::ipc {

// One value in a JsonDocument: a place in its text, copied at will, and of no use once the document is gone.
// Asked for what it is not, it gives nothing.
class JsonValue {
public:
    enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

    // Null, of no document.
    JsonValue() noexcept = default;

    Kind kind() const noexcept { return content_ == nullptr ? Kind::null : node().kind; }
    bool is_null() const noexcept { return kind() == Kind::null; }
    bool is_string() const noexcept { return kind() == Kind::string; }
    bool is_number() const noexcept { return kind() == Kind::number; }
    bool is_array() const noexcept { return kind() == Kind::array; }
    bool is_object() const noexcept { return kind() == Kind::object; }

    std::optional<bool> boolean() const noexcept;
    std::optional<double> number() const noexcept;
    // Of a number that is written as a whole one, and fits.
    std::optional<std::uint64_t> unsigned_integer() const noexcept;
    std::optional<std::int64_t> integer() const noexcept;
    std::optional<std::string> string() const;

    // How many elements or members there are.
    std::size_t size() const noexcept;

    // Of an array.
    std::vector<JsonValue> elements() const;
    // Names and values of an object, in their order. A name may be there twice.
    std::vector<std::pair<JsonValue, JsonValue>> members() const;
    // Of an object: where a name is there twice, the last one counts.
    std::optional<JsonValue> find(std::string_view name) const;

    // As it is written.
    std::string_view text() const noexcept {
        if (content_ == nullptr) return "null";
        return {content_->text.data() + node().begin, node().end - node().begin};
    }

    // Whether it is this string.
    bool operator==(std::string_view other) const;

private:
    friend class JsonDocument;
    friend class JsonReader;

    struct Node {
        std::uint32_t begin = 0;  // in the text
        std::uint32_t end = 0;
        std::uint32_t next = 0;  // the node after this one and all that is within it
        Kind kind = Kind::null;
        bool has_escapes = false;
    };
    // The members of an object are its names and values in turn.
    struct Content {
        std::string text;
        std::vector<Node> nodes;
    };

    JsonValue(const Content& content, std::uint32_t node) noexcept : content_(&content), node_(node) {}
    template <class Visit>
    void for_each_member(Visit visit) const;
    const Node& node() const noexcept { return content_->nodes[node_]; }

    const Content* content_ = nullptr;
    std::uint32_t node_ = 0;
};

// A JSON text that was checked once, and the places of its values: nothing is copied out of it before it is
// asked for. For what arrives, and is looked at once.
class JsonDocument {
public:
    // Nothing where it is not JSON in UTF-8 (RFC 8259), or lists and objects lie deeper in each other.
    static std::optional<JsonDocument> parse(std::string text, std::size_t max_depth);

    // Stays valid when the document is moved.
    JsonValue root() const noexcept { return {*content_, 0}; }

private:
    explicit JsonDocument(std::unique_ptr<const JsonValue::Content> content) noexcept
        : content_(std::move(content)) {}

    std::unique_ptr<const JsonValue::Content> content_;
};

// As a value of its own, for who keeps it. A number that is too large for a double is null.
nlohmann::json to_json(JsonValue value);

}  // namespace cancelable::ipc
