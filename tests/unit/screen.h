// A terminal's screen, as far as the line of progress and plain output use one: what was written where.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cancelable::testing {

class Screen {
public:
    Screen(std::size_t rows, std::size_t columns)
        : rows_(rows, std::string(columns, ' ')), columns_(columns), bottom_(rows - 1) {}

    void write(std::string_view text) {
        for (std::size_t i = 0; i < text.size(); ++i) {
            const char c = text[i];
            if (c == '\n')
                line_feed(), column_ = 0;  // as the kernel's ONLCR has it
            else if (c == '\r')
                column_ = 0;
            else if (c == '\x1b')
                i = escape(text, i + 1);
            else
                put(c);
        }
    }

    // Without the blanks at its end; the first is 1.
    std::string row(std::size_t number) const {
        const std::string& text = rows_.at(number - 1);
        return text.substr(0, text.find_last_not_of(' ') + 1);
    }
    std::size_t cursor_row() const { return row_ + 1; }
    std::size_t cursor_column() const { return column_ + 1; }

private:
    void put(char c) {
        if (column_ == columns_) line_feed(), column_ = 0;
        rows_[row_][column_++] = c;
    }
    void line_feed() {
        if (row_ == bottom_) {
            rows_.erase(rows_.begin() + static_cast<std::ptrdiff_t>(top_));
            rows_.insert(rows_.begin() + static_cast<std::ptrdiff_t>(bottom_), std::string(columns_, ' '));
        } else if (row_ + 1 < rows_.size()) {
            ++row_;
        }
    }
    std::size_t escape(std::string_view text, std::size_t at) {
        switch (text.at(at)) {
            case '7':
                saved_row_ = row_, saved_column_ = column_;
                return at;
            case '8':
                row_ = saved_row_, column_ = saved_column_;
                return at;
            case 'D':
                line_feed();
                return at;
            default:
                return control(text, at + 1);
        }
    }
    std::size_t control(std::string_view text, std::size_t at) {
        std::vector<std::size_t> numbers{0};
        for (; (text.at(at) >= '0' && text[at] <= '9') || text[at] == ';'; ++at) {
            if (text[at] == ';')
                numbers.push_back(0);
            else
                numbers.back() = numbers.back() * 10 + static_cast<std::size_t>(text[at] - '0');
        }
        numbers.resize(2);
        switch (text[at]) {
            case 'A':
                if (row_ > 0) --row_;
                break;
            case 'H':
                row_ = numbers[0] == 0 ? 0 : numbers[0] - 1;
                column_ = numbers[1] == 0 ? 0 : numbers[1] - 1;
                break;
            case 'K':
                rows_[row_].assign(columns_, ' ');
                break;
            case 'r':
                top_ = numbers[0] == 0 ? 0 : numbers[0] - 1;
                bottom_ = numbers[1] == 0 ? rows_.size() - 1 : numbers[1] - 1;
                row_ = column_ = 0;
                break;
            default:
                break;
        }
        return at;
    }

    std::vector<std::string> rows_;
    std::size_t columns_;
    std::size_t row_ = 0, column_ = 0;
    std::size_t saved_row_ = 0, saved_column_ = 0;
    std::size_t top_ = 0, bottom_;
};

}  // namespace cancelable::testing
