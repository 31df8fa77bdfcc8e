// nib merge: a model file with adapters added into its weights.
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "conversion.h"
#include "model_options.h"
#include "options.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "ADAPTER is FILE or FILE:SCALE, which counts it SCALE times. The merged model computes what `nib run MODEL --lora "
    "ADAPTER` "
    "does, up to the rounding of its type, without the time that an adapter takes.\n\n"
    "Examples:\n"
    "  nib merge smollm2.gguf adapter.gguf -o merged.gguf\n"
    "  nib merge smollm2.gguf chat.gguf style.gguf:0.5 -o merged.gguf --type q8_0";

struct Options {
    ConvertRequest request;
    std::string type;
    std::vector<std::string> adapters;
};

void merge(const CLI::App& app, Options& o) {
    ConvertRequest& request = o.request;
    request.input = model_file(request.input);
    request.output = model_file_to_write(request.output);
    if (!o.type.empty()) request.type = weight_type("--type", o.type);
    std::vector<AdapterChoice> adapters;
    for (const std::string& text : o.adapters) adapters.push_back(parse_adapter(text));
    report_conversion(app, request.output,
                      [&](const ConvertReports& reports) { return merge_adapters(request, adapters, reports); });
}

}  // namespace

void merge_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->request.input);
    app.add_option("ADAPTER", o->adapters, "adapters of the model (GGUF)")->required();
    app.add_option("-o,--output", o->request.output, "model file to write")->required()->type_name("FILE");
    app.add_option("--type", o->type, "type of the weights: " + weight_type_names() + " (default: as in MODEL)")
        ->type_name("TYPE");
    add_conversion_options(app, o->request.overwrite, o->request.threads);
    app.footer(kFooter);
    app.callback([&app, o] { merge(app, *o); });
}

}  // namespace nib
