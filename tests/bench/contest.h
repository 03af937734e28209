#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace cancelable::bench {

// One of those that do the same thing in turns.
struct Contestant {
    std::string name;
    std::function<void()> prepare;  // before each round, not measured; may be empty
    std::function<void()> measured;
    std::vector<double> seconds{};  // one for each round
};

// Every contestant once in each round, so that whatever else the machine does hits them alike; in an order by
// chance, so that nobody always follows the same one, which may leave a processor awake or asleep.
void take_turns(std::span<Contestant> contestants, int rounds);

}  // namespace cancelable::bench
