#include "engine/sources/file_source.h"

#include <sys/inotify.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>
#include <vector>

namespace cancelable {
namespace {

// Where nothing can be watched (out of watches, no permission), it is looked for this often.
constexpr std::chrono::milliseconds kFilePeriod{1000};

bool is_there(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
}

bool is_directory(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

struct Found {
    bool file = false;
    int number = -1;   // of the directory that is watched; -1: none could be
    std::string name;  // what is missing in it
    friend bool operator==(const Found&, const Found&) = default;
};

// Watches before it looks: what comes up in between is either seen or told.
Found look_for(const std::string& path, int instance) {
    for (int tries = 0; tries < 100; ++tries) {
        if (is_there(path)) return {.file = true, .number = -1, .name = {}};
        std::string directory = path;
        std::string name;
        do {
            const std::size_t end = directory.find_last_not_of('/');
            if (end == std::string::npos) return {};
            const std::size_t slash = directory.rfind('/', end);
            name = directory.substr(slash + 1, end - slash);
            directory.resize(slash);
            if (directory.empty()) directory = "/";
        } while (!is_directory(directory));
        const int number = ::inotify_add_watch(instance, directory.c_str(), DirectoryWatches::kMask);
        if (number < 0) return {};
        if (!is_there(directory + "/" + name)) return {.file = false, .number = number, .name = name};
        // It has come up meanwhile, or it is there and no directory: then only the file's own look will tell.
        if (!is_directory(directory + "/" + name))
            return {.file = is_there(path), .number = number, .name = name};
    }
    return {};
}

class FileSource final : public CancelationSource {
public:
    FileSource(Loop& loop, BlockingCalls& calls, DirectoryWatches& directories, std::string path)
        : calls_(calls),
          directories_(directories),
          path_(std::move(path)),
          timer_(loop, [this] { look(); }) {}

    void start(Listener listener) override {
        listener_ = std::move(listener);
        look();
    }

private:
    void look() {
        if (std::exchange(is_looking_, true)) {
            looks_again_ = true;
            return;
        }
        calls_.run([weak = std::weak_ptr(self_), path = path_, instance = directories_.instance()] {
            Found found = instance ? look_for(path, instance->get())
                                   : Found{.file = is_there(path), .number = -1, .name = {}};
            return BlockingCalls::Finish([weak, found = std::move(found)] {
                if (const auto self = weak.lock()) (*self)->take(found);
            });
        });
    }

    void take(const Found& found) {
        is_looking_ = false;
        if (found.file) {
            subscription_.reset();
            const Listener listener = listener_;
            listener(Firing{CancelationReason::condition, "file " + path_ + " is there"});
            return;
        }
        if (found.number < 0) {
            subscription_.reset();
            watched_ = found;
            timer_.start(kFilePeriod);
            return;
        }
        // What came up before anyone listened is found by one more look.
        const bool is_settled = found == watched_ && !std::exchange(looks_again_, false);
        if (is_settled) return;
        watched_ = found;
        auto before = std::exchange(subscription_,
                                    directories_.subscribe(found.number, found.name, [this] { look(); }));
        before.reset();
        look();
    }

    BlockingCalls& calls_;
    DirectoryWatches& directories_;
    std::string path_;
    Timer timer_;
    Found watched_;
    bool is_looking_ = false;
    bool looks_again_ = false;
    Listener listener_;
    DirectoryWatches::Subscription subscription_;
    std::shared_ptr<FileSource*> self_ = std::make_shared<FileSource*>(this);
};

}  // namespace

const unsigned DirectoryWatches::kMask = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

struct DirectoryWatches::Listener {
    int number;
    std::string name;
    std::function<void()> callback;
    std::weak_ptr<DirectoryWatches*> owner;

    Listener(int number_of, std::string name_of, std::function<void()> to_call,
             std::weak_ptr<DirectoryWatches*> owned_by)
        : number(number_of),
          name(std::move(name_of)),
          callback(std::move(to_call)),
          owner(std::move(owned_by)) {}
    ~Listener() {
        if (const auto directories = owner.lock()) (*directories)->drop_forgotten(number);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
};

std::shared_ptr<const UniqueFd> DirectoryWatches::instance() {
    if (instance_) return instance_;
    UniqueFd made(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    if (!made) return nullptr;
    instance_ = std::make_shared<const UniqueFd>(std::move(made));
    watch_ = std::make_unique<Watch>(loop_, instance_->get(), [this](Readiness) { read_events(); });
    watch_->want(true, false);
    return instance_;
}

DirectoryWatches::Subscription DirectoryWatches::subscribe(int number, std::string name,
                                                           std::function<void()> callback) {
    auto listener = std::make_shared<const Listener>(number, std::move(name), std::move(callback), self_);
    listeners_.emplace(number, listener);
    return listener;
}

void DirectoryWatches::read_events() {
    alignas(inotify_event) char buffer[16 * 1024];
    const ssize_t got = retry_eintr([&] { return ::read(instance_->get(), buffer, sizeof buffer); });
    for (ssize_t at = 0; at < got;) {
        inotify_event event;
        std::memcpy(&event, buffer + at, sizeof event);
        const char* name = event.len > 0 ? buffer + at + sizeof event : nullptr;
        at += static_cast<ssize_t>(sizeof event + event.len);
        if ((event.mask & IN_Q_OVERFLOW) != 0)
            tell(-1, nullptr);
        else if (name != nullptr || (event.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) != 0)
            tell(event.wd, name);
    }
}

// `number` -1: all; no name: whoever listens there.
void DirectoryWatches::tell(int number, const char* name) {
    const auto [begin, end] =
        number < 0 ? std::pair(listeners_.begin(), listeners_.end()) : listeners_.equal_range(number);
    // Callbacks may let go of any of them.
    std::vector<std::weak_ptr<const Listener>> due;
    for (auto entry = begin; entry != end; ++entry)
        due.push_back(entry->second);
    for (const auto& each : due)
        if (const auto listener = each.lock(); listener && (name == nullptr || listener->name == name))
            listener->callback();
}

// A number whose watch is given back may be found again by a look that is under way: it then looks once more.
void DirectoryWatches::drop_forgotten(int number) {
    const auto [begin, end] = listeners_.equal_range(number);
    for (auto entry = begin; entry != end;)
        entry = entry->second.expired() ? listeners_.erase(entry) : std::next(entry);
    if (!listeners_.contains(number)) ::inotify_rm_watch(instance_->get(), number);
}

SourcePtr file_source(Loop& loop, BlockingCalls& calls, DirectoryWatches& directories, std::string path) {
    return std::make_unique<FileSource>(loop, calls, directories, std::move(path));
}

}  // namespace cancelable
