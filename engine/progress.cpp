#include "engine/progress.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace cancelable {
namespace {

// Digits and at most one point: no sign, no exponent, and no words such as "inf".
std::optional<double> plain_number(std::string_view text) {
    if (text.empty() || text.find_first_not_of("0123456789.") != std::string_view::npos) return std::nullopt;
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number))
        return std::nullopt;
    return number;
}

std::optional<double> divided(std::string_view text) {
    if (text.ends_with('%')) {
        const auto percent = plain_number(text.substr(0, text.size() - 1));
        return percent ? std::optional(*percent / 100) : std::nullopt;
    }
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return plain_number(text);
    const auto done = plain_number(text.substr(0, slash));
    const auto all = plain_number(text.substr(slash + 1));
    if (!done || !all || *all <= 0) return std::nullopt;
    return *done / *all;
}

}  // namespace

Result<double> parse_fraction(std::string_view text) {
    const auto fraction = divided(text);
    if (fraction && *fraction <= 1) return *fraction;
    return failure(ErrorCode::usage, "\"" + std::string(text) +
                                         "\" is no progress between nothing and all: write 40%, 4/10 or 0.4");
}

void ProgressCoalescer::report(OperationId id, Progress progress, Clock::time_point now) {
    const auto [entry, is_new] = reporting_.try_emplace(id);
    Reporting& reporting = entry->second;
    if (!is_new && now < reporting.next) {
        reporting.kept = std::move(progress);
        return;
    }
    reporting.next = now + kInterval;
    reporting.kept.reset();
    publish_(id, std::move(progress));
}

void ProgressCoalescer::publish_due(Clock::time_point now) {
    // Who is told may report again, or end an operation: each is looked up anew.
    for (auto entry = reporting_.begin(); entry != reporting_.end();) {
        const OperationId id = entry->first;
        Reporting& reporting = entry->second;
        if (reporting.kept && reporting.next <= now) {
            reporting.next = now + kInterval;
            publish_(id, *std::exchange(reporting.kept, std::nullopt));
        }
        entry = reporting_.upper_bound(id);
    }
}

std::optional<ProgressCoalescer::Clock::time_point> ProgressCoalescer::due() const {
    std::optional<Clock::time_point> earliest;
    for (const auto& [id, reporting] : reporting_)
        if (reporting.kept && (!earliest || reporting.next < *earliest)) earliest = reporting.next;
    return earliest;
}

const Progress* ProgressCoalescer::kept(OperationId id) const {
    const auto entry = reporting_.find(id);
    return entry != reporting_.end() && entry->second.kept ? &*entry->second.kept : nullptr;
}

}  // namespace cancelable
