#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <span>
#include <string>

#include "engine/process/wall_time.h"
#include "engine/store/schema.h"
#include "engine/store/sqlite.h"

namespace cancelable {

// The file history.db, of which a state directory has one, whoever else uses it: supervisors of several
// runtime directories may share a state directory. SQLite's locks keep their transactions apart; history.lock
// keeps apart who makes the file and who sets a damaged one aside.
//
// The file may be replaced at any time (set aside by another supervisor, restored from a copy): whoever keeps
// a connection compares identities before using it. Nothing but SQLite ever opens the file: closing a
// descriptor of it would drop the locks that SQLite holds in this process.
class HistoryFile {
public:
    // Says which file a name stood for.
    struct Identity {
        dev_t device = 0;
        ino_t inode = 0;
        friend bool operator==(const Identity&, const Identity&) = default;
    };

    explicit HistoryFile(std::string directory, std::span<const char* const> steps = schema_steps());

    const std::string& path() const noexcept { return path_; }
    std::optional<Identity> identity() const noexcept;  // nothing: it is not there

    struct Opened {
        Database database;
        Identity identity;
    };
    // For writing. Makes the directory and the file where they are missing, and brings an older one forward.
    // `refused`: the file is of a later version of the program and stays as it is.
    Result<Opened> open_for_writing() const;

    // `not_found` where nothing was written yet.
    Result<Opened> open_for_reading() const;

    // Renames it, with what belongs to it, unless it is another file by now. The name it has then, or nothing
    // where it was another one.
    Result<std::optional<std::string>> set_aside(const Identity& damaged, WallTime now) const;

private:
    std::string directory_;
    std::string path_;
    std::span<const char* const> steps_;
};

// The whole file, page by page: for a suspicion, not for every day.
Result<> check_integrity(Database& database);

}  // namespace cancelable
