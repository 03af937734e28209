#include "engine/operation.h"

#include <doctest/doctest.h>

#include <csignal>
#include <map>
#include <set>

namespace cancelable {
namespace {

TEST_CASE("every status has a name that reads back as itself") {
    for (const Status status : kAllStatuses)
        CHECK(parse_status(to_string(status)) == status);
    CHECK_FALSE(parse_status("canceled"));
    CHECK_FALSE(parse_status(""));
}

TEST_CASE("an operation takes exactly the steps of the state table") {
    using enum Status;
    const std::map<Status, std::set<Status>> table{
        {pending, {running, cancelling, failed, cancelled, timeout, lost}},
        {running, {paused, cancelling, completed, failed, cancelled, timeout, lost}},
        {paused, {running, cancelling, completed, failed, cancelled, timeout, lost}},
        {cancelling, {cancelled, timeout, lost}},
    };
    for (const Status from : kAllStatuses)
        for (const Status to : kAllStatuses) {
            CAPTURE(to_string(from));
            CAPTURE(to_string(to));
            const auto row = table.find(from);
            CHECK(may_become(from, to) == (row != table.end() && row->second.contains(to)));
            if (is_ended(from)) CHECK_FALSE(may_become(from, to));
        }
}

TEST_CASE("a cancelation escalated exactly when SIGKILL was sent") {
    Cancelation cancelation;
    cancelation.signals = {SIGTERM};
    CHECK_FALSE(cancelation.escalated());
    cancelation.signals.push_back(SIGKILL);
    CHECK(cancelation.escalated());
}

TEST_CASE("an exit reads as a shell reports it") {
    CHECK(Exit{false, 3}.shell_status() == 3);
    CHECK(Exit{true, SIGTERM}.shell_status() == 143);
}

}  // namespace
}  // namespace cancelable
