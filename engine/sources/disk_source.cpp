#include "engine/sources/disk_source.h"

#include <sys/statvfs.h>

#include <utility>

#include "engine/sources/threshold.h"
#include "engine/sources/usage_source.h"
#include "engine/sources/wording.h"

namespace cancelable {
namespace {

using std::chrono::milliseconds;

// A disk fills slowly, and a look at it may cost a server something.
constexpr milliseconds kDiskPeriod{2000};

class DiskSource final : public CancelationSource {
public:
    using LookAt = std::function<std::optional<double>(const std::string&)>;

    DiskSource(Loop& loop, BlockingCalls& calls, std::string path, double percent, milliseconds hold,
               LookAt how)
        : calls_(calls),
          path_(std::move(path)),
          percent_(percent),
          hold_(hold),
          look_at_(std::move(how)),
          threshold_(percent, false, hold),
          timer_(loop, [this] { look(); }) {}

    void start(Listener listener) override {
        listener_ = std::move(listener);
        look();
    }

private:
    // The next look comes only after the last one: never two at once.
    void look() {
        calls_.run([weak = std::weak_ptr(self_), path = path_, look_at = look_at_] {
            return BlockingCalls::Finish([weak, used = look_at(path)] {
                if (const auto self = weak.lock()) (*self)->take(used);
            });
        });
    }

    void take(std::optional<double> used) {
        timer_.start(kDiskPeriod);
        const bool holds = threshold_.update(Threshold::Clock::now(), used.value_or(0));
        if (holds == std::exchange(holds_, holds)) return;
        const Listener listener = listener_;
        if (!holds) return listener(std::nullopt);
        listener(Firing{CancelationReason::resource, beyond("disk of " + path_, spoken_number(*used) + " %",
                                                            spoken_number(percent_) + " %", false, hold_)});
    }

    BlockingCalls& calls_;
    std::string path_;
    double percent_;
    milliseconds hold_;
    LookAt look_at_;
    Threshold threshold_;
    Timer timer_;
    bool holds_ = false;
    Listener listener_;
    std::shared_ptr<DiskSource*> self_ = std::make_shared<DiskSource*>(this);
};

}  // namespace

std::optional<double> disk_usage(const std::string& path) {
    struct statvfs status{};
    if (::statvfs(path.c_str(), &status) != 0) return std::nullopt;
    // As df reckons: what is kept for root is neither used nor free.
    const auto used = static_cast<double>(status.f_blocks - status.f_bfree);
    const double usable = used + static_cast<double>(status.f_bavail);
    return usable > 0 ? 100 * used / usable : 0;
}

SourcePtr disk_source(Loop& loop, BlockingCalls& calls, std::string path, double percent, milliseconds hold,
                      std::function<std::optional<double>(const std::string&)> look) {
    return std::make_unique<DiskSource>(loop, calls, std::move(path), percent, hold, std::move(look));
}

}  // namespace cancelable
