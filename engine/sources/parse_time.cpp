#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>

#include "engine/sources/parse.h"

namespace cancelable {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Takes digits and marks off the front of a text.
class Cutter {
public:
    explicit Cutter(std::string_view text) : rest_(text) {}

    bool number(std::size_t digits, int& value) noexcept {
        if (rest_.size() < digits) return false;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + digits, value);
        if (error != std::errc{} || end != rest_.data() + digits || rest_.front() == '-') return false;
        rest_.remove_prefix(digits);
        return true;
    }
    bool mark(std::string_view any_of) noexcept {
        if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
        rest_.remove_prefix(1);
        return true;
    }
    char peek() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }
    bool at_end() const noexcept { return rest_.empty(); }

private:
    std::string_view rest_;
};

struct Fields {
    std::chrono::year_month_day date{};
    bool has_date = false;
    int hour = 0;
    int minute = 0;
    int second = 0;
    microseconds fraction{0};
    std::optional<minutes> offset;  // from UTC; none: local
};

bool read_clock(Cutter& in, Fields& fields) {
    if (!in.number(2, fields.hour) || !in.mark(":") || !in.number(2, fields.minute)) return false;
    if (in.mark(":") && !in.number(2, fields.second)) return false;
    if (in.mark(".")) {
        int digit = 0;
        std::int64_t unit = 100'000;
        if (!in.number(1, digit)) return false;
        do {
            fields.fraction += microseconds(digit * unit);
            unit /= 10;
        } while (in.peek() >= '0' && in.peek() <= '9' && in.number(1, digit));
    }
    return fields.hour < 24 && fields.minute < 60 && fields.second < 61;
}

bool read_offset(Cutter& in, Fields& fields) {
    if (in.mark("Zz")) {
        fields.offset = minutes(0);
    } else if (in.peek() == '+' || in.peek() == '-') {
        const bool west = in.peek() == '-';
        int hour = 0;
        int minute = 0;
        in.mark("+-");
        if (!in.number(2, hour) || !in.mark(":") || !in.number(2, minute) || hour > 23 || minute > 59)
            return false;
        fields.offset = (west ? -1 : 1) * (hours(hour) + minutes(minute));
    }
    return true;
}

std::optional<Fields> read_fields(std::string_view text) {
    Fields fields;
    Cutter in(text);
    if (text.size() > 4 && text[4] == '-') {
        int year = 0;
        int month = 0;
        int day = 0;
        if (!in.number(4, year) || !in.mark("-") || !in.number(2, month) || !in.mark("-") ||
            !in.number(2, day) || !in.mark("Tt "))
            return std::nullopt;
        fields.date = {std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                       std::chrono::day(static_cast<unsigned>(day))};
        fields.has_date = true;
        if (!fields.date.ok()) return std::nullopt;
    }
    if (!read_clock(in, fields)) return std::nullopt;
    if (fields.has_date && !read_offset(in, fields)) return std::nullopt;
    return in.at_end() ? std::optional(fields) : std::nullopt;
}

std::optional<WallTime> local(const Fields& fields, std::tm day) {
    day.tm_hour = fields.hour;
    day.tm_min = fields.minute;
    day.tm_sec = fields.second;
    day.tm_isdst = -1;
    const std::time_t time = std::mktime(&day);
    if (time == static_cast<std::time_t>(-1)) return std::nullopt;
    return WallTime(seconds(time) + fields.fraction);
}

std::optional<WallTime> to_time(const Fields& fields, WallTime now) {
    if (fields.offset)
        return WallTime(std::chrono::sys_days(fields.date).time_since_epoch() + hours(fields.hour) +
                        minutes(fields.minute) - *fields.offset + seconds(fields.second) + fields.fraction);
    std::tm day{};
    if (fields.has_date) {
        day.tm_year = static_cast<int>(fields.date.year()) - 1900;
        day.tm_mon = static_cast<int>(static_cast<unsigned>(fields.date.month())) - 1;
        day.tm_mday = static_cast<int>(static_cast<unsigned>(fields.date.day()));
        return local(fields, day);
    }
    const std::time_t today = std::chrono::duration_cast<seconds>(now.time_since_epoch()).count();
    if (::localtime_r(&today, &day) == nullptr) return std::nullopt;
    const auto next = local(fields, day);
    if (!next || *next > now) return next;
    ++day.tm_mday;  // mktime knows how long months are
    return local(fields, day);
}

}  // namespace

Result<WallTime> parse_point_in_time(std::string_view text, WallTime now) {
    if (const auto fields = read_fields(text))
        if (const auto time = to_time(*fields, now)) return *time;
    return failure(ErrorCode::usage, "\"" + std::string(text.substr(0, 40)) +
                                         "\" is no point in time: write 18:30, 2026-03-01 18:30 or "
                                         "2026-03-01T18:30:00Z");
}

std::string format_point_in_time(WallTime time) {
    const auto days = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(days);
    const std::chrono::hh_mm_ss clock(time - days);
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                  static_cast<int>(clock.seconds().count()));
    std::string out = text.data();
    if (clock.subseconds().count() != 0) {
        std::snprintf(text.data(), text.size(), ".%06d", static_cast<int>(clock.subseconds().count()));
        out += text.data();
    }
    return out + "Z";
}

}  // namespace cancelable
