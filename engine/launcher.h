#pragma once

#include <array>
#include <optional>
#include <string>

#include "engine/acceptances.h"
#include "engine/process/fd.h"
#include "engine/process/spawn.h"
#include "engine/shim/channel.h"
#include "engine/shim/spec.h"
#include "engine/shim_pool.h"

namespace cancelable {

// What a command is started with beside its description; none: /dev/null, for a stdio slot.
struct LaunchDescriptors {
    std::array<int, 3> stdio{-1, -1, -1};
    int cwd = -1;
    int lifeline = -1;
    // See engine/shim/slots.h; none: the command begins at once.
    int slots = -1;
    int turn = -1;
    int next_turn = -1;
};

// Starts the shim of an operation. An interface, so that the supervisor can be tested without processes.
class Launcher {
public:
    virtual ~Launcher() = default;
    virtual Result<LaunchedShim> launch(const OperationSpec& spec, const LaunchSettings& settings,
                                        const LaunchDescriptors& descriptors) = 0;

    // As launch(), for a command that is no operation: its shim cannot be found by a name and leaves no
    // record, so that nobody can adopt it. Without a `cwd` it starts in the directory that `spec` names.
    virtual Result<LaunchedShim> launch_unlisted(const OperationSpec& spec, const LaunchSettings& settings,
                                                 const LaunchDescriptors& descriptors) = 0;
};

// The real one. The listening socket of the channel is made here and inherited by the shim, or the shim has
// it already and it is only renamed: whoever finds its name can connect from that moment on, so there is no
// time in which a running shim cannot be found.
class ShimLauncher final : public Launcher {
public:
    // `directory` is where channels and exit records are; borrowed.
    static Result<ShimLauncher> create(std::string shim_path, int directory);

    // Uses what operations that are over have left before it makes the like anew. Both are borrowed.
    void reuse(ShimPool& pool, Acceptances& acceptances) noexcept {
        pool_ = &pool;
        acceptances_ = &acceptances;
    }

    Result<LaunchedShim> launch(const OperationSpec& spec, const LaunchSettings& settings,
                                const LaunchDescriptors& descriptors) override;
    Result<LaunchedShim> launch_unlisted(const OperationSpec& spec, const LaunchSettings& settings,
                                         const LaunchDescriptors& descriptors) override;

private:
    ShimLauncher(std::string shim_path, int directory, UniqueFd null)
        : shim_path_(std::move(shim_path)), directory_(directory), null_(std::move(null)) {}

    // `listed`: it is an operation, so that its shim is to be found by a name.
    Result<LaunchedShim> guard(const OperationSpec& spec, const LaunchSettings& settings,
                               const LaunchDescriptors& descriptors, bool listed);
    std::optional<LaunchedShim> assign(const std::string& name, BorrowedAssignment& assignment);
    Result<LaunchedShim> start(const BorrowedAssignment& assignment);

    std::string shim_path_;
    int directory_;
    UniqueFd null_;  // /dev/null
    ShimPool* pool_ = nullptr;
    Acceptances* acceptances_ = nullptr;
};

// Connects to the shim of a live operation. ECONNREFUSED or ENOENT: there is no such shim any more.
Result<UniqueFd> connect_to_shim(int directory, OperationId id);

}  // namespace cancelable
