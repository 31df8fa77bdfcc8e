// `nib bench MODEL`: prefill and decoding of a model file.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "cpu/backend.h"

namespace nib {

struct ModelBenchOptions {
    std::string path;
    int64_t prefill = 512, decode = 64, samples = 1;
    std::string cache = "f16";
    bool json = false;
};

/// Declares the optional argument MODEL, which is returned, and what goes with it. --json is left to the caller.
CLI::Option* add_model_bench_options(CLI::App& app, ModelBenchOptions& options);
void bench_model(CpuBackend& backend, const ModelBenchOptions& options);

}  // namespace nib
