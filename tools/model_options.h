// The model that a command runs, and the adapters on it.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "model/loaded_model.h"

namespace nib {

struct ModelOptions {
    std::string path;
    std::vector<AdapterChoice> adapters;
};

/// FILE or FILE:SCALE. UsageError for a scale that is no finite number.
AdapterChoice parse_adapter(const std::string& text);

/// Declares the argument MODEL and the option --lora.
void add_model_options(CLI::App& app, ModelOptions& options);

LoadedModel open_model(const ModelOptions& options, Backend& backend);

}  // namespace nib
