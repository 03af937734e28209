// What the tests of ipc share: a folder that goes away, the two ends of a socket, a peer that speaks raw
// bytes.
#pragma once

#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "engine/loop.h"
#include "engine/process/fd.h"
#include "ipc/framing.h"
#include "ipc/json_value.h"
#include "ipc/json_writer.h"
#include "ipc/rpc.h"
#include "ipc/socket.h"

namespace cancelable::ipc::testing {

class TemporaryDirectory {
public:
    TemporaryDirectory() {
        std::string pattern = (std::filesystem::temp_directory_path() / "ipc-test-XXXXXX").string();
        if (::mkdtemp(pattern.data()) != nullptr) path_ = pattern;
    }
    ~TemporaryDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryDirectory(const TemporaryDirectory&) = delete;
    TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

// A value as it arrives: through text.
class Wire {
public:
    explicit Wire(const JsonText& value) : document_(*JsonDocument::parse(value.text, kMaxDepth)) {}
    explicit Wire(const nlohmann::json& value) : Wire(to_text(value)) {}
    operator JsonValue() const noexcept { return document_.root(); }

private:
    JsonDocument document_;
};

inline std::pair<UniqueFd, UniqueFd> socket_pair() {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) std::abort();
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The number of the open file, by which a passed descriptor is known again.
inline ino_t inode_of(int fd) {
    struct stat status{};
    return ::fstat(fd, &status) == 0 ? status.st_ino : 0;
}

// A file without a name.
inline UniqueFd anonymous_file() {
    auto file = open_file(std::filesystem::temp_directory_path().c_str(), O_TMPFILE | O_RDWR, 0600);
    return file ? std::move(*file) : UniqueFd();
}

inline std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd"))
        ++count;
    return count;
}

// Turns the loop until the condition holds; false when that takes longer than anything here may.
template <class Condition>
bool run_until(Loop& loop, Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) return false;
        loop.run_once(false);
        std::this_thread::yield();
    }
    return true;
}

// A peer that can say anything, also what makes no sense. Its own side never blocks.
class RawPeer {
public:
    explicit RawPeer(UniqueFd fd) : fd_(std::move(fd)) {}
    explicit RawPeer(const std::string& path) {
        if (auto connected = connect_to(path)) fd_ = std::move(*connected);
    }

    int fd() const { return fd_.get(); }
    void close() { fd_.reset(); }
    void end_writing() const { ::shutdown(fd_.get(), SHUT_WR); }

    // What of it was taken.
    std::size_t send(std::string_view bytes, std::vector<int> descriptors = {}) const {
        const auto sent = send_some(fd_.get(), bytes, descriptors);
        return sent ? *sent : 0;
    }

    void request(int id, const std::string& method,
                 const nlohmann::json& params = nlohmann::json::object()) const {
        send(nlohmann::json{{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}}.dump() +
             "\n");
    }

    // The next message, or null while there is none.
    nlohmann::json next() {
        while (true) {
            if (const auto line = reader_.next()) return nlohmann::json::parse(*line);
            const auto progress = reader_.read_from(fd_.get());
            if (!progress || *progress == FrameReader::Progress::ended) ended_ = true;
            if (!progress || *progress != FrameReader::Progress::read) return nullptr;
        }
    }

    // The next message, for which the loop is turned.
    nlohmann::json await(Loop& loop) {
        nlohmann::json message;
        run_until(loop, [&] { return !(message = next()).is_null() || ended_; });
        return message;
    }

    bool await_end(Loop& loop) {
        return run_until(loop, [&] { return next().is_null() && ended_; });
    }

private:
    UniqueFd fd_;
    FrameReader reader_;
    bool ended_ = false;
};

}  // namespace cancelable::ipc::testing
