#include "engine/notes.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/result_file.h"

namespace cancelable {

Notes::Notes(Loop& loop, const Registry& registry, int directory, Change change)
    : registry_(registry),
      directory_(directory),
      change_(std::move(change)),
      coalescer_([this](OperationId id, Progress progress) {
          // A copy for each try: the registry may edit more than once.
          const auto published = std::make_shared<const Progress>(std::move(progress));
          change_(id, [&](Operation& operation) { operation.progress = published; });
      }),
      timer_(loop, [this] { publish_due(); }) {}

Result<> Notes::check_live(OperationId id) const {
    const Snapshot operation = registry_.get_operation(id);
    if (!operation) return failure(ErrorCode::not_found, "there is no operation " + std::to_string(id));
    if (is_ended(operation->status))
        return failure(ErrorCode::refused, "operation " + std::to_string(id) + " has ended");
    return {};
}

Result<> Notes::progress(OperationId id, double fraction, std::string text) {
    if (auto checked = check_live(id); !checked) return checked;
    if (!(fraction >= 0 && fraction <= 1))
        return failure(ErrorCode::usage, "a progress is a fraction between 0 and 1");
    if (text.size() > kProgressTextLimit)
        return failure(ErrorCode::usage, "the text of a progress has at most " +
                                             std::to_string(kProgressTextLimit) +
                                             " bytes, and this one has " + std::to_string(text.size()));
    coalescer_.report(id, {fraction, std::move(text), wall_now()}, ProgressCoalescer::Clock::now());
    plan();
    return {};
}

Result<> Notes::result(OperationId id, std::string bytes) {
    if (auto checked = check_live(id); !checked) return checked;
    if (bytes.size() > kResultLimit)
        return failure(ErrorCode::usage, "a result has at most " + std::to_string(kResultLimit) +
                                             " bytes, and this one has " + std::to_string(bytes.size()));
    // The runtime directory is memory, or lies in the page cache: this is no waiting for a disk.
    if (auto written = write_result(directory_, id, bytes); !written) return written;
    const auto kept = std::make_shared<const std::string>(std::move(bytes));
    change_(id, [&](Operation& operation) { operation.result = kept; });
    return {};
}

void Notes::recall(Operation& first) const {
    if (auto bytes = read_result(directory_, first.id()))
        first.result = std::make_shared<const std::string>(std::move(*bytes));
}

void Notes::complete(Operation& ending) const {
    if (const Progress* last = coalescer_.kept(ending.id()))
        ending.progress = std::make_shared<const Progress>(*last);
}

void Notes::forget(OperationId id) const noexcept {
    const Snapshot operation = registry_.get_operation(id);
    if (!operation || operation->result) forget_result(directory_, id);
}

void Notes::publish_due() {
    coalescer_.publish_due(ProgressCoalescer::Clock::now());
    plan();
}

void Notes::plan() {
    // What is due before a timer that is set waits for that one: it comes at most an interval too late, and
    // a report costs the same however many operations there are.
    if (timer_.is_active()) return;
    const auto due = coalescer_.due();
    if (!due) return;
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(*due - ProgressCoalescer::Clock::now());
    timer_.start(std::max(rest, std::chrono::milliseconds(0)));
}

}  // namespace cancelable
