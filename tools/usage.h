// What a command says about its arguments: its help, and what is wrong with those that it got.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "core/error.h"

namespace nib {

/// Help for a terminal of 80 columns: description, usage, arguments, options by group with their defaults, footer. The
/// footer's paragraphs are wrapped, too, except for lines that begin with a blank.
class HelpFormatter : public CLI::FormatterBase {
public:
    std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;
};

/// What is wrong with the arguments of `command` ("nib" or one of its commands), on one line, with the nearest option to
/// one that does not exist.
std::string usage_message(const CLI::App& command, const CLI::ParseError& error);

/// "; " and what the user of `command` can do, in the words of its options; empty for Remedy::None.
std::string advice(Remedy remedy, const CLI::App& command);

}  // namespace nib
