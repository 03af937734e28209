// What cancelable costs, beside what the same costs without it.
//
// Every row is measured beside its peer and its floor in turns; only ratios of one run mean something. The
// floor is what the kernel itself takes, called without any program in between.
#include <fmt/format.h>
#include <fnmatch.h>
#include <sys/prctl.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "tests/bench/guard.h"
#include "tests/bench/report.h"
#include "tests/bench/rows.h"
#include "tests/bench/wording.h"

namespace cancelable::bench {
namespace {

struct Options {
    int rounds = 300;
    int runs = 1;
    std::string rows = "*";
    std::string json_file;
    std::string svg_file;
    std::string page_file;
    std::string readme_file;
};

bool is_wanted(std::string_view row, const Options& options) {
    return ::fnmatch(options.rows.c_str(), std::string(row).c_str(), 0) == 0;
}

Run measure(const Options& options, const std::string& directory) {
    Run run;
    for (const Group& group : groups()) {
        if (std::none_of(group.rows.begin(), group.rows.end(),
                         [&](std::string_view row) { return is_wanted(row, options); }))
            continue;
        std::fprintf(stderr, "measuring %s …\n", std::string(group.rows[0]).c_str());
        const std::string own = directory + "/g";
        std::filesystem::create_directory(own);
        for (Row& row : group.measure({.rounds = options.rounds, .directory = own}))
            if (is_wanted(row.id, options)) run.push_back(std::move(row));
        std::filesystem::remove_all(own);
    }
    if (run.empty()) throw std::runtime_error("no row has a name like " + options.rows);
    return run;
}

void write_file(const std::string& path, const std::string& text) {
    if (!(std::ofstream(path) << text << std::flush)) throw std::runtime_error("cannot write " + path);
}

void write_section(const std::string& path, const std::string& name, const std::string& content) {
    std::ifstream file(path);
    std::stringstream page;
    page << file.rdbuf();
    write_file(path, with_section(page.str(), name, content));
}

std::string image(const std::string& path) {
    return "![What it costs, as a part of its target](" + path + ")\n";
}

// After each run, so that what was measured is there even if the next one is broken off.
void write_files(const Report& report, const Options& options) {
    if (!options.json_file.empty()) write_file(options.json_file, json(report));
    if (!options.svg_file.empty()) write_file(options.svg_file, chart(report));
    if (!options.page_file.empty()) {
        write_section(options.page_file, "table", markdown(report));
        write_section(options.page_file, "chart", image("performance.svg"));
    }
    if (!options.readme_file.empty())
        write_section(options.readme_file, "chart", image("share/doc/performance.svg"));
}

int work(const Options& options, const std::string& directory) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);  // A killed process group is reaped here, whoever was its parent.
    Report report{.machine = this_machine(options.rounds), .runs = {}};
    bool all_met = true;
    for (int i = 0; i < options.runs; ++i) {
        report.runs.push_back(measure(options, directory));
        std::printf("%s\n%s\n", machine_text(report.machine).c_str(), table(report.runs.back()).c_str());
        std::fflush(stdout);
        for (const Row& row : report.runs.back())
            all_met = all_met && (row.met() || !row.skipped.empty());
        write_files(report, options);
    }
    return all_met ? 0 : 3;
}

}  // namespace
}  // namespace cancelable::bench

int main(int argc, char** argv) {
    cancelable::bench::Options options;
    CLI::App app{
        "What cancelable costs, beside its peers and what the kernel takes. Exits with 3 where a target is "
        "missed."};
    app.add_option("--rounds", options.rounds,
                   "of what takes milliseconds; what takes longer is done less often")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--rows", options.rows, "only rows whose name is like this glob");
    app.add_option("--runs", options.runs, "everything so many times")->check(CLI::PositiveNumber);
    app.add_option("--json", options.json_file, "write all figures there");
    app.add_option("--svg", options.svg_file, "write a chart there");
    app.add_option("--page", options.page_file, "write the table into this page, where it has its place");
    app.add_option("--readme", options.readme_file, "show the chart there");
    CLI11_PARSE(app, argc, argv);
    try {
        return cancelable::bench::run_guarded(
            [&](const std::string& directory) { return cancelable::bench::work(options, directory); });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench: %s\n", error.what());
        return 1;
    }
}
