#pragma once

#include <string>

#include "engine/operation.h"

namespace cancelable::cli {

// How a foreground run ends: its exit status, and what is to be told about it on stderr.
struct Outcome {
    int status = 0;
    std::string sentence;   // empty: nothing to tell
    bool is_error = false;  // told even where notices are not wanted
};

// The table of exit statuses, for an operation that has ended, or that has survivors.
//
//   ended by itself       the command's own, 128+N where signal N ended it; 126 and 127 where it could not be
//   executed timeout               124, or 137 where it had to be killed cancelled             128+N, N being
//   the polite signal that was sent, or 137 where it had to be killed survivors, lost       125
//
// `preserve_status`: the command's own also after a timeout or a cancelation, where it left one.
Outcome outcome_of(const Operation& operation, bool preserve_status);

// `operation 12 (build)`, fit for a sentence.
std::string describe(const Operation& operation);

// `operation 12 (build) is not gone: …`, naming the survivors by pid.
std::string describe_survivors(const Operation& operation);

}  // namespace cancelable::cli
