// The help of a command, and messages about wrong arguments.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/error.h"

namespace nib {

/// The paragraphs of a text, wrapped at 80 columns; lines that are empty or begin with a blank are kept as they are.
std::string paragraphs(const std::string& text);

/// Help for a terminal of 80 columns: description, usage, arguments, options by group with their defaults, footer, all of
/// it wrapped.
class HelpFormatter : public CLI::FormatterBase {
public:
    std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

/// The words that call a command: "nib", "nib run", "nib tokenizer train".
std::string full_name(const CLI::App& command);

/// What is wrong with the arguments of `command` ("nib" or one of its commands), on one line; for an unknown option, with
/// the most similar one.
std::string usage_message(const CLI::App& command, const CLI::ParseError& error);

/// "; " and what the user of `command` can do, naming its options; empty for Remedy::None.
std::string advice(Remedy remedy, const CLI::App& command);

/// The library's message, with the name of an option as it is typed, and advice().
std::string advised(const Error& error, const CLI::App& command);

}  // namespace nib
