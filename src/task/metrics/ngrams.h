// Runs of n tokens or characters, counted.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

namespace nib {

using NgramCounts = std::unordered_map<std::string, int64_t>;

/// The runs of `n` pieces, joined with `between`, which no piece contains unless each is one character.
template <class Piece>
NgramCounts count_ngrams(std::span<const Piece> pieces, size_t n, std::string_view between) {
    NgramCounts counts;
    for (size_t begin = 0; begin + n <= pieces.size(); ++begin) {
        std::string run;
        for (size_t i = begin; i < begin + n; ++i) {
            if (i > begin) run += between;
            run += pieces[i];
        }
        ++counts[std::move(run)];
    }
    return counts;
}

/// How many of the first are among the second, each as often as it is there.
inline int64_t count_common(const NgramCounts& first, const NgramCounts& second) {
    int64_t common = 0;
    for (const auto& [run, count] : first)
        if (const auto found = second.find(run); found != second.end()) common += std::min(count, found->second);
    return common;
}

}  // namespace nib
