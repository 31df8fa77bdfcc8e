// The texts of a training run: what trains, what validates, and a fingerprint of both.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "task/dialogue_text.h"
#include "task/labelled_file.h"
#include "task/pair_text.h"
#include "task/preference_file.h"
#include "task/prompt_text.h"
#include "task/question_text.h"
#include "text/corpus.h"
#include "text/tokenized_text.h"

namespace nib {

/// Identifies a text: a resumed run must have the same.
struct TextIdentity {
    int64_t tokens = 0;
    uint64_t fingerprint = 0;  // of up to a million tokens spread over the text
    bool operator==(const TextIdentity&) const = default;
};

/// Texts whose tokens are characters, before there is a tokenizer.
struct Corpora {
    std::unique_ptr<Corpus> text;
    std::unique_ptr<Corpus> other;  // null: the end of `text` validates

    /// Error when a text is missing or malformed. No `val_file`: empty.
    Corpora(const std::vector<std::string>& inputs, const std::string& val_file);
    /// The characters of both, ascending.
    std::vector<char32_t> characters() const;
};

struct Dataset {
    std::optional<Corpora> corpora;  // what the texts are of, if they are of characters
    std::unique_ptr<const TokenText> text;
    std::unique_ptr<const TokenText> other;     // null: the end of `text` validates
    std::unique_ptr<const TokenText> beside{};  // of policies: TaskTexts::beside
    Span train{0, 0};                           // of text
    Span val{0, 0};                             // of validation(); empty: nothing validates

    const TokenText& validation() const { return other ? *other : *text; }
};

/// How a text becomes tokens and parts.
struct DatasetOptions {
    double val_fraction = 0;  // of `text`, where there is no other
    int64_t context = 0;
    DocumentEnds documents = DocumentEnds::Files;
    int threads = 1;
    std::string folder;  // of files of tokens
    WorkProgress progress{};
    bool skip_bad = false;  // of dialogues
    std::function<void(const std::string&)> note{};
};

/// The characters of texts, each a token of `tokenizer`, which must outlive the result. Error when one is none, and when a
/// text is too short for the context.
Dataset character_dataset(Corpora corpora, const CharTokenizer& tokenizer, const DatasetOptions& options);
/// The tokens of texts (tokenized_text). Error likewise.
Dataset token_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                      const DatasetOptions& options);

/// The tokens of dialogues (dialogue_text). Error likewise.
Dataset dialogue_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                         const ChatTemplate& chat_template, const DatasetOptions& options);

/// The tokens of pairs of texts (pair_text); those of `validation` validate, if it names files. Error likewise.
Dataset pair_dataset(const PairFiles& files, const PairFiles& validation, const PairTokens& tokens,
                     const DatasetOptions& options);

using LabelReader = decltype(&read_labelled);
/// Texts with labels, as `read` reads them (read_labelled, read_tagged), in an order drawn by `seed`; `least` and
/// `chat_template` are of LabelledFileOptions, the former for those that train. `labels`: their
/// names; of a new training none, and then those of `inputs`. Error likewise.
Dataset labelled_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                         const LabelColumns& columns, std::vector<std::string> labels, uint64_t seed,
                         const DatasetOptions& options, LabelReader read, std::optional<double> least = {},
                         const ChatTemplate* chat_template = nullptr);

/// The contexts of questions, in an order drawn by `seed`, with all their windows. Error likewise.
Dataset question_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                         int64_t stride, uint64_t seed, const DatasetOptions& options);

/// Prompts (task/prompt_text.h). Error likewise.
Dataset prompt_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                       const LabelledFileOptions& how, const DatasetOptions& options);

TextIdentity identify(const TokenText& text);

}  // namespace nib
