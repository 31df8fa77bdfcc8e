// What llama.cpp's keys for tokenizers can say, and how it spells tokens.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_spec.h"

namespace nib {

/// A way of splitting text that llama.cpp knows by name (`tokenizer.ggml.pre`). For the Llama 3 family it ignores merges
/// and begins texts with a token.
struct LlamaCppSplit {
    std::string_view name;
    std::string (*pre_tokenizers)();
    bool ignore_merges, add_begin;
};

/// nullptr for a name that nib does not know; their names, for messages.
const LlamaCppSplit* find_llama_cpp_split(std::string_view name);
std::string llama_cpp_split_names();
/// The one that does what the spec says, or comes closest.
const LlamaCppSplit& closest_llama_cpp_split(const TokenizerSpec& spec);

/// What llama.cpp does for the models `gpt2`, `llama`, `t5` and `bert`, without tokens.
TokenizerSpec llama_cpp_gpt2(const LlamaCppSplit& split);
TokenizerSpec llama_cpp_llama(bool add_prefix, bool bytes = true);
TokenizerSpec llama_cpp_t5(const SentencePieceSteps& steps, bool bytes);
TokenizerSpec llama_cpp_bert(bool lowercase, bool strip_accents);

/// WordPiece's tokens: llama.cpp marks those that begin a word, with U+2581, and not those that go on, with "##".
std::string to_llama_cpp_bert(const TokenSpec& token);
std::string from_llama_cpp_bert(const std::string& spelling, TokenType type);

/// The tokens as llama.cpp spells them, no two alike.
std::vector<std::string> llama_cpp_tokens(const TokenizerSpec& spec);

/// Whether `spec`, with its tokens spelled so, is no more than `said`, one of the above.
bool llama_cpp_says_all(const TokenizerSpec& spec, const TokenizerSpec& said, const std::vector<std::string>& spellings);

}  // namespace nib
