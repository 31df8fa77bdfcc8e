// Texts that commands take whole: as arguments, as the lines of a file, or as token numbers.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "infer/encoder.h"
#include "model/loaded_model.h"
#include "task/labelled_file.h"

namespace nib {

struct TextOptions {
    std::vector<std::string> texts;   // arguments
    std::string file;                 // with a text on each line; "-": standard input
    std::vector<std::string> tokens;  // texts as token numbers
    bool truncate = false;
    bool keep_empty = false;  // a text without tokens of its own is no error and gets none
    EncodeOptions encode{.begin = true};
};

/// Declares TEXT..., --file, --tokens, --truncate and --no-special.
void add_text_options(CLI::App& app, TextOptions& options);

/// Declares --text-column, --second-column, --header and --no-header, of tables of texts.
void add_column_options(CLI::App& app, LabelColumns& columns);

/// A text and its tokens.
struct EncodedText {
    std::string text;  // of token numbers: these
    TextTokens tokens;
};

/// How many tokens fit, and into what.
struct Room {
    size_t tokens;
    std::string where = "the model's context";
};

/// The tokens of a text, called `name` in messages, as the model was trained with them, the one that ends a text included.
/// Error for a text that has none of its own, and for more than there is room for unless it may be cut.
TextTokens encode_text(const std::string& text, const TextOptions& options, const LoadedModel& model,
                       const std::string& name, const Room& room);
/// What a model with an encoder writes, a text or its token numbers, `name` in messages: the tokens without the one it
/// starts with and the one that ends it. Error for more than there is room for unless it may be cut.
std::vector<int32_t> read_target(const std::string& text, bool numbers, const TextOptions& options,
                                 const LoadedModel& model, const std::string& name, const Room& room);
/// Two texts that belong together, likewise; where they may be cut, the longer one is first.
TextTokens encode_pair(const std::string& first, const std::string& second, const TextOptions& options,
                       const LoadedModel& model, const std::string& name, const Room& room);
/// The same of token numbers.
TextTokens parse_text(const std::string& numbers, const TextOptions& options, const LoadedModel& model,
                      const std::string& name, const Room& room);

/// The room in a model's context, and in an embedding by it.
Room context_room(const LoadedModel& model);
Room embedding_room(const LoadedModel& model);

/// The texts that the options name. UsageError when they name none; Error for a text without tokens of its own, and for one
/// that is longer than there is room for unless it may be cut.
std::vector<EncodedText> read_texts(const TextOptions& options, const LoadedModel& model, const Room& room);

/// Error, naming the command that is meant, for a model that reads a text before it writes another.
void refuse_encoder_decoder(const LoadedModel& model);

/// The lines of a text, without their ends.
std::vector<std::string> lines_of(const std::string& text);

/// Declares --pooling.
void add_pooling_option(CLI::App& app, std::string& pooling);

/// How a model makes a vector of a text: as given by name (mean, max, cls, last), as its file says, or by the mean. Error
/// for a language model that was trained for none, and with none given.
Pooling embedding_pooling(const LoadedModel& model, const std::string& given);

/// The tokens alone.
std::vector<TextTokens> tokens_of(const std::vector<EncodedText>& texts);

}  // namespace nib
