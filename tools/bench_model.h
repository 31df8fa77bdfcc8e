// `nib bench MODEL`: prefill and decoding of a model file, or encoding.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>

#include "core/backend.h"

namespace nib {

struct ModelBenchOptions {
    std::string path;
    std::optional<int64_t> prefill, decode, samples;
    std::string cache = "f16";
    bool json = false;
};

/// Declares the optional argument MODEL, which is returned, and what goes with it. --json is left to the caller.
CLI::Option* add_model_bench_options(CLI::App& app, ModelBenchOptions& options);
void bench_model(Backend& backend, const ModelBenchOptions& options);

}  // namespace nib
