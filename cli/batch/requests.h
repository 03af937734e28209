#pragma once

#include <sys/resource.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "cli/batch/commands.h"
#include "cli/batch/slots.h"
#include "cli/batch/spool.h"
#include "cli/batch/template.h"
#include "cli/globals.h"
#include "cli/run_flags.h"
#include "engine/process/fd.h"
#include "ipc/json_writer.h"

namespace cancelable::cli {

// Makes the requests of operation.run for a batch. What is the same for all operations of a name is made
// once: the environment alone is most of a request.
//
// The lifeline is one pipe for all of them: every one ends with this process.
class BatchRequests {
public:
    // `files`: how many descriptors a command may have, whatever this process itself has got.
    BatchRequests(const Globals& globals, const RunFlags& flags, rlimit files)
        : globals_(globals), flags_(flags), files_(files) {}

    // Whose children they are where nobody has said so: 0 for nobody's. Until then, and after
    // forget_parent(), the supervisor finds it out for each of them, from the kernel, which takes its time.
    void know_parent(OperationId parent);
    void forget_parent();
    bool knows_parent() const noexcept { return knows_parent_; }

    // A pipe of slots, borrowed, that each of them needs one of; -1: none.
    void use_slots(int pipe);

    // What is the same for all operations of one command. Valid until the next call.
    struct Common {
        std::string params;  // JSON: members of an object, without its braces
        std::vector<int> descriptors;
        Template name;
        bool logs = false;       // output goes to their logs
        bool may_leave = false;  // something of an operation may live on after its end
        bool preserve_status = false;
        std::vector<UniqueFd> owned;  // of `descriptors`
    };
    Result<const Common*> common_for(const std::string& command);

    struct Request {
        ipc::JsonText params;
        std::vector<int> descriptors;
    };
    // `place` is for {%}.
    static Request request_for(const Common& common, const Job& job, std::size_t place, const Spool& spool,
                               const std::string& key, const Turn& turn);

private:
    Result<Common> make_common(const std::string& command);

    const Globals& globals_;
    const RunFlags& flags_;
    rlimit files_;
    OperationId parent_ = 0;
    bool knows_parent_ = false;
    int slots_ = -1;     // none
    UniqueFd lifeline_;  // our end
    UniqueFd lifeline_of_all_;
    std::unordered_map<std::string, Common> known_;
};

}  // namespace cancelable::cli
