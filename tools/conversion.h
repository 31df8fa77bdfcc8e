// Shared by the commands that make model files: options, progress and the line at the end.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "model/convert.h"

namespace nib {

/// Declares --overwrite and --threads, and sets `threads` to the default.
void add_conversion_options(CLI::App& app, bool& overwrite, int& threads);

/// The weight type `name`, the value of `option`. UsageError lists the types.
DType weight_type(const char* option, const std::string& name);

/// Runs a conversion for `command` with warnings and a progress line on standard error, and prints a summary: "NAME: ...".
void report_conversion(const CLI::App& command, const std::string& output,
                       const std::function<ConvertResult(const ConvertReports&)>& convert);

}  // namespace nib
