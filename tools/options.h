// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "cpu/backend.h"

namespace nib {

struct BackendOptions {
    int threads;
    std::string isa = "auto";
    BackendOptions();
};

/// Declares --threads and --isa.
void add_backend_options(CLI::App& app, BackendOptions& options);
/// Error when this machine has no such instruction set.
std::unique_ptr<CpuBackend> make_backend(const BackendOptions& options);

/// Accepts whole numbers from `low` to `high`; unlike CLI::Range it leaves the help text alone.
CLI::Validator whole_number(int64_t low, int64_t high);

/// Declares the positional argument MODEL.
void add_model_argument(CLI::App& app, std::string& path);

}  // namespace nib
