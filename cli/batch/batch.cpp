#include "cli/batch/batch.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/connect.h"
#include "cli/exit_status.h"
#include "cli/prepared_run.h"
#include "cli/report.h"
#include "ipc/requests.h"
#include "ipc/results.h"

namespace cancelable::cli {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

bool is_settled(const Operation& operation) noexcept {
    return is_ended(operation.status) || (operation.cancelation && !operation.cancelation->survivors.empty());
}

// Of two times for poll(), -1 being for ever.
int sooner(int one, int other) noexcept {
    if (one < 0 || other < 0) return std::max(one, other);
    return std::min(one, other);
}

}  // namespace

Batch::Batch(Parts parts)
    : parts_(parts), places_(parts.jobs + parts.slots.ahead()), key_prefix_(random_key() + "-") {
    // The first one is at the back, to be taken first.
    for (std::size_t index = places_.size(); index > 0; --index)
        free_places_.push_back(index - 1);
}

// Everything that is there is read before the next poll: messages may have come in one piece.
Result<> Batch::run() {
    for (;;) {
        if (auto drained = drain_connection(); !drained) return drained;
        if (auto heard = hear_signals(); !heard) return heard;
        if (auto suspended = suspend_if_asked(); !suspended) return suspended;
        if (auto started = start_more(); !started) return started;
        if (auto told = cancel_all(); !told) return told;
        pass_output_on();
        if (is_over()) break;
        parts_.bar.update(parts_.schedule, Clock::now());
        wait_for_something();
    }
    if (wrong_) return std::unexpected(*wrong_);
    return {};
}

void Batch::pass_output_on() {
    if (output_is_broken_) return;
    const auto advanced = parts_.printer.advance();
    if (advanced) return;
    output_is_broken_ = true;
    go_wrong(advanced.error());
    end_because({.message = "nobody takes the output of its batch"});
}

bool Batch::is_over() const noexcept {
    if (!parts_.schedule.is_over()) return false;
    // Who is impatient does not wait for one that does not read.
    return output_is_broken_ || parts_.printer.is_done() || parts_.signals.hurry().is_cancelled();
}

Result<> Batch::drain_connection() {
    for (;;) {
        const auto happened = parts_.connection.next();
        if (!happened) return std::unexpected(happened.error());
        if (!*happened) return {};
        const auto* message = std::get_if<ipc::Message>(&**happened);
        if (auto handled = message != nullptr ? handle(*message) : ask_again(); !handled) return handled;
    }
}

Result<> Batch::handle(const ipc::Message& message) {
    if (const auto* response = std::get_if<ipc::Response>(&message)) return handle_response(*response);
    const auto& notification = std::get<ipc::Notification>(message);
    if (notification.method != "operation.ended") return {};
    return handle_end(notification.params.value("operation", json()));
}

// Of a run, or of a wait for an operation that an earlier supervisor has started. A cancelation that came too
// late is no failure of ours, so the other answers are of no interest.
Result<> Batch::handle_response(const ipc::Response& response) {
    if (parts_.pausing.take(response)) return {};
    const auto entry = requests_.find(response.request);
    if (entry == requests_.end()) return {};
    const std::size_t index = entry->second;
    requests_.erase(entry);
    places_[index].request = 0;
    if (!response.result) {
        if (response.result.error().code == ErrorCode::stopping) {
            // It closes the connection when it leaves, and then there is another one to ask.
            next_by_ = Clock::now() + kConnectPatience;
            places_[index].is_refused = true;
            end_is_due_ = end_is_due_ || end_;
            return {};
        }
        // What it was part of has ended, and has left us behind.
        if (response.result.error().code == ErrorCode::not_found && places_[index].id == 0 &&
            places_[index].names_parent) {
            parts_.requests.forget_parent();
            return ask(index);
        }
        go_wrong(response.result.error());
        parts_.slots.shim_died();  // for all that we know
        give_up(index);
        return {};
    }
    const json* operation = &*response.result;
    if (const auto waited_for = operation->find("operations"); waited_for != operation->end()) {
        if (!waited_for->empty()) return handle_end(waited_for->front());
        return failure(ErrorCode::protocol, "the supervisor does not tell how an operation ended");
    }
    const auto id = operation->find("id");
    if (id == operation->end() || !id->is_number_unsigned())
        return failure(ErrorCode::protocol, "the supervisor does not tell the id of an operation");
    return know(index, id->get<OperationId>());
}

Result<> Batch::handle_end(const json& encoded) {
    // Of most no more is told than that they have completed.
    if (const auto status = encoded.find("status"); status != encoded.end() && *status == "completed") {
        const auto entry = ids_.find(encoded.value("id", OperationId{0}));
        if (entry != ids_.end()) finish(entry->second, Schedule::Ending::completed, true, {});
        return {};
    }
    const auto operation = ipc::decode_operation(encoded);
    if (!operation) return std::unexpected(operation.error());
    const auto entry = ids_.find(operation->id());
    if (entry != ids_.end() && is_settled(*operation)) finish(entry->second, *operation);
    return {};
}

Result<> Batch::know(std::size_t index, OperationId id) {
    places_[index].id = id;
    places_[index].turn = Turn();  // which its shim has
    ids_.insert_or_assign(id, index);
    if (end_) end_is_due_ = true;
    for (const int number : std::exchange(places_[index].signals, {}))
        if (auto sent = send_signal(number, {id}); !sent) return sent;
    return {};
}

void Batch::finish(std::size_t index, const Operation& operation) {
    const Place& place = places_[index];
    const bool has_survivors = operation.cancelation && !operation.cancelation->survivors.empty();
    const bool is_cut_short = operation.status != Status::completed && operation.status != Status::failed;
    const bool is_by_us = place.is_ended_by_us && operation.status == Status::cancelled;
    const Outcome outcome = outcome_of(operation, place.preserve_status);
    std::string note;
    const bool is_told = outcome.is_error || (is_cut_short && !is_by_us && !parts_.globals.quiet);
    if (is_told && !outcome.sentence.empty()) note = error_line(outcome.sentence);
    if (operation.status == Status::lost) parts_.slots.shim_died();
    if (is_by_us && !operation.started_at) return give_up(index);
    if (has_survivors)
        wrong_ = wrong_.value_or(Error{ErrorCode::refused, "not everything of the batch is gone", 0});
    using Ending = Schedule::Ending;
    finish(index,
           operation.status == Status::completed ? Ending::completed
           : is_by_us                            ? Ending::cancelled
                                                 : Ending::failed,
           !has_survivors, std::move(note));
}

void Batch::finish(std::size_t index, Schedule::Ending how, bool is_gone, std::string note) {
    Place& place = places_[index];
    parts_.printer.ended(place.job.sequence,
                         {std::move(place.spool), is_gone && !place.may_leave, std::move(note)});
    parts_.schedule.ended(how);
    if (parts_.schedule.stage() == Schedule::Stage::ending && !end_)
        end_because({.message = "its batch has come to its --halt"});
    free(index);
}

void Batch::free(std::size_t index) {
    Place& place = places_[index];
    if (place.request != 0) requests_.erase(place.request);
    if (place.id != 0) ids_.erase(place.id);
    place = Place();
    free_places_.push_back(index);
}

// It has not been started, and will not be.
void Batch::give_up(std::size_t index) {
    Place& place = places_[index];
    parts_.schedule.not_started();
    parts_.printer.ended(place.job.sequence, {std::move(place.spool), true, {}});
    free(index);
}

void Batch::go_wrong(Error error) {
    if (!wrong_) wrong_ = std::move(error);
    parts_.schedule.stop();
}

// The first one decides on the reason, the signal and the message.
void Batch::end_because(End end) {
    if (!end_) end_ = std::move(end);
    end_is_due_ = true;
    parts_.slots.close();
    parts_.schedule.end();
}

Result<> Batch::hear_signals() {
    SignalTokens& signals = parts_.signals;
    if (std::exchange(signals_came_, false)) signals.drain();
    for (const int number : signals.take_passed_on())
        if (auto passed = pass_on(number); !passed) return passed;
    if (!signals.polite().is_cancelled()) return {};
    parts_.connection.hurry();
    if (!end_ || end_->reason != CancelationReason::signal) {
        end_.reset();
        end_because({.reason = CancelationReason::signal, .message = {}, .signal = signals.polite_signal()});
    }
    if (signals.hurry().is_cancelled() && !end_->at_once) {
        end_->at_once = true;
        end_is_due_ = true;
    }
    // The lifeline closes when we leave, and everything ends by that; no need to wait for a supervisor.
    if (!parts_.connection.is_up() && signals.hurry().is_cancelled())
        return failure(ErrorCode::unreachable, "the connection to the supervisor was lost");
    return {};
}

std::vector<OperationId> Batch::known_ids() const {
    std::vector<OperationId> ids;
    ids.reserve(ids_.size());
    for (const auto& [id, index] : ids_)
        ids.push_back(id);
    return ids;
}

Result<> Batch::pass_on(int signal_number) {
    if (signal_number == SIGWINCH) parts_.bar.resized();
    // A command may run before we are told its id.
    for (Place& place : places_)
        if (place.is_used && place.id == 0 && !std::ranges::count(place.signals, signal_number))
            place.signals.push_back(signal_number);
    return send_signal(signal_number, known_ids());
}

Result<> Batch::send_signal(int signal_number, std::vector<OperationId> ids) {
    if (ids.empty()) return {};
    ipc::SignalParams params;
    params.selector.ids = std::move(ids);
    params.signal = signal_number;
    const auto sent = parts_.connection.send("operation.signal", ipc::encode(params));
    if (!sent) return std::unexpected(sent.error());
    return {};
}

Result<> Batch::suspend_if_asked() {
    if (!parts_.pausing.is_busy()) return {};
    const bool all_known = std::ranges::none_of(
        places_, [](const Place& place) { return place.is_used && place.id == 0 && !place.is_refused; });
    const auto is_time = parts_.pausing.advance(known_ids(), all_known);
    if (!is_time) return std::unexpected(is_time.error());
    if (!*is_time) return {};
    parts_.bar.hide();
    parts_.pausing.stop();
    signals_came_ = true;
    return suspend_if_asked();
}

// Those whose id is known; the others once it is.
Result<> Batch::cancel_all() {
    if (next_by_ && Clock::now() > *next_by_)
        return failure(ErrorCode::stopping, "the supervisor is about to leave, and no other one comes");
    if (!end_ || !end_is_due_ || !parts_.connection.is_up()) return {};
    end_is_due_ = false;
    for (std::size_t index = 0; index < places_.size(); ++index)
        if (places_[index].is_refused) give_up(index);
    ipc::CancelParams params;
    const int step = end_->at_once ? 2 : 1;
    for (const auto& [id, index] : ids_) {
        if (places_[index].asked_to_end >= step) continue;
        places_[index].asked_to_end = step;
        places_[index].is_ended_by_us = true;
        params.selector.ids.push_back(id);
    }
    if (params.selector.ids.empty()) return {};
    params.request.reason = end_->reason;
    params.request.message = end_->message;
    params.request.now = end_->at_once;
    if (end_->signal != 0 && !end_->at_once) params.request.signal = end_->signal;
    params.wait = false;
    const auto sent = parts_.connection.send("operation.cancel", ipc::encode(params));
    if (!sent) return std::unexpected(sent.error());
    return {};
}

Result<> Batch::start_more() {
    if (next_by_ || !parts_.connection.is_up() || parts_.pausing.is_busy()) return {};
    while (parts_.schedule.may_start() && parts_.pool.has_one()) {
        const std::size_t index = free_places_.back();
        auto job = parts_.commands.next(index + 1);
        if (!job) {
            go_wrong(job.error());
            return {};
        }
        if (!*job && parts_.commands.reader().is_over()) {
            parts_.schedule.stop();
            return {};
        }
        input_is_awaited_ = !*job;
        if (input_is_awaited_) return {};
        if (auto started = start_one(index, std::move(**job)); !started) return started;
    }
    return {};
}

Result<> Batch::start_one(std::size_t index, Job job) {
    const auto common = parts_.requests.common_for(job.command.front());
    if (!common) {
        go_wrong(common.error());
        return {};
    }
    auto turn = parts_.slots.line_up();
    if (!turn) {
        go_wrong(turn.error());
        return {};
    }
    Place& place = places_[index];
    if (!(*common)->logs) {
        auto spool = parts_.pool.take();
        if (!spool) {
            go_wrong(spool.error());
            return {};
        }
        place.spool = std::move(*spool);
    }
    place.turn = std::move(*turn);
    place.is_used = true;
    place.key = key_prefix_ + std::to_string(job.sequence);
    place.may_leave = (*common)->may_leave;
    place.preserve_status = (*common)->preserve_status;
    place.job = std::move(job);
    free_places_.pop_back();
    parts_.schedule.started();
    return ask(index);
}

// For the end where the operation is known, else for its start.
Result<> Batch::ask(std::size_t index) {
    Place& place = places_[index];
    Result<std::uint64_t> sent{0};
    if (place.id != 0) {
        ipc::WaitParams params;
        params.selector.ids = {place.id};
        sent = parts_.connection.send("operation.wait", ipc::encode(params));
    } else {
        const auto common = parts_.requests.common_for(place.job.command.front());
        if (!common) return std::unexpected(common.error());
        place.names_parent = parts_.requests.knows_parent();
        auto request =
            BatchRequests::request_for(**common, place.job, index + 1, place.spool, place.key, place.turn);
        sent = parts_.connection.send_text("operation.run", request.params, request.descriptors);
        if (!sent && sent.error().code == ErrorCode::limit) {
            // Nothing of it has been sent, and it will not become shorter.
            go_wrong(sent.error());
            give_up(index);
            return {};
        }
    }
    if (!sent) return std::unexpected(sent.error());
    place.request = *sent;
    if (*sent != 0) requests_.insert_or_assign(*sent, index);
    return {};
}

// There is another supervisor. Whether the last one has passed a cancelation on, nobody knows: so it is said
// again.
Result<> Batch::ask_again() {
    requests_.clear();
    parts_.pausing.renewed();
    parts_.slots.shim_died();  // One may have, of which the next supervisor knows nothing.
    next_by_.reset();
    for (std::size_t index = 0; index < places_.size(); ++index) {
        Place& place = places_[index];
        if (!place.is_used) continue;
        if (end_ && place.is_refused) continue;  // It has not begun, and is given up instead of cancelled.
        place.request = 0;
        place.asked_to_end = 0;
        place.is_refused = false;
        if (auto asked = ask(index); !asked) return asked;
    }
    end_is_due_ = end_.has_value();
    return {};
}

void Batch::wait_for_something() {
    const bool wants_input = input_is_awaited_ && parts_.schedule.may_start();
    pollfd watched[] = {{parts_.connection.fd(), POLLIN, 0},
                        {parts_.signals.wake_fd(), POLLIN, 0},
                        {parts_.printer.blocked_on(), POLLOUT, 0},
                        {wants_input ? parts_.commands.reader().fd() : -1, POLLIN, 0}};
    int timeout = next_by_ && parts_.connection.is_up() ? 200 : parts_.connection.poll_timeout();
    timeout = sooner(timeout, parts_.bar.poll_timeout(Clock::now()));
    timeout = sooner(timeout, parts_.pausing.poll_timeout());
    // Interrupted or not, everybody is asked what there is.
    signals_came_ = ::poll(watched, std::size(watched), timeout) < 0 || watched[1].revents != 0;
    if (watched[3].revents == 0) return;
    input_is_awaited_ = false;  // until something more can be started, and there is nothing
    if (auto read = parts_.commands.reader().read_more(); !read) go_wrong(read.error());
}

}  // namespace cancelable::cli
