// What is inside of a Supervisor; included by its sources only.
//
// supervisor.cpp: what is asked of it. supervisor_reports.cpp: what it hears from shims, to an operation's
// end. supervisor_adoption.cpp: what it takes over from the one before.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "engine/adoption.h"
#include "engine/ancestry.h"
#include "engine/bridge.h"
#include "engine/clearing.h"
#include "engine/directories.h"
#include "engine/event_recorder.h"
#include "engine/families.h"
#include "engine/hooks.h"
#include "engine/ids.h"
#include "engine/kill_point.h"
#include "engine/launcher.h"
#include "engine/left_trees.h"
#include "engine/notes.h"
#include "engine/outcome.h"
#include "engine/pausing.h"
#include "engine/run_keys.h"
#include "engine/shim/acceptance.h"
#include "engine/shim_link.h"
#include "engine/shim_pool.h"
#include "engine/side_command.h"
#include "engine/sources/expression.h"
#include "engine/sources/operation_sources.h"
#include "engine/strays.h"
#include "engine/supervisor.h"

namespace cancelable {

// Why an operation is lost whose shim did not end by itself.
inline constexpr const char* kShimKilled = "its shim was killed";
inline constexpr const char* kNeverBegun = "its supervisor was killed before the command was started";

class Supervisor::Impl {
public:
    Impl(Loop& loop, Settings settings, UniqueFd operations, UniqueFd runtime, UniqueFd state,
         ShimLauncher launcher);
    ~Impl();

    Result<Snapshot> run(RunRequest request);
    std::vector<OperationId> cancel(const Selector& selector, const CancelRequest& request);
    std::vector<OperationId> signal(const Selector& selector, int number, bool tree, const Requester& by);
    Result<> shield(OperationId id, std::chrono::milliseconds limit, UniqueFd holder);
    std::uint64_t when_settled(OperationId id, Settled callback);
    void forget(std::uint64_t number) noexcept;
    void when_recorded(OperationId id, std::function<void()> done);
    Result<> adopt();

    Registry registry_;
    EventLog events_;
    std::optional<History> history_;
    std::function<void(const Transition&)> listener_;
    Ancestry ancestry_;
    Pausing pausing_;
    Notes& notes() noexcept { return notes_; }
    const Hooks& hooks() const noexcept { return hooks_; }

private:
    struct Live {
        std::unique_ptr<ShimLink> link;
        bool cancel_sent = false;
        LoopBridge::TokenWatch token;
    };
    std::unique_ptr<Store> make_store();
    void clear_traces(OperationId id, const HistoryWriter::Source& source);
    Result<UniqueFd> open_log(OperationSpec& spec) const;
    enum class Origin { new_one, left_behind };
    void take_in(const OperationSpec& spec, std::unique_ptr<ShimLink> link, Origin origin);
    ShimLink::Callbacks callbacks_for(OperationId id);
    void cancel_one(OperationId id, const CancelRequest& request, std::vector<OperationId>& cancelled);
    void cancel_children(OperationId parent, const CancelRequest& request,
                         std::vector<OperationId>& cancelled);
    void token_cancelled(OperationId id);
    void reported(OperationId id, const ShimReport& report, UniqueFd description);
    void send(OperationId id, const ShimCommand& command);
    void finish(OperationId id, const ShimReport& report);
    void keep_record(OperationId id, const ShimReport& report);
    void over(OperationId id, const ShimReport& report);
    void recorded(OperationId id);
    void shim_gone(OperationId id);
    void lose(OperationId id, const std::string& why, HistoryWriter::Source source = {});
    void ask_history(const std::vector<LeftOperation>& left);
    void recovered(const Unended& unended);
    void remember(const Snapshot& ended);
    void adopt_one(Adoption::Adopted adopted);
    void adopt_record(OperationId id, const ExitRecord& record);
    void cascade(OperationId id);
    void end_left_tree(OperationId id, const std::string& why);
    bool change(OperationId id, const std::function<void(Operation&)>& edit,
                const ShimReport* report = nullptr);
    void warn(const std::string& sentence) const {
        if (settings_.warn) settings_.warn(sentence);
    }

    Loop& loop_;
    Settings settings_;
    UniqueFd operations_;  // the directory of channels and exit records
    UniqueFd runtime_;
    UniqueFd state_;
    std::unique_ptr<Store> store_;
    HistoryWriter history_writer_;
    std::optional<Retention> retention_;
    IdSource ids_;
    ShimPool idle_shims_;
    Acceptances acceptances_;
    ShimLauncher launcher_;
    std::map<OperationId, Live> live_;
    std::unordered_set<OperationId> unheard_;  // adopted, and their shims have not described themselves yet
    std::optional<Adoption> adoption_;         // while it is going on
    std::optional<Unended> remembered_;        // likewise: what the history knows of what is left
    std::map<OperationId, std::unique_ptr<ShimLink>> adopting_;  // until their first report
    struct Over {
        std::unique_ptr<ShimLink> link;
        bool can_stay = false;
    };
    std::unordered_map<OperationId, Over> over_;                           // until their end is recorded
    std::unordered_map<OperationId, std::unique_ptr<ShimLink>> released_;  // until their shim is reaped
    std::unordered_set<pid_t> shims_;                                      // our children
    std::map<std::pair<OperationId, std::uint64_t>, Settled>
        waiting_;  // by operation, then in order of asking
    std::unordered_map<std::uint64_t, OperationId> waited_for_;
    std::uint64_t next_waiting_ = 1;
    EventRecorder recorder_{events_};
    Notes notes_;
    Clearing clearing_;
    RunKeys keys_;
    Strays strays_;
    SideCommands side_commands_;
    Hooks hooks_;
    OperationSources sources_;
    Families families_;
    LoopBridge bridge_;
    LeftTrees left_trees_;
};

}  // namespace cancelable
