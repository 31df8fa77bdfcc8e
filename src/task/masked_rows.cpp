#include "task/masked_rows.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/op.h"
#include "core/philox.h"
#include "task/task.h"

namespace nib {
namespace {

constexpr double kMasked = 0.8, kReplaced = 0.1;

uint32_t threshold(double probability) { return static_cast<uint32_t>(probability * 0x1p32); }

// What decides over a token: whether it is chosen, what becomes of it, which token takes its place.
std::array<uint32_t, 4> words_of(uint64_t seed, uint32_t step, uint32_t row, uint32_t number) {
    return philox({number, row, kMaskStream, step}, seed);
}

}  // namespace

MaskedRows::MaskedRows(uint64_t seed, const Tokenizer& tokenizer, bool whole_words)
    : seed_(seed), mask_(tokenizer.mask_token()) {
    const int32_t size = tokenizer.vocab_size();
    replacements_ = mask_ == size - 1 ? mask_ : size;
    if (mask_ < 0) fail("the vocabulary has no token for masked ones, such as %s", kMaskToken);
    for (int32_t id = 0; id < size; ++id) {
        const TokenType type = tokenizer.type(id);
        marks_.push_back(type != TokenType::Normal && type != TokenType::UserDefined);
    }
    for (int32_t id = 0; whole_words && id < size; ++id) continues_.push_back(tokenizer.continues_word(id));
    if (whole_words && std::find(continues_.begin(), continues_.end(), true) == continues_.end())
        fail("whole words can be told in a WordPiece vocabulary only, by its tokens that begin with ##");
}

bool MaskedRows::is_chosen(uint32_t step, uint32_t row, uint32_t number) const {
    return words_of(seed_, step, row, number)[0] < threshold(kMaskedShare);
}

void MaskedRows::mask(uint32_t step, uint32_t row, std::span<int32_t> ids, std::span<int32_t> targets,
                      uint32_t first) const {
    if (ids.size() != targets.size()) fail("there are %zu tokens, but %zu targets", ids.size(), targets.size());
    bool chosen = false;
    for (size_t t = 0; t < ids.size(); ++t) {
        const uint32_t number = first + static_cast<uint32_t>(t);
        if (t == 0 || begins_word(ids[t])) chosen = is_chosen(step, row, number);
        targets[t] = chosen && !is_mark(ids[t]) ? ids[t] : kIgnore;
    }
    for (size_t t = 0; t < ids.size(); ++t) {
        if (targets[t] == kIgnore) continue;
        const auto words = words_of(seed_, step, row, first + static_cast<uint32_t>(t));
        if (words[1] < threshold(kMasked))
            ids[t] = mask_;
        else if (words[1] < threshold(kMasked + kReplaced))
            ids[t] = static_cast<int32_t>(uint64_t{words[2]} * static_cast<uint64_t>(replacements_) >> 32);
    }
}

int64_t MaskedRows::count(uint32_t step, uint32_t row, std::span<const int32_t> ids, uint32_t first) const {
    int64_t count = 0;
    bool chosen = false;
    for (size_t t = 0; t < ids.size(); ++t) {
        if (t == 0 || begins_word(ids[t])) chosen = is_chosen(step, row, first + static_cast<uint32_t>(t));
        count += chosen && !is_mark(ids[t]);
    }
    return count;
}

}  // namespace nib
