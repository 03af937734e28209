#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/process/error.h"
#include "engine/shim/spec.h"

namespace cancelable {

// Which operation a process is part of: the one whose shim is the nearest above it.
//
// It is read from the kernel and not from the process, so that it holds whatever the process has done to its
// environment, its session or its user, and after a double fork too, which leaves it below the shim. Who
// hides its parents (another pid namespace, /proc mounted with hidepid) is part of none here.
//
// How a chain of parents is proved: it is read upwards, and then once more. A number is the same process
// where its start time is the same; and a parent that is the same in both looks was there all the time
// between them, since an orphan only ever falls to somebody who was above it before. Where a look differs
// from the other, somebody has died meanwhile, and both are done again.
//
// Who is below no shim never will be: an orphan falls to somebody who was above it before. So a process that
// was found outside is remembered, with all who are above it, and a climb ends where it meets one of them.
// (One that an outsider brings into the pid namespace of an operation can fall to that namespace's init; who
// was asked for before that is taken for an outsider still.)
class Ancestry {
public:
    // So many processes outside are remembered; then it is begun anew.
    explicit Ancestry(std::size_t remembered = 1024) : remembered_(remembered) {}

    // A shim, and when it started (see ProcStat); 0 for our own child, whose number is nobody else's until
    // remove(), which is to be called once it is reaped.
    void add(OperationId id, pid_t shim, std::uint64_t start_time = 0);
    void remove(OperationId id);

    // 0: of none. `pidfd` pins the process; where it is reaped already: not_found, since nobody can tell any
    // more. A few small reads of /proc, one or two where the parent is known, and no waiting.
    Result<OperationId> operation_of(pid_t pid, int pidfd);

private:
    struct Shim {
        OperationId id;
        std::uint64_t start_time;
    };
    // As one look saw it.
    struct Link {
        pid_t pid;
        pid_t parent;
        std::uint64_t start_time;
        friend bool operator==(const Link&, const Link&) = default;
    };

    bool has_outside_parent(pid_t pid, int pidfd) const;
    std::vector<Link> climb(pid_t pid) const;
    static bool still_holds(std::span<const Link> chain);
    OperationId shim_at(const Link& link) const;
    bool is_outside(const Link& link) const;
    void remember_outside(std::span<const Link> chain);

    std::size_t remembered_;
    std::unordered_map<pid_t, Shim> shims_;
    std::unordered_map<OperationId, pid_t> pids_;
    std::unordered_map<pid_t, std::uint64_t> outside_;  // when it started
};

}  // namespace cancelable
