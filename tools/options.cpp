#include "options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "cpu/isa.h"
#include "io/gguf.h"
#include "text/token_numbers.h"

namespace nib {
namespace {

constexpr int kMaxThreads = 256;

}  // namespace

BackendOptions::BackendOptions() : threads(std::min(default_threads(), kMaxThreads)) {}

CLI::Option* add_threads_option(CLI::App& app, int& threads) {
    return app.add_option("--threads", threads, "threads that compute")
        ->transform(whole_number(1, kMaxThreads))
        ->type_name("N")
        ->capture_default_str();
}

void add_backend_options(CLI::App& app, BackendOptions& options) {
    options.of_cpu.push_back(add_threads_option(app, options.threads));
    std::string names;
    for (const KernelTable* table : kernel_tables()) names += std::string(", ") + table->name;
    options.of_cpu.push_back(
        app.add_option("--isa", options.isa, "kernels to use: auto (the best that this machine has)" + names)
            ->type_name("NAME")
            ->capture_default_str());
}

std::unique_ptr<CpuBackend> make_backend(const BackendOptions& options) {
    return std::make_unique<CpuBackend>(kernel_table(options.isa), options.threads);
}

CLI::Validator whole_number(int64_t low, int64_t high) {
    return {[=](std::string& text) -> std::string {
                int64_t value = 0;
                const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
                if (error == std::errc::invalid_argument || end != text.data() + text.size())
                    return "`" + printable(text, 40) + "` is not a whole number";
                const std::string given = printable(text, 40);
                text = std::to_string(value);  // CLI11 would take 010 for an octal number
                if (error == std::errc() && value >= low && value <= high) return "";
                if (low == INT64_MIN) return given + " is out of range";
                return given + " is out of range; choose a number from " + std::to_string(low) + " to " +
                       std::to_string(high);
            },
            ""};
}

CLI::Validator real_number() {
    return {[](std::string& text) -> std::string {
                double value = 0;
                const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
                const bool good = error != std::errc::invalid_argument && end == text.data() + text.size();
                return good ? "" : "`" + printable(text, 40) + "` is not a number";
            },
            ""};
}

CLI::Validator token_list() {
    return {[](const std::string& text) -> std::string {
                try {
                    if (text != "-") parse_token_numbers(text, INT32_MAX);
                } catch (const Error& error) {
                    return error.what();
                }
                return "";
            },
            ""};
}

CLI::Validator one_of(std::vector<std::string> names) {
    std::string list;
    for (size_t i = 0; i < names.size(); ++i) list += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + names[i];
    return {[names = std::move(names), list](const std::string& text) -> std::string {
                if (std::find(names.begin(), names.end(), text) != names.end()) return "";
                return "choose " + list + ", not `" + printable(text, 40) + "`";
            },
            ""};
}

namespace {

CLI::Option* add_float_option(CLI::App& app, const char* flag, std::string& type, const char* help) {
    return app.add_option(flag, type, help)->check(one_of({"f16", "f32"}))->type_name("TYPE")->capture_default_str();
}

}  // namespace

CLI::Option* add_cache_option(CLI::App& app, std::string& type) {
    return add_float_option(app, "--cache", type, "keys and values are kept as f16 or f32");
}

CLI::Option* add_activations_option(CLI::App& app, std::string& type) {
    return add_float_option(
        app, "--activations", type,
        "what the backward pass needs is kept as f32 or, on a GPU and with head sizes that divide by 4, as f16, "
        "in half the memory");
}

DType float_type(const std::string& name) { return name == "f16" ? DType::F16 : DType::F32; }

void add_model_argument(CLI::App& app, std::string& path) {
    app.add_option("MODEL", path, "model file (GGUF), such as nib train writes")->required();
}

std::string model_file(const std::string& path) {
    std::error_code error;
    const std::string longer = path + ".gguf";
    return !std::filesystem::exists(path, error) && std::filesystem::exists(longer, error) ? longer : path;
}

std::string model_file_to_write(const std::string& path) {
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        fail("%s: is a folder; give the name of the model file, for example %s", printable(path).c_str(),
             printable((std::filesystem::path(path) / "model.gguf").string()).c_str());
    if (std::filesystem::exists(path, error) && !std::filesystem::is_regular_file(path, error))
        fail("%s: is not a regular file; the output is a model file", printable(path).c_str());
    return gguf_name(path);
}

}  // namespace nib
