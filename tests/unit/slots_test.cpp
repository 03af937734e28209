#include "engine/shim/slots.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <csignal>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

using namespace cancelable;

namespace {

UniqueFd copy_of(const UniqueFd& fd) {
    return UniqueFd(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 3));
}

// As a shim does, but for the waiting.
bool takes(Slot& slot) {
    for (pollfd awaited = slot.awaited(); ::poll(&awaited, 1, 0) > 0; awaited = slot.awaited())
        if (slot.take()) return true;
    return false;
}

// Several slots, with a line before them.
class Line {
public:
    explicit Line(std::size_t number) : number_(number), slots_(make_slots(number).value()) {
        last_ = std::move(make_pipe()->read_end);
    }

    Slot line_up() {
        Pipe pipe = make_pipe().value();
        return {copy_of(slots_), std::exchange(last_, std::move(pipe.read_end)), std::move(pipe.write_end)};
    }

    bool close() { return close_slots(slots_.get()); }
    void offer_all() { offer_slots(slots_.get(), number_); }

private:
    std::size_t number_;
    UniqueFd slots_;
    UniqueFd last_;
};

// A process that takes a slot, which a test itself cannot be more than once: a slot belongs to a process.
class Holder {
public:
    explicit Holder(Slot slot) {
        Pipe told = make_pipe().value();
        pid_ = ::fork();
        if (pid_ == 0) {
            const char answer = takes(slot) ? 'y' : 'n';
            if (::write(told.write_end.get(), &answer, 1) != 1) ::_exit(1);
            ::pause();
            ::_exit(0);
        }
        REQUIRE(pid_ > 0);
        char answer = 0;
        REQUIRE(::read(told.read_end.get(), &answer, 1) == 1);
        has_one_ = answer == 'y';
    }
    ~Holder() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;

    bool has_one() const { return has_one_; }

private:
    pid_t pid_ = -1;
    bool has_one_ = false;
};

}  // namespace

TEST_SUITE_BEGIN("slots");

TEST_CASE("as many take a slot as there are, and the next one when one is given back") {
    Line line(2);
    Slot first = line.line_up();
    Slot second = line.line_up();
    Slot third = line.line_up();
    CHECK(first.is_needed());
    CHECK(takes(first));
    CHECK_FALSE(first.is_needed());
    CHECK(takes(second));
    CHECK_FALSE(takes(third));
    second.give_back();
    CHECK_FALSE(second.is_needed());
    CHECK(takes(third));
}

TEST_CASE("nobody begins before those in front have begun or are gone") {
    Line line(3);
    Slot first = line.line_up();
    Slot second = line.line_up();
    Slot third = line.line_up();
    CHECK_FALSE(takes(second));
    SUBCASE("begun") {
        CHECK(takes(first));
    }
    SUBCASE("will never begin") {
        first.give_back();
    }
    SUBCASE("lets others pass") {
        first.let_others_pass();
    }
    CHECK_FALSE(takes(third));
    CHECK(takes(second));
    CHECK(takes(third));
}

TEST_CASE("who needs no slot has nothing to wait for") {
    Slot none{{}, {}, {}};
    CHECK_FALSE(none.is_needed());
    none.give_back();
}

TEST_CASE("the slot of one that was killed is found again, and no other is given away") {
    Line line(2);
    auto killed = std::make_unique<Holder>(line.line_up());
    const Holder lives(line.line_up());
    REQUIRE(killed->has_one());
    REQUIRE(lives.has_one());
    Slot third = line.line_up();
    Slot fourth = line.line_up();
    killed.reset();
    CHECK_FALSE(takes(third));  // Nobody has put it back.
    line.offer_all();
    line.offer_all();
    CHECK(takes(third));
    CHECK_FALSE(Holder(std::move(fourth)).has_one());
}

TEST_CASE("once they are closed nobody gets one, and who was refused keeps nobody else from it") {
    Line line(2);
    const Holder first(line.line_up());
    CHECK(first.has_one());
    Slot second = line.line_up();
    Slot third = line.line_up();
    REQUIRE(line.close());
    const Holder refused(std::move(second));
    CHECK_FALSE(refused.has_one());
    // This process has closed a descriptor of the pipe by now, and so opened the slots again.
    CHECK(Holder(std::move(third)).has_one());
}

TEST_SUITE_END();
