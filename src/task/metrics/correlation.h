// How well predicted numbers follow the true ones.
#pragma once

#include <span>

namespace nib {

// Each throws Error when the two are not of the same length, are empty, or hold what is not a finite number or too large
// to be squared.

/// Pearson's correlation, -1 to 1; 0 where one of the two is constant.
double pearson(std::span<const double> actual, std::span<const double> predicted);

/// Spearman's: Pearson's of the ranks, where equal numbers share the mean of their ranks.
double spearman(std::span<const double> actual, std::span<const double> predicted);

double mean_squared_error(std::span<const double> actual, std::span<const double> predicted);

}  // namespace nib
