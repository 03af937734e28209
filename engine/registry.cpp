#include "engine/registry.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <mutex>
#include <shared_mutex>
#include <stdexcept>
#include <utility>

#include "engine/ended_ring.h"
#include "engine/fair_shared_mutex.h"
#include "engine/live_index.h"

namespace cancelable {
namespace {

std::unexpected<Error> no_operation(OperationId id) {
    return failure(ErrorCode::not_found, "there is no operation " + std::to_string(id));
}

// How many operations a reader looks at before it lets others have the lock: tens of microseconds.
constexpr std::size_t kScannedAtOnce = 512;

OperationId id_of(const Snapshot& snapshot) {
    return snapshot->id();
}
OperationId id_of(const LiveIndex::Entry& entry) {
    return entry.snapshot->id();
}

// What was picked twice stays once.
template <class Element>
void order_by_id(std::vector<Element>& elements) {
    const auto id = [](const Element& element) { return id_of(element); };
    if (!std::ranges::is_sorted(elements, {}, id)) std::ranges::sort(elements, {}, id);
    const auto repeated = std::ranges::unique(elements, {}, id);
    elements.erase(repeated.begin(), repeated.end());
}

}  // namespace

struct Registry::Impl {
    explicit Impl(Options options) : ended(options.history_size) {}

    // Under the lock. What it returns is let go by the caller where no lock is held any more.
    struct LetGo {
        std::optional<LiveIndex::Entry> live;
        Snapshot driven_out;
    };
    LetGo publish(const Snapshot& before, const Snapshot& after) {
        LetGo let_go;
        if (is_ended(after->status)) {
            if (before) let_go.live = live.take(after->id());
            let_go.driven_out = ended.insert(after);
            tally.add_ended(*after);
        } else {
            live.replace(after);
        }
        announce(before, after);
        return let_go;
    }

    // make(entry) of each live operation that `selector` picks, in no certain order.
    template <class Make>
    auto pick(const Selector& selector, Make make) const {
        std::vector<decltype(make(std::declval<const LiveIndex::Entry&>()))> picked;
        const WallTime now = wall_now();
        const auto take = [&](const LiveIndex::Entry& entry) {
            if (selector.matches(*entry.snapshot, now)) picked.push_back(make(entry));
        };
        {
            const std::shared_lock lock(mutex);
            if (live.narrow(selector, take)) return picked;
        }
        for (OperationId from = 1; from != 0;) {
            const std::shared_lock lock(mutex);
            from = live.scan(from, kScannedAtOnce, take);
        }
        return picked;
    }

    std::vector<Snapshot> pick_ended(const Selector& selector) const {
        std::vector<Snapshot> picked;
        const WallTime now = wall_now();
        const auto take = [&](const Snapshot& snapshot) {
            if (snapshot && selector.matches(*snapshot, now)) picked.push_back(snapshot);
        };
        const std::shared_lock lock(mutex);
        if (!selector.ids.empty() && selector.globs.empty())
            for (const OperationId id : selector.ids)
                take(ended.find(id));
        else
            for (const Snapshot& snapshot : ended.in_order())
                take(snapshot);
        return picked;
    }

    void announce(const Snapshot& before, const Snapshot& after) {
        feed.publish(before, after, revision.fetch_add(1, std::memory_order_acq_rel) + 1);
    }

    mutable FairSharedMutex mutex;
    LiveIndex live;
    EndedRing ended;
    Tally tally;
    std::atomic<std::uint64_t> revision{0};
    std::atomic<OperationId> highest_id{0};  // that was registered or reserved
    TransitionFeed feed;
};

Registry::Registry() : Registry(Options{}) {}
Registry::Registry(Options options) : impl_(std::make_unique<Impl>(options)) {}
Registry::~Registry() = default;

OperationId Registry::reserve_id() noexcept {
    return impl_->highest_id.fetch_add(1) + 1;
}

Snapshot Registry::register_operation(Operation first) {
    if (!first.spec) throw std::invalid_argument("an operation needs a spec");
    const Snapshot snapshot = std::make_shared<const Operation>(std::move(first));
    const OperationId id = snapshot->id();
    CancelationToken token;
    std::optional<CancelationToken> parent;
    Snapshot driven_out;
    {
        const std::lock_guard lock(impl_->mutex);
        if (impl_->live.find(id) != nullptr || impl_->ended.find(id))
            throw std::invalid_argument("operation " + std::to_string(id) + " is registered already");
        impl_->tally.add_registered();
        for (OperationId highest = impl_->highest_id.load(); highest < id;)
            if (impl_->highest_id.compare_exchange_weak(highest, id)) break;
        if (is_ended(snapshot->status)) {
            driven_out = impl_->ended.insert(snapshot);
            impl_->tally.add_ended(*snapshot);
        } else {
            impl_->live.insert(snapshot, token);
            if (const OperationId above = snapshot->spec->parent; above != 0)
                if (const LiveIndex::Entry* entry = impl_->live.find(above)) parent = entry->token;
        }
        impl_->announce(nullptr, snapshot);
    }
    if (parent) token.link(*parent);
    impl_->feed.deliver();
    return snapshot;
}

Result<Snapshot> Registry::update(OperationId id, const std::function<void(Operation&)>& change) {
    for (;;) {
        const Snapshot before = get_operation(id);
        if (!before) return no_operation(id);
        if (is_ended(before->status))
            return failure(ErrorCode::refused, "operation " + std::to_string(id) + " has ended");
        Operation edited = *before;
        change(edited);
        edited.spec = before->spec;  // never changes, and the indices rely on it
        if (edited.status != before->status && !may_become(before->status, edited.status))
            return failure(ErrorCode::refused, "operation " + std::to_string(id) + " cannot go from " +
                                                   std::string(to_string(before->status)) + " to " +
                                                   std::string(to_string(edited.status)));
        Snapshot after = std::make_shared<const Operation>(std::move(edited));
        Impl::LetGo let_go;
        {
            const std::lock_guard lock(impl_->mutex);
            const LiveIndex::Entry* entry = impl_->live.find(id);
            if (entry == nullptr || entry->snapshot != before) continue;
            let_go = impl_->publish(before, after);
        }
        impl_->feed.deliver();
        return after;
    }
}

bool Registry::unregister(OperationId id) {
    std::optional<LiveIndex::Entry> live;
    Snapshot ended;
    const std::lock_guard lock(impl_->mutex);
    live = impl_->live.take(id);
    if (!live) ended = impl_->ended.take(id);
    if (!live && !ended) return false;
    impl_->revision.fetch_add(1, std::memory_order_acq_rel);
    return true;
}

Snapshot Registry::get_operation(OperationId id) const {
    const std::shared_lock lock(impl_->mutex);
    const LiveIndex::Entry* entry = impl_->live.find(id);
    return entry != nullptr ? entry->snapshot : impl_->ended.find(id);
}

std::vector<Snapshot> Registry::list(const Selector& selector, Scope scope,
                                     std::optional<std::size_t> limit) const {
    auto picked = impl_->pick(selector, [](const LiveIndex::Entry& entry) { return entry.snapshot; });
    order_by_id(picked);
    if (scope == Scope::live_and_ended) {
        // After the live ones, so that nothing slips through that ends meanwhile. It is then in both, and its
        // end is what is told of it: of equals a union takes the first.
        std::vector<Snapshot> ended = impl_->pick_ended(selector);
        order_by_id(ended);
        std::vector<Snapshot> all;
        std::ranges::set_union(
            ended, picked, std::back_inserter(all), {}, [](const Snapshot& one) { return one->id(); },
            [](const Snapshot& one) { return one->id(); });
        picked.swap(all);
    }
    if (limit && picked.size() > *limit)
        picked.erase(picked.begin(), picked.end() - static_cast<std::ptrdiff_t>(*limit));
    return picked;
}

std::vector<Snapshot> Registry::children(OperationId parent) const {
    Selector selector;
    selector.parent = parent;
    return list(selector);
}

std::size_t Registry::live_count() const noexcept {
    const std::shared_lock lock(impl_->mutex);
    return impl_->live.size();
}

std::optional<CancelationToken> Registry::token(OperationId id) const {
    const std::shared_lock lock(impl_->mutex);
    const LiveIndex::Entry* entry = impl_->live.find(id);
    return entry != nullptr ? std::optional(entry->token) : std::nullopt;
}

Result<bool> Registry::cancel_operation(OperationId id, CancelationReason reason, std::string message) {
    std::optional<CancelationToken> live = token(id);
    if (live) return live->cancel(reason, std::move(message));
    if (get_operation(id))
        return failure(ErrorCode::refused, "operation " + std::to_string(id) + " has ended");
    return no_operation(id);
}

std::vector<OperationId> Registry::cancel_all(const Selector& selector, CancelationReason reason,
                                              const std::string& message,
                                              const std::function<bool(const Operation&)>& predicate) {
    auto picked = impl_->pick(selector, [](const LiveIndex::Entry& entry) { return entry; });
    if (predicate)
        std::erase_if(picked, [&](const LiveIndex::Entry& entry) { return !predicate(*entry.snapshot); });
    order_by_id(picked);
    std::vector<OperationId> cancelled;
    for (LiveIndex::Entry& entry : picked)
        if (entry.token.cancel(reason, message)) cancelled.push_back(entry.snapshot->id());
    return cancelled;
}

std::vector<Snapshot> Registry::history(std::optional<std::size_t> limit, std::optional<Status> status,
                                        std::optional<WallTime> since) const {
    std::vector<Snapshot> picked;
    {
        const std::shared_lock lock(impl_->mutex);
        const auto& order = impl_->ended.in_order();
        for (auto ended = order.rbegin(); ended != order.rend() && picked.size() < limit.value_or(SIZE_MAX);
             ++ended) {
            if (status && (*ended)->status != *status) continue;
            if (since && (*ended)->ended_at.value_or(WallTime::max()) < *since) continue;
            picked.push_back(*ended);
        }
    }
    std::ranges::reverse(picked);
    return picked;
}

std::size_t Registry::cleanup(std::chrono::milliseconds older_than, bool keep_failed) {
    const WallTime until = wall_now() - older_than;
    std::vector<Snapshot> gone;
    const std::lock_guard lock(impl_->mutex);
    gone = impl_->ended.take_if([&](const Operation& operation) {
        const bool kept =
            keep_failed && (operation.status == Status::failed || operation.status == Status::lost);
        return !kept && operation.ended_at && *operation.ended_at <= until;
    });
    if (!gone.empty()) impl_->revision.fetch_add(1, std::memory_order_acq_rel);
    return gone.size();
}

Statistics Registry::get_statistics() const {
    const std::shared_lock lock(impl_->mutex);
    return impl_->tally.statistics(impl_->live.counts(), impl_->ended.counts());
}

std::uint64_t Registry::revision() const noexcept {
    return impl_->revision.load(std::memory_order_acquire);
}

Registry::Subscription Registry::subscribe(std::function<void(const Transition&)> listener) {
    return impl_->feed.subscribe(std::move(listener));
}

}  // namespace cancelable
