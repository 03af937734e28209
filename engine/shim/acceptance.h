#pragma once

#include <string>

#include "engine/process/error.h"
#include "engine/shim/spec.h"

namespace cancelable {

// What was accepted, beside the channel, for whoever comes after a killed supervisor or a killed shim.
//
//   <id>.accepted   by the supervisor, before the shim is started: the description without its environment
//   <id>.begun      the same file, renamed by the shim, before the command is started
//   <id>.lost       the same file, renamed by a supervisor that has found the operation lost and its tree
//   gone
//
// So an operation of which nothing but its acceptance is left was never begun, and may be asked for again;
// one that had begun and has a channel without a shim, and no exit record, is lost, under its own name. A
// beginning alone is the last trace of one that has ended: the shim removes it when it leaves, or the
// supervisor does, which may use the file once more before that. All of this is a courtesy to the next
// reader: a full runtime directory keeps no command from running.
Result<> write_acceptance(int directory, const OperationSpec& spec);

// The same, into the file of `over`, which had begun, and whose file it is no more. A failure removes that.
Result<> write_acceptance_over(int directory, OperationId over, const OperationSpec& spec);

// For the shim.
void note_beginning(int directory, OperationId id) noexcept;

// For a supervisor: what is left of an operation that is lost is that it is. A shim that dies, or has died,
// may have left more.
void note_loss(int directory, OperationId id) noexcept;

struct Acceptance {
    OperationSpec spec;
    bool begun = false;
    bool lost = false;
};

// ENOENT where there is none, as an older version leaves it.
Result<Acceptance> read_acceptance(int directory, OperationId id);

std::string acceptance_name(OperationId id);  // "<id>.accepted"
std::string beginning_name(OperationId id);   // "<id>.begun"
std::string loss_name(OperationId id);        // "<id>.lost"

// Take off what each operation has there from its beginning to its end, and nothing else: its beginning; and
// that and then its channel, since as long as that is there somebody looks for its shim. The second is for a
// shim that leaves; one that stays takes the channel along to its next operation.
void remove_beginning(int directory, OperationId id) noexcept;
void remove_presence(int directory, OperationId id) noexcept;

// Takes off whatever of an operation is in the directory: its channel, its acceptance, its exit record. A
// record that cannot be removed because it is no file is set aside, so that it is never read again.
void remove_traces(int directory, OperationId id) noexcept;

}  // namespace cancelable
