// How commands that write choose tokens.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "infer/sampler.h"

namespace nib {

/// Declares --temp, --top-k, --top-p, --min-p, --repeat-penalty, --repeat-last and --seed, which it returns.
CLI::Option* add_sampling_options(CLI::App& app, SamplerOptions& options);
/// The seed: as given, or another one each time.
void choose_seed(const CLI::Option& seed, SamplerOptions& options);

/// Declares --stop.
void add_stop_option(CLI::App& app, std::vector<std::string>& stop);

}  // namespace nib
