#include "task/metrics/bleu.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "core/error.h"
#include "task/metrics/ngrams.h"

namespace nib {
namespace {

const char* smoothing_name(BleuSmoothing smoothing) {
    switch (smoothing) {
        case BleuSmoothing::None: return "none";
        case BleuSmoothing::Floor: return "floor";
        case BleuSmoothing::AddK: return "add-k";
        case BleuSmoothing::Exponential: return "exp";
    }
    return "";
}

// Of two that are equally close, the shorter.
int64_t closest(int64_t length, std::span<const int64_t> references) {
    return *std::min_element(references.begin(), references.end(), [&](int64_t a, int64_t b) {
        return std::pair(std::abs(a - length), a) < std::pair(std::abs(b - length), b);
    });
}

}  // namespace

Bleu::Bleu(const BleuOptions& options) : options_(options) {
    if (options.words < 1 || options.words > BleuOptions::kMostWords)
        fail("BLEU counts runs of 1 to %d words, not of %d", BleuOptions::kMostWords, options.words);
}

double Bleu::smooth_value() const {
    if (options_.smooth_value >= 0) return options_.smooth_value;
    return options_.smoothing == BleuSmoothing::Floor ? 0.1 : 1;
}

void Bleu::add(std::string_view hypothesis, std::span<const std::string> references) {
    if (references.empty()) fail("a translation has no reference to be compared with");
    const std::vector<std::string> ours = bleu_tokens(options_.tokenizer, hypothesis);
    std::vector<std::vector<std::string>> theirs;
    std::vector<int64_t> lengths;
    for (const std::string& reference : references) {
        theirs.push_back(bleu_tokens(options_.tokenizer, reference));
        lengths.push_back(static_cast<int64_t>(theirs.back().size()));
    }
    const auto length = static_cast<int64_t>(ours.size());
    length_ += length;
    reference_length_ += closest(length, lengths);
    for (size_t n = 0; n < static_cast<size_t>(options_.words); ++n) {
        NgramCounts most;  // in any one reference
        for (const std::vector<std::string>& reference : theirs)
            for (const auto& [run, count] : count_ngrams(std::span(reference), n + 1, " "))
                most[run] = std::max(most[run], count);
        right_[n] += count_common(count_ngrams(std::span(ours), n + 1, " "), most);
        total_[n] += std::max<int64_t>(0, length - static_cast<int64_t>(n));
    }
    fewest_references_ = std::min(fewest_references_, references.size());
    most_references_ = std::max(most_references_, references.size());
}

//     100 BP (p1 p2 ... pN)^(1/N),   BP = min(1, exp(1 - reference length / length))
BleuScore Bleu::score() const {
    BleuScore result;
    result.words = options_.words;
    result.length = length_, result.reference_length = reference_length_;
    const double ratio = length_ == 0 ? 0 : static_cast<double>(reference_length_) / static_cast<double>(length_);
    result.brevity_penalty = length_ >= reference_length_ ? 1 : length_ == 0 ? 0 : std::exp(1 - ratio);
    if (std::all_of(right_.begin(), right_.end(), [](int64_t count) { return count == 0; })) return result;

    int orders = options_.words;
    double unseen = 1;
    for (int n = 0; n < options_.words; ++n) {
        const auto order = static_cast<size_t>(n);
        const double added = options_.smoothing == BleuSmoothing::AddK && n > 0 ? smooth_value() : 0;
        const double right = static_cast<double>(right_[order]) + added;
        const double total = static_cast<double>(total_[order]) + added;
        if (total == 0) break;
        if (options_.effective_order) orders = n + 1;
        double& precision = result.precisions[order];
        if (right > 0)
            precision = 100 * right / total;
        else if (options_.smoothing == BleuSmoothing::Exponential)
            precision = 100 / ((unseen *= 2) * total);
        else if (options_.smoothing == BleuSmoothing::Floor)
            precision = 100 * smooth_value() / total;
    }
    double sum = 0;  // of logarithms
    for (int n = 0; n < orders; ++n) {
        const double precision = result.precisions[static_cast<size_t>(n)];
        if (precision == 0) return result;
        sum += std::log(precision);
    }
    result.score = result.brevity_penalty * std::exp(sum / orders);
    return result;
}

std::string Bleu::signature() const {
    const bool valued = options_.smoothing == BleuSmoothing::Floor || options_.smoothing == BleuSmoothing::AddK;
    return "nrefs:" + reference_count(fewest_references_, most_references_) +
           "|case:mixed|eff:" + (options_.effective_order ? "yes" : "no") +
           "|tok:" + bleu_tokenizer_name(options_.tokenizer) + "|smooth:" + smoothing_name(options_.smoothing) +
           (valued ? strprintf("[%.2f]", smooth_value()) : "") + "|version:" + kSacreBleuVersion;
}

std::string BleuScore::text() const {
    std::string each;
    for (int n = 0; n < words; ++n) each += (n > 0 ? "/" : "") + strprintf("%.1f", precisions[static_cast<size_t>(n)]);
    const double ratio = reference_length == 0 ? 0 : static_cast<double>(length) / static_cast<double>(reference_length);
    return strprintf("%.1f %s (BP = %.3f ratio = %.3f hyp_len = %lld ref_len = %lld)", score, each.c_str(), brevity_penalty,
                     ratio, static_cast<long long>(length), static_cast<long long>(reference_length));
}

std::string reference_count(size_t fewest, size_t most) {
    return most == 0 ? "1" : fewest == most ? std::to_string(most) : "var";
}

}  // namespace nib
