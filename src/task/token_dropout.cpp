#include "task/token_dropout.h"

#include <algorithm>

#include "core/error.h"
#include "core/philox.h"

namespace nib {
namespace {

constexpr uint32_t kSource = 1u << 31;  // the first number of a source's tokens

}  // namespace

TokenDropout::TokenDropout(double probability, uint64_t seed, const Tokenizer& tokenizer)
    : threshold_(static_cast<uint32_t>(probability * 0x1p32)), seed_(seed) {
    if (!(probability >= 0 && probability < 1)) fail("a dropout of %g is not from 0 to below 1", probability);
    const SpecialTokens& special = tokenizer.specials();
    substitute_ = special.mask >= 0 ? special.mask : special.unknown;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
        const TokenType type = tokenizer.type(id);
        hidable_.push_back(type == TokenType::Normal || type == TokenType::UserDefined);
        if (hidable_.back()) texts_.push_back(id);
    }
    if (texts_.empty()) fail("the vocabulary has nothing but marks");
}

void TokenDropout::apply(uint32_t step, uint32_t row, TaskRow& to) const {
    hide(step, row, 0, to.ids.first(static_cast<size_t>(to.length)));
    if (!to.source.empty()) hide(step, row, kSource, to.source.first(static_cast<size_t>(to.source_length)));
}

void TokenDropout::hide(uint32_t step, uint32_t row, uint32_t first, std::span<int32_t> ids) const {
    for (size_t t = 0; t < ids.size(); ++t) {
        if (!hidable_[static_cast<size_t>(ids[t])]) continue;
        const auto words = philox({first + static_cast<uint32_t>(t), row, kTokenDropoutStream, step}, seed_);
        if (words[0] >= threshold_) continue;
        ids[t] = substitute_ >= 0 ? substitute_ : texts_[static_cast<size_t>(uint64_t{words[1]} * texts_.size() >> 32)];
    }
}

}  // namespace nib
