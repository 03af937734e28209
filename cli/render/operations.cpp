#include "cli/render/operations.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "cli/render/progress.h"
#include "cli/render/table.h"
#include "cli/render/text.h"
#include "cli/terminal/screen.h"
#include "engine/process/signal_names.h"
#include "engine/quantity.h"

namespace cancelable::cli {
namespace {

using std::chrono::microseconds;

std::string tags_text(const Tags& tags) {
    std::string out;
    for (const auto& [key, value] : tags)
        out += fmt::format("{}{}={}", out.empty() ? "" : " ", shell_word(key), shell_word(value));
    return out;
}

std::string signals_text(const Cancelation& cancelation) {
    std::string out;
    for (const int number : cancelation.signals)
        out += (out.empty() ? "" : " ") + signal_name(number);
    return out;
}

// What a tree is drawn with.
struct Branches {
    std::string_view one_of_several;
    std::string_view last;
    std::string_view past;  // an earlier one, of which more is to come below
};
constexpr Branches kDrawn{"├─ ", "└─ ", "│  "};
constexpr Branches kTyped{"|- ", "`- ", "|  "};

struct Line {
    const Operation* operation;
    std::string branch;  // what a tree draws before the name
};

// Parents have smaller ids than their children, so that no cycle is possible.
class TreeOrder {
public:
    TreeOrder(const std::vector<Operation>& operations, const Branches& branches) : branches_(branches) {
        std::map<OperationId, const Operation*> known;
        for (const Operation& operation : operations)
            known.emplace(operation.id(), &operation);
        for (const auto& [id, operation] : known) {
            const OperationId parent = operation->spec->parent;
            children_[parent < id && known.contains(parent) ? parent : 0].push_back(operation);
        }
        add_below(0, "", true);
    }

    std::vector<Line> lines;

private:
    void add_below(OperationId parent, const std::string& indent, bool is_root) {
        const auto& siblings = children_[parent];
        for (std::size_t i = 0; i < siblings.size(); ++i) {
            const bool is_last = i + 1 == siblings.size();
            const auto branch = [&](std::string_view last, std::string_view other) {
                return is_root ? std::string() : indent + std::string(is_last ? last : other);
            };
            lines.push_back({siblings[i], branch(branches_.last, branches_.one_of_several)});
            add_below(siblings[i]->id(), branch("   ", branches_.past), false);
        }
    }

    const Branches& branches_;
    std::map<OperationId, std::vector<const Operation*>> children_;
};

std::vector<Line> in_order(const std::vector<Operation>& operations, const View& view, bool as_tree) {
    if (as_tree) return std::move(TreeOrder(operations, view.utf8 ? kDrawn : kTyped).lines);
    std::vector<Line> lines;
    lines.reserve(operations.size());
    for (const Operation& operation : operations)
        lines.push_back({&operation, ""});
    return lines;
}

std::string local_time(WallTime time) {
    const auto since_epoch = time.time_since_epoch();
    const std::time_t seconds = std::chrono::duration_cast<std::chrono::seconds>(since_epoch).count();
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(since_epoch).count() % 1000;
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    char text[64];
    const std::size_t length = std::strftime(text, sizeof text, "%F %T", &parts);
    return fmt::format("{}.{:03}", std::string_view(text, length), ms < 0 ? ms + 1000 : ms);
}

// A word and its value, the values below each other.
class Details {
public:
    explicit Details(const Palette& palette) : palette_(palette) {}

    void add(std::string_view name, const std::string& value, Style style = Style::plain) {
        if (value.empty()) return;
        const std::string padded = fmt::format("{:<12}", name);
        text_ += palette_.paint(Style::dim, padded) + palette_.paint(style, value) + '\n';
    }

    std::string text() && { return std::move(text_); }

private:
    const Palette& palette_;
    std::string text_;
};

// What fits in a line is shown as it is, and of the rest how to get it.
std::string result_text(const std::string& result, OperationId id) {
    constexpr std::size_t kLongest = 200;
    const auto end = result.find_last_not_of('\n');
    const std::string_view text = std::string_view(result).substr(0, end == std::string::npos ? 0 : end + 1);
    if (text.size() <= kLongest && text.find('\n') == std::string_view::npos) return in_quotes(text);
    return fmt::format("{} bytes: cancelable show {} --result", result.size(), id);
}

std::string shielded_text(const Shielded& shielded) {
    const std::string by = fmt::format("by {} command{}", shielded.count, shielded.count == 1 ? "" : "s");
    if (shielded.until)
        return fmt::format("{}, the cancelation comes at {} at the latest; --now breaks it", by,
                           local_time(*shielded.until));
    return fmt::format("{}, a cancelation waits for {} at most", by, format_duration(shielded.limit));
}

std::string hook_failure_text(const HookFailure& failure) {
    std::string how = printable(failure.error);
    if (failure.exit)
        how = failure.exit->by_signal ? signal_name(failure.exit->value)
                                      : fmt::format("exit {}", failure.exit->value);
    return fmt::format("on {}: {} (at {})", to_string(failure.event), how, local_time(failure.at));
}

std::string asked_by(const Requester& by) {
    if (by.pid == 0) return {};
    return fmt::format("user {}, process {}", by.uid, by.pid);
}

// From the request to the proof. Records keep milliseconds: to show more would be to make it up.
std::string time_to_gone(const Cancelation& cancelation) {
    if (!cancelation.gone_at) return {};
    const auto took =
        std::chrono::floor<std::chrono::milliseconds>(*cancelation.gone_at - cancelation.requested_at);
    if (took.count() < 1) return "<1ms";
    return took.count() < 1000 ? fmt::format("{}ms", took.count()) : format_duration(took);
}

void add_cancelation(Details& details, const Cancelation& cancelation) {
    details.add("cancelled",
                fmt::format("{}{}{}", to_string(cancelation.reason), cancelation.message.empty() ? "" : ": ",
                            printable(cancelation.message)));
    details.add("  by", asked_by(cancelation.by));
    details.add("  asked at", local_time(cancelation.requested_at));
    if (cancelation.gone_at)
        details.add("  gone at", fmt::format("{} (after {})", local_time(*cancelation.gone_at),
                                             time_to_gone(cancelation)));
    details.add("  signals", signals_text(cancelation));
    details.add("  processes", std::to_string(cancelation.processes));
    details.add("  survivors", fmt::format("{}", fmt::join(cancelation.survivors, " ")), Style::red);
}

}  // namespace

View current_view(ColorChoice choice) {
    return {screen_width(STDOUT_FILENO), Palette::for_output(STDOUT_FILENO, choice), wall_now(),
            locale_is_utf8()};
}

Style style_of(Status status) noexcept {
    switch (status) {
        case Status::running:
            return Style::green;
        case Status::pending:
            return Style::cyan;
        case Status::paused:
        case Status::cancelling:
            return Style::yellow;
        case Status::failed:
        case Status::timeout:
        case Status::lost:
            return Style::red;
        case Status::cancelled:
            return Style::blue;
        case Status::completed:
            return Style::dim;
    }
    return Style::plain;
}

microseconds elapsed(const Operation& operation, WallTime now) noexcept {
    if (is_ended(operation.status) && operation.duration) return *operation.duration;
    const WallTime since = operation.started_at.value_or(operation.spec->created_at);
    const WallTime until = operation.ended_at.value_or(now);
    // The clock may have been set back meanwhile.
    return until > since ? until - since : microseconds(0);
}

std::string command_line(const std::vector<std::string>& command) {
    std::string out;
    for (const std::string& word : command)
        out += (out.empty() ? "" : " ") + shell_word(word);
    return out;
}

std::string exit_text(const Operation& operation) {
    if (!operation.exit) return {};
    if (operation.exit->by_signal) return signal_name(operation.exit->value);
    return fmt::format("exit {}", operation.exit->value);
}

std::string operations_table(const std::vector<Operation>& operations, const View& view, bool as_tree) {
    const bool has_progress =
        std::ranges::any_of(operations, [](const Operation& one) { return one.progress != nullptr; });
    std::vector<Column> columns{{"ID", true}, {"NAME", false, 8}, {"STATUS"}, {"TIME", true}};
    if (has_progress) columns.push_back({"PROGRESS", false, 8});
    columns.insert(columns.end(), {{"PID", true}, {"COMMAND", false, 7}});
    Table table(std::move(columns));
    for (const Line& line : in_order(operations, view, as_tree)) {
        const Operation& operation = *line.operation;
        std::string status(to_string(operation.status));
        // What an end that is no plain success came to is worth the room.
        if (operation.status == Status::failed) status += fmt::format(" ({})", exit_text(operation));
        if (operation.shielded) status += " (shielded)";
        std::vector<Cell> cells{{std::to_string(operation.id()), Style::bold},
                                {line.branch + printable(operation.spec->name)},
                                {status, style_of(operation.status)},
                                {format_duration(elapsed(operation, view.now))}};
        if (has_progress) cells.push_back({operation.progress ? progress_text(*operation.progress) : "-"});
        cells.push_back({operation.pid ? std::to_string(*operation.pid) : "-"});
        cells.push_back({command_line(operation.spec->command), Style::dim});
        table.add_row(std::move(cells));
    }
    return table.render(view.width, view.palette);
}

std::string operation_details(const Operation& operation, const View& view) {
    const OperationSpec& spec = *operation.spec;
    Details details(view.palette);
    details.add("operation", std::to_string(spec.id), Style::bold);
    details.add("name", printable(spec.name));
    details.add("status", std::string(to_string(operation.status)), style_of(operation.status));
    details.add("error", printable(operation.error), Style::red);
    details.add("command", command_line(spec.command));
    details.add("cwd", printable(spec.cwd));
    details.add("tags", tags_text(spec.tags));
    details.add("parent", spec.parent == 0 ? "" : std::to_string(spec.parent));
    details.add("pid", operation.pid ? std::to_string(*operation.pid) : "");
    details.add("detached", spec.detached ? "yes" : "");
    details.add("timeout", spec.timeout.count() == 0 ? "" : format_duration(spec.timeout));
    details.add("grace", format_duration(spec.grace));
    for (const std::string& source : spec.cancel_on)
        details.add("cancel on", printable(source));
    details.add("on start", printable(spec.hooks.on_start));
    details.add("on cancel", printable(spec.hooks.on_cancel));
    details.add("on end", printable(spec.hooks.on_end));
    details.add("created", local_time(spec.created_at));
    details.add("started", operation.started_at ? local_time(*operation.started_at) : "");
    details.add("ended", operation.ended_at ? local_time(*operation.ended_at) : "");
    details.add("time", format_duration(elapsed(operation, view.now)));
    details.add("exit", exit_text(operation));
    if (operation.cancelation) add_cancelation(details, *operation.cancelation);
    if (operation.usage)
        details.add("usage",
                    fmt::format("{} user, {} system, {} at most", format_duration(operation.usage->user),
                                format_duration(operation.usage->system),
                                format_size(operation.usage->max_rss_bytes)));
    if (operation.shielded) details.add("shielded", shielded_text(*operation.shielded));
    if (operation.progress)
        details.add("progress", fmt::format("{} (at {})", progress_text(*operation.progress),
                                            local_time(operation.progress->at)));
    if (operation.result) details.add("result", result_text(*operation.result, spec.id));
    for (const HookFailure& failure : operation.hook_failures)
        details.add("hook failed", hook_failure_text(failure), Style::red);
    details.add("log", printable(spec.log));
    return std::move(details).text();
}

std::string cancelled_lines(const std::vector<Operation>& operations, const View& view) {
    Table table({{"", true}, {"", false, 8}, {""}, {"", true}, {"", true}, {""}});
    for (const Operation& operation : operations) {
        const Cancelation none;
        const Cancelation& cancelation = operation.cancelation ? *operation.cancelation : none;
        const std::string took = time_to_gone(cancelation);
        const std::string signals = signals_text(cancelation);
        table.add_row(
            {{std::to_string(operation.id()), Style::bold},
             {printable(operation.spec->name)},
             {signals.empty() ? "-" : signals},
             {fmt::format("{} process{}", cancelation.processes, cancelation.processes == 1 ? "" : "es")},
             {took.empty() ? "-" : took},
             {std::string(to_string(operation.status)), style_of(operation.status)}});
    }
    return table.render(view.width, view.palette);
}

}  // namespace cancelable::cli
