#include "model_options.h"

#include <charconv>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "options.h"

namespace nib {

AdapterChoice parse_adapter(const std::string& text) {
    std::error_code error;
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || std::filesystem::exists(text, error)) return {model_file(text), 1};
    const char *const begin = text.data() + colon + 1, *const end = text.data() + text.size();
    float scale = 0;
    const auto [rest, problem] = std::from_chars(begin, end, scale);
    if (problem != std::errc() || rest != end || !std::isfinite(scale))
        fail_usage("`%s` after the adapter's name is no number", printable(text.substr(colon + 1), 40).c_str());
    return {model_file(text.substr(0, colon)), scale};
}

void add_model_options(CLI::App& app, ModelOptions& options) {
    add_model_argument(app, options.path);
    app.add_option_function<std::vector<std::string>>(
           "--lora",
           [&options](const std::vector<std::string>& texts) {
               for (const std::string& text : texts) options.adapters.push_back(parse_adapter(text));
           },
           "an adapter for the model (GGUF), counted SCALE times (default: once); may be given again")
        ->type_name("FILE[:SCALE]")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

LoadedModel open_model(const ModelOptions& options, Backend& backend) {
    return LoadedModel(model_file(options.path), backend, options.adapters);
}

}  // namespace nib
