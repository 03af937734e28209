#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "cli/batch/bar.h"
#include "cli/batch/commands.h"
#include "cli/batch/pausing.h"
#include "cli/batch/printer.h"
#include "cli/batch/requests.h"
#include "cli/batch/schedule.h"
#include "cli/batch/slots.h"
#include "cli/batch/spool.h"
#include "cli/globals.h"
#include "cli/lasting_connection.h"
#include "cli/terminal/signals.h"
#include "engine/operation.h"

namespace cancelable::cli {

// Runs the operations of a batch over one connection, from one thread: one poll over the connection, the
// signals, the input, and whatever the output waits for.
//
// A lost supervisor is replaced, and asked again: for the operations whose id is known, and by their keys for
// those that it may or may not have begun. What was begun is never begun twice.
//
// It ends when everything is gone. A signal cancels all of it politely, a second one at once; Ctrl-Z pauses
// all of it.
class Batch {
public:
    struct Parts {
        const Globals& globals;
        LastingConnection& connection;
        SignalTokens& signals;
        Commands& commands;
        BatchRequests& requests;
        SpoolPool& pool;
        Printer& printer;
        Schedule& schedule;
        BatchBar& bar;
        BatchPausing& pausing;
        BatchSlots& slots;
        std::size_t jobs;
    };
    explicit Batch(Parts parts);

    // An error where something failed that is not an operation's own doing; everything is gone then, or,
    // where the supervisor cannot be reached any more, about to go.
    Result<> run();

private:
    // A place for one operation at a time: as many as may run, and those that are started ahead.
    struct Place {
        Job job;
        std::string key;
        Turn turn;  // until its shim is sure to have it
        Spool spool;
        bool is_used = false;
        std::uint64_t request = 0;  // that has not been answered; 0: none
        OperationId id = 0;         // 0: not known yet
        bool is_refused = false;    // by a supervisor that is about to leave: it has not begun
        std::vector<int> signals;   // to be passed on once its id is known
        int asked_to_end = 0;       // this supervisor; 1: politely, 2: at once
        bool is_ended_by_us = false;
        bool names_parent = false;  // the one of the batch, in its request
        bool may_leave = false;
        bool preserve_status = false;
    };
    // How everything is to end.
    struct End {
        CancelationReason reason = CancelationReason::manual;
        std::string message;
        int signal = 0;  // 0: the operation's own polite one
        bool at_once = false;
    };

    void pass_output_on();
    bool is_over() const noexcept;
    Result<> drain_connection();
    Result<> handle(const ipc::Message& message);
    Result<> handle_response(const ipc::Response& response);
    Result<> handle_end(const nlohmann::json& encoded);
    Result<> ask_again();
    Result<> ask(std::size_t index);
    Result<> hear_signals();
    Result<> pass_on(int signal_number);
    Result<> send_signal(int signal_number, std::vector<OperationId> ids);
    Result<> suspend_if_asked();
    std::vector<OperationId> known_ids() const;
    Result<> cancel_all();
    Result<> start_more();
    Result<> start_one(std::size_t index, Job job);
    Result<> know(std::size_t index, OperationId id);
    void finish(std::size_t index, const Operation& operation);
    void finish(std::size_t index, Schedule::Ending how, bool is_gone, std::string note);
    void free(std::size_t index);
    void give_up(std::size_t index);
    void go_wrong(Error error);
    void end_because(End end);
    void wait_for_something();

    Parts parts_;
    std::vector<Place> places_;
    std::vector<std::size_t> free_places_;
    std::unordered_map<std::uint64_t, std::size_t> requests_;  // → place
    std::unordered_map<OperationId, std::size_t> ids_;         // → place
    std::string key_prefix_;
    bool input_is_awaited_ = false;  // nothing more can be started before it gives something
    std::optional<End> end_;
    bool end_is_due_ = false;  // somebody has not been told of it
    bool signals_came_ = true;
    bool output_is_broken_ = false;
    std::optional<Error> wrong_;
    std::optional<std::chrono::steady_clock::time_point> next_by_;  // the supervisor is about to leave
};

}  // namespace cancelable::cli
