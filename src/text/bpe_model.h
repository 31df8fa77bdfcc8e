// Byte-pair encoding (Sennrich et al. 2016): a word's characters, or its bytes (Radford et al. 2019), merged by rules.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/bpe_merges.h"
#include "text/unknown_text.h"
#include "text/word_model.h"

namespace nib {

class BpeModel : public WordModel {
public:
    /// Error for a merge of or into a token that is not there. The table must outlive the model, and is told which tokens
    /// the merges make.
    BpeModel(TokenTable& table, const TokenizerSpec& spec, std::span<const std::string> merges);

    void encode(std::string_view word, Work& work) const override;
    std::vector<std::string> merges() const override;

private:
    void add_merges(TokenTable& table, std::span<const std::string> merges);
    void merge_word(std::string_view word, Work& work) const;
    void add_bytes(std::string_view word, Work& work) const;
    void add_characters(std::string_view word, Work& work) const;

    const TokenTable& table_;
    WordModelSpec spec_;
    bool byte_level_;
    UnknownText unknown_;
    std::array<int32_t, 256> byte_ids_{};  // with byte_level_: of a byte; -1: no token
    BpeMerges merges_;

    // Whether merging a token's key gives that very token, which saves the merging. Found out when it is first asked.
    static constexpr uint8_t kNotTried = 0, kMergesToItself = 1, kMergesToOthers = 2;
    std::unique_ptr<std::atomic<uint8_t>[]> shortcut_;
};

}  // namespace nib
