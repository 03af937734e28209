#include "engine/histogram.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace cancelable {
namespace {

using std::chrono::microseconds;

TEST_CASE("an empty histogram says nothing, and one value is told exactly") {
    Histogram histogram;
    CHECK(histogram.percentile_seconds(0.5) == 0);
    CHECK(histogram.mean_seconds() == 0);
    histogram.add(microseconds(1'234'567));
    CHECK(histogram.percentiles().p50 == doctest::Approx(1.234567).epsilon(1e-9));
    CHECK(histogram.percentiles().p99 == doctest::Approx(1.234567).epsilon(1e-9));
}

TEST_CASE("percentiles are within half a percent, from microseconds to months") {
    std::mt19937_64 random(7);
    std::vector<std::int64_t> values;
    Histogram histogram;
    for (int i = 0; i < 20'000; ++i) {
        values.push_back(
            static_cast<std::int64_t>(std::exp(std::uniform_real_distribution<>(0, 30)(random))));
        histogram.add(microseconds(values.back()));
    }
    std::ranges::sort(values);
    for (const double share : {0.01, 0.1, 0.5, 0.9, 0.99, 1.0}) {
        const auto rank = static_cast<std::size_t>(std::ceil(share * 20'000)) - 1;
        CHECK(histogram.percentile_seconds(share) * 1e6 ==
              doctest::Approx(static_cast<double>(values[rank])).epsilon(0.005));
    }
}

TEST_CASE("what is negative or absurdly long is bounded, not lost") {
    Histogram histogram;
    histogram.add(microseconds(-5));
    histogram.add(microseconds::max());
    CHECK(histogram.count() == 2);
    CHECK(histogram.percentile_seconds(0.5) == 0);
    CHECK(histogram.percentile_seconds(1) > 180.0 * 24 * 3600);
}

}  // namespace
}  // namespace cancelable
