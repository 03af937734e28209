#include "engine/store/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

#include "engine/directories.h"
#include "engine/process/fd.h"

namespace cancelable {
namespace {

constexpr int kBusyPatienceMs = 5000;
constexpr int kReaderPatienceMs = 1000;

Result<UniqueFd> lock(const std::string& directory) {
    auto file = open_file((directory + "/history.lock").c_str(), O_RDWR | O_CREAT, 0600);
    if (!file) return file;
    if (retry_eintr([&] { return ::flock(file->get(), LOCK_EX); }) != 0)
        return system_error("cannot lock the history");
    return file;
}

std::string stamp(WallTime now) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    std::tm utc{};
    ::gmtime_r(&seconds, &utc);
    char text[32];
    const std::size_t length = std::strftime(text, sizeof text, "%Y%m%dT%H%M%S", &utc);
    return {text, length};
}

bool exists(const std::string& path) {
    struct stat status{};
    return ::lstat(path.c_str(), &status) == 0;
}

}  // namespace

HistoryFile::HistoryFile(std::string directory, std::span<const char* const> steps)
    : directory_(std::move(directory)), path_(directory_ + "/history.db"), steps_(steps) {}

std::optional<HistoryFile::Identity> HistoryFile::identity() const noexcept {
    struct stat status{};
    if (::stat(path_.c_str(), &status) != 0) return std::nullopt;
    return Identity{status.st_dev, status.st_ino};
}

Result<HistoryFile::Opened> HistoryFile::open_for_writing() const {
    // What is refused here may be put right at any time, unlike a file of a later version.
    if (auto made = ensure_private_directory_tree(directory_); !made)
        return failure(ErrorCode::system, made.error().sentence());
    const auto locked = lock(directory_);
    if (!locked) return std::unexpected(locked.error());
    // Made by us, so that nobody else may read it from its first moment on. It is new, so that SQLite has no
    // lock on it yet that closing it could drop.
    const UniqueFd created(::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!created && errno != EEXIST) return system_error("cannot create \"" + path_ + "\"");
    const auto which = identity();
    if (!which) return system_error("cannot look at \"" + path_ + "\"");
    auto database = Database::open(path_, Database::Access::write, kBusyPatienceMs);
    if (!database) return std::unexpected(database.error());
    const auto fitness = migrate(*database, steps_);
    if (!fitness) return std::unexpected(fitness.error());
    if (*fitness == Fitness::newer)
        return failure(ErrorCode::refused,
                       "\"" + path_ +
                           "\" was made by a later version of cancelable: nothing is read from it or "
                           "written to it; use that version, or move the file away");
    return Opened{std::move(*database), *which};
}

Result<HistoryFile::Opened> HistoryFile::open_for_reading() const {
    const auto which = identity();
    if (!which) return failure(ErrorCode::not_found, "there is no history yet");
    auto database = Database::open(path_, Database::Access::read, kReaderPatienceMs);
    if (!database) return std::unexpected(database.error());
    return Opened{std::move(*database), *which};
}

Result<std::optional<std::string>> HistoryFile::set_aside(const Identity& damaged, WallTime now) const {
    const auto locked = lock(directory_);
    if (!locked) return std::unexpected(locked.error());
    if (identity() != damaged) return std::nullopt;
    const std::string base = path_ + ".damaged-" + stamp(now);
    std::string name = base;
    for (int next = 2; exists(name); ++next)
        name = base + "-" + std::to_string(next);
    // The log first: left behind it would be taken for that of the next file.
    for (const char* suffix : {"-wal", "-shm", ""})
        if (::rename((path_ + suffix).c_str(), (name + suffix).c_str()) != 0 && errno != ENOENT)
            return system_error("cannot set \"" + path_ + suffix + "\" aside");
    return name;
}

Result<> check_integrity(Database& database) {
    auto check = database.prepare("PRAGMA quick_check(1)");
    if (!check) return std::unexpected(check.error());
    const auto row = check->step();
    if (!row) return std::unexpected(row.error());
    if (!*row || check->text(0) != "ok")
        return failure(ErrorCode::damaged, "the history is damaged: " + std::string(check->text(0)));
    return {};
}

}  // namespace cancelable
