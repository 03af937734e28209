#include "cli/batch/commands.h"

#include <fmt/format.h>

#include <utility>

#include "cli/batch/shell_words.h"

namespace cancelable::cli {

Commands::Commands(int fd, BatchForm form)
    : reader_(fd, form.null_separated ? '\0' : '\n'), form_(std::move(form)), template_(form_.command) {
    if (form_.command.empty() || template_.takes_argument()) return;
    form_.command.emplace_back("{}");
    template_ = Template(form_.command);
}

Result<std::optional<Job>> Commands::next(std::size_t slot) {
    for (;;) {
        const auto item = reader_.next();
        if (!item) return at_item(item.error());
        if (!*item) break;
        if (form_.null_separated && form_.command.empty()) {
            if (auto job = gather(**item)) return job;
            continue;
        }
        if (form_.null_separated) return job_of(**item, slot);
        if (is_passed_over(**item)) continue;
        if ((*item)->find('\0') != std::string_view::npos)
            return at_item({ErrorCode::usage, "it has a zero byte in it: is --null meant?", 0});
        return job_of(**item, slot);
    }
    if (reader_.is_over() && !gathered_.empty()) return gather({});
    return std::nullopt;
}

bool Commands::is_passed_over(std::string_view line) const noexcept {
    const auto first = line.find_first_not_of(" \t\r");
    return first == line.npos || (form_.command.empty() && line[first] == '#');
}

std::optional<Job> Commands::gather(std::string_view item) {
    if (!item.empty()) {
        gathered_.emplace_back(item);
        return std::nullopt;
    }
    if (gathered_.empty()) return std::nullopt;
    Job job{++count_, gathered_.front(), {}};
    job.command = std::exchange(gathered_, {});
    return job;
}

Job Commands::job_of(std::string_view item, std::size_t slot) {
    Job job{++count_, std::string(item), {}};
    job.command =
        form_.command.empty() ? command_of_line(item) : template_.expand({item, job.sequence, slot});
    return job;
}

std::unexpected<Error> Commands::at_item(const Error& error) const {
    const bool is_given_out = error.code == ErrorCode::usage;
    const std::uint64_t number = reader_.items() + (is_given_out ? 0 : 1);
    return failure(error.code, fmt::format("{} {} of the batch: {}", form_.null_separated ? "item" : "line",
                                           number, error.sentence()));
}

}  // namespace cancelable::cli
