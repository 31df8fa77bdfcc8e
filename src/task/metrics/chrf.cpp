#include "task/metrics/chrf.h"

#include <algorithm>

#include "core/error.h"
#include "task/metrics/bleu.h"
#include "task/metrics/ngrams.h"
#include "text/python_text.h"

namespace nib {
namespace {

std::vector<std::string_view> characters_of(std::string_view text) {
    std::vector<std::string_view> all;
    for (const std::string_view word : python_split(text))
        for (const std::string_view character : python_characters(word)) all.push_back(character);
    return all;
}

int64_t sum_of(const NgramCounts& counts) {
    int64_t sum = 0;
    for (const auto& [run, count] : counts) sum += count;
    return sum;
}

}  // namespace

void Chrf::add(std::string_view hypothesis, std::span<const std::string> references) {
    if (references.empty()) fail("a translation has no reference to be compared with");
    std::array<NgramCounts, kLongest> ours;
    const std::vector<std::string_view> characters = characters_of(hypothesis);
    for (size_t n = 0; n < kLongest; ++n) ours[n] = count_ngrams(std::span(characters), n + 1, "");
    Orders best{};
    double best_score = -1;
    for (const std::string& reference : references) {
        Orders orders{};
        const std::vector<std::string_view> theirs = characters_of(reference);
        for (size_t n = 0; n < kLongest; ++n) {
            const NgramCounts runs = count_ngrams(std::span(theirs), n + 1, "");
            // Of an order that the reference is too short for, nothing counts.
            orders[n] = {runs.empty() ? 0 : sum_of(ours[n]), sum_of(runs), count_common(ours[n], runs)};
        }
        if (const double score = score_of(orders); score > best_score) {
            best_score = score;
            best = orders;
        }
    }
    for (size_t n = 0; n < kLongest; ++n) {
        sums_[n].hypothesis += best[n].hypothesis;
        sums_[n].reference += best[n].reference;
        sums_[n].common += best[n].common;
    }
    fewest_references_ = std::min(fewest_references_, references.size());
    most_references_ = std::max(most_references_, references.size());
}

double Chrf::score() const { return score_of(sums_); }

//     100 (1 + b^2) P R / (b^2 P + R),   b = 2,   P and R: the means over the orders that both sides have runs of
double Chrf::score_of(const Orders& orders) {
    constexpr double kSquaredBeta = 4;
    double precision = 0, recall = 0;
    for (const Counts& counts : orders) {
        if (counts.hypothesis == 0 || counts.reference == 0) continue;
        precision += static_cast<double>(counts.common) / static_cast<double>(counts.hypothesis);
        recall += static_cast<double>(counts.common) / static_cast<double>(counts.reference);
    }
    const auto used = std::count_if(orders.begin(), orders.end(),
                                    [](const Counts& counts) { return counts.hypothesis > 0 && counts.reference > 0; });
    if (precision + recall == 0) return 0;
    precision /= static_cast<double>(used);
    recall /= static_cast<double>(used);
    return 100 * (1 + kSquaredBeta) * precision * recall / (kSquaredBeta * precision + recall);
}

std::string Chrf::signature() const {
    return "nrefs:" + reference_count(fewest_references_, most_references_) +
           "|case:mixed|eff:yes|nc:6|nw:0|space:no|version:" + kSacreBleuVersion;
}

}  // namespace nib
