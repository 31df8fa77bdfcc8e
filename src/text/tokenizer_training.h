// Making a tokenizer of a corpus: byte-pair encoding over bytes or characters, WordPiece, or the corpus's characters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "text/text_source.h"
#include "text/tokenizer.h"
#include "text/word_counts.h"

namespace nib {

struct TokenizerTraining {
    enum class Type { Bpe, WordPiece, Char };
    enum class Split { Gpt2, Llama3, Gpt1 };  // of BPE; Gpt1: over characters, words end in "</w>"

    Type type = Type::Bpe;
    Split split = Split::Gpt2;
    int64_t size = 0;              // tokens in all; of characters there are as many as the text has
    int64_t min_frequency = 2;     // pairs that occur less often are not merged
    int64_t max_token_length = 0;  // see BpeTraining
    int64_t limit_alphabet = 0;    // see BpeTraining::largest_alphabet
    bool lowercase = false;
    std::vector<std::string> specials;  // see default_specials()
    int threads = 1;
};

/// The special tokens that a kind of tokenizer cannot do without, or usually has: WordPiece BERT's, of which it needs
/// [UNK], GPT-1's BPE "<unk>", which it needs, others none.
std::vector<std::string> default_specials(TokenizerTraining::Type type, TokenizerTraining::Split split);

/// What is done, for progress: "counting words", "merging", and how far it is.
using TrainingProgress = std::function<void(const char* stage, uint64_t done, uint64_t total)>;

/// The characters of all documents of `source`, ascending. Error when there is none.
std::vector<char32_t> distinct_characters(DocumentSource& source, const TrainingProgress& progress);

/// Learns a tokenizer from all documents of `source`, each cut into words as the tokenizer will cut texts. The same for any
/// number of threads. Error for options that contradict each other, naming one, and for a source without text.
std::unique_ptr<Tokenizer> train_tokenizer(DocumentSource& source, const TokenizerTraining& options,
                                           const TrainingProgress& progress);

}  // namespace nib
