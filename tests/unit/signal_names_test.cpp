#include "engine/process/signal_names.h"

#include <doctest/doctest.h>

#include <csignal>

using namespace cancelable;

TEST_CASE("a signal is known by its name, with and without SIG, in any case, and by its number") {
    CHECK(parse_signal("TERM") == SIGTERM);
    CHECK(parse_signal("SIGTERM") == SIGTERM);
    CHECK(parse_signal("15") == SIGTERM);
    CHECK(parse_signal("sigterm") == SIGTERM);
    CHECK(parse_signal("kill") == SIGKILL);
    CHECK(parse_signal("Usr1") == SIGUSR1);
    CHECK(parse_signal("POLL") == SIGIO);
}

TEST_CASE("real-time signals are counted from both ends") {
    CHECK(parse_signal("RTMIN") == SIGRTMIN);
    CHECK(parse_signal("SIGRTMIN+3") == SIGRTMIN + 3);
    CHECK(parse_signal("rtmax-1") == SIGRTMAX - 1);
    CHECK(parse_signal("64") == SIGRTMAX);
    CHECK_FALSE(parse_signal("RTMIN+31"));
    CHECK_FALSE(parse_signal("RTMIN-1"));
    CHECK_FALSE(parse_signal("RTMAX+1"));
    CHECK_FALSE(parse_signal("RTMIN+"));
}

TEST_CASE("what is no signal is refused") {
    for (const char* text : {"", "0", "-1", "65", "32", "33", "SIG", "SIGSIGTERM", "TERMINATE", "15x",
                             " TERM", "999999999999", "+15", "SIG15"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_signal(text));
    }
}

TEST_CASE("every signal that can be sent has a name that reads back as itself") {
    for (int number = 1; number <= SIGRTMAX; ++number) {
        if (number >= 32 && number < SIGRTMIN) continue;
        CAPTURE(number);
        CHECK(parse_signal(signal_name(number)) == number);
    }
    CHECK(signal_name(SIGTERM) == "SIGTERM");
    CHECK(signal_name(SIGABRT) == "SIGABRT");
    CHECK(signal_name(SIGRTMIN + 2) == "SIGRTMIN+2");
    CHECK(signal_name(99) == "SIG99");
}
