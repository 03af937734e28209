#include "cli/batch/spool.h"

#include <sys/stat.h>

#include <cstdlib>
#include <utility>

#include "cli/render/text.h"

namespace cancelable::cli {
namespace {

// Not O_TMPFILE: some file systems have none.
Result<UniqueFd> make_unlinked(const std::string& directory) {
    std::string name = directory + "/cancelable-XXXXXX";
    UniqueFd file(::mkostemp(name.data(), O_APPEND | O_CLOEXEC));
    if (!file || ::unlink(name.c_str()) != 0)
        return system_error("cannot make a file for output in " + in_quotes(directory));
    return file;
}

bool make_empty(const UniqueFd& file) {
    struct stat status{};
    if (::fstat(file.get(), &status) != 0) return false;
    return status.st_size == 0 || ::ftruncate(file.get(), 0) == 0;
}

}  // namespace

std::string temporary_directory() {
    const char* said = std::getenv("TMPDIR");
    return said != nullptr && *said == '/' ? said : "/tmp";
}

SpoolPool::SpoolPool(std::string directory, std::size_t most)
    : directory_(std::move(directory)), most_(most) {}

Result<UniqueFd> SpoolPool::make_file() const {
    UniqueFd file(::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600));
    if (file) return file;
    return make_unlinked(directory_);
}

Result<Spool> SpoolPool::take() {
    Spool spool;
    if (!free_.empty()) {
        spool = std::move(free_.back());
        free_.pop_back();
    } else {
        auto out = make_file();
        if (!out) return std::unexpected(out.error());
        auto err = make_file();
        if (!err) return std::unexpected(err.error());
        spool = {std::move(*out), std::move(*err)};
    }
    ++out_;
    return spool;
}

void SpoolPool::give_back(Spool spool) {
    if (!spool) return;
    --out_;
    if (make_empty(spool.out) && make_empty(spool.err)) free_.push_back(std::move(spool));
}

void SpoolPool::give_back_unused(Spool spool) {
    if (!spool) return;
    --out_;
    free_.push_back(std::move(spool));
}

void SpoolPool::drop(Spool spool) {
    if (spool) --out_;
}

}  // namespace cancelable::cli
