#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "tests/bench/report.h"
#include "tests/bench/statistics.h"
#include "tests/bench/wording.h"

namespace cancelable::bench {
namespace {

Row row_beside_a_peer(double ratio) {
    Row row{.id = "run", .what = "`run`", .unit = "us", .target = 1.5};
    row.ours = {"ours", summarize({ratio * 100})};
    row.peer = Figure{"peer", summarize({100})};
    row.ratio = compare(std::vector<double>{ratio * 100}, std::vector<double>{100});
    return row;
}

Report report_of(std::vector<Run> runs) {
    return {Machine{"cpu", 2, "6.1", "2026-01-01", "0.1.0", 300}, std::move(runs)};
}

TEST_CASE("a benchmark's summary is median and quartiles, whatever the order of its values") {
    const Summary summary = summarize({5, 1, 4, 2, 3});
    CHECK(summary.low == 2);
    CHECK(summary.median == 3);
    CHECK(summary.high == 4);
    CHECK(summarize({1, 2}).median == 1.5);
    CHECK(summarize({}).count == 0);
}

TEST_CASE("a benchmark compares medians, and one bad round moves only the spread") {
    const std::vector<double> ours{10, 10, 1000};
    const std::vector<double> theirs{5, 5, 5};
    const Summary ratio = compare(ours, theirs);
    CHECK(ratio.median == 2);
    CHECK(ratio.low == 2);
    CHECK(ratio.high > 2);
}

TEST_CASE("a row of the benchmark is judged by its ratio, or by its value where there is no peer") {
    CHECK(row_beside_a_peer(1.5).met());
    CHECK_FALSE(row_beside_a_peer(1.6).met());
    Row alone{.id = "list", .what = "`list`", .unit = "ms", .target = 60};
    alone.ours = {"ours", summarize({59})};
    CHECK(alone.met());
    CHECK(judged_text(alone) == "59.0 ms");
    alone.skipped = "no such thing";
    CHECK_FALSE(alone.met());
    CHECK(verdict(alone) == "skipped");
}

TEST_CASE("numbers of the benchmark have the digits that mean something") {
    CHECK(number_text(0) == "0");
    CHECK(number_text(0.84) == "0.84");
    CHECK(number_text(12.34) == "12.3");
    CHECK(number_text(1234567) == "1,234,567");
}

TEST_CASE("the benchmark's table has a column for each run, and goes where its page wants it") {
    const std::string table = markdown(report_of({{row_beside_a_peer(1)}, {row_beside_a_peer(2)}}));
    CHECK(table.contains("| run 1 | run 2 |"));
    CHECK(table.contains("1.00 met | 2.00 MISSED |"));
    const std::string page = "before\n<!-- bench: table -->\nold\n<!-- bench: end -->\nafter\n";
    CHECK(with_section(page, "table", "new\n") ==
          "before\n<!-- bench: table -->\nnew\n<!-- bench: end -->\nafter\n");
    CHECK_THROWS_AS(with_section("nothing", "table", "new\n"), std::runtime_error);
}

TEST_CASE("the benchmark's JSON tells every figure, and its chart leaves out what was skipped") {
    Row skipped = row_beside_a_peer(1);
    skipped.what = "left <out>";
    skipped.skipped = "why";
    const Report report = report_of({{row_beside_a_peer(1), skipped}});
    const auto document = nlohmann::json::parse(json(report));
    CHECK(document.at("runs").at(0).at(0).at("ratio").at("median") == 1);
    CHECK(document.at("runs").at(0).at(1).at("skipped") == "why");
    CHECK_FALSE(chart(report).contains("left"));
    CHECK(chart(report).contains("beside peer"));
}

}  // namespace
}  // namespace cancelable::bench
