#include "ipc/requests.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "ipc/selector_codec.h"

#include "ipc_support.h"

using namespace cancelable;
using namespace cancelable::ipc;
using namespace cancelable::ipc::testing;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

Selector full_selector() {
    Selector selector;
    selector.ids = {1, 18'446'744'073'709'551'615ULL};
    selector.globs = {"user_*", "\xff*"};
    selector.all = true;
    selector.name = "b\xfe";
    selector.tags = {{"k", "v"}, {"z", "\x80"}};
    selector.statuses = {Status::running, Status::lost};
    selector.older_than = 1500ms;
    selector.newer_than = 1ms;
    selector.parent = 7;
    return selector;
}

void check_equal(const Selector& a, const Selector& b) {
    CHECK(a.ids == b.ids);
    CHECK(a.globs == b.globs);
    CHECK(a.all == b.all);
    CHECK(a.name == b.name);
    CHECK(a.tags == b.tags);
    CHECK(a.statuses == b.statuses);
    CHECK(a.older_than == b.older_than);
    CHECK(a.newer_than == b.newer_than);
    CHECK(a.parent == b.parent);
}

// The sentence that a decoder refuses with.
std::string refusal(const auto& decoded) {
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == ErrorCode::usage);
    return decoded.error().sentence();
}

json minimal_run() {
    return {{"command", {"true"}}};
}

json run_with(const char* name, json value) {
    json params = minimal_run();
    params[name] = std::move(value);
    return params;
}

}  // namespace

TEST_CASE("a selector goes over the wire and comes back the same") {
    check_equal(decode_selector(Wire(encode_selector(full_selector()))).value(), full_selector());
    CHECK(encode_selector(Selector{}) == json::object());
    CHECK(decode_selector(Wire(json::object())).value().empty());
}

TEST_CASE("a run goes over the wire and comes back the same, byte for byte") {
    RunParams run;
    run.descriptors = {"stdin", "cwd", "lifeline"};
    run.spec.name = "n\nx";
    run.spec.command = {"/bin/\xff", "", "a b", "\xe2\x82"};
    run.spec.cwd = "/tmp/\x80";
    run.spec.tags = {{"a\xff", "1"}, {"b", "\xfe"}};
    run.spec.parent = 3;
    run.spec.detached = true;
    run.spec.timeout = 1500ms;
    run.spec.grace = 1ms;
    run.spec.signal = SIGINT;
    run.spec.orphans = Orphans::leave;
    run.spec.key = "k";
    run.spec.pause_timeouts = true;
    run.launch.environment = {"A=b", "B=\xff", "odd"};
    run.launch.umask = 027;
    run.launch.nice = -5;
    run.launch.limits = {{RLIMIT_NOFILE, 10, RLIM_INFINITY}, {RLIMIT_AS, 1ULL << 40, 1ULL << 63}};
    run.launch.closed_stdio = 5;
    run.log = true;
    run.watch = true;
    run.brief = true;
    run.operation_id = 4;

    const auto decoded = decode_run(Wire(encode(run)));
    REQUIRE(decoded);
    CHECK(decoded->descriptors == run.descriptors);
    CHECK(decoded->spec.name == run.spec.name);
    CHECK(decoded->spec.command == run.spec.command);
    CHECK(decoded->spec.cwd == run.spec.cwd);
    CHECK(decoded->spec.tags == run.spec.tags);
    CHECK(decoded->spec.parent == run.spec.parent);
    CHECK(decoded->spec.detached);
    CHECK(decoded->spec.timeout == run.spec.timeout);
    CHECK(decoded->spec.grace == run.spec.grace);
    CHECK(decoded->spec.signal == run.spec.signal);
    CHECK(decoded->spec.orphans == run.spec.orphans);
    CHECK(decoded->spec.key == run.spec.key);
    CHECK(decoded->spec.pause_timeouts);
    CHECK(decoded->launch.environment == run.launch.environment);
    CHECK(decoded->launch.umask == run.launch.umask);
    CHECK(decoded->launch.nice == run.launch.nice);
    REQUIRE(decoded->launch.limits.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(decoded->launch.limits[i].resource == run.launch.limits[i].resource);
        CHECK(decoded->launch.limits[i].soft == run.launch.limits[i].soft);
        CHECK(decoded->launch.limits[i].hard == run.launch.limits[i].hard);
    }
    CHECK(decoded->launch.closed_stdio == 5);
    CHECK(decoded->log);
    CHECK(decoded->watch);
    CHECK(decoded->brief);
    CHECK(decoded->operation_id == 4);
    run.spec.parent = 0;
    run.no_parent = true;
    const auto root = decode_run(Wire(encode(run)));
    REQUIRE(root);
    CHECK(root->spec.parent == 0);
    CHECK(root->no_parent);
}

TEST_CASE("a run that says only its command has the defaults, and its command's base name") {
    const auto run = decode_run(Wire(json{{"command", {"/usr/bin/make", "all"}}}));
    REQUIRE(run);
    CHECK(run->spec.name == "make");
    CHECK(run->spec.timeout == 0ms);
    CHECK(run->spec.grace == 10s);
    CHECK(run->spec.signal == SIGTERM);
    CHECK(run->spec.orphans == Orphans::kill);
    CHECK(run->spec.parent == 0);
    CHECK(run->launch.umask == 022);
    CHECK_FALSE(run->watch);
    CHECK(decode_run(Wire(json{{"command", {"dir/"}}}))->spec.name == "dir/");
    CHECK(decode_run(Wire(run_with("parent", nullptr)))->spec.parent == 0);
    CHECK_FALSE(decode_run(Wire(run_with("parent", nullptr)))->no_parent);
    CHECK(decode_run(Wire(run_with("parent", "none")))->no_parent);
    CHECK(refusal(decode_run(Wire(run_with("parent", 0)))) ==
          "parameter \"parent\" of operation.run must be the number of an operation, or \"none\"");
}

TEST_CASE("the other methods' parameters go over the wire and come back the same") {
    ListParams list{full_selector(), true, 5, 1ULL << 50, "key"};
    const auto list_back = decode_list(Wire(encode(list)));
    REQUIRE(list_back);
    check_equal(list_back->selector, list.selector);
    CHECK(list_back->all);
    CHECK(list_back->limit == list.limit);
    CHECK(list_back->after == list.after);
    CHECK(list_back->key == list.key);
    CHECK(encode(ListParams{}) == json::object());

    CancelParams cancel;
    cancel.selector = full_selector();
    cancel.request.reason = CancelationReason::signal;
    cancel.request.message = "why \xff";
    cancel.request.signal = SIGHUP;
    cancel.request.grace = 0ms;
    cancel.request.now = true;
    cancel.wait = false;
    cancel.dry_run = true;
    const auto cancel_back = decode_cancel(Wire(encode(cancel)));
    REQUIRE(cancel_back);
    check_equal(cancel_back->selector, cancel.selector);
    CHECK(cancel_back->request.reason == cancel.request.reason);
    CHECK(cancel_back->request.message == cancel.request.message);
    CHECK(cancel_back->request.signal == cancel.request.signal);
    CHECK(cancel_back->request.grace == cancel.request.grace);
    CHECK(cancel_back->request.now);
    CHECK_FALSE(cancel_back->wait);
    CHECK(cancel_back->dry_run);

    const auto wait_back = decode_wait(Wire(encode(WaitParams{full_selector(), true, 250ms})));
    REQUIRE(wait_back);
    check_equal(wait_back->selector, full_selector());
    CHECK(wait_back->any);
    CHECK(wait_back->timeout == 250ms);

    const auto signal_back = decode_signal(Wire(encode(SignalParams{full_selector(), SIGUSR1, true})));
    REQUIRE(signal_back);
    check_equal(signal_back->selector, full_selector());
    CHECK(signal_back->signal == SIGUSR1);
    CHECK(signal_back->tree);
    const auto signal_one = decode_signal(Wire(json{{"id", 4}, {"signal", "USR1"}}));
    REQUIRE(signal_one);
    CHECK(signal_one->selector.ids == std::vector<OperationId>{4});
    CHECK_FALSE(signal_one->tree);
    const auto pause_back = decode_pause(Wire(encode(PauseParams{full_selector(), false})), "x");
    REQUIRE(pause_back);
    check_equal(pause_back->selector, full_selector());
    CHECK_FALSE(pause_back->wait);
    CHECK(decode_show(Wire(encode(ShowParams{9})))->id == 9);
    CHECK(decode_current(Wire(encode(CurrentParams{9})))->operation_id == 9);
    CHECK(decode_current(Wire(encode(CurrentParams{})))->operation_id == 0);
    for (const auto mode : {StopParams::Mode::refuse, StopParams::Mode::cancel, StopParams::Mode::keep})
        CHECK(decode_stop(Wire(encode(StopParams{mode})))->mode == mode);
    CHECK(decode_nothing(Wire(json::object()), "m"));
}

TEST_CASE("what is not zero does not become zero on its way to milliseconds") {
    CHECK(decode_run(Wire(run_with("timeout", 0.0001)))->spec.timeout == 1ms);
    CHECK(decode_run(Wire(run_with("timeout", 0.001)))->spec.timeout == 1ms);
    CHECK(decode_run(Wire(run_with("timeout", 0.0011)))->spec.timeout == 2ms);
    CHECK(decode_run(Wire(run_with("timeout", 1e-12)))->spec.timeout == 1ms);
    CHECK(decode_run(Wire(run_with("timeout", 0)))->spec.timeout == 0ms);
    for (int milliseconds = 0; milliseconds < 5000; milliseconds += 7)
        CHECK(decode_run(Wire(run_with("timeout", milliseconds / 1000.0)))->spec.timeout.count() ==
              milliseconds);
}

TEST_CASE("a parameter that is wrong is named in one sentence") {
    CHECK(refusal(decode_run(Wire(json::object()))) == "parameter \"command\" of operation.run is missing");
    CHECK(refusal(decode_run(Wire(json{{"command", json::array()}}))) ==
          "parameter \"command\" of operation.run is empty");
    CHECK(decode_run(Wire(
        json{{"command", {""}}, {"cwd", "/"}})));  // A name like any other, of a program that is not there.
    CHECK(refusal(decode_run(Wire(json{{"command", "true"}}))) ==
          "parameter \"command\" of operation.run must be an array of strings");
    CHECK(refusal(decode_run(Wire(json{{"command", {"a", std::string("b\0c", 3)}}}))) ==
          "parameter \"command[1]\" of operation.run holds a zero byte");
    CHECK(refusal(decode_run(Wire(run_with("comand", 1)))) ==
          "unknown parameter \"comand\" of operation.run");
    CHECK(refusal(decode_run(Wire(run_with("timeout", -1)))) ==
          "parameter \"timeout\" of operation.run must be a number of seconds, from 0 to a hundred years");
    CHECK(refusal(decode_run(Wire(run_with("umask", 01000)))) ==
          "parameter \"umask\" of operation.run must be a whole number from 0 to 511");
    CHECK(refusal(decode_run(Wire(run_with("nice", -21)))) ==
          "parameter \"nice\" of operation.run must be a whole number from -20 to 19");
    CHECK(refusal(decode_run(Wire(run_with("signal", "NOPE")))) ==
          "parameter \"signal\" of operation.run must be the name or the number of a signal");
    CHECK(refusal(decode_run(Wire(run_with("orphans", "adopt")))) ==
          "parameter \"orphans\" of operation.run must be \"kill\", \"wait\" or \"leave\"");
    CHECK(refusal(decode_run(Wire(run_with("descriptors", {"stdin", "stdin"})))) ==
          "parameter \"descriptors\" of operation.run has \"stdin\" twice");
    CHECK(refusal(decode_run(Wire(run_with("descriptors", {"tty"})))) ==
          "parameter \"descriptors\" of operation.run knows no \"tty\"");
    CHECK(refusal(decode_run(Wire(run_with("tags", {{"", "x"}})))) == "the key of a tag is empty");
    const auto twice = JsonDocument::parse(R"({"command":["x"],"tags":{"a":"1","a":"2"}})", kMaxDepth);
    CHECK(refusal(decode_run(twice->root())) == "tag \"a\" is there twice");
    CHECK(refusal(decode_run(Wire(run_with("tags", json::array({{"a", "1"}, {"a", "2"}}))))) ==
          "tag \"a\" is there twice");
    CHECK(refusal(decode_list(Wire(json::array()))) == "operation.list must be an object");
    CHECK(refusal(decode_list(Wire(json{{"selector", {{"staus", 1}}}}))) ==
          "unknown parameter \"staus\" of selector");
    CHECK(refusal(decode_list(Wire(json{{"selector", {{"status", {"dead"}}}}}))) ==
          "parameter \"status\" of selector knows no \"dead\"");
    CHECK(refusal(decode_list(Wire(json{{"selector", {{"ids", {0}}}}}))) ==
          "parameter \"ids\" of selector must hold numbers of operations");
    CHECK(refusal(decode_cancel(Wire(json{{"reason", "timeout"}}))) ==
          "parameter \"reason\" of operation.cancel must be \"manual\" or \"signal\"");
    CHECK(refusal(decode_signal(Wire(json{{"id", 1}}))) ==
          "parameter \"signal\" of operation.signal is missing");
    CHECK(refusal(decode_show(Wire(json{{"id", 0}}))) ==
          "parameter \"id\" of operation.show must be a whole number from 1 to 18446744073709551615");
    CHECK(refusal(decode_stop(Wire(json{{"mode", "now"}}))) ==
          "parameter \"mode\" of supervisor.stop must be \"refuse\", \"cancel\" or \"keep\"");
    CHECK(refusal(decode_nothing(Wire(json{{"x", 1}}), "stats.get")) ==
          "unknown parameter \"x\" of stats.get");
}

TEST_CASE("values of the wrong type are refused wherever they stand") {
    const json wrong[] = {json(true),     json(3.5), json("x\xff"), json::array({1, json::array()}),
                          json{{"a", 1}}, json(-7)};
    const char* names[] = {"environment", "cwd",     "name",        "tags",   "parent",
                           "detached",    "timeout", "grace",       "signal", "orphans",
                           "key",         "umask",   "nice",        "limits", "closed_stdio",
                           "log",         "watch",   "descriptors", "brief"};
    for (const char* name : names) {
        int refused = 0;
        for (const json& value : wrong)
            refused += decode_run(Wire(run_with(name, value))) ? 0 : 1;
        CAPTURE(name);
        CHECK(refused >= 4);
    }
    for (const json& limits :
         {json::array({1}), json::array({json::array({1, 2})}), json::array({json::array({99, 1, 1})}),
          json::array({json::array({1, -2, 1})}), json::array({json::array({-1, 1, 1})})})
        CHECK_FALSE(decode_run(Wire(run_with("limits", limits))));
}
