// Options of commands that translate.
#pragma once

#include <CLI/CLI.hpp>

#include "infer/beam.h"

namespace nib {

/// Declares --beam and --length-penalty.
void add_beam_options(CLI::App& app, BeamOptions& options);

}  // namespace nib
