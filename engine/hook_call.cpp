#include "engine/hook_call.h"

#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "engine/process/signal_names.h"

namespace cancelable {
namespace {

constexpr std::size_t kLongestValue = std::size_t{16} << 10;
constexpr std::size_t kMostFacts = std::size_t{256} << 10;

// What the shell says of a hook that fails is worth a line of the log.
constexpr std::size_t kKept = 200;

constexpr std::string_view kPrefix = "CANCELABLE_HOOK_";

// A shell takes letters, digits and underscores, and no other locale's.
std::string variable_of(std::string_view key) {
    std::string name(key);
    std::ranges::transform(name, name.begin(), [](char c) {
        if (c >= 'a' && c <= 'z') return static_cast<char>(c - 'a' + 'A');
        return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ? c : '_';
    });
    return name;
}

class Facts {
public:
    // The first of a name counts; what does not fit in any more is left out.
    void add(std::string_view name, std::string_view value) {
        // A variable ends at its first zero byte.
        value = value.substr(0, std::min(value.find('\0'), kLongestValue));
        std::string fact = std::string(kPrefix) + std::string(name) + "=";
        const bool is_known =
            std::ranges::any_of(facts_, [&](const std::string& known) { return known.starts_with(fact); });
        fact += value;
        if (is_known || size_ + fact.size() > kMostFacts) return;
        size_ += fact.size();
        facts_.push_back(std::move(fact));
    }
    std::vector<std::string> take() && { return std::move(facts_); }

private:
    std::vector<std::string> facts_;
    std::size_t size_ = 0;
};

const std::string& command_for(HookEvent event, const HookSettings& hooks) {
    if (event == HookEvent::start) return hooks.on_start;
    return event == HookEvent::cancel ? hooks.on_cancel : hooks.on_end;
}

}  // namespace

std::vector<std::string> hook_facts(HookEvent event, const Operation& operation) {
    const OperationSpec& spec = *operation.spec;
    const bool has_code = operation.exit && !operation.exit->by_signal;
    const bool has_signal = operation.exit && operation.exit->by_signal;
    const Cancelation* cancelation = operation.cancelation.get();
    Facts facts;
    facts.add("EVENT", to_string(event));
    facts.add("ID", std::to_string(spec.id));
    facts.add("NAME", spec.name);
    facts.add("STATUS", to_string(operation.status));
    facts.add("EXIT_CODE", has_code ? std::to_string(operation.exit->value) : "");
    facts.add("SIGNAL", has_signal ? signal_name(operation.exit->value) : "");
    facts.add("REASON", cancelation != nullptr ? to_string(cancelation->reason) : "");
    facts.add("MESSAGE", cancelation != nullptr ? cancelation->message : operation.error);
    facts.add("PARENT", spec.parent == 0 ? "" : std::to_string(spec.parent));
    facts.add("LOG", spec.log);
    facts.add("CWD", spec.cwd);
    for (const auto& [key, value] : spec.tags)
        facts.add("TAG_" + variable_of(key), value);
    return std::move(facts).take();
}

std::optional<HookCall> hook_call(HookEvent event, const Operation& operation) {
    const HookSettings& hooks = operation.spec->hooks;
    const std::string& command = command_for(event, hooks);
    if (command.empty()) return std::nullopt;
    return HookCall{operation.id(), event, command, hooks.time_limit, hook_facts(event, operation)};
}

SideRequest hook_request(const HookCall& call, std::span<const std::string> environment) {
    SideRequest request;
    request.command = {"/bin/sh", "-c", "cd \"$CANCELABLE_HOOK_CWD\" 2>/dev/null\n" + call.command};
    request.name = std::string(to_string(call.event)) + " hook of operation " + std::to_string(call.id);
    for (const std::string& variable : environment)
        if (!variable.starts_with("CANCELABLE_")) request.environment.push_back(variable);
    request.environment.insert(request.environment.end(), call.facts.begin(), call.facts.end());
    request.time_limit = call.time_limit;
    request.capture = kKept;
    return request;
}

std::vector<std::string> own_environment() {
    std::vector<std::string> variables;
    for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable)
        variables.emplace_back(*variable);
    return variables;
}

}  // namespace cancelable
