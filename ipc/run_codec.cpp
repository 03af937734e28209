// The parameters of operation.run, which are many.
#include <algorithm>
#include <array>
#include <utility>

#include "engine/process/signal_names.h"
#include "ipc/byte_text.h"
#include "ipc/params.h"
#include "ipc/requests.h"
#include "ipc/selector_codec.h"

namespace cancelable::ipc {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kOrphans{"kill", "wait", "leave"};
constexpr std::array<std::string_view, 6> kDescriptors{"stdin", "stdout",   "stderr",
                                                       "cwd",   "lifeline", "environment"};

constexpr std::string_view kNoParent = "none";

constexpr int kMinNice = -20;
constexpr int kMaxNice = 19;

json encode_strings(const std::vector<std::string>& strings) {
    json encoded = json::array();
    encoded.get_ref<json::array_t&>().reserve(strings.size());
    for (const std::string& string : strings)
        encoded.push_back(bytes_to_json(string));
    return encoded;
}

json encode_limit(rlim_t limit) {
    if (limit == RLIM_INFINITY) return -1;
    return limit;
}

json encode_limits(const std::vector<ResourceLimit>& limits) {
    json encoded = json::array();
    for (const ResourceLimit& limit : limits)
        encoded.push_back(json::array({limit.resource, encode_limit(limit.soft), encode_limit(limit.hard)}));
    return encoded;
}

bool decode_limit(const json& encoded, rlim_t& limit) {
    if (encoded == -1) {
        limit = RLIM_INFINITY;
        return true;
    }
    if (!encoded.is_number_unsigned()) return false;
    limit = encoded.get<rlim_t>();
    return true;
}

void get_limits(Params& params, std::vector<ResourceLimit>& limits) {
    const auto encoded = params.take("limits");
    if (!encoded) return;
    constexpr std::string_view kShape = "must be an array of [resource, soft, hard], with -1 for no limit";
    if (!encoded->is_array() || encoded->size() > RLIM_NLIMITS) return params.fail("limits", kShape);
    for (const json& element : *encoded) {
        ResourceLimit limit;
        if (!element.is_array() || element.size() != 3 || !element[0].is_number_unsigned() ||
            element[0] >= static_cast<unsigned>(RLIM_NLIMITS) || !decode_limit(element[1], limit.soft) ||
            !decode_limit(element[2], limit.hard))
            return params.fail("limits", kShape);
        limit.resource = element[0].get<int>();
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
    if (parent->is_number_unsigned() && *parent != 0U)
        run.spec.parent = parent->get<OperationId>();
    else
        params.fail("parent", R"(must be the number of an operation, or "none")");
}

void get_tags(Params& params, Tags& target) {
    auto encoded = params.take("tags");
    if (!encoded) return;
    auto tags = decode_tags(std::move(*encoded));
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

json encode(const RunParams& run) {
    const OperationSpec& spec = run.spec;
    const LaunchSettings& launch = run.launch;
    json encoded = json::object();
    if (!run.descriptors.empty()) encoded["descriptors"] = run.descriptors;
    encoded["command"] = encode_strings(spec.command);
    if (!launch.environment.empty()) encoded["environment"] = encode_strings(launch.environment);
    if (!spec.cwd.empty()) encoded["cwd"] = bytes_to_json(spec.cwd);
    if (!spec.name.empty()) encoded["name"] = bytes_to_json(spec.name);
    if (!spec.tags.empty()) encoded["tags"] = encode_tags(spec.tags);
    if (spec.parent != 0)
        encoded["parent"] = spec.parent;
    else if (run.no_parent)
        encoded["parent"] = kNoParent;
    if (run.operation_id != 0) encoded["operation_id"] = run.operation_id;
    if (spec.detached) encoded["detached"] = true;
    if (spec.timeout.count() != 0) encoded["timeout"] = std::chrono::duration<double>(spec.timeout).count();
    encoded["grace"] = std::chrono::duration<double>(spec.grace).count();
    encoded["signal"] = signal_name(spec.signal);
    encoded["orphans"] = kOrphans[static_cast<std::size_t>(spec.orphans)];
    if (!spec.cancel_on.empty()) encoded["cancel_on"] = encode_strings(spec.cancel_on);
    if (spec.pause_timeouts) encoded["pause_timeouts"] = true;
    if (!spec.hooks.on_start.empty()) encoded["on_start"] = bytes_to_json(spec.hooks.on_start);
    if (!spec.hooks.on_cancel.empty()) encoded["on_cancel"] = bytes_to_json(spec.hooks.on_cancel);
    if (!spec.hooks.on_end.empty()) encoded["on_end"] = bytes_to_json(spec.hooks.on_end);
    if (spec.hooks.any())
        encoded["hook_timeout"] = std::chrono::duration<double>(spec.hooks.time_limit).count();
    if (!spec.key.empty()) encoded["key"] = bytes_to_json(spec.key);
    encoded["umask"] = launch.umask;
    encoded["nice"] = launch.nice;
    if (!launch.limits.empty()) encoded["limits"] = encode_limits(launch.limits);
    if (launch.closed_stdio != 0) encoded["closed_stdio"] = launch.closed_stdio;
    if (run.log) encoded["log"] = true;
    if (run.watch) encoded["watch"] = true;
    if (run.progress) encoded["progress"] = true;
    if (run.brief) encoded["brief"] = true;
    return encoded;
}

Result<RunParams> decode_run(json encoded) {
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
