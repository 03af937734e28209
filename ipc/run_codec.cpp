// The parameters of operation.run, which are many.
#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/json_writer.h"
#include "ipc/params.h"
#include "ipc/requests.h"
#include "ipc/selector_codec.h"
#include "ipc/timestamp.h"

namespace cancelable::ipc {
namespace {

constexpr std::array<std::string_view, 3> kOrphans{"kill", "wait", "leave"};
constexpr std::array<std::string_view, 9> kDescriptors{
    "stdin", "stdout", "stderr", "cwd", "lifeline", "environment", "slots", "turn", "next_turn"};

constexpr std::string_view kNoParent = "none";

constexpr int kMinNice = -20;
constexpr int kMaxNice = 19;

void encode_limit(JsonWriter& out, rlim_t limit) {
    if (limit == RLIM_INFINITY)
        out.value(-1);
    else
        out.value(limit);
}

void encode_limits(JsonWriter& out, const std::vector<ResourceLimit>& limits) {
    out.begin_array();
    for (const ResourceLimit& limit : limits) {
        out.begin_array().value(limit.resource);
        encode_limit(out, limit.soft);
        encode_limit(out, limit.hard);
        out.end_array();
    }
    out.end_array();
}

bool decode_limit(JsonValue encoded, rlim_t& limit) {
    const auto number = encoded.unsigned_integer();
    limit = number.value_or(RLIM_INFINITY);
    return number || encoded.integer() == -1;
}

void get_limits(Params& params, std::vector<ResourceLimit>& limits) {
    const auto encoded = params.take("limits");
    if (!encoded) return;
    constexpr std::string_view kShape = "must be an array of [resource, soft, hard], with -1 for no limit";
    if (!encoded->is_array() || encoded->size() > RLIM_NLIMITS) return params.fail("limits", kShape);
    const auto elements = encoded->elements();
    limits.reserve(elements.size());
    for (const JsonValue element : elements) {
        const auto parts = element.elements();
        ResourceLimit limit;
        const auto resource = parts.size() == 3 ? parts[0].unsigned_integer() : std::nullopt;
        if (!resource || *resource >= RLIM_NLIMITS || !decode_limit(parts[1], limit.soft) ||
            !decode_limit(parts[2], limit.hard))
            return params.fail("limits", kShape);
        limit.resource = static_cast<int>(*resource);
        limits.push_back(limit);
    }
}

void get_descriptors(Params& params, std::vector<std::string>& names) {
    params.get("descriptors", names);
    for (auto name = names.begin(); name != names.end(); ++name) {
        if (std::ranges::find(kDescriptors, *name) == kDescriptors.end())
            params.fail("descriptors", "knows no \"" + *name + "\"");
        else if (std::find(names.begin(), name, *name) != name)
            params.fail("descriptors", "has \"" + *name + "\" twice");
    }
}

void get_orphans(Params& params, Orphans& orphans) {
    if (!params.is_given("orphans")) return;
    std::string name;
    params.get("orphans", name);
    const auto* found = std::ranges::find(kOrphans, name);
    if (found == kOrphans.end()) return params.fail("orphans", R"(must be "kill", "wait" or "leave")");
    orphans = static_cast<Orphans>(found - kOrphans.begin());
}

void get_parent(Params& params, RunParams& run) {
    params.get("operation_id", run.operation_id);
    const auto parent = params.take("parent");
    if (!parent) return;
    run.no_parent = *parent == kNoParent;
    if (run.no_parent) return;
    run.spec.parent = parent->unsigned_integer().value_or(0);
    if (run.spec.parent == 0) params.fail("parent", R"(must be the number of an operation, or "none")");
}

void get_tags(Params& params, Tags& target) {
    const auto encoded = params.take("tags");
    if (!encoded) return;
    auto tags = decode_tags(*encoded);
    if (tags)
        target = std::move(*tags);
    else
        params.adopt(tags.error());
}

void get_hooks(Params& params, HookSettings& hooks) {
    params.get("on_start", hooks.on_start);
    params.get("on_cancel", hooks.on_cancel);
    params.get("on_end", hooks.on_end);
    params.get("hook_timeout", hooks.time_limit);
    if (hooks.time_limit.count() == 0) params.fail("hook_timeout", "must be more than 0");
}

}  // namespace

JsonText encode(const RunParams& run) {
    const OperationSpec& spec = run.spec;
    const LaunchSettings& launch = run.launch;
    JsonWriter out;
    const auto flag = [&](std::string_view name, bool value) {
        if (value) out.member(name, true);
    };
    const auto bytes = [&](std::string_view name, const auto& value) {
        if (!value.empty()) out.name(name).bytes(value);
    };
    out.begin_object();
    bytes("descriptors", run.descriptors);
    out.name("command").bytes(spec.command);
    bytes("environment", launch.environment);
    bytes("cwd", spec.cwd);
    bytes("name", spec.name);
    if (!spec.tags.empty()) out.name("tags").text(encode_tags(spec.tags).dump());
    if (spec.parent != 0)
        out.member("parent", spec.parent);
    else if (run.no_parent)
        out.member("parent", kNoParent);
    if (run.operation_id != 0) out.member("operation_id", run.operation_id);
    flag("detached", spec.detached);
    if (spec.timeout.count() != 0) out.member("timeout", seconds(spec.timeout));
    out.member("grace", seconds(spec.grace));
    out.member("signal", signal_name(spec.signal));
    out.member("orphans", kOrphans[static_cast<std::size_t>(spec.orphans)]);
    bytes("cancel_on", spec.cancel_on);
    flag("pause_timeouts", spec.pause_timeouts);
    bytes("on_start", spec.hooks.on_start);
    bytes("on_cancel", spec.hooks.on_cancel);
    bytes("on_end", spec.hooks.on_end);
    if (spec.hooks.any()) out.member("hook_timeout", seconds(spec.hooks.time_limit));
    bytes("key", spec.key);
    out.member("umask", launch.umask);
    out.member("nice", launch.nice);
    if (!launch.limits.empty()) encode_limits(out.name("limits"), launch.limits);
    if (launch.closed_stdio != 0) out.member("closed_stdio", launch.closed_stdio);
    flag("log", run.log);
    flag("watch", run.watch);
    flag("progress", run.progress);
    flag("brief", run.brief);
    return out.end_object().take();
}

Result<RunParams> decode_run(JsonValue encoded) {
    RunParams run;
    OperationSpec& spec = run.spec;
    LaunchSettings& launch = run.launch;
    Params params(encoded, "operation.run");
    get_descriptors(params, run.descriptors);
    params.require("command");
    params.get("command", spec.command);
    if (spec.command.empty()) params.fail("command", "is empty");
    params.get("environment", launch.environment);
    if (params.is_given("environment") &&
        std::ranges::find(run.descriptors, "environment") != run.descriptors.end())
        params.fail("environment", "comes as a descriptor too");
    params.get("cwd", spec.cwd);
    params.get("name", spec.name);
    // As the shell's basename: what follows the last slash.
    if (spec.name.empty() && !spec.command.empty())
        spec.name = spec.command.front().substr(spec.command.front().rfind('/') + 1);
    if (spec.name.empty() && !spec.command.empty()) spec.name = spec.command.front();
    get_tags(params, spec.tags);
    get_parent(params, run);
    params.get("detached", spec.detached);
    params.get("timeout", spec.timeout);
    params.get("grace", spec.grace);
    params.get_signal("signal", spec.signal);
    get_orphans(params, spec.orphans);
    params.get("cancel_on", spec.cancel_on);
    params.get("pause_timeouts", spec.pause_timeouts);
    get_hooks(params, spec.hooks);
    params.get("key", spec.key);
    params.get("umask", launch.umask, 0, 0777);
    params.get("nice", launch.nice, kMinNice, kMaxNice);
    get_limits(params, launch.limits);
    params.get("closed_stdio", launch.closed_stdio, 0, 7);
    params.get("log", run.log);
    params.get("watch", run.watch);
    params.get("progress", run.progress);
    params.get("brief", run.brief);
    if (auto finished = params.finish(); !finished) return std::unexpected(finished.error());
    return run;
}

}  // namespace cancelable::ipc
