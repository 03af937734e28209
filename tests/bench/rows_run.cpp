// A command that does nothing, to its end: what is left is what starting, watching and recording it costs.
#include "tests/bench/rows.h"
#include "tests/bench/world.h"

namespace cancelable::bench {

std::vector<Row> measure_run(const Settings& settings) {
    const World world(settings.directory + "/run");
    const auto program = [&](const Words& words) { reap(spawn(words, world.setup())); };
    program({"tsp", "-nf", "true"});  // starts its server
    std::vector<Contestant> contestants{
        {"cancelable run", {}, [&] { world.run({"run", "--", "true"}); }},
        {"timeout", {}, [&] { program({"timeout", "9", "true"}); }},
        {"posix_spawn and waitid", {}, [&] { program({"true"}); }},
        {"tsp -nf", {}, [&] { program({"tsp", "-nf", "true"}); }},
        {"nq, nq -w",
         {},
         [&] {
             program({"nq", "true"});
             program({"nq", "-w"});
         }},
    };
    take_turns(contestants, settings.rounds);
    program({"tsp", "-K"});
    return {row_of("run", "`run -- true`, supervisor warm", "us", 1e6, contestants, 1.0)};
}

}  // namespace cancelable::bench
