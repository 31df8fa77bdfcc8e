#include "options.h"

#include <algorithm>

#include "cpu/isa.h"

namespace nib {
namespace {

constexpr int kMaxThreads = 256;

}  // namespace

BackendOptions::BackendOptions() : threads(std::min(default_threads(), kMaxThreads)) {}

void add_backend_options(CLI::App& app, BackendOptions& options) {
    app.add_option("--threads", options.threads, "threads that compute")
        ->check(whole_number(1, kMaxThreads))
        ->type_name("N")
        ->capture_default_str();
    std::string names;
    for (const KernelTable* table : kernel_tables()) names += std::string(", ") + table->name;
    app.add_option("--isa", options.isa, "kernels to use: auto (the best that this machine has)" + names)
        ->type_name("NAME")
        ->capture_default_str();
}

std::unique_ptr<CpuBackend> make_backend(const BackendOptions& options) {
    return std::make_unique<CpuBackend>(kernel_table(options.isa), options.threads);
}

CLI::Validator whole_number(int64_t low, int64_t high) { return CLI::Range(low, high).description(""); }

void add_model_argument(CLI::App& app, std::string& path) {
    app.add_option("model", path, "model file (GGUF), such as nib train writes")->required()->type_name("MODEL");
}

}  // namespace nib
