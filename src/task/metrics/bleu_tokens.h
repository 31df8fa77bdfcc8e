// Words as BLEU counts them: sacreBLEU's tokenizers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nib {

enum class BleuTokenizer {
    Mteval13a,  // "13a": NIST's mteval-v13a, for languages with spaces
    Chinese,    // "zh": each Chinese character alone, the rest as 13a cuts it
    None,       // "none": split at white space
    Character,  // "char": each character alone
};

/// sacreBLEU's name for it, and the one with this name; Error, which lists them, if there is none.
const char* bleu_tokenizer_name(BleuTokenizer tokenizer);
BleuTokenizer bleu_tokenizer(const std::string& name);

std::vector<std::string> bleu_tokens(BleuTokenizer tokenizer, std::string_view text);

}  // namespace nib
