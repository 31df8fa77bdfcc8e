// Byte-level byte-pair encoding, the tokenizer of GPT-2 and its kin (Radford et al. 2019): any bytes become tokens, and
// their tokens give back exactly those bytes.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe_merges.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"

namespace nib {

struct BpeToken {
    std::string text;  // in GPT-2's alphabet if normal, else as it stands
    TokenType type = TokenType::Normal;
    bool normalized = false;  // found in a text only after all those of which this is false (Hugging Face's word)
};

/// All that makes a byte-level BPE tokenizer.
struct BpeModel {
    std::vector<BpeToken> tokens;     // in the order of their ids
    std::vector<std::string> merges;  // "left right", in the order of their ranks
    SplitPattern split = SplitPattern::Gpt2;
    bool add_prefix_space = false;  // a text, or part of one between added tokens, begins with a space
    bool ignore_merges = false;     // a piece that is a token is that token, whether merges lead to it or not
    SpecialTokens specials;
};

class BpeTokenizer : public Tokenizer {
public:
    /// Error for tokens that are spelled alike, for a merge of or into an unknown token and for ids out of range.
    explicit BpeTokenizer(const BpeModel& model) : BpeTokenizer(model, model.merges) {}

    /// The same with other merges than `model.merges`, which need not be copied there.
    BpeTokenizer(const BpeModel& model, std::span<const std::string> merges);

    /// The ids that Hugging Face's tokenizers give, without those of `specials()` around the text unless asked for. The
    /// text may be any bytes (for those that are not UTF-8 see PieceReader). Error if it has a byte that is in no token,
    /// which takes a vocabulary that lacks bytes and has no token for unknown text.
    std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const override;

    /// The bytes of one token, its text for an added token; none for an id without a token.
    std::string decode(int32_t id) const override { return std::string(bytes(id)); }
    std::string decode(std::span<const int32_t> ids) const override;

    int32_t vocab_size() const override { return static_cast<int32_t>(types_.size()); }
    bool has_token(int32_t id) const override { return type(id) != TokenType::Unused; }
    const char* kind() const override { return "bpe"; }

    TokenType type(int32_t id) const;

    /// The model again, for writing it to a file: what was given, but a merge that was given twice is there once.
    BpeModel model() const;

private:
    struct Work;  // buffers of one call

    // The id of a token in GPT-2's alphabet by its bytes, -1 for none. Open addressing, the slots at most half full.
    int32_t find(std::string_view bytes) const { return slots_[slot_for(bytes)]; }
    size_t slot_for(std::string_view bytes) const;

    void add_tokens(const std::vector<BpeToken>& tokens);
    void add_merges(std::span<const std::string> merges);
    std::string_view slice(int32_t id) const;  // of the blob
    std::string_view bytes(int32_t id) const;
    void encode_added(std::string_view text, size_t stage, Work& work) const;
    void encode_text(std::string_view text, Work& work) const;
    void encode_piece(std::string_view piece, Work& work) const;
    void merge_piece(std::string_view piece, Work& work) const;

    std::vector<TokenType> types_;
    std::vector<bool> literal_, normalized_;          // not spelled in GPT-2's alphabet; BpeToken::normalized
    std::string blob_;                                // the bytes of all tokens
    std::vector<uint32_t> offsets_;                   // where each token's begin, and the end
    std::unordered_map<int32_t, std::string> texts_;  // of added tokens whose text spells other bytes in that alphabet
    std::vector<int32_t> slots_;
    std::array<int32_t, 256> byte_ids_;  // -1: that byte is no token
    BpeMerges merges_;
    // Tokens to find in a text: first those of stage 0, then the normalized ones. `plain_` are those that are no marks.
    std::array<AddedTokens, 2> added_, plain_;
    SplitPattern split_;
    bool add_prefix_space_, ignore_merges_;

    // Whether merging a token's bytes gives that very token, which saves the merging. Found out when it is first asked.
    static constexpr uint8_t kNotTried = 0, kMergesToItself = 1, kMergesToOthers = 2;
    std::unique_ptr<std::atomic<uint8_t>[]> shortcut_;
};

}  // namespace nib
