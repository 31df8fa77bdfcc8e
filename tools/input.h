// Texts and tokens that commands read.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "text/tokenizer.h"

namespace nib {

/// Whether standard input is a file or a pipe, as in `echo text | nib run`, not a terminal and not /dev/null.
bool stdin_has_text();

/// The bytes of a file or pipe, of standard input for "-". Error for more than `limit`.
std::string read_input(const std::string& path, size_t limit = size_t{1} << 32);

/// Declares --no-special.
void add_special_option(CLI::App& app, EncodeOptions& options);

}  // namespace nib
