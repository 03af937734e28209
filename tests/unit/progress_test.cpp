#include "engine/progress.h"

#include <doctest/doctest.h>

#include <utility>
#include <vector>

using namespace cancelable;
using std::chrono::milliseconds;

namespace {

// Reports at times that the test chooses.
struct Reports {
    void at(milliseconds time, OperationId id, double fraction) {
        coalescer.report(id, {fraction, {}, {}}, start + time);
    }

    ProgressCoalescer::Clock::time_point start{std::chrono::hours(1)};
    std::vector<std::pair<OperationId, double>> published;
    ProgressCoalescer coalescer{
        [this](OperationId id, const Progress& progress) { published.emplace_back(id, progress.fraction); }};
};

using Published = std::vector<std::pair<OperationId, double>>;

}  // namespace

TEST_CASE("a progress is read as a percentage, as so many of so many, or as a fraction") {
    CHECK(parse_fraction("40%").value() == doctest::Approx(0.4));
    CHECK(parse_fraction("99.5%").value() == doctest::Approx(0.995));
    CHECK(parse_fraction("4/10").value() == doctest::Approx(0.4));
    CHECK(parse_fraction("2.5/10").value() == doctest::Approx(0.25));
    CHECK(parse_fraction("0.4").value() == doctest::Approx(0.4));
    CHECK(parse_fraction("0").value() == 0);
    CHECK(parse_fraction("1").value() == 1);
    CHECK(parse_fraction("100%").value() == 1);
    CHECK(parse_fraction("10/10").value() == 1);
}

TEST_CASE("what is no progress is refused with one sentence that says what to write") {
    for (const char* text :
         {"",     "%",     "/",     "4/",   "/10",    "4/0",   "0/0",  "11/10",   "101%",
          "1.01", "40",    "-1",    "-5%",  "+4/10",  "4/-10", "nan",  "inf",     "1e-3",
          "0x1",  "4//10", "4/10%", "40%%", "4 / 10", " 0.4",  "0..4", "1/1e400", "four"}) {
        CAPTURE(text);
        const auto fraction = parse_fraction(text);
        REQUIRE_FALSE(fraction);
        CHECK(fraction.error().code == ErrorCode::usage);
        CHECK(fraction.error().sentence().find("write 40%, 4/10 or 0.4") != std::string::npos);
    }
    CHECK_FALSE(parse_fraction(std::string(400, '9')));
}

TEST_CASE("the first progress is published at once, and what follows too closely is kept") {
    Reports reports;
    reports.at(milliseconds(0), 1, 0.1);
    CHECK(reports.published == Published{{1, 0.1}});
    CHECK_FALSE(reports.coalescer.due());
    reports.at(milliseconds(99), 1, 0.2);
    CHECK(reports.published.size() == 1);
    CHECK(reports.coalescer.due() == reports.start + milliseconds(100));
    REQUIRE(reports.coalescer.kept(1));
    CHECK(reports.coalescer.kept(1)->fraction == 0.2);
    reports.coalescer.publish_due(reports.start + milliseconds(99));
    CHECK(reports.published.size() == 1);
    reports.coalescer.publish_due(reports.start + milliseconds(100));
    CHECK(reports.published == Published{{1, 0.1}, {1, 0.2}});
    CHECK_FALSE(reports.coalescer.due());
    CHECK_FALSE(reports.coalescer.kept(1));
}

TEST_CASE("a thousand reports in a second are published as some ten, the last of them among them") {
    Reports reports;
    for (int i = 0; i < 1000; ++i) {
        const milliseconds now(i);
        if (const auto due = reports.coalescer.due(); due && *due <= reports.start + now)
            reports.coalescer.publish_due(reports.start + now);
        reports.at(now, 1, i / 1000.0);
    }
    CHECK(reports.published.size() >= 9);
    CHECK(reports.published.size() <= 11);
    reports.coalescer.publish_due(*reports.coalescer.due());
    CHECK(reports.published.back().second == 0.999);
}

TEST_CASE("operations do not slow each other's progress down") {
    Reports reports;
    reports.at(milliseconds(0), 1, 0.1);
    reports.at(milliseconds(1), 2, 0.2);
    CHECK(reports.published == Published{{1, 0.1}, {2, 0.2}});
    reports.at(milliseconds(2), 1, 0.3);
    reports.at(milliseconds(2), 2, 0.4);
    CHECK(reports.coalescer.due() == reports.start + milliseconds(100));
    reports.coalescer.publish_due(reports.start + milliseconds(100));
    CHECK(reports.published.size() == 3);
    CHECK(reports.coalescer.due() == reports.start + milliseconds(101));
}

TEST_CASE("a progress of an operation that is over is forgotten") {
    Reports reports;
    reports.at(milliseconds(0), 1, 0.1);
    reports.at(milliseconds(1), 1, 0.2);
    reports.coalescer.forget(1);
    CHECK_FALSE(reports.coalescer.kept(1));
    CHECK_FALSE(reports.coalescer.due());
    reports.coalescer.publish_due(reports.start + milliseconds(500));
    CHECK(reports.published.size() == 1);
}
