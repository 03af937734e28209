#pragma once

#include <string_view>

#include "engine/operation.h"
#include "engine/store/sqlite.h"
#include "engine/store/tally_rows.h"

namespace cancelable {

// Puts operations into the tables, within somebody's transaction.
class RowWriter {
public:
    static Result<RowWriter> prepare(Database& database);

    // In the place of what there was. What is counted of an ended one goes into `change`, and what was
    // counted of the row before is taken out of it: so the same operation may come any number of times. One
    // that has ended is not replaced by itself as it was before.
    Result<> put(const Operation& operation, std::string_view owner, TallyChange& change);

private:
    RowWriter(Statement known, Statement insert) : known_(std::move(known)), insert_(std::move(insert)) {}
    Statement known_;
    Statement insert_;
};

}  // namespace cancelable
