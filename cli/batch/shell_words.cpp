#include "cli/batch/shell_words.h"

#include <algorithm>
#include <array>

namespace cancelable::cli {
namespace {

// Outside of quotes a shell makes something of each of these. Where some shells do and others don't, they
// count.
constexpr std::string_view kSpecial = "|&;<>()$`*?[]#~={}!^%\n";

// What a shell does itself, and what no program could do in its place.
constexpr std::array<std::string_view, 44> kShellWords{
    ".",        ":",       "alias", "bg",     "break", "builtin", "case", "cd",       "command",
    "continue", "declare", "eval",  "exec",   "exit",  "export",  "fg",   "for",      "function",
    "getopts",  "hash",    "if",    "jobs",   "let",   "local",   "read", "readonly", "return",
    "select",   "set",     "shift", "source", "times", "trap",    "type", "typeset",  "ulimit",
    "umask",    "unalias", "unset", "until",  "wait",  "while",   "fc",   "shopt"};

// One pass over the line, with the word that is being read.
class Splitter {
public:
    explicit Splitter(std::string_view line) : rest_(line) {}

    std::optional<std::vector<std::string>> split() {
        while (!rest_.empty()) {
            const char c = take();
            if (c == ' ' || c == '\t') {
                end_word();
            } else if (c == '\'') {
                if (!single_quoted()) return std::nullopt;
            } else if (c == '"') {
                if (!double_quoted()) return std::nullopt;
            } else if (c == '\\') {
                if (rest_.empty()) return std::nullopt;
                add(take());
            } else if (kSpecial.find(c) != kSpecial.npos || c == '\0') {
                return std::nullopt;
            } else {
                add(c);
            }
        }
        end_word();
        if (words_.empty() || std::ranges::find(kShellWords, words_.front()) != kShellWords.end())
            return std::nullopt;
        return std::move(words_);
    }

private:
    char take() {
        const char c = rest_.front();
        rest_.remove_prefix(1);
        return c;
    }

    void add(char c) {
        word_.push_back(c);
        in_word_ = true;
    }

    void end_word() {
        if (in_word_) words_.push_back(std::move(word_));
        word_.clear();
        in_word_ = false;
    }

    bool single_quoted() {
        const auto end = rest_.find('\'');
        if (end == rest_.npos) return false;
        word_ += rest_.substr(0, end);
        in_word_ = true;
        rest_.remove_prefix(end + 1);
        return true;
    }

    bool double_quoted() {
        in_word_ = true;
        while (!rest_.empty()) {
            char c = take();
            if (c == '"') return true;
            if (c == '$' || c == '`') return false;
            // A backslash stays where it protects nothing.
            if (c == '\\' && !rest_.empty() &&
                std::string_view("$`\"\\").find(rest_.front()) != std::string_view::npos)
                c = take();
            add(c);
        }
        return false;
    }

    std::string_view rest_;
    std::vector<std::string> words_;
    std::string word_;
    bool in_word_ = false;  // also for an empty one, in quotes
};

}  // namespace

std::optional<std::vector<std::string>> split_words(std::string_view line) {
    return Splitter(line).split();
}

std::vector<std::string> command_of_line(std::string_view line) {
    if (auto words = split_words(line)) return std::move(*words);
    return {"/bin/sh", "-c", std::string(line)};
}

}  // namespace cancelable::cli
