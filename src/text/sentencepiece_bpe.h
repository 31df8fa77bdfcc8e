// SentencePiece's byte-pair encoding (Kudo and Richardson 2018), the one of Llama: any two neighbours whose texts together
// are a token can be merged, and the token's score says which are merged first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "text/unknown_text.h"
#include "text/word_model.h"

namespace nib {

class SentencePieceBpe : public WordModel {
public:
    /// Tokens that are marks ("<s>"), or that stand for bytes, are not merged to. The table must outlive the model. Error
    /// for more scores than tokens, and for one that is not a number.
    SentencePieceBpe(const TokenTable& table, const TokenizerSpec& spec);

    /// `word` is usually all of a text: the tokens decide what belongs together.
    void encode(std::string_view word, Work& work) const override;
    std::vector<double> scores() const override { return scores_; }

private:
    void encode_part(std::string_view part, bool& unknown_before, Work& work) const;
    int32_t find(std::string_view text) const;

    const TokenTable& table_;
    UnknownText unknown_;
    bool fuse_unknown_;
    bool words_apart_ = true;      // no token goes on with U+2581 after another character
    std::vector<double> scores_;   // by id
    std::vector<uint32_t> ranks_;  // by id: 0 for the highest score, MergeRule::kNone for what is not merged to
};

}  // namespace nib
