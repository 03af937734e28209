#pragma once

#include "engine/process/error.h"
#include "engine/process/fd.h"
#include "engine/shim/spec.h"

namespace cancelable {

// Beyond it no id is exact in every JSON reader; a file that says more is damaged.
inline constexpr OperationId kLastId = OperationId{1} << 53;

// Hands out operation ids: growing, and none twice, whatever dies in between.
//
// Ids are reserved in blocks in a file of the state directory, under a lock, so that several supervisors may
// share it. The block's end is also kept in the runtime directory: either file is enough to go on from, and
// the higher counts. A supervisor that is killed wastes the rest of its block; one that ends in peace gives
// it back. Both files may be gone, or restored from an older copy: then what is seen in use decides, and is
// written down before it may go out of sight.
class IdSource {
public:
    // Both are directories; `state` may be none, where there is no usable state directory.
    IdSource(int runtime_directory, int state_directory) noexcept;
    ~IdSource();
    IdSource(const IdSource&) = delete;
    IdSource& operator=(const IdSource&) = delete;

    // Fails only where neither file can be written.
    Result<OperationId> next();

    // No id up to this one is handed out any more: it was seen in use. Both files know it before this
    // returns, so that it holds for the next source too, whatever becomes of what was seen.
    void skip_to(OperationId used) noexcept;

private:
    Result<> reserve();

    int runtime_directory_;
    int state_directory_;
    OperationId next_ = 1;
    OperationId reserved_until_ = 0;  // the last id of the block
};

}  // namespace cancelable
