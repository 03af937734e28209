#include "cli/batch/requests.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "cli/prepared_run.h"
#include "engine/sources/expression.h"
#include "ipc/byte_text.h"
#include "ipc/requests.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;

// A batch may give each of its operations another command.
constexpr std::size_t kMostKnown = 64;

}  // namespace

Result<const BatchRequests::Common*> BatchRequests::common_for(const std::string& command) {
    const auto known = known_.find(command);
    if (known != known_.end()) return &known->second;
    auto made = make_common(command);
    if (!made) return std::unexpected(made.error());
    if (known_.size() >= kMostKnown) known_.clear();
    return &known_.emplace(command, std::move(*made)).first->second;
}

Result<BatchRequests::Common> BatchRequests::make_common(const std::string& command) {
    auto settled = flags_.settings_for(command);
    if (!settled) return std::unexpected(settled.error());
    RunSettings& settings = settled->run;
    settings.detach = false;
    // Said here, where it is known which flag is missing. The supervisor settles them for itself.
    OperationSpec unsettled;
    unsettled.cancel_on = settings.cancel_on;
    if (const auto sources = settle_sources(unsettled, settings.logs()); !sources)
        return std::unexpected(sources.error());
    auto prepared = prepare_run(globals_, settings, {command}, Requests::many);
    if (!prepared) return std::unexpected(prepared.error());
    for (ResourceLimit& limit : prepared->params.launch.limits)
        if (limit.resource == RLIMIT_NOFILE) limit = {RLIMIT_NOFILE, files_.rlim_cur, files_.rlim_max};

    Common common;
    common.name = Template({settings.name});
    common.logs = settings.logs();
    common.may_leave = settings.orphans == Orphans::leave;
    common.preserve_status = settings.preserve_status;
    std::vector<std::string> names = std::move(prepared->params.descriptors);
    common.descriptors = std::move(prepared->descriptors);
    common.owned = std::move(prepared->owned);
    if (settings.on_disconnect == OnDisconnect::cancel) {
        if (!lifeline_) {
            auto pipe = make_pipe();
            if (!pipe) return std::unexpected(pipe.error());
            lifeline_of_all_ = std::move(pipe->read_end);
            lifeline_ = std::move(pipe->write_end);
        }
        names.emplace_back("lifeline");
        common.descriptors.push_back(lifeline_of_all_.get());
    }
    if (slots_ >= 0) {
        names.emplace_back("slots");
        common.descriptors.push_back(slots_);
        names.emplace_back("turn");
        names.emplace_back("next_turn");
    }
    if (!common.logs) {
        names.emplace_back("stdout");
        names.emplace_back("stderr");
    }
    ipc::RunParams& params = prepared->params;
    params.descriptors = std::move(names);
    params.brief = true;
    if (knows_parent_ && params.spec.parent == 0 && !params.no_parent) {
        params.spec.parent = parent_;
        params.no_parent = parent_ == 0;
    }
    json encoded = json::parse(ipc::encode(params).text);
    for (const char* own : {"command", "name", "key"})
        encoded.erase(own);
    const std::string dumped = encoded.dump();
    common.params = dumped.substr(1, dumped.size() - 2);
    return common;
}

BatchRequests::Request BatchRequests::request_for(const Common& common, const Job& job, std::size_t place,
                                                  const Spool& spool, const std::string& key,
                                                  const Turn& turn) {
    Request request;
    const Facts facts{job.argument, job.sequence, place};
    ipc::JsonWriter own;
    own.begin_object().name("command").bytes(job.command);
    own.name("name").bytes(common.name.expand(facts).front());
    own.member("key", key);
    own.text(common.params);
    request.params = own.end_object().take();
    request.descriptors = common.descriptors;
    if (turn) {
        request.descriptors.push_back(turn.own.get());
        request.descriptors.push_back(turn.next.get());
    }
    if (!common.logs) {
        request.descriptors.push_back(spool.out.get());
        request.descriptors.push_back(spool.err.get());
    }
    return request;
}

void BatchRequests::know_parent(OperationId parent) {
    parent_ = parent;
    knows_parent_ = true;
    known_.clear();
}

void BatchRequests::use_slots(int pipe) {
    slots_ = pipe;
    known_.clear();
}

void BatchRequests::forget_parent() {
    known_.clear();
    knows_parent_ = false;
}

}  // namespace cancelable::cli
