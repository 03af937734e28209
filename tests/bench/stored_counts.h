#pragma once

#include <map>
#include <string>
#include <vector>

namespace cancelable::bench {

// Something counted, and by how much of it a machine or a moment may differ from another.
struct Count {
    std::string name;
    double value = 0;
    double tolerance_percent = 0;
};

// What counts were when somebody looked at them last: a file with a line `NAME VALUE TOLERANCE%` for each,
// and comments. The tolerance that is in the file counts.
class StoredCounts {
public:
    // Throws where the file is there and makes no sense.
    explicit StoredCounts(std::string path);

    // A line for each count that is more than stored and allowed, or is not stored: it says what to do.
    std::vector<std::string> complaints(const std::vector<Count>& counts) const;

    // A line for each that is so much less than stored that a regression could hide behind it.
    std::vector<std::string> remarks(const std::vector<Count>& counts) const;

    // Takes these in the place of what is stored under their names, and writes the file.
    void update(const std::vector<Count>& counts);

private:
    std::string path_;
    std::map<std::string, Count> stored_;
};

}  // namespace cancelable::bench
