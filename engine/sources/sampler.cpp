#include "engine/sources/sampler.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <utility>

#include "engine/sources/tree_pass.h"

namespace cancelable {
namespace {

constexpr std::chrono::milliseconds kPeriod{1000};
constexpr int kCostLimit = 50;  // the period is at least so many times what a look costs

// What this thread has had of a core. A look that had to wait for one has cost no more for it.
std::chrono::nanoseconds thread_time() {
    timespec time{};
    if (::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) != 0) return {};
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

struct Sampler::Look {
    Clock::time_point at;
    std::unordered_map<pid_t, TreeUsage> trees;
    std::optional<HostUsage> host;
    std::chrono::milliseconds cost{0};
};

Sampler::Sampler(Loop& loop, BlockingCalls& calls) : calls_(calls), timer_(loop, [this] { ask(); }) {}

// The first look comes at once, or with the next one that is due.
Sampling::Subscription Sampler::of_tree(pid_t shim, OnTree callback) {
    auto kept = std::make_shared<const OnTree>(std::move(callback));
    trees_.emplace(shim, kept);
    if (!is_looking_ && !timer_.is_active()) timer_.start(std::chrono::milliseconds(0));
    return kept;
}

Sampling::Subscription Sampler::of_host(OnHost callback) {
    auto kept = std::make_shared<const OnHost>(std::move(callback));
    hosts_.push_back(kept);
    if (!is_looking_ && !timer_.is_active()) timer_.start(std::chrono::milliseconds(0));
    return kept;
}

void Sampler::ask() {
    std::erase_if(trees_, [](const auto& entry) { return entry.second.expired(); });
    std::erase_if(hosts_, [](const auto& entry) { return entry.expired(); });
    if (trees_.empty() && hosts_.empty()) return;
    std::vector<pid_t> shims;
    for (const auto& entry : trees_)
        if (shims.empty() || shims.back() != entry.first) shims.push_back(entry.first);
    is_looking_ = true;
    calls_.run([weak = std::weak_ptr(self_), shims = std::move(shims), wants_host = !hosts_.empty()] {
        Look look;
        look.at = Clock::now();
        const std::chrono::nanoseconds before = thread_time();
        if (!shims.empty()) look.trees = sum_up(look_at_processes(), shims);
        if (wants_host) look.host = look_at_host();
        look.cost = std::chrono::ceil<std::chrono::milliseconds>(thread_time() - before);
        return BlockingCalls::Finish([weak, look = std::move(look)] {
            if (const auto self = weak.lock()) (*self)->take(look);
        });
    });
}

void Sampler::take(const Look& look) {
    is_looking_ = false;
    timer_.start(std::max(kPeriod, look.cost * kCostLimit));
    tell_trees(look);
    tell_host(look);
}

// Callbacks may subscribe others and let go of any: so they are looked up first.
void Sampler::tell_trees(const Look& look) {
    std::vector<std::pair<const TreeUsage*, std::weak_ptr<const OnTree>>> due;
    for (const auto& [shim, callback] : trees_)
        if (const auto usage = look.trees.find(shim); usage != look.trees.end())
            due.emplace_back(&usage->second, callback);
    for (const auto& [usage, callback] : due)
        if (const auto alive = callback.lock()) (*alive)(look.at, *usage);
}

void Sampler::tell_host(const Look& look) {
    if (!look.host) return;
    const auto due = hosts_;
    for (const auto& callback : due)
        if (const auto alive = callback.lock()) (*alive)(look.at, *look.host);
}

}  // namespace cancelable
