// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>

#include "core/dtype.h"
#include "cpu/backend.h"

namespace nib {

struct BackendOptions {
    int threads;
    std::string isa = "auto", device = "auto";
    BackendOptions();
};

/// Declares --threads, whose default is what `threads` is.
void add_threads_option(CLI::App& app, int& threads);
/// Declares --threads and --isa.
void add_backend_options(CLI::App& app, BackendOptions& options);
/// Error when this machine has no such instruction set.
std::unique_ptr<CpuBackend> make_backend(const BackendOptions& options);

/// Declares --device, which is auto, cpu, vulkan or vulkan:N.
CLI::Option* add_device_option(CLI::App& app, std::string& device);
/// The GPU that --device names; null for auto and cpu. Error when this machine does not have it.
std::unique_ptr<Backend> open_gpu(const std::string& device);
/// What --device names.
std::unique_ptr<Backend> make_device(const BackendOptions& options);

/// For Option::transform: decimal whole numbers from `low` to `high`, without touching the help text.
CLI::Validator whole_number(int64_t low = INT64_MIN, int64_t high = INT64_MAX);
/// The same for other numbers, also nan and inf.
CLI::Validator real_number();

/// Declares --cache, the type of keys and values.
CLI::Option* add_cache_option(CLI::App& app, std::string& type);
/// What it names.
DType cache_type(const std::string& name);

/// Declares the positional argument MODEL.
void add_model_argument(CLI::App& app, std::string& path);
/// The file that the user means: `path`, or `path`.gguf if only that exists, since nib train -o takes names without the
/// ending as well.
std::string model_file(const std::string& path);
/// The file that nib writes when the user says `path` (gguf_name()). Error when that is a folder.
std::string model_file_to_write(const std::string& path);

}  // namespace nib
