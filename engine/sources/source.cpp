#include "engine/sources/source.h"

#include <algorithm>
#include <utility>

namespace cancelable {
namespace {

// What any and all have in common: they listen to members, and tell when what comes of them changes.
class Composition : public CancelationSource {
public:
    explicit Composition(std::vector<SourcePtr> members)
        : members_(std::move(members)), holding_(members_.size()) {}

    void start(Listener listener) override {
        listener_ = std::move(listener);
        const std::weak_ptr<bool> alive = alive_;
        for (std::size_t i = 0; i < members_.size() && !alive.expired(); ++i)
            members_[i]->start([this, i](const std::optional<Firing>& firing) { changed(i, firing); });
    }

    void set_paused(bool paused) override {
        for (const SourcePtr& member : members_)
            member->set_paused(paused);
    }

protected:
    virtual std::optional<Firing> outcome(std::size_t changed) const = 0;
    const std::vector<std::optional<Firing>>& holding() const noexcept { return holding_; }

private:
    void changed(std::size_t index, const std::optional<Firing>& firing) {
        holding_[index] = firing;
        const auto now = outcome(index);
        if (now.has_value() == holds_) return;
        holds_ = now.has_value();
        // A copy, since it may be the end of this.
        const Listener listener = listener_;
        listener(now);
    }

    std::vector<SourcePtr> members_;
    std::vector<std::optional<Firing>> holding_;
    Listener listener_;
    bool holds_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

class AnyOf final : public Composition {
public:
    using Composition::Composition;

private:
    std::optional<Firing> outcome(std::size_t changed) const override {
        if (holding()[changed]) return holding()[changed];
        const auto other = std::ranges::find_if(
            holding(), [](const std::optional<Firing>& each) { return each.has_value(); });
        return other == holding().end() ? std::nullopt : *other;
    }
};

class AllOf final : public Composition {
public:
    using Composition::Composition;

private:
    std::optional<Firing> outcome(std::size_t) const override {
        Firing all;
        for (const std::optional<Firing>& each : holding()) {
            if (!each) return std::nullopt;
            all.message += (all.message.empty() ? "" : ", and ") + each->message;
        }
        return all;
    }
};

}  // namespace

SourcePtr any_of(std::vector<SourcePtr> members) {
    return std::make_unique<AnyOf>(std::move(members));
}

SourcePtr all_of(std::vector<SourcePtr> members) {
    return std::make_unique<AllOf>(std::move(members));
}

SourceAttachment::SourceAttachment(const CancelationToken& token, SourcePtr source)
    : source_(std::move(source)) {
    source_->start([token = CancelationToken(token)](const std::optional<Firing>& firing) mutable {
        if (firing) token.cancel(firing->reason, firing->message);
    });
}

void LatchSource::start(Listener listener) {
    listener_ = std::move(listener);
    if (firing_) listener_(firing_);
}

void LatchSource::set(const Firing& firing) {
    if (firing_) return;
    firing_ = firing;
    const Listener listener = listener_;
    if (listener) listener(firing_);
}

}  // namespace cancelable
