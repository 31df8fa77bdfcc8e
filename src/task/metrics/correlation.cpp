#include "task/metrics/correlation.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/error.h"

namespace nib {
namespace {

void check(std::span<const double> actual, std::span<const double> predicted) {
    if (actual.size() != predicted.size())
        fail("%zu numbers were predicted where there are %zu", predicted.size(), actual.size());
    if (actual.empty()) fail("there are no numbers to compare");
    const auto finite = [](double number) { return std::isfinite(number); };
    if (!std::all_of(predicted.begin(), predicted.end(), finite)) fail("what was predicted is not a finite number");
    if (!std::all_of(actual.begin(), actual.end(), finite)) fail("what was to be predicted is not a finite number");
}

double mean(std::span<const double> numbers) {
    return std::accumulate(numbers.begin(), numbers.end(), 0.0) / static_cast<double>(numbers.size());
}

bool constant(std::span<const double> numbers) {
    return std::all_of(numbers.begin(), numbers.end(), [&](double number) { return number == numbers[0]; });
}

// 1 for the smallest; a run of equal numbers gets the mean of its ranks.
std::vector<double> ranks(std::span<const double> numbers) {
    std::vector<size_t> order(numbers.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return numbers[a] < numbers[b]; });
    std::vector<double> ranks(numbers.size());
    for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
        while (end < order.size() && numbers[order[end]] == numbers[order[begin]]) ++end;
        for (size_t i = begin; i < end; ++i) ranks[order[i]] = static_cast<double>(begin + 1 + end) / 2;
    }
    return ranks;
}

}  // namespace

double pearson(std::span<const double> actual, std::span<const double> predicted) {
    check(actual, predicted);
    if (constant(actual) || constant(predicted)) return 0;
    const double mean_a = mean(actual), mean_p = mean(predicted);
    double both = 0, squares_a = 0, squares_p = 0;
    for (size_t i = 0; i < actual.size(); ++i) {
        const double a = actual[i] - mean_a, p = predicted[i] - mean_p;
        both += a * p;
        squares_a += a * a;
        squares_p += p * p;
    }
    const double spread = std::sqrt(squares_a) * std::sqrt(squares_p);
    if (!std::isfinite(spread) || !std::isfinite(both)) fail("the numbers are too large to be compared");
    return spread == 0 ? 0 : std::clamp(both / spread, -1.0, 1.0);
}

double spearman(std::span<const double> actual, std::span<const double> predicted) {
    check(actual, predicted);
    return pearson(ranks(actual), ranks(predicted));
}

double mean_squared_error(std::span<const double> actual, std::span<const double> predicted) {
    check(actual, predicted);
    double sum = 0;
    for (size_t i = 0; i < actual.size(); ++i) sum += (actual[i] - predicted[i]) * (actual[i] - predicted[i]);
    if (!std::isfinite(sum)) fail("the numbers are too large to be compared");
    return sum / static_cast<double>(actual.size());
}

}  // namespace nib
