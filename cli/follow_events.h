#pragma once

#include "cli/globals.h"
#include "ipc/event_codec.h"

namespace cancelable::cli {

// Prints events as they come, one line each: for people, or as JSON. Goes on from one supervisor to the next,
// says what was missed between them, and never starts one. Ends by a signal with 128 + its number; where
// `params.follow` is not set, with 0 after what there is.
int follow_events(const Globals& globals, ipc::SubscribeParams params, bool as_json);

}  // namespace cancelable::cli
