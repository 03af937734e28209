#include "cli/batch/template.h"

#include <array>
#include <utility>

namespace cancelable::cli {
namespace {

std::string_view last_part_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == path.npos ? path : path.substr(slash + 1);
}

// "a.b/c" has none, and a name that is nothing but an extension keeps it.
std::string_view stem_of(std::string_view path) {
    const auto dot = path.rfind('.');
    if (dot == path.npos || dot + 1 == path.size() || path.find('/', dot) != path.npos) return path;
    const bool is_hidden_name = dot == 0 || path[dot - 1] == '/';
    return is_hidden_name ? path : path.substr(0, dot);
}

std::string_view directory_of(std::string_view path) {
    const auto slash = path.rfind('/');
    if (slash == path.npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Template::Template(const std::vector<std::string>& words) {
    for (const std::string& word : words)
        words_.push_back(parse(word));
}

Template::Word Template::parse(std::string_view word) {
    static constexpr std::array<std::pair<std::string_view, Kind>, 7> kPlaceholders{{
        {"{}", Kind::argument},
        {"{.}", Kind::without_extension},
        {"{/}", Kind::last_part},
        {"{//}", Kind::directory},
        {"{/.}", Kind::bare_name},
        {"{#}", Kind::sequence},
        {"{%}", Kind::slot},
    }};
    Word pieces;
    std::string text;
    const auto end_text = [&] {
        if (!text.empty()) pieces.push_back({Kind::text, std::exchange(text, {})});
    };
    while (!word.empty()) {
        const std::pair<std::string_view, Kind>* found = nullptr;
        for (const auto& placeholder : kPlaceholders)
            if (word.starts_with(placeholder.first)) found = &placeholder;
        if (found == nullptr) {
            text.push_back(word.front());
            word.remove_prefix(1);
            continue;
        }
        end_text();
        pieces.push_back({found->second, {}});
        takes_slot_ = takes_slot_ || found->second == Kind::slot;
        takes_argument_ = takes_argument_ || (found->second != Kind::sequence && found->second != Kind::slot);
        word.remove_prefix(found->first.size());
    }
    end_text();
    return pieces;
}

void Template::append(std::string& to, const Piece& piece, const Facts& facts) {
    switch (piece.kind) {
        case Kind::text:
            to += piece.text;
            return;
        case Kind::argument:
            to += facts.argument;
            return;
        case Kind::without_extension:
            to += stem_of(facts.argument);
            return;
        case Kind::last_part:
            to += last_part_of(facts.argument);
            return;
        case Kind::directory:
            to += directory_of(facts.argument);
            return;
        case Kind::bare_name:
            to += stem_of(last_part_of(facts.argument));
            return;
        case Kind::sequence:
            to += std::to_string(facts.sequence);
            return;
        case Kind::slot:
            to += std::to_string(facts.slot);
            return;
    }
}

std::vector<std::string> Template::expand(const Facts& facts) const {
    std::vector<std::string> expanded;
    expanded.reserve(words_.size() + 1);
    for (const Word& word : words_) {
        std::string& text = expanded.emplace_back();
        for (const Piece& piece : word)
            append(text, piece, facts);
    }
    return expanded;
}

}  // namespace cancelable::cli
