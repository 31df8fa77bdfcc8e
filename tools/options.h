// Options that several commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "cpu/backend.h"

namespace nib {

struct BackendOptions {
    int threads;
    std::string isa = "auto", device = "auto";
    bool verbose = false;                    // say why there is no GPU if opening one failed
    std::vector<const CLI::Option*> of_cpu;  // options for the CPU only: --threads and --isa, if declared
    BackendOptions();
};

/// Declares --threads, with the value of `threads` as default.
CLI::Option* add_threads_option(CLI::App& app, int& threads);
/// Declares --threads and --isa.
void add_backend_options(CLI::App& app, BackendOptions& options);
/// Error when this machine has no such instruction set.
std::unique_ptr<CpuBackend> make_backend(const BackendOptions& options);

/// Declares --device, which is auto, cpu, vulkan or vulkan:N.
CLI::Option* add_device_option(CLI::App& app, std::string& device);
/// The GPU that --device names; null for cpu, and for auto if there is none that nib can use (`why_none` says why if
/// opening one failed). Error when this machine does not have it.
std::unique_ptr<Backend> open_gpu(const std::string& device, std::string* why_none = nullptr);
/// Calls use(backend) with the device that --device names. If one of BackendOptions::of_cpu is given, that must be the CPU
/// or auto, which means the CPU then. If auto has chosen a GPU that lacks memory or an op, so that use() throws Error,
/// calls it again with the CPU and prints a line about that.
void on_device(const BackendOptions& options, const std::function<void(std::unique_ptr<Backend>)>& use);

/// For Option::transform: decimal whole numbers from `low` to `high`, without touching the help text.
CLI::Validator whole_number(int64_t low = INT64_MIN, int64_t high = INT64_MAX);
/// The same for other numbers, also nan and inf.
CLI::Validator real_number();
/// Accepts token numbers as in "1 2 3", of any vocabulary, and "-".
CLI::Validator token_list();
/// Accepts these words only.
CLI::Validator one_of(std::vector<std::string> names);

/// Declares --cache, the type of keys and values, f32 or f16.
CLI::Option* add_cache_option(CLI::App& app, std::string& type);
/// Declares --activations, the type of what training keeps for the backward pass, f32 or f16.
CLI::Option* add_activations_option(CLI::App& app, std::string& type);
/// The type that these two name.
DType float_type(const std::string& name);

/// Declares the positional argument MODEL.
void add_model_argument(CLI::App& app, std::string& path);
/// The file that the user means: `path`, or `path`.gguf if only that exists, since nib train -o accepts names without it.
std::string model_file(const std::string& path);
/// The file to write for the name `path` (gguf_name()). Error when `path` is a folder or a device.
std::string model_file_to_write(const std::string& path);

}  // namespace nib
