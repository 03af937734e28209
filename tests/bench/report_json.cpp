#include <nlohmann/json.hpp>

#include "tests/bench/report.h"

namespace cancelable::bench {
namespace {

using Json = nlohmann::ordered_json;

Json summary(const Summary& value) {
    return {{"median", value.median}, {"q1", value.low}, {"q3", value.high}, {"count", value.count}};
}

Json figure(const Figure& one) {
    Json result{{"name", one.name}};
    result.update(summary(one.value));
    return result;
}

Json figure_or_null(const std::optional<Figure>& one) {
    return one ? figure(*one) : Json(nullptr);
}

Json row_json(const Row& row) {
    Json result{{"id", row.id}, {"what", row.what}, {"unit", row.unit}, {"target", row.target}};
    if (!row.skipped.empty()) {
        result["skipped"] = row.skipped;
        return result;
    }
    result["ours"] = figure(row.ours);
    result["peer"] = figure_or_null(row.peer);
    result["floor"] = figure_or_null(row.floor);
    result["others"] = Json::array();
    for (const Figure& other : row.others)
        result["others"].push_back(figure(other));
    result["ratio"] = row.ratio ? summary(*row.ratio) : Json(nullptr);
    result["met"] = row.met();
    return result;
}

}  // namespace

std::string json(const Report& report) {
    const Machine& machine = report.machine;
    Json document{{"version", machine.version}, {"cpu", machine.cpu},   {"cores", machine.cores},
                  {"kernel", machine.kernel},   {"date", machine.date}, {"rounds", machine.rounds},
                  {"runs", Json::array()}};
    for (const Run& run : report.runs) {
        Json rows = Json::array();
        for (const Row& row : run)
            rows.push_back(row_json(row));
        document["runs"].push_back(std::move(rows));
    }
    return document.dump(1) + '\n';
}

}  // namespace cancelable::bench
