// Texts and tokens that commands read.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "text/tokenizer.h"

namespace nib {

/// Whether standard input is a file or a pipe, as in `echo text | nib run`, not a terminal and not /dev/null.
bool stdin_has_text();

/// The text of a file or pipe, or of standard input for "-", without a byte order mark. Error for more than `limit` bytes
/// and for text that is clearly UTF-16 or UTF-32.
std::string read_input(const std::string& path, size_t limit = size_t{1} << 32);

/// Adds what standard input has next to `bytes`, nothing at its end; false if a SIGINT is noted first (interrupt.h). Error
/// when it cannot be read.
bool read_some(std::string& bytes);

/// Removes the byte order mark of an argument, which it has if a shell took it from a file.
void drop_mark(std::string& text);

/// Removes the line end that a text from a file or pipe ends with.
void drop_line_end(std::string& text);

/// Declares --end-token.
CLI::Option* add_end_token_option(CLI::App& app, std::optional<std::string>& token);

/// Declares --no-special.
void add_special_option(CLI::App& app, EncodeOptions& options);

}  // namespace nib
