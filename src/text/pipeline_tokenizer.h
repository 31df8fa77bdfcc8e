// The tokenizer of all but character models, step by step as Hugging Face's tokenizers do it: added tokens are found in the
// text, what lies between them is normalized and cut into words, and a model makes tokens of each word.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/token_decoder.h"
#include "text/token_places.h"
#include "text/token_table.h"
#include "text/tokenizer.h"
#include "text/tokenizer_spec.h"
#include "text/word_model.h"

namespace nib {

class PipelineTokenizer : public Tokenizer {
public:
    /// Error for tokens that are spelled alike, for a merge of or into an unknown token, for ids out of range and for
    /// options of a step that make no sense.
    explicit PipelineTokenizer(const TokenizerSpec& spec) : PipelineTokenizer(spec, spec.merges) {}

    /// The same with other merges than `spec.merges`, which need not be copied there.
    PipelineTokenizer(const TokenizerSpec& spec, std::span<const std::string> merges);

    PipelineTokenizer(const PipelineTokenizer&) = delete;
    PipelineTokenizer& operator=(const PipelineTokenizer&) = delete;

    /// The ids that Hugging Face's tokenizers give, without those of `specials()` around the text unless asked for. Bytes
    /// that are not UTF-8 are words of their own in byte-level BPE, each run of them, and the text between two runs is
    /// treated as if it were all of the text; elsewhere each malformed sequence is read as U+FFFD. Error for text that has
    /// no token, which takes a vocabulary without one for unknown text.
    std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const override;

    PlacedTokens encode_placed(std::string_view text, const EncodeOptions& options = {}) const override;

    std::string decode(int32_t id) const override;
    std::string decode_next(int32_t id, DecodeState& state) const override {
        return decoder_.next(table_.meaning(id), state);
    }
    using Tokenizer::decode;

    int32_t vocab_size() const override { return table_.size(); }
    TokenType type(int32_t id) const override { return table_.type(id); }
    bool continues_word(int32_t id) const override {
        const WordModelSpec& model = rest_.model;
        return model.kind == WordModelSpec::Kind::WordPiece && type(id) == TokenType::Normal &&
               table_.key(id).starts_with(model.continuing_prefix);
    }
    /// "bpe", "sentencepiece", "unigram", "wordpiece" or "wordlevel".
    const char* kind() const override;

    /// What it was made of, for writing it to a file.
    TokenizerSpec spec() const;

private:
    // `places`, unless null, is told where each token stands.
    std::vector<int32_t> run(std::string_view text, const EncodeOptions& options, TokenPlaces* places) const;
    // `first`: the text of encode() begins with this part of it.
    void encode_part(std::string_view text, bool first, const EncodeOptions& options, WordModel::Work& work,
                     TokenPlaces* places) const;
    void encode_valid(std::string_view text, bool first, const EncodeOptions& options, WordModel::Work& work,
                      TokenPlaces* places) const;
    TokenInWord in_word(int32_t id) const;

    TokenizerSpec rest_;  // of the spec: all but tokens, merges and special tokens
    bool byte_level_;
    TokenTable table_;
    std::unique_ptr<const WordModel> model_;  // looks into the table
    Normalizer normalizer_;
    PreTokenizer pre_tokenizer_;
    TokenDecoder decoder_;
    AddedTokens added_, added_normalized_;
};

}  // namespace nib
