#include "cli/render/events.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "cli/render/text.h"
#include "engine/quantity.h"
#include "ipc/timestamp.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kWidestName = 24;
constexpr std::size_t kWhatWidth = 10;

std::string text_of(const json& value) {
    if (value.is_string()) return printable(value.get_ref<const std::string&>());
    return printable(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

// Empty where there is none.
std::string text_at(const json& event, const char* name) {
    const auto found = event.find(name);
    return found == event.end() || found->is_null() ? std::string() : text_of(*found);
}

bool is_true(const json& event, const char* name) {
    const auto found = event.find(name);
    return found != event.end() && found->is_boolean() && found->get<bool>();
}

std::string joined(const json& event, const char* name) {
    std::string out;
    const auto found = event.find(name);
    if (found == event.end() || !found->is_array()) return out;
    for (const json& element : *found)
        out += (out.empty() ? "" : " ") + text_of(element);
    return out;
}

std::string duration_at(const json& event, const char* name) {
    const auto found = event.find(name);
    if (found == event.end() || !found->is_number()) return {};
    return format_duration(
        std::chrono::microseconds(static_cast<std::int64_t>(found->get<double>() * 1'000'000)));
}

std::string process_at(const json& event) {
    const auto by = event.find("by");
    if (by == event.end() || !by->is_object()) return {};
    const auto pid = by->find("pid");
    // 0 is the engine itself.
    if (pid == by->end() || !pid->is_number_integer() || *pid == 0) return {};
    return fmt::format("by process {}", text_of(*pid));
}

// What it comes to, in few words, joined by commas.
class Phrase {
public:
    void add(const std::string& words) {
        if (words.empty()) return;
        if (!text_.empty()) text_ += ", ";
        text_ += words;
    }
    void add(std::string_view before, const std::string& words, std::string_view behind = "") {
        if (!words.empty()) add(fmt::format("{}{}{}", before, words, behind));
    }
    std::string text() && { return std::move(text_); }

private:
    std::string text_;
};

void add_reason(Phrase& phrase, const json& event) {
    const std::string message = text_at(event, "message");
    phrase.add(text_at(event, "reason") + (message.empty() ? "" : ": " + message));
}

void add_exit(Phrase& phrase, const json& event) {
    const auto exit = event.find("exit");
    if (exit == event.end() || !exit->is_object()) return;
    const std::string signal = text_at(*exit, "signal");
    phrase.add(signal.empty() ? fmt::format("exit {}", text_at(*exit, "code")) : signal);
}

// Of kinds and fields that this program does not know.
std::string whatever_there_is(const json& event) {
    static constexpr std::array<std::string_view, 7> kCommon{"sequence", "time",   "kind",  "id",
                                                             "name",     "parent", "status"};
    Phrase phrase;
    for (const auto& [key, value] : event.items())
        if (std::ranges::find(kCommon, key) == kCommon.end() && key != "tags")
            phrase.add(fmt::format("{} {}", printable(key), text_of(value)));
    return std::move(phrase).text();
}

std::string details(const json& event, std::string_view kind) {
    Phrase phrase;
    if (kind == "accepted") {
        phrase.add("child of ", text_at(event, "parent"));
    } else if (kind == "adopted") {
        phrase.add(text_at(event, "status"));
        phrase.add("pid ", text_at(event, "pid"));
        add_reason(phrase, event);
    } else if (kind == "cancel") {
        if (is_true(event, "hurries")) phrase.add("once more");
        add_reason(phrase, event);
        phrase.add(is_true(event, "now") ? "at once" : text_at(event, "signal"));
        phrase.add("", duration_at(event, "grace"), " grace");
        phrase.add(process_at(event));
    } else if (kind == "signal") {
        phrase.add(fmt::format("{} to the {}", text_at(event, "signal"), text_at(event, "to")));
        phrase.add(process_at(event));
    } else if (kind == "survivors") {
        phrase.add("not ours to signal: ", joined(event, "pids"));
    } else if (kind == "hook") {
        phrase.add("on ", text_at(event, "hook"));
        add_exit(phrase, event);
        phrase.add(text_at(event, "error"));
    } else if (kind == "ended") {
        add_exit(phrase, event);
        phrase.add("after ", duration_at(event, "duration"));
        add_reason(phrase, event);
        phrase.add(joined(event, "signals"));
        phrase.add(text_at(event, "error"));
        if (is_true(event, "meanwhile")) phrase.add("while no supervisor was there");
    } else if (kind != "status") {
        return whatever_there_is(event);
    }
    return std::move(phrase).text();
}

Style style_of_kind(std::string_view kind) {
    if (kind == "cancel" || kind == "signal") return Style::yellow;
    if (kind == "survivors") return Style::red;
    return Style::cyan;
}

std::string clock_time(const json& event) {
    const auto time = ipc::parse_timestamp(text_at(event, "time"));
    if (!time) return text_at(event, "time");
    const auto since_epoch = time->time_since_epoch();
    const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(since_epoch).count();
    const auto ms = std::chrono::floor<std::chrono::milliseconds>(since_epoch).count() - seconds * 1000;
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    return fmt::format("{:02}:{:02}:{:02}.{:03}", parts.tm_hour, parts.tm_min, parts.tm_sec, ms);
}

std::string padded(const std::string& text, std::size_t width) {
    const std::size_t has = display_width(text);
    return text + std::string(has < width ? width - has : 0, ' ');
}

}  // namespace

std::string EventLines::line(const json& event, const View& view) {
    const std::string kind = text_at(event, "kind");
    const bool is_step = kind == "status" || kind == "ended";
    const std::string what = is_step ? text_at(event, "to") : kind;
    const auto status = is_step ? parse_status(what) : std::nullopt;
    const std::string time = clock_time(event);
    const std::string id = text_at(event, "id");
    const std::string name = cut_to_width(text_at(event, "name"), kWidestName);
    id_width_ = std::max(id_width_, id.size());
    name_width_ = std::max(name_width_, display_width(name));
    const std::string said = details(event, kind);

    const std::size_t before = time.size() + 2 + id_width_ + 2 + name_width_ + 2 + kWhatWidth + 2;
    const bool fits = !view.width || *view.width > before + 8;
    const std::string shown = view.width && fits ? cut_to_width(said, *view.width - before) : said;
    std::string line = view.palette.paint(Style::dim, time) + "  " +
                       view.palette.paint(Style::bold, fmt::format("{:>{}}", id, id_width_)) + "  " +
                       padded(name, name_width_) + "  " +
                       view.palette.paint(status ? style_of(*status) : style_of_kind(kind),
                                          shown.empty() ? what : padded(what, kWhatWidth));
    if (!shown.empty()) line += "  " + shown;
    return line + "\n";
}

std::string EventLines::missed_line(const json& missed, const View& view) {
    const std::string reason = text_at(missed, "reason");
    std::string sentence =
        fmt::format("events {} to {} were missed", text_at(missed, "from"), text_at(missed, "to"));
    if (reason == "restart")
        sentence = "another supervisor: what the one before told last may be missing here";
    else if (reason == "behind")
        sentence += ": they are not remembered any more";
    return view.palette.paint(Style::yellow, "-- " + sentence) + "\n";
}

}  // namespace cancelable::cli
