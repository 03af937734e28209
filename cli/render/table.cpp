#include "cli/render/table.h"

#include <algorithm>
#include <utility>

#include "cli/render/text.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kGap = 2;

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::add_row(std::vector<Cell> cells) {
    rows_.push_back(std::move(cells));
}

std::vector<std::size_t> Table::column_widths(std::optional<std::size_t> width) const {
    std::vector<std::size_t> widths;
    std::size_t total = kGap * (columns_.size() - 1);
    for (std::size_t c = 0; c < columns_.size(); ++c) {
        std::size_t widest = display_width(columns_[c].title);
        for (const auto& row : rows_)
            widest = std::max(widest, display_width(row[c].text));
        // A command of a megabyte is not cut down column by column.
        if (width && columns_[c].at_least > 0)
            widest = std::min(widest, std::max(*width, columns_[c].at_least));
        widths.push_back(widest);
        total += widest;
    }
    // The widest column that may still give way loses one, until it fits or nobody can give any more.
    while (width && total > *width) {
        std::size_t victim = columns_.size();
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            const bool may_give = columns_[c].at_least > 0 && widths[c] > columns_[c].at_least;
            if (may_give && (victim == columns_.size() || widths[c] >= widths[victim])) victim = c;
        }
        if (victim == columns_.size()) break;
        --widths[victim];
        --total;
    }
    return widths;
}

std::string Table::render(std::optional<std::size_t> width, const Palette& palette) const {
    const std::vector<std::size_t> widths = column_widths(width);
    std::string out;
    const auto add_line = [&](auto cell_of) {
        std::string line;
        std::size_t pending = 0;  // blanks that are written only if something follows
        for (std::size_t c = 0; c < columns_.size(); ++c) {
            const Cell& cell = cell_of(c);
            const std::string text = cut_to_width(cell.text, widths[c]);
            const std::size_t padding = widths[c] - display_width(text);
            if (columns_[c].align_right) pending += padding;
            if (!text.empty()) {
                line.append(pending, ' ');
                line += palette.paint(cell.style, text);
                pending = 0;
            }
            if (!columns_[c].align_right) pending += padding;
            pending += kGap;
        }
        out += line + '\n';
    };
    std::vector<Cell> titles;
    for (const Column& column : columns_)
        titles.push_back({column.title, Style::bold});
    if (std::ranges::any_of(titles, [](const Cell& title) { return !title.text.empty(); }))
        add_line([&](std::size_t c) -> const Cell& { return titles[c]; });
    for (const auto& row : rows_)
        add_line([&](std::size_t c) -> const Cell& { return row[c]; });
    return out;
}

}  // namespace cancelable::cli
