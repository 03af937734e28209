// A cancelation spreads as a wave. First the whole tree of linked tokens is latched, parents before children,
// so that no callback sees one half of it cancelled and the other not; then the callbacks run, token by
// token. Both go over a list that runs through the tokens themselves: no recursion, however deep the tree,
// and no memory to be had.
//
// A token's mutex guards its lists only, and no callback, and no other token's mutex, is ever taken under it.

#include "engine/token.h"

#include <atomic>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace cancelable {
namespace {

// A doubly linked list through its elements, which it keeps alive: each removal takes constant time and no
// memory.
template <class T>
class Chain {
public:
    ~Chain() {
        while (pop_front()) {
        }
    }

    void push_back(std::shared_ptr<T> element) noexcept {
        T* raw = element.get();
        raw->previous = last_;
        (last_ != nullptr ? last_->next : first_) = raw;
        last_ = raw;
        raw->self = std::move(element);
    }

    // The reference that the chain held; null where it isn't in the chain.
    std::shared_ptr<T> remove(T& element) noexcept {
        if (!element.self) return nullptr;
        (element.previous != nullptr ? element.previous->next : first_) = element.next;
        (element.next != nullptr ? element.next->previous : last_) = element.previous;
        element.previous = element.next = nullptr;
        return std::move(element.self);
    }

    std::shared_ptr<T> pop_front() noexcept { return first_ != nullptr ? remove(*first_) : nullptr; }

private:
    T* first_ = nullptr;
    T* last_ = nullptr;
};

// What a child is told of its parent's cancelation.
Verdict passed_on(Verdict verdict, bool preserve_reason) {
    if (!preserve_reason) {
        verdict.reason = CancelationReason::parent;
        verdict.signal_number = 0;
    }
    return verdict;
}

}  // namespace

CancelationError::CancelationError(CancelationReason reason, std::string message)
    : reason_(reason),
      message_(std::move(message)),
      what_("cancelled (" + std::string(to_string(reason)) + ")") {
    if (!message_.empty()) what_ += ": " + message_;
}

struct CancelationToken::Registration::Node {
    enum Phase : std::uint32_t { waiting, running, over };

    std::weak_ptr<State> owner;
    std::function<void()> callback;
    std::thread::id runner;  // valid from `running` on
    std::atomic<std::uint32_t> phase{waiting};
    Node* previous = nullptr;
    Node* next = nullptr;
    std::shared_ptr<Node> self;  // set while in the owner's chain
};

// From a parent to a child. Both hold it, and it holds neither.
struct CancelationToken::Link {
    std::weak_ptr<State> parent;
    std::weak_ptr<State> child;
    bool preserve_reason = false;
    Link* previous = nullptr;
    Link* next = nullptr;
    std::shared_ptr<Link> self;  // set while in the parent's chain
};

struct CancelationToken::State final : CancelLatch, std::enable_shared_from_this<State> {
    using Node = Registration::Node;

    struct CancelOnStop {
        std::weak_ptr<State> child;
        CancelationReason reason;
        void operator()() const noexcept {
            if (const auto state = child.lock(); state && state->set({reason, 0, {}, {}})) state->spread();
        }
    };
    using StopLink = std::stop_callback<CancelOnStop>;

    ~State() { leave_parents(parents); }

    // For the one who set the latch, and once.
    void spread() noexcept;

    std::shared_ptr<Link> take_child() noexcept {
        const std::lock_guard lock(mutex);
        return children.pop_front();
    }

    std::shared_ptr<Node> take_callback() noexcept;
    void run_callbacks() noexcept;
    void add_parent(std::shared_ptr<Link> link);
    static void leave_parents(const std::vector<std::shared_ptr<Link>>& links) noexcept;

    std::mutex mutex;
    Chain<Node> callbacks;
    Chain<Link> children;
    std::vector<std::shared_ptr<Link>> parents;
    std::size_t most_parents = 8;  // that may pile up before those that are gone are looked for
    std::vector<std::unique_ptr<StopLink>> stops;
    std::optional<std::stop_source> stop_source;

    std::atomic<bool> delivered{false};
    std::shared_ptr<State> next_in_wave;  // belongs to the thread that spreads
};

void CancelationToken::State::spread() noexcept {
    std::shared_ptr<State> first = shared_from_this();
    State* last = this;
    for (State* state = this; state != nullptr; state = state->next_in_wave.get()) {
        const Verdict verdict = state->verdict().value_or(Verdict{});
        while (const std::shared_ptr<Link> link = state->take_child()) {
            std::shared_ptr<State> child = link->child.lock();
            if (!child) continue;
            if (!child->set(passed_on(verdict, link->preserve_reason))) continue;
            last->next_in_wave = std::move(child);
            last = last->next_in_wave.get();
        }
    }
    while (first) {
        first->run_callbacks();
        first = std::move(first->next_in_wave);
    }
}

std::shared_ptr<CancelationToken::State::Node> CancelationToken::State::take_callback() noexcept {
    const std::lock_guard lock(mutex);
    std::shared_ptr<Node> node = callbacks.pop_front();
    if (node) {
        node->runner = std::this_thread::get_id();
        node->phase.store(Node::running, std::memory_order_release);
    }
    return node;
}

void CancelationToken::State::run_callbacks() noexcept {
    std::optional<std::stop_source> stop;
    std::vector<std::shared_ptr<Link>> links;
    std::vector<std::unique_ptr<StopLink>> stop_links;
    {
        const std::lock_guard lock(mutex);
        stop = stop_source;
        links.swap(parents);
        stop_links.swap(stops);
    }
    leave_parents(links);
    if (stop) stop->request_stop();
    while (const std::shared_ptr<Node> node = take_callback()) {
        try {
            node->callback();
        } catch (...) {  // NOLINT(bugprone-empty-catch): dropped, as on_cancel() says
        }
        node->callback = nullptr;  // before anyone who waits for the callback goes on
        node->phase.store(Node::over, std::memory_order_release);
        node->phase.notify_all();
    }
}

void CancelationToken::State::add_parent(std::shared_ptr<Link> link) {
    if (parents.size() >= most_parents) {
        std::erase_if(parents, [](const std::shared_ptr<Link>& known) { return known->parent.expired(); });
        most_parents = 2 * parents.size() + 8;
    }
    parents.push_back(std::move(link));
}

void CancelationToken::State::leave_parents(const std::vector<std::shared_ptr<Link>>& links) noexcept {
    for (const std::shared_ptr<Link>& link : links) {
        const std::shared_ptr<State> parent = link->parent.lock();
        if (!parent) continue;
        const std::lock_guard lock(parent->mutex);
        parent->children.remove(*link);
    }
}

CancelationToken::CancelationToken() : latch_(std::make_shared<State>()) {}

CancelationToken::State& CancelationToken::state() const noexcept {
    return static_cast<State&>(*latch_);
}

bool CancelationToken::cancel(CancelationReason reason, std::string message) noexcept {
    State& mine = state();
    if (!mine.set({reason, 0, std::move(message), {}})) return false;
    mine.spread();
    return true;
}

bool CancelationToken::cancel_from_signal(int signal_number) noexcept {
    return latch_->set_from_signal(signal_number);
}

void CancelationToken::deliver() noexcept {
    State& mine = state();
    if (mine.was_set_from_signal() && !mine.delivered.exchange(true)) mine.spread();
}

std::optional<CancelationReason> CancelationToken::reason() const {
    const auto known = verdict();
    return known ? std::optional(known->reason) : std::nullopt;
}

std::string CancelationToken::message() const {
    auto known = verdict();
    return known ? std::move(known->message) : std::string();
}

std::optional<WallTime> CancelationToken::cancelled_at() const {
    const auto known = verdict();
    return known ? std::optional(known->at) : std::nullopt;
}

int CancelationToken::signal_number() const {
    const auto known = verdict();
    return known ? known->signal_number : 0;
}

void CancelationToken::check() const {
    if (auto outcome = try_check(); !outcome) throw std::move(outcome).error();
}

std::expected<void, CancelationError> CancelationToken::try_check() const {
    if (!is_cancelled()) return {};
    Verdict known = verdict().value_or(Verdict{});
    return std::unexpected(CancelationError(known.reason, std::move(known.message)));
}

bool CancelationToken::wait_for(std::chrono::nanoseconds timeout) const noexcept {
    // A timeout that reaches past the end of the clock means for ever, not a moment long gone.
    const auto now = std::chrono::steady_clock::now();
    const auto most = std::chrono::steady_clock::time_point::max() - now;
    return latch_->wait_until(timeout < most ? now + timeout : std::chrono::steady_clock::time_point::max());
}

CancelationToken::Registration CancelationToken::on_cancel(std::function<void()> callback) const {
    State& mine = state();
    const auto node = std::make_shared<Registration::Node>();
    node->owner = mine.weak_from_this();
    node->callback = std::move(callback);
    {
        const std::lock_guard lock(mine.mutex);
        if (!mine.is_set()) {
            mine.callbacks.push_back(node);
            return Registration(node);
        }
    }
    try {
        node->callback();
    } catch (...) {  // NOLINT(bugprone-empty-catch): dropped, as it would be later
    }
    return {};
}

void CancelationToken::link(const CancelationToken& parent, bool preserve_reason) {
    State& child = state();
    State& above = parent.state();
    if (&child == &above) return;
    const auto link = std::make_shared<Link>();
    link->parent = above.weak_from_this();
    link->child = child.weak_from_this();
    link->preserve_reason = preserve_reason;
    {
        // The child's record of it comes first: whatever is in a parent's chain can be taken out by its
        // child.
        const std::lock_guard lock(child.mutex);
        if (child.is_set()) return;
        child.add_parent(link);
    }
    bool too_late = false;
    {
        const std::lock_guard lock(above.mutex);
        too_late = above.is_set();
        if (!too_late) above.children.push_back(link);
    }
    if (too_late && child.set(passed_on(above.verdict().value_or(Verdict{}), preserve_reason)))
        child.spread();
    // A child that was cancelled in between has left its parents already.
    if (!too_late && child.is_set()) State::leave_parents({link});
}

void CancelationToken::link(const std::stop_token& stop, CancelationReason reason) {
    State& child = state();
    // Outside the lock: where the stop has been requested already, the callback runs in here.
    auto made = std::make_unique<State::StopLink>(stop, State::CancelOnStop{child.weak_from_this(), reason});
    const std::lock_guard lock(child.mutex);
    if (!child.is_set()) child.stops.push_back(std::move(made));
}

std::stop_token CancelationToken::stop_token() const {
    State& mine = state();
    std::stop_source source = [&] {
        const std::lock_guard lock(mine.mutex);
        return mine.stop_source ? *mine.stop_source : mine.stop_source.emplace();
    }();
    // A cancelation that came before the source was there has no chance to see it.
    if (mine.is_set()) source.request_stop();
    return source.get_token();
}

CancelationToken::Registration::Registration() noexcept = default;
CancelationToken::Registration::Registration(std::shared_ptr<Node> node) noexcept : node_(std::move(node)) {}
CancelationToken::Registration::Registration(Registration&&) noexcept = default;

CancelationToken::Registration& CancelationToken::Registration::operator=(Registration&& other) noexcept {
    Registration leaving(std::move(other));
    node_.swap(leaving.node_);
    return *this;
}

CancelationToken::Registration::~Registration() {
    if (!node_) return;
    std::function<void()> callback;  // destroyed outside the lock: what it captured may well use the token
    const std::shared_ptr<State> owner = node_->owner.lock();
    if (!owner) return;
    {
        const std::lock_guard lock(owner->mutex);
        if (owner->callbacks.remove(*node_)) {
            callback = std::move(node_->callback);
            return;
        }
    }
    if (node_->phase.load(std::memory_order_acquire) == Node::running &&
        node_->runner != std::this_thread::get_id())
        node_->phase.wait(Node::running, std::memory_order_acquire);
}

}  // namespace cancelable
