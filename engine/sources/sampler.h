#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "engine/loop.h"
#include "engine/sources/blocking_calls.h"
#include "engine/sources/sampling.h"

namespace cancelable {

// The real numbers: one pass over /proc on a worker for all who want some, once a second.
//
// Where there are so many processes that this would take more than a fiftieth of a core, it is done less
// often. While nobody asks, nothing is done. Loop thread only.
class Sampler final : public Sampling {
public:
    Sampler(Loop& loop, BlockingCalls& calls);

    Subscription of_tree(pid_t shim, OnTree callback) override;
    Subscription of_host(OnHost callback) override;

private:
    struct Look;
    void ask();
    void take(const Look& look);
    void tell_trees(const Look& look);
    void tell_host(const Look& look);

    BlockingCalls& calls_;
    Timer timer_;
    bool is_looking_ = false;
    std::unordered_multimap<pid_t, std::weak_ptr<const OnTree>> trees_;
    std::vector<std::weak_ptr<const OnHost>> hosts_;
    std::shared_ptr<Sampler*> self_ = std::make_shared<Sampler*>(this);
};

}  // namespace cancelable
