#include "engine/context.h"

#include <atomic>

namespace cancelable {

// The frames of a thread are a stack. One that has ended where it could not be taken off stays until what is
// above it has gone: only the thread itself ever changes its stack.
struct ContextScope::Frame {
    Context context;
    std::shared_ptr<Frame> below;
    std::atomic<bool> ended{false};
};

namespace {

// Typed loosely since a frame is the scope's secret.
thread_local std::shared_ptr<void> top;

}  // namespace

ContextScope::ContextScope(Context context) : frame_(std::make_shared<Frame>()) {
    frame_->context = std::move(context);
    frame_->below = std::static_pointer_cast<Frame>(top);
    top = frame_;
}

ContextScope::~ContextScope() {
    frame_->ended.store(true, std::memory_order_release);
    (void)copy_context();  // takes off what has ended, where this is the thread
}

Context copy_context() noexcept {
    while (top) {
        const auto frame = std::static_pointer_cast<ContextScope::Frame>(top);
        if (!frame->ended.load(std::memory_order_acquire)) return frame->context;
        top = frame->below;
    }
    return {};
}

std::shared_ptr<const CurrentOperation> current_operation() noexcept {
    return copy_context().operation();
}

std::string current_operation_prefix() {
    const auto operation = current_operation();
    return operation ? "operation " + std::to_string(operation->id) + ": " : std::string();
}

}  // namespace cancelable
