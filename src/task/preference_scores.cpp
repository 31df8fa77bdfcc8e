#include "task/preference_scores.h"

#include <algorithm>
#include <cmath>

#include "core/op.h"  // kIgnore

namespace nib {

void PreferenceScores::add(double chosen, double rejected) {
    const double z = beta_ * (chosen - rejected);
    chosen_ += chosen, rejected_ += rejected;
    loss_ += std::max(-z, 0.0) + std::log1p(std::exp(-std::abs(z)));
    right_ += chosen > rejected;
    ++count_;
}

std::vector<Score> PreferenceScores::scores() const {
    const double n = static_cast<double>(std::max<int64_t>(count_, 1));
    return {
        {"accuracy", static_cast<double>(right_) / n},
        {"margin",   (chosen_ - rejected_) / n      },
        {"chosen",   chosen_ / n                    },
        {"rejected", rejected_ / n                  },
    };
}

double PreferenceScores::loss() const { return loss_ / static_cast<double>(std::max<int64_t>(count_, 1)); }

std::vector<AnswerText> texts_of_pair(std::span<const int32_t> ids, std::span<const int32_t> segments,
                                      std::span<const int32_t> tags, std::span<const int32_t> parts) {
    std::vector<AnswerText> texts;
    size_t begin = 0;
    for (const int32_t part : parts) {
        const auto size = static_cast<size_t>(part);
        const auto of_text = [&](std::span<const int32_t> all) {
            const auto some = all.subspan(all.empty() ? 0 : begin, all.empty() ? 0 : size);
            return std::vector<int32_t>(some.begin(), some.end());
        };
        AnswerText text{
            {of_text(ids),  of_text(segments)},
            {             }
        };
        for (size_t t = 0; t < size; ++t)
            if (tags[begin + t] != kIgnore) text.answer.push_back(static_cast<int64_t>(t));
        texts.push_back(std::move(text));
        begin += size;
    }
    return texts;
}

std::vector<double> answer_log_probs(SequenceEncoder& encoder, std::span<const AnswerText> texts, bool averages) {
    std::vector<TextTokens> tokens;
    std::vector<TokenPlace> places;
    for (const AnswerText& text : texts) {
        for (const int64_t position : text.answer)
            if (position > 0) places.push_back({tokens.size(), position});  // the first token is not predicted
        tokens.push_back(text.text);
    }
    const std::vector<float> logp = encoder.log_probs(tokens, places);
    std::vector<double> sums(texts.size()), counts(texts.size());
    for (size_t k = 0; k < places.size(); ++k) {
        sums[places[k].text] += static_cast<double>(logp[k]);
        ++counts[places[k].text];
    }
    for (size_t i = 0; averages && i < sums.size(); ++i) sums[i] /= counts[i];
    return sums;
}

}  // namespace nib
