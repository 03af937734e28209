#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/process/reason.h"
#include "engine/token.h"

namespace cancelable {

// Why an operation is to be cancelled, in the words of the source that found it.
struct Firing {
    CancelationReason reason = CancelationReason::condition;
    std::string message;
};

// Something that sets a token: a time, silence, memory, a file, a condition.
//
// There are two kinds. An edge (a time that has come, a file that has appeared, a signal) holds from then on.
// A level (silence, memory, a condition) holds as long as it is so, and may come and go. Sources live on the
// thread of one loop.
class CancelationSource {
public:
    CancelationSource() = default;
    virtual ~CancelationSource() = default;
    CancelationSource(const CancelationSource&) = delete;
    CancelationSource& operator=(const CancelationSource&) = delete;

    // Gets a firing when the source begins to hold, and nothing when it ceases to. The source may be
    // destroyed in it.
    using Listener = std::function<void(const std::optional<Firing>&)>;

    // Called once. The listener may be called before it returns, and is not called after the source is
    // destroyed.
    virtual void start(Listener listener) = 0;

    // The operation is held still from now on, or goes on. A level of what its tree does judges nothing
    // meanwhile, holds no more, and begins anew after. Called after start() only.
    virtual void set_paused(bool paused) { static_cast<void>(paused); }
};

using SourcePtr = std::unique_ptr<CancelationSource>;

// Holds while one of its members does, with the reason and the message of the one that was first.
SourcePtr any_of(std::vector<SourcePtr> members);

// Holds while all of its members do at the same time. Reason `condition`; the messages of all, in order.
SourcePtr all_of(std::vector<SourcePtr> members);

// Cancels a token when a source first holds. Destroying it detaches them.
class SourceAttachment {
public:
    SourceAttachment(const CancelationToken& token, SourcePtr source);

    void set_paused(bool paused) { source_->set_paused(paused); }

private:
    SourcePtr source_;
};

// An edge that is set by hand: what an event, a callback, or another part of a program comes to.
class LatchSource final : public CancelationSource {
public:
    void start(Listener listener) override;
    void set(const Firing& firing);

private:
    Listener listener_;
    std::optional<Firing> firing_;
};

}  // namespace cancelable
