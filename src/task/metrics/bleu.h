// BLEU (Papineni and others 2002) exactly as sacreBLEU computes it, so that numbers can be compared.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "task/metrics/bleu_tokens.h"

namespace nib {

/// The version of sacreBLEU that these scores are tested to equal; it is part of their signatures.
inline constexpr const char* kSacreBleuVersion = "2.6.0";

/// What takes the place of a precision of 0, by Chen and Cherry (2014).
enum class BleuSmoothing {
    None,         // nothing, so the score is 0
    Floor,        // a count of `smooth_value`
    AddK,         // all counts of two words and more are greater by `smooth_value`
    Exponential,  // a count of 1/2, 1/4, ... for each order that has none
};

struct BleuOptions {
    static constexpr int kMostWords = 8;

    BleuTokenizer tokenizer = BleuTokenizer::Mteval13a;
    BleuSmoothing smoothing = BleuSmoothing::Exponential;
    double smooth_value = -1;      // below 0: 0.1 for Floor, 1 for AddK
    bool effective_order = false;  // leave out orders that a text is too short for: for single sentences
    int words = 4;                 // runs of 1 to this many
};

struct BleuScore {
    double score = 0;  // 0 to 100
    std::array<double, BleuOptions::kMostWords> precisions{};
    int words = 0;  // how many of them there are
    double brevity_penalty = 0;
    int64_t length = 0, reference_length = 0;  // in words

    /// As sacreBLEU prints it after the signature: "48.5 82.4/50.0/45.5/37.5 (BP = 0.943 ratio = 0.944 hyp_len = 17 ref_len
    /// = 18)".
    std::string text() const;
};

/// Sums over sentences; of one sentence, its score.
class Bleu {
public:
    /// Error when an option makes no sense.
    explicit Bleu(const BleuOptions& options = {});

    /// Counts a sentence and its references, all of them valid translations. Error when there are none.
    void add(std::string_view hypothesis, std::span<const std::string> references);

    BleuScore score() const;
    /// How the score was made: "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0".
    std::string signature() const;

private:
    double smooth_value() const;

    BleuOptions options_;
    std::array<int64_t, BleuOptions::kMostWords> right_{}, total_{};  // runs, by their length
    int64_t length_ = 0, reference_length_ = 0;
    size_t fewest_references_ = SIZE_MAX, most_references_ = 0;
};

/// "nrefs" of a signature: a number, or "var" where sentences differ in it; 1 where there are none.
std::string reference_count(size_t fewest, size_t most);

}  // namespace nib
