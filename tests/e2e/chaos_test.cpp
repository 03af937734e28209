// Everything at once, while supervisors and shims are killed at random moments.
//
// The random numbers come from CANCELABLE_CHAOS_SEED, and are printed; CANCELABLE_CHAOS_KILLS says how many
// supervisors die. How fast the machine is decides what meets what, never whether the test passes.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <list>
#include <map>
#include <random>
#include <set>

#include "tests/e2e/sandbox.h"

namespace cancelable::e2e {
namespace {

unsigned number_from_environment(const char* name, unsigned otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : static_cast<unsigned>(std::strtoul(text, nullptr, 10));
}

class Dice {
public:
    Dice() : seed_(number_from_environment("CANCELABLE_CHAOS_SEED", std::random_device()())), engine_(seed_) {
        std::printf("chaos: CANCELABLE_CHAOS_SEED=%u\n", seed_);
        std::fflush(stdout);
    }
    unsigned seed() const { return seed_; }
    int up_to(int most) { return std::uniform_int_distribution<int>(0, most)(engine_); }
    template <class Container>
    auto& pick(Container& from) {
        return *std::next(from.begin(), up_to(static_cast<int>(from.size()) - 1));
    }

private:
    unsigned seed_;
    std::mt19937 engine_;
};

std::size_t descriptors_of(pid_t pid) {
    std::error_code gone;
    const std::filesystem::directory_iterator entries("/proc/" + std::to_string(pid) + "/fd", gone);
    return gone ? 0 : static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

// A client whose exit status is known beforehand.
struct Expected {
    Child client;
    std::string name;
    int status;
    bool is_detached = false;
    int signal = 0;  // still to be sent
};

class Chaos {
public:
    Chaos() { books_ = sandbox_.make_directory("books"); }

    void kill_supervisors(unsigned kills);
    void finish();
    void check();
    std::size_t started() const { return static_cast<std::size_t>(last_name_); }

private:
    void start_something();
    void look_at_clients(std::size_t most_running);
    Words job(const std::string& name, const std::string& mode, int code) const {
        return {Sandbox::fixture("keeps_books"), books_, name, mode, std::to_string(code)};
    }
    void start(const Words& options, const std::string& name, const Words& command, int status,
               int signal = 0);
    bool has(const std::string& name, const char* what) const {
        return std::filesystem::exists(books_ + "/" + name + what);
    }
    void check_record(const Json& record, const std::string& name) const;

    Dice dice_;
    // Where nothing is kept on disk, what ended under a killed supervisor cannot be asked for afterwards.
    const bool keeps_history_ = Sandbox().keeps_history();
    Sandbox sandbox_;
    std::string books_;
    int last_name_ = 0;
    std::list<Expected> clients_;
    std::list<Child> bystanders_;                 // whose status says nothing
    std::map<std::string, std::string> printed_;  // name by id
    std::vector<std::string> stayers_;            // ids that wait to be cancelled
};

void Chaos::start(const Words& options, const std::string& name, const Words& command, int status,
                  int signal) {
    Words words{"run", "-n", name, "--grace", "1h"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), command.begin(), command.end());
    const bool detached = std::ranges::find(options, "-d") != options.end();
    clients_.push_back({sandbox_.start(words), name, status, detached, signal});
}

void Chaos::start_something() {
    const std::string name = "job" + std::to_string(++last_name_);
    const int code = dice_.up_to(100);
    switch (dice_.up_to(8)) {
        case 0:
        case 1:
            return start({}, name, job(name, "ends", code), code);
        case 2:
            return start({"-d", "--no-log"}, name, job(name, "ends", code), 0);
        case 3:
            return start({"-d", "--no-log"}, name, job(name, "stays", code), 0);
        case 4:
            return start({"-d", "--no-log"}, name, job(name, "answers", code), 0);
        case 5:
            return start({}, name, job(name, "stays", code), 130, SIGINT);
        case 6:
            return start({"--timeout", "300ms"}, name, job(name, "stays", code), 124);
        case 7:
            return start({}, name, job(name, "answers", code), 143, SIGTERM);
        default: {
            Words nested{Sandbox::program(), "run", "-n", name + "-inner", "--grace", "1h", "--"};
            const Words inner = job(name + "-inner", "ends", code);
            nested.insert(nested.end(), inner.begin(), inner.end());
            return start({}, name, nested, code);
        }
    }
}

// Sends what is to be sent, takes in who has ended, and waits until no more than so many are left.
void Chaos::look_at_clients(std::size_t most_running) {
    const Deadline deadline;
    for (bool first = true; first || clients_.size() > most_running; first = false) {
        if (deadline.passed()) throw Impatient("clients do not end");
        if (!first) ::usleep(2000);
        for (auto entry = clients_.begin(); entry != clients_.end();) {
            if (entry->signal != 0 && has(entry->name, ".began"))
                entry->client.signal(std::exchange(entry->signal, 0));
            if (!entry->client.has_ended()) {
                ++entry;
                continue;
            }
            const Finished finished = entry->client.wait();
            CHECK_MESSAGE(finished.status == entry->status, entry->name << ": " << finished.err);
            if (entry->is_detached && finished.status == 0) {
                const std::string id = finished.out.substr(0, finished.out.find('\n'));
                CHECK_MESSAGE(printed_.emplace(id, entry->name).second, "printed twice: " << id);
                stayers_.push_back(id);
            }
            entry = clients_.erase(entry);
        }
        std::erase_if(bystanders_, [](Child& child) {
            if (!child.has_ended()) return false;
            child.wait();
            return true;
        });
    }
}

void Chaos::kill_supervisors(unsigned kills) {
    for (unsigned killed = 0; killed < kills;) {
        for (int i = dice_.up_to(2); i >= 0; --i)
            start_something();
        if (!stayers_.empty() && dice_.up_to(1) == 0) {
            std::string& picked = dice_.pick(stayers_);
            bystanders_.push_back(sandbox_.start({"cancel", picked}));
            std::swap(picked, stayers_.back());
            stayers_.pop_back();
        }
        if (dice_.up_to(3) == 0) bystanders_.push_back(sandbox_.start({"list", "--all"}));
        ::usleep(static_cast<useconds_t>(dice_.up_to(30'000)));
        if (const auto supervisor = sandbox_.supervisor()) {
            const Witness witness({*supervisor});
            witness.signal(SIGKILL);
            ++killed;
        }
        look_at_clients(12);
    }
}

void Chaos::finish() {
    look_at_clients(0);
    wait_until("everything to be cancelled", [&] {
        const int status = sandbox_.run({"cancel", "--all"}).status;
        return (status == 0 || status == 1) && sandbox_.list().empty();
    });
}

void Chaos::check_record(const Json& record, const std::string& name) const {
    CAPTURE(record.dump());
    const std::string status = record.at("status");
    const bool is_ended =
        status == "completed" || status == "failed" || status == "cancelled" || status == "timeout";
    CHECK_MESSAGE(is_ended, name);
    if (!has(name, ".ended")) {
        CHECK(record.at("exit").contains("signal"));
        CHECK((status == "cancelled" || status == "timeout"));
        return;
    }
    std::ifstream file(books_ + "/" + name + ".ended");
    int code = -1;
    file >> code;
    CHECK(record.at("exit").value("code", -2) == code);
}

void Chaos::check() {
    std::map<std::string, Json> records;
    const Json all = sandbox_.list({"--all"});
    for (const Json& record : all) {
        const std::string name = record.at("name");
        if (name == "unknown" || record.at("status") == "lost") {
            // What its supervisor had accepted and not begun when it was killed, and nobody was told of.
            CHECK(record.at("error") == "its supervisor was killed before the command was started");
            CHECK_FALSE(printed_.contains(std::to_string(record.at("id").get<unsigned long>())));
            continue;
        }
        CHECK_MESSAGE(records.emplace(name, record).second, "twice: " << name);
    }
    for (const auto& [id, name] : printed_) {
        if (!keeps_history_ && !records.contains(name)) continue;
        REQUIRE_MESSAGE(records.contains(name), name);
        CHECK(std::to_string(records[name].at("id").get<unsigned long>()) == id);
    }
    for (int i = 1; i <= last_name_; ++i)
        CHECK_MESSAGE((!keeps_history_ || records.contains("job" + std::to_string(i))), i);
    for (const auto& entry : std::filesystem::directory_iterator(books_)) {
        CHECK_MESSAGE(entry.path().extension() != ".again", entry.path().string());
        if (entry.path().extension() != ".began") continue;
        const std::string name = entry.path().stem();
        if (!keeps_history_ && !records.contains(name)) continue;
        REQUIRE_MESSAGE(records.contains(name), name);
        check_record(records[name], name);
    }
    // Nothing of all that is left: no process, no name, no descriptor.
    CHECK(sandbox_.strangers() == std::vector<pid_t>{});
    wait_until("the shims to leave",
               [&] { return sandbox_.shims().empty() && sandbox_.idle_shims().size() <= 2; });
    // Records stay for a while, for clients that may still ask.
    for (const auto& entry : std::filesystem::directory_iterator(sandbox_.runtime_directory() + "/ops"))
        CHECK_MESSAGE(entry.path().extension() != ".channel", entry.path().string());
    const std::size_t open = descriptors_of(*sandbox_.supervisor());
    sandbox_.kill_supervisor();
    CHECK(sandbox_.run({"run", "true"}).status == 0);
    const std::size_t open_at_first = descriptors_of(*sandbox_.supervisor());
    CHECK(open <= open_at_first + 4);  // two of an idle shim
}

}  // namespace

TEST_SUITE_BEGIN("chaos");

TEST_CASE("nothing is lost, run twice or left behind while supervisors are killed at random") {
    Chaos chaos;
    chaos.kill_supervisors(number_from_environment("CANCELABLE_CHAOS_KILLS", 25));
    chaos.finish();
    chaos.check();
    std::printf("chaos: %zu operations\n", chaos.started());
}

TEST_CASE("a shim that is killed at random loses its own operation and no other") {
    Dice dice;
    Sandbox sandbox;
    struct Operation {
        std::string id;
        Witness shim;
        Witness tree;
    };
    std::list<Operation> operations;
    const std::vector<std::string> kinds{"makes_session", "double_forks", "daemonizes", "deaf", "wide"};
    const unsigned rounds = number_from_environment("CANCELABLE_CHAOS_KILLS", 25) / 5;
    for (unsigned round = 0; round < rounds; ++round) {
        while (operations.size() < 4) {
            const auto strangers = sandbox.strangers();
            const auto shims = sandbox.shims();
            Fifo up = sandbox.fifo();
            const std::string id = sandbox.detach({"--no-log", "--grace", "1ms"},
                                                  {Sandbox::fixture(dice.pick(kinds)), up.path()});
            REQUIRE(up.wait_for_line() == "up");
            const auto fresh = [](std::vector<pid_t> now, const std::vector<pid_t>& before) {
                std::erase_if(now, [&](pid_t pid) { return std::ranges::find(before, pid) != before.end(); });
                return now;
            };
            operations.push_back(
                {id, Witness(fresh(sandbox.shims(), shims)), Witness(fresh(sandbox.strangers(), strangers))});
        }
        const auto victim = std::next(operations.begin(), dice.up_to(3));
        const int situation = dice.up_to(3);
        CAPTURE(situation);
        if (situation == 1 || situation == 2) sandbox.kill_supervisor();
        if (situation == 2) CHECK(sandbox.list().size() == 4);  // Adopted, and then killed.
        if (situation == 3) {
            const Witness supervisor({*sandbox.supervisor()});
            victim->shim.signal(SIGKILL);
            supervisor.signal(SIGKILL);
            supervisor.wait_until_gone();
        } else {
            victim->shim.signal(SIGKILL);
        }
        CHECK(sandbox.run({"wait", victim->id}).status == 125);
        CHECK(victim->tree.alive() == std::vector<pid_t>{});
        CHECK(sandbox.show(victim->id).at("status") == "lost");
        operations.erase(victim);
        const Json live = sandbox.list();
        CHECK(live.size() == operations.size());
        for (const Operation& other : operations)
            CHECK(other.tree.alive().size() == other.tree.size());
    }
    CHECK(sandbox.run({"cancel", "--all"}).status == 0);
}

TEST_SUITE_END();

}  // namespace cancelable::e2e
