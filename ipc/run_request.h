#pragma once

#include <vector>

#include "engine/process/fd.h"
#include "engine/supervisor.h"
#include "ipc/requests.h"

namespace cancelable::ipc {

// Joins the parameters of operation.run with the descriptors that came with it, as many as params.descriptors
// lists.
//
// Refused, with one sentence: a working directory that is none, a lifeline that cannot hang up, slots that
// are no pipe, and neither a `cwd` descriptor nor an absolute path of one.
Result<RunRequest> make_run_request(RunParams params, std::vector<UniqueFd> descriptors);

}  // namespace cancelable::ipc
