#include "cli/batch/jobs.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <thread>

#include "cli/render/text.h"

namespace cancelable::cli {
namespace {

constexpr std::size_t kMost = 100'000;

}  // namespace

std::size_t Jobs::of(std::size_t processors) const noexcept {
    return is_percentage ? std::max<std::size_t>(1, processors * number / 100) : number;
}

Result<Jobs> parse_jobs(std::string_view text) {
    Jobs jobs;
    std::string_view digits = text;
    jobs.is_percentage = digits.ends_with('%');
    if (jobs.is_percentage) digits.remove_suffix(1);
    const char* end = digits.data() + digits.size();
    const auto [stopped, error] = std::from_chars(digits.data(), end, jobs.number);
    if (error != std::errc{} || stopped != end || jobs.number == 0 || jobs.number > kMost)
        return failure(ErrorCode::usage,
                       in_quotes(text) + " is neither a number of operations nor a share as 50%");
    return jobs;
}

std::string to_text(const Jobs& jobs) {
    return std::to_string(jobs.number) + (jobs.is_percentage ? "%" : "");
}

std::size_t processors() noexcept {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    // It fails where there are more than a set has room for.
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return std::max<std::size_t>(1, static_cast<std::size_t>(CPU_COUNT(&allowed)));
    return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

}  // namespace cancelable::cli
