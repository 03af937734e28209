#pragma once

#include "cli/globals.h"
#include "engine/process/error.h"
#include "engine/shim/spec.h"
#include "ipc/client.h"

namespace cancelable::cli {

// For the verbs that a command uses inside its operation.
struct Inside {
    ipc::Client client;
    OperationId said;  // what the environment says, for a supervisor that cannot tell by itself; 0: nothing
};

// Never starts a supervisor: nobody who has just been started knows an operation around this. Where none can
// be there, the error is `refused`: this is not part of an operation.
Result<Inside> connect_from_inside(const Globals& globals);

}  // namespace cancelable::cli
