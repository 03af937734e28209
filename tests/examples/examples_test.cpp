// The examples, as built against the installed package, do what they say.
#include <doctest/doctest.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <span>
#include <thread>

#include "tests/e2e/sandbox.h"
#include "tests/examples/http.h"

namespace cancelable::e2e {
namespace {

const std::string kBuilt = CANCELABLE_EXAMPLES;

// As whoever runs the tests: the package may have been installed where the test user may not go.
SpawnOptions options(const Sandbox& sandbox) {
    SpawnOptions how = sandbox.options();
    how.as_root = true;
    return how;
}

// A program that does what is typed into it.
class Interactive {
public:
    Interactive(const Words& command, SpawnOptions how) : Interactive(command, how, *make_pipe()) {}

    void type(const std::string& line) {
        const std::string text = line + "\n";
        REQUIRE(write_all(input_.get(), std::as_bytes(std::span(text))));
    }
    void end_of_input() { input_.reset(); }

    // What it has said so far, once that contains the text.
    const std::string& says(std::string_view text) {
        const std::string& all = child_.wait_for_output(text);
        CHECK_MESSAGE(all.find(text) != std::string::npos, all);
        return all;
    }
    Finished wait() { return child_.wait(); }

private:
    Interactive(const Words& command, SpawnOptions& how, Pipe pipe)
        : input_(std::move(pipe.write_end)), child_(start(command, how, pipe.read_end)) {}

    static Child start(const Words& command, SpawnOptions& how, const UniqueFd& input) {
        how.stdio[0] = input.get();
        return Child::spawn(command, how);
    }

    UniqueFd input_;
    Child child_;
};

Finished call_script(const Sandbox& sandbox, Words arguments) {
    arguments.insert(arguments.begin(),
                     {"/usr/bin/env", "python3", CANCELABLE_INSTALLED_EXAMPLES "/python/jobs.py"});
    return Child::spawn(arguments, options(sandbox)).wait();
}

}  // namespace

TEST_CASE("an embedded engine cancels its own work by pattern, from the thread of a button") {
    Sandbox sandbox;
    Interactive jobs({kBuilt + "/embed/jobs"}, options(sandbox));
    // Three workers take the first three; the fourth has to wait.
    for (const char* name : {"user_1_small", "user_1_large", "user_2_small"})
        jobs.says(std::string(name) + ": running");
    jobs.type("list");
    jobs.says("user_2_large pending");
    jobs.type("cancel user_1_*");
    jobs.says("2 cancelled");
    jobs.says("user_1_small: cancelled (you asked for it)");
    jobs.says("user_1_large: cancelled (you asked for it)");
    jobs.says("user_2_large: running");
    jobs.type("stats");
    jobs.says("4 jobs: 2 active, 2 cancelled, 0 completed");
    jobs.type("quit");
    const Finished finished = jobs.wait();
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(finished.out.find("user_2_small: cancelled (the program ends)") != std::string::npos);
    CHECK(finished.out.find("user_2_large: cancelled (the program ends)") != std::string::npos);
}

TEST_CASE("an embedded supervisor ends what its commands have started, and answers the ordinary tools") {
    Sandbox sandbox;
    Fifo up = sandbox.fifo();
    const std::string directory = sandbox.path("mine");
    Interactive commands(
        {kBuilt + "/embed/commands", directory, "tree",
         "exec " + Sandbox::fixture("daemonizes") + " " + up.path(), "other", "exec sleep 1000"},
        options(sandbox));
    up.wait_for_line();
    commands.says("tree: running");
    commands.says("other: running");

    sandbox.set_environment("CANCELABLE_SOCKET", directory + "/socket");
    const Finished listed = Child::spawn({Sandbox::program(), "list", "--json"}, options(sandbox)).wait();
    REQUIRE_MESSAGE(listed.status == 0, listed.err);
    Json operations = Json::parse(listed.out);
    REQUIRE(operations.size() == 2);
    CHECK(operations[0].at("name") == "tree");
    // The command itself, and below its shim whatever has left it.
    const Witness tree(descendants(parent_of(operations[0].at("pid").get<pid_t>())));
    CHECK(tree.size() == 2);

    commands.type("tr*");
    commands.says("tree: cancelled, and gone: 2 processes");
    CHECK(tree.all_gone());
    commands.end_of_input();
    commands.says("other: cancelled, and gone: 1 processes");
    const Finished finished = commands.wait();
    CHECK_MESSAGE(finished.status == 0, finished.err);
    CHECK(finished.err == "");
}

TEST_CASE("an HTTP service cancels one job and many, and knows the statistics, on several threads at once") {
    Sandbox sandbox;
    const std::string alone = sandbox.detach({"--name", "alone"}, {"sleep", "1000"});
    for (const char* name : {"user_42_a", "user_42_b", "user_7_a"})
        sandbox.detach({"--name", name}, {"sleep", "1000"});
    const Witness tree = sandbox.tree();
    CHECK(tree.size() == 4);

    Child service = Child::spawn({kBuilt + "/client/service"}, options(sandbox));
    const std::string& said = service.wait_for_output("\n");
    REQUIRE_MESSAGE(said.find("http://127.0.0.1:") != std::string::npos, said);
    const int port = std::stoi(said.substr(said.rfind(':') + 1));

    const HttpAnswer one = http(port, "POST /jobs/" + alone + "/cancel");
    CHECK(one.status == 200);
    CHECK(Json::parse(one.body).at("operations").at(0).at("status") == "cancelled");
    CHECK(tree.alive().size() == 3);

    std::atomic<int> answered = 0;
    {
        std::vector<std::jthread> clients;
        for (int i = 0; i < 4; ++i)
            clients.emplace_back([&] {
                for (int k = 0; k < 5; ++k)
                    if (http(port, "GET /stats").status == 200) ++answered;
            });
        const HttpAnswer many = http(port, "POST /jobs/cancel-all?pattern=user_42_*");
        CHECK(many.status == 200);
        CHECK(Json::parse(many.body).at("operations").size() == 2);
    }
    CHECK(answered == 20);
    CHECK(tree.alive().size() == 1);
    CHECK(sandbox.list().at(0).at("name") == "user_7_a");
    const Json stats = Json::parse(http(port, "GET /stats").body);
    CHECK(stats.at("cancelled_operations") == 3);
    CHECK(stats.at("active_operations") == 1);

    CHECK(http(port, "POST /jobs/999999/cancel").status == 404);
    CHECK(http(port, "POST /jobs/cancel-all").status == 400);
    sandbox.kill_supervisor();
    CHECK(http(port, "GET /stats").status == 503);
    service.signal(SIGTERM);
    CHECK(service.wait().status == 128 + SIGTERM);
}

TEST_CASE("a script with nothing but a socket and JSON does the same three things") {
    Sandbox sandbox;
    const std::string alone = sandbox.detach({"--name", "alone"}, {"sleep", "1000"});
    for (const char* name : {"user_42_a", "user_42_b"})
        sandbox.detach({"--name", name}, {"sleep", "1000"});
    const Witness tree = sandbox.tree();

    const Finished one = call_script(sandbox, {"cancel", alone});
    CHECK_MESSAGE(one.status == 0, one.err);
    CHECK(one.out == alone + " alone cancelled\n");
    CHECK(tree.alive().size() == 2);
    const Finished many = call_script(sandbox, {"cancel-all", "user_42_*"});
    CHECK_MESSAGE(many.status == 0, many.err);
    CHECK(tree.all_gone());
    const Finished stats = call_script(sandbox, {"stats"});
    REQUIRE_MESSAGE(stats.status == 0, stats.err);
    CHECK(Json::parse(stats.out).at("cancelled_operations") == 3);

    const Finished none = call_script(sandbox, {"cancel", "999999"});
    CHECK(none.status == 1);
    CHECK(none.err.starts_with("jobs.py: there is no operation 999999"));
}

}  // namespace cancelable::e2e
