#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace cancelable::cli {

// What a placeholder can stand for.
struct Facts {
    std::string_view argument;
    std::size_t sequence = 1;  // of the operation in its batch, from 1
    std::size_t slot = 1;      // of those that run at a time, from 1
};

// Words with placeholders in them:
//
//   {}  the argument    {.}  without its extension    {/}  its last part    {//}  its directory
//   {/.}  its last part without the extension         {#}  sequence         {%}  slot
//
// A word stays one word, whatever it is filled with.
class Template {
public:
    Template() = default;
    explicit Template(const std::vector<std::string>& words);

    // Whether the argument appears anywhere.
    bool takes_argument() const noexcept { return takes_argument_; }
    bool takes_slot() const noexcept { return takes_slot_; }

    std::vector<std::string> expand(const Facts& facts) const;

private:
    enum class Kind : std::uint8_t {
        text,
        argument,
        without_extension,
        last_part,
        directory,
        bare_name,
        sequence,
        slot
    };
    struct Piece {
        Kind kind;
        std::string text;
    };
    using Word = std::vector<Piece>;

    Word parse(std::string_view word);
    static void append(std::string& to, const Piece& piece, const Facts& facts);

    std::vector<Word> words_;
    bool takes_argument_ = false;
    bool takes_slot_ = false;
};

}  // namespace cancelable::cli
