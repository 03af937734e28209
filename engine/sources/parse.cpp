// A recursive descent over one line. The first failure is thrown to the one place that adds the column to it;
// nothing is thrown out of here.
#include "engine/sources/parse.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "engine/process/signal_names.h"
#include "engine/quantity.h"

namespace cancelable {
namespace {

constexpr std::size_t kLongest = 4096;
constexpr int kDeepest = 16;

struct Trouble {
    std::size_t column;  // from 0
    std::string sentence;
};

struct Word {
    std::string value;
    std::size_t column;
};

enum class Option : std::uint8_t { none, hold, every };

// What may and must follow a name.
struct Shape {
    std::string_view name;
    SourceKind kind;
    int arguments;
    Option option = Option::none;
    bool option_is_needed = false;
    std::string_view example = {};
};

constexpr std::array kShapes{
    Shape{"timeout", SourceKind::timeout, 1, Option::none, false, "timeout:10m"},
    Shape{"at", SourceKind::at, 1, Option::none, false, "at:18:30"},
    Shape{"idle", SourceKind::idle, 1, Option::none, false, "idle:60s"},
    Shape{"rss", SourceKind::rss, 1, Option::hold, false, "rss:2G,for=5s"},
    Shape{"cpu", SourceKind::cpu, 1, Option::hold, true, "cpu:150,for=60s"},
    Shape{"processes", SourceKind::processes, 1, Option::hold, false, "processes:100"},
    Shape{"host-memory", SourceKind::host_memory, 1, Option::hold, false, "host-memory:95"},
    Shape{"host-load", SourceKind::host_load, 1, Option::hold, false, "host-load:16"},
    Shape{"disk", SourceKind::disk, 2, Option::hold, false, "disk:/data,95"},
    Shape{"file", SourceKind::file, 1, Option::none, false, "file:stop"},
    Shape{"cmd", SourceKind::command, 1, Option::every, false, "cmd:'test -e stop',every=5s"},
    Shape{"signal", SourceKind::signal, 1, Option::none, false, "signal:USR1"},
    Shape{"parent", SourceKind::parent, 0},
    Shape{"disconnect", SourceKind::disconnect, 0},
    Shape{"manual", SourceKind::manual, 0},
};

std::string in_marks(std::string_view text) {
    std::string out = "\"";
    for (const char c : text.substr(0, 40))
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    return out + (text.size() > 40 ? "…\"" : "\"");
}

class Parser {
public:
    Parser(std::string_view text, WallTime now) : text_(text), now_(now) {}

    SourceExpression whole() {
        if (text_.size() > kLongest) throw Trouble{0, "a source is at most 4096 characters long"};
        if (const auto zero = text_.find('\0'); zero != std::string_view::npos)
            throw Trouble{zero, "a source has no zero bytes"};
        SourceExpression source = one(0);
        skip_spaces();
        if (at_ < text_.size())
            throw Trouble{at_,
                          "here it should end" + std::string(text_[at_] == ',' ? " (quote a comma)" : "")};
        return source;
    }

private:
    void skip_spaces() noexcept {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t'))
            ++at_;
    }

    bool take(char c) noexcept {
        skip_spaces();
        if (at_ == text_.size() || text_[at_] != c) return false;
        ++at_;
        return true;
    }

    std::string_view name() noexcept {
        skip_spaces();
        const std::size_t begin = at_;
        while (at_ < text_.size() && ((text_[at_] >= 'a' && text_[at_] <= 'z') || text_[at_] == '-'))
            ++at_;
        return text_.substr(begin, at_ - begin);
    }

    SourceExpression one(int depth) {
        skip_spaces();
        const std::size_t begin = at_;
        const std::string_view word = name();
        if (word == "any" || word == "all")
            return composition(word == "any" ? SourceKind::any : SourceKind::all, depth);
        const auto* const shape = std::ranges::find(kShapes, word, &Shape::name);
        if (shape == kShapes.end()) {
            std::string known;
            for (const Shape& each : kShapes)
                known += std::string(each.name) + ", ";
            const std::size_t end = text_.find_first_of(":,() ", begin);
            const auto typed = text_.substr(begin, std::min(end, text_.size()) - begin);
            throw Trouble{begin, typed.empty() ? "a source is missing"
                                               : in_marks(typed) + " is no source: there are " + known +
                                                     "any(…) and all(…)"};
        }
        return leaf(*shape, begin);
    }

    SourceExpression composition(SourceKind kind, int depth) {
        if (depth >= kDeepest) throw Trouble{at_, "any(…) and all(…) are nested too deeply"};
        const std::string name(to_string(kind));
        if (!take('('))
            throw Trouble{at_, name + " needs its members in parentheses: " + name + "(idle:60s, file:stop)"};
        SourceExpression source;
        source.kind = kind;
        source.text = name + "(";
        do {
            source.members.push_back(one(depth + 1));
            source.text += (source.members.size() > 1 ? ", " : "") + source.members.back().text;
        } while (take(','));
        if (!take(')')) throw Trouble{at_, "a comma or a closing parenthesis is missing"};
        source.text += ")";
        return source;
    }

    SourceExpression leaf(const Shape& shape, std::size_t begin) {
        SourceExpression source;
        source.kind = shape.kind;
        std::size_t end = at_;
        std::vector<Word> words;
        if (shape.arguments > 0) {
            const std::string example = "write it as " + std::string(shape.example);
            if (!take(':'))
                throw Trouble{at_, std::string(shape.name) + " needs a colon and a value: " + example};
            for (int i = 0; i < shape.arguments; ++i) {
                if (i > 0 && !take(',')) throw Trouble{at_, "a second value is missing: " + example};
                words.push_back(argument());
                if (words.back().value.empty())
                    throw Trouble{words.back().column, "a value is missing: " + example};
                end = at_;
            }
        }
        const auto option = take_option(shape);
        if (option) end = at_;
        if (shape.option_is_needed && !option)
            throw Trouble{end, std::string(shape.name) + " needs for=DURATION: write it as " +
                                   std::string(shape.example)};
        if (option) source.duration = *option;
        understand(source, words);
        std::string_view written = text_.substr(begin, end - begin);
        while (written.ends_with(' ') || written.ends_with('\t'))
            written.remove_suffix(1);
        // What was said of a local clock is said for all of them.
        source.text =
            source.kind == SourceKind::at ? "at:" + format_point_in_time(source.at) : std::string(written);
        return source;
    }

    // Where a comma and the option follow. The comma may as well stand before the next member.
    std::optional<std::chrono::milliseconds> take_option(const Shape& shape) {
        const std::size_t before = at_;
        if (!take(',')) return std::nullopt;
        const std::size_t column = (skip_spaces(), at_);
        const std::string_view word = name();
        if (word.empty() || !take('=')) {
            at_ = before;
            return std::nullopt;
        }
        const std::string_view wanted = shape.option == Option::hold    ? "for"
                                        : shape.option == Option::every ? "every"
                                                                        : "";
        if (word != wanted)
            throw Trouble{column, std::string(shape.name) + " takes no " + in_marks(word) +
                                      (wanted.empty() ? "" : ", but " + std::string(wanted) + "=DURATION")};
        const Word value = argument();
        return duration(value, word == "every");
    }

    Word argument() {
        skip_spaces();
        Word word{"", at_};
        if (at_ < text_.size() && (text_[at_] == '\'' || text_[at_] == '"')) {
            quoted(word);
            return word;
        }
        while (at_ < text_.size() && text_[at_] != ',' && text_[at_] != ')')
            word.value += text_[at_++];
        while (word.value.ends_with(' ') || word.value.ends_with('\t'))
            word.value.pop_back();
        return word;
    }

    void quoted(Word& word) {
        const char mark = text_[at_++];
        for (; at_ < text_.size(); ++at_) {
            if (text_[at_] == mark) {
                ++at_;
                return;
            }
            const bool escapes = mark == '"' && text_[at_] == '\\' && at_ + 1 < text_.size() &&
                                 (text_[at_ + 1] == '"' || text_[at_ + 1] == '\\');
            if (escapes) ++at_;
            word.value += text_[at_];
        }
        throw Trouble{word.column, "a quote is not closed"};
    }

    static std::chrono::milliseconds duration(const Word& word, bool must_be_positive) {
        const auto parsed = parse_duration(word.value);
        if (!parsed) throw Trouble{word.column, parsed.error().sentence()};
        if (must_be_positive && parsed->count() == 0) throw Trouble{word.column, "it must be more than 0"};
        return *parsed;
    }

    // Digits and a point: what else from_chars would take is no amount of anything.
    static double number(const Word& word, std::string_view what, double most) {
        const std::string_view text = word.value;
        double value = 0;
        const auto [end, error] =
            std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
        const bool plain = text.find_first_not_of("0123456789.") == std::string_view::npos;
        if (!plain || error != std::errc{} || end != text.data() + text.size() || !(value > 0) ||
            value > most) {
            std::string limit = std::to_string(static_cast<std::uint64_t>(most));
            throw Trouble{word.column, in_marks(text) + " is no " + std::string(what) +
                                           ": write a number above 0 and up to " + limit};
        }
        return value;
    }

    static Word without_percent(Word word) {
        if (word.value.ends_with('%')) word.value.pop_back();
        return word;
    }

    void understand(SourceExpression& source, const std::vector<Word>& words) {
        switch (source.kind) {
            case SourceKind::timeout:
            case SourceKind::idle:
                source.duration = duration(words[0], true);
                return;
            case SourceKind::at: {
                const auto time = parse_point_in_time(words[0].value, now_);
                if (!time) throw Trouble{words[0].column, time.error().sentence()};
                source.at = *time;
                return;
            }
            case SourceKind::rss: {
                const auto size = parse_size(words[0].value);
                if (!size) throw Trouble{words[0].column, size.error().sentence()};
                if (*size == 0) throw Trouble{words[0].column, "it must be more than 0"};
                source.size = *size;
                return;
            }
            case SourceKind::cpu: {
                Word word = without_percent(words[0]);
                if (word.value.starts_with('<')) {
                    source.is_below = true;
                    word.value.erase(0, 1);
                    ++word.column;
                }
                source.number = number(word, "percentage of one core", 100'000);
                return;
            }
            case SourceKind::processes: {
                source.number = number(words[0], "count of processes", 4'194'304);
                if (words[0].value.find('.') != std::string::npos)
                    throw Trouble{words[0].column, "a count of processes is a whole number"};
                return;
            }
            case SourceKind::host_memory:
                source.number = number(without_percent(words[0]), "percentage", 100);
                return;
            case SourceKind::host_load:
                source.number = number(words[0], "load", 1'000'000);
                return;
            case SourceKind::disk:
                source.path = words[0].value;
                source.number = number(without_percent(words[1]), "percentage", 100);
                return;
            case SourceKind::file:
                source.path = words[0].value;
                return;
            case SourceKind::command:
                source.command = words[0].value;
                if (source.duration.count() == 0) source.duration = std::chrono::seconds(5);
                return;
            case SourceKind::signal: {
                const auto signal = parse_signal(words[0].value);
                if (!signal)
                    throw Trouble{words[0].column,
                                  in_marks(words[0].value) + " is no signal: write USR1, SIGUSR1 or 10"};
                source.signal = *signal;
                return;
            }
            default:
                return;
        }
    }

    std::string_view text_;
    WallTime now_;
    std::size_t at_ = 0;
};

}  // namespace

Result<SourceExpression> parse_source(std::string_view text, WallTime now) {
    try {
        return Parser(text, now).whole();
    } catch (const Trouble& trouble) {
        return failure(ErrorCode::usage, in_marks(text) + ", column " + std::to_string(trouble.column + 1) +
                                             ": " + trouble.sentence);
    }
}

}  // namespace cancelable
