// Cutting a text into pieces before byte-pair encoding, with the regular expression that the model was trained with: no
// token reaches across two pieces.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

namespace nib {

/// The expressions that nib knows.
enum class SplitPattern {
    Gpt2,    // words, numbers and punctuation, each with the space before it (GPT-2 and its kin)
    Llama3,  // Llama 3: numbers by up to three digits, line ends by themselves
    Qwen2,   // the same, numbers digit by digit
};

/// The pattern as a tokenizer.json writes it, and the pattern that such a text means (nullptr if nib does not know it).
std::string_view split_regex(SplitPattern pattern);
const SplitPattern* find_split_regex(std::string_view regex);

/// Walks over the pieces of a text, front to back; together they are the text. `\p{L}`, `\p{N}` and `\s` mean what they
/// mean in Unicode 16, as in Hugging Face's tokenizers. Bytes that are not UTF-8 can be in no expression's match: each run
/// of them is a piece of its own, and the text between two runs is cut as if it were all of the text.
class PieceReader {
public:
    /// The text must outlive the reader.
    PieceReader(SplitPattern pattern, std::string_view text);
    ~PieceReader();
    PieceReader(const PieceReader&) = delete;
    PieceReader& operator=(const PieceReader&) = delete;

    /// Takes the next piece, never an empty one; false at the end of the text.
    bool next(std::string_view& piece);

private:
    struct Match;
    size_t match_end();

    std::string_view text_;
    size_t at_ = 0;
    size_t valid_end_ = 0;  // the end of the UTF-8 run that holds `at_`
    std::unique_ptr<Match> match_;
};

}  // namespace nib
