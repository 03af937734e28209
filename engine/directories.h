#pragma once

#include <string>

#include "engine/process/error.h"

namespace cancelable {

// Where things are kept, by the environment of this process. Nothing is created or looked at yet.
//
// An XDG variable that is empty or relative counts as unset, as its specification demands.

// $XDG_RUNTIME_DIR/cancelable, else ${TMPDIR:-/tmp}/cancelable-<uid>.
std::string default_runtime_directory();

// $XDG_STATE_HOME/cancelable, else ~/.local/state/cancelable. Fails where HOME is needed and not set.
Result<std::string> default_state_directory();

// $XDG_CONFIG_HOME/cancelable, else ~/.config/cancelable. Fails where HOME is needed and not set.
Result<std::string> default_config_directory();

// The socket's path made absolute, and short enough for the kernel. Empty: the default one.
Result<std::string> resolve_socket_path(const std::string& path);

// Of "/a/b": "/a".
std::string parent_directory(const std::string& path);

// Makes sure that `path` is a directory of ours that nobody else may enter, and creates it (mode 0700) where
// it is missing; what lies above it must be there. A symbolic link is refused: it could be turned elsewhere
// later.
Result<> ensure_private_directory(const std::string& path);

// As above, creating what lies above as well, as the state directory needs it on a fresh account.
Result<> ensure_private_directory_tree(const std::string& path);

}  // namespace cancelable
