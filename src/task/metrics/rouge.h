// ROUGE-L (Lin 2004) as the package rouge-score computes it without stemming.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace nib {

/// F of the longest common subsequence of words, 0 to 1; of several references the best. Words are runs of ASCII letters
/// and digits in lower case, so a text in Chinese has none, and scores 0.
double rouge_l(std::string_view hypothesis, std::span<const std::string> references);

}  // namespace nib
