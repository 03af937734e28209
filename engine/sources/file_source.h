#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "engine/loop.h"
#include "engine/process/fd.h"
#include "engine/sources/blocking_calls.h"
#include "engine/sources/source.h"

namespace cancelable {

// Tells when names come up in directories: one inotify instance for all who want to know. Loop thread only.
class DirectoryWatches {
public:
    explicit DirectoryWatches(Loop& loop) : loop_(loop) {}

    // For inotify_add_watch() on any thread, with kMask; null where there is none to be had. Directories
    // that turn out to be the same have the same number.
    std::shared_ptr<const UniqueFd> instance();
    static const unsigned kMask;

    // Called back when `name` came up in the directory that `number` stands for, or that directory is gone;
    // also now and then for nothing. Letting go of what it returns ends that, and the watch with the last
    // one.
    using Subscription = std::shared_ptr<const void>;
    [[nodiscard]] Subscription subscribe(int number, std::string name, std::function<void()> callback);

private:
    struct Listener;
    void read_events();
    void tell(int number, const char* name);
    void drop_forgotten(int number);

    Loop& loop_;
    std::shared_ptr<const UniqueFd> instance_;
    std::unique_ptr<Watch> watch_;
    std::multimap<int, std::weak_ptr<const Listener>> listeners_;
    std::shared_ptr<DirectoryWatches*> self_ = std::make_shared<DirectoryWatches*>(this);
};

// An edge: something of that name is there, a dangling link too. `path` is absolute; the nearest directory
// above it that is there is watched, until it is the file's own. What others do to a network's file system is
// not seen.
SourcePtr file_source(Loop& loop, BlockingCalls& calls, DirectoryWatches& directories, std::string path);

}  // namespace cancelable
