#include "engine/sources/operation_sources.h"

#include <algorithm>
#include <utility>

#include "engine/process/signal_names.h"
#include "engine/sources/blocking_calls.h"
#include "engine/sources/command_source.h"
#include "engine/sources/disk_source.h"
#include "engine/sources/expression.h"
#include "engine/sources/file_source.h"
#include "engine/sources/idle_source.h"
#include "engine/sources/parse.h"
#include "engine/sources/sampler.h"
#include "engine/sources/timer_source.h"
#include "engine/sources/usage_source.h"

namespace cancelable {
namespace {

// As a source that stands alone, it is kept elsewhere: by the shim, or by whoever cancels.
bool is_kept_elsewhere(SourceKind kind) noexcept {
    return kind == SourceKind::timeout || kind == SourceKind::at || kind == SourceKind::disconnect ||
           kind == SourceKind::manual;
}

std::string absolute(const std::string& path, const std::string& cwd) {
    return path.starts_with('/') ? path : cwd + "/" + path;
}

}  // namespace

// What the sources of all operations share.
struct OperationSources::Room {
    Room(Loop& loop_of_all, SideCommands& commands, Warn warn)
        : loop(loop_of_all),
          calls(loop),
          sampler(loop, calls),
          directories(loop),
          conditions(commands, std::move(warn)) {}

    Loop& loop;
    BlockingCalls calls;
    Sampler sampler;
    DirectoryWatches directories;
    ConditionRoom conditions;
};

struct OperationSources::Entry {
    std::shared_ptr<const OperationSpec> spec;
    std::vector<SourceExpression> roots;
    std::vector<std::string> environment;
    pid_t shim = 0;
    // Events of this operation, for the sources that wait for them; these are members of what is attached.
    std::vector<std::pair<int, LatchSource*>> signals;
    std::vector<LatchSource*> parent;
    std::vector<LatchSource*> disconnect;
    bool is_disconnected = false;
    bool is_paused = false;
    std::unique_ptr<SourceAttachment> attachment;

    SourcePtr build(Room& room, const SourceExpression& expression, const Operation& operation);
    SourcePtr build_latch(std::vector<LatchSource*>& latches);
    Condition condition(const SourceExpression& expression) const;
    void tell_parent_ended();
};

SourcePtr OperationSources::Entry::build_latch(std::vector<LatchSource*>& latches) {
    auto latch = std::make_unique<LatchSource>();
    latches.push_back(latch.get());
    return latch;
}

void OperationSources::Entry::tell_parent_ended() {
    for (LatchSource* latch : parent)
        latch->set({CancelationReason::parent,
                    "its parent, operation " + std::to_string(spec->parent) + ", has ended"});
}

Condition OperationSources::Entry::condition(const SourceExpression& expression) const {
    return {.command = expression.command,
            .every = expression.duration,
            .environment = environment,
            .cwd = spec->cwd,
            .whose = "operation " + std::to_string(spec->id)};
}

SourcePtr OperationSources::Entry::build(Room& room, const SourceExpression& expression,
                                         const Operation& operation) {
    using std::chrono::milliseconds;
    switch (expression.kind) {
        case SourceKind::timeout: {
            const auto run_for =
                std::chrono::floor<milliseconds>(wall_now() - operation.started_at.value_or(wall_now()));
            const auto left = std::clamp(expression.duration - run_for, milliseconds(0), expression.duration);
            return timeout_source(room.loop, left, expression.duration);
        }
        case SourceKind::at:
            return deadline_source(room.loop, expression.at);
        case SourceKind::idle:
            return idle_source(room.loop, room.calls, spec->log, expression.duration);
        case SourceKind::rss:
        case SourceKind::cpu:
        case SourceKind::processes:
            return tree_usage_source(room.sampler, shim, expression);
        case SourceKind::host_memory:
        case SourceKind::host_load:
            return host_usage_source(room.sampler, expression);
        case SourceKind::disk:
            return disk_source(room.loop, room.calls, absolute(expression.path, spec->cwd), expression.number,
                               expression.duration);
        case SourceKind::file:
            return file_source(room.loop, room.calls, room.directories, absolute(expression.path, spec->cwd));
        case SourceKind::command:
            return command_source(room.loop, room.conditions, condition(expression));
        case SourceKind::signal: {
            auto latch = std::make_unique<LatchSource>();
            signals.emplace_back(expression.signal, latch.get());
            return latch;
        }
        case SourceKind::parent:
            return build_latch(parent);
        case SourceKind::disconnect:
            return build_latch(disconnect);
        case SourceKind::manual:
            break;  // Whoever cancels by hand has done so: nothing is left to be found out.
        case SourceKind::any:
        case SourceKind::all: {
            std::vector<SourcePtr> members;
            for (const SourceExpression& member : expression.members)
                members.push_back(build(room, member, operation));
            return expression.kind == SourceKind::any ? any_of(std::move(members))
                                                      : all_of(std::move(members));
        }
    }
    return std::make_unique<LatchSource>();
}

OperationSources::OperationSources(Loop& loop, Registry& registry, SideCommands& commands, Warn warn)
    : room_(std::make_unique<Room>(loop, commands, std::move(warn))), registry_(registry) {}

OperationSources::~OperationSources() {
    room_->conditions.close();
}

void OperationSources::add(const OperationSpec& spec, const std::vector<std::string>& environment,
                           pid_t shim) {
    auto entry = std::make_unique<Entry>();
    for (const std::string& text : spec.cancel_on)
        if (auto source = parse_source(text)) entry->roots.push_back(std::move(*source));
    entry->roots = flatten(std::move(entry->roots));
    std::erase_if(entry->roots, [](const SourceExpression& root) { return is_kept_elsewhere(root.kind); });
    if (entry->roots.empty()) return;
    const auto mentions = [&](SourceKind kind) {
        return std::ranges::any_of(entry->roots, [&](const auto& root) { return root.mentions(kind); });
    };
    if (mentions(SourceKind::command)) entry->environment = environment;
    if (spec.parent != 0 && mentions(SourceKind::parent)) waiting_for_parent_[spec.parent].push_back(spec.id);
    entry->shim = shim;
    entries_[spec.id] = std::move(entry);
}

void OperationSources::follow(const Operation& operation) {
    if (is_ended(operation.status)) parent_ended(operation.id());
    const auto entry = entries_.find(operation.id());
    if (entry == entries_.end()) return;
    if (operation.status >= Status::cancelling) {
        // Not from within a source of its own: those cancel the token, and the news of it come by the loop.
        entries_.erase(entry);
    } else if (operation.status != Status::pending && !entry->second->attachment) {
        watch(*entry->second, operation);
    }
    const bool is_paused = operation.status == Status::paused;
    const auto still = entries_.find(operation.id());
    if (still == entries_.end() || !still->second->attachment) return;
    if (std::exchange(still->second->is_paused, is_paused) != is_paused)
        still->second->attachment->set_paused(is_paused);
}

void OperationSources::watch(Entry& entry, const Operation& operation) {
    const auto token = registry_.token(operation.id());
    if (!token) return;
    entry.spec = operation.spec;
    std::vector<SourcePtr> roots;
    for (const SourceExpression& root : entry.roots)
        roots.push_back(entry.build(*room_, root, operation));
    entry.attachment = std::make_unique<SourceAttachment>(*token, any_of(std::move(roots)));
    if (entry.is_disconnected) disconnected(operation.id());
    // A parent may have ended before its child was up. One that there never was does not end.
    if (operation.spec->parent == 0) return;
    const Snapshot parent = registry_.get_operation(operation.spec->parent);
    if (!parent || is_ended(parent->status)) entry.tell_parent_ended();
}

void OperationSources::signalled(OperationId id, int number) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return;
    for (const auto& [wanted, latch] : entry->second->signals)
        if (wanted == number)
            latch->set({CancelationReason::signal, "signal " + signal_name(number) + " was sent to it"});
}

void OperationSources::disconnected(OperationId id) {
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) return;
    entry->second->is_disconnected = true;
    for (LatchSource* latch : entry->second->disconnect)
        latch->set({CancelationReason::disconnect, "the client that started it is gone"});
}

void OperationSources::parent_ended(OperationId parent) {
    const auto waiting = waiting_for_parent_.extract(parent);
    if (waiting.empty()) return;
    for (const OperationId id : waiting.mapped())
        if (const auto entry = entries_.find(id); entry != entries_.end()) entry->second->tell_parent_ended();
}

}  // namespace cancelable
