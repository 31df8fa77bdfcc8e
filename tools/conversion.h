// What the commands that make model files share: options, progress and the line at the end.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "model/convert.h"

namespace nib {

/// Declares --overwrite and --threads, which is set to its default.
void add_conversion_options(CLI::App& app, bool& overwrite, int& threads);

/// The weight type that the user names as the value of `option`. UsageError lists the types.
DType weight_type(const char* option, const std::string& name);

/// Runs a conversion of `command` with warnings and a progress line on standard error, and sums it up: "NAME: ...".
void report_conversion(const CLI::App& command, const std::string& output,
                       const std::function<ConvertResult(const ConvertReports&)>& convert);

}  // namespace nib
