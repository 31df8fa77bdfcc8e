// nib export: a model file as a folder for Hugging Face's transformers.
#include <memory>
#include <string>

#include "command.h"
#include "conversion.h"
#include "core/error.h"
#include "model/adapter_file.h"
#include "model/peft.h"
#include "options.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "The folder holds config.json, model.safetensors and the tokenizer's files; AutoModelForCausalLM and AutoTokenizer "
    "load it: a gpt2 as GPT2LMHeadModel, a llama as LlamaForCausalLM, a qwen2 as Qwen2ForCausalLM. Quantized weights are "
    "written as f32. An adapter becomes a folder for PEFT: adapter_config.json, adapter_model.safetensors.\n\n"
    "Examples:\n"
    "  nib export names.gguf -o hf_dir\n"
    "  nib export gpt2-q8.gguf -o hf_dir --type f16\n"
    "  nib export adapter.gguf -o peft_dir";

struct Options {
    ExportRequest request;
    std::string type;
};

void export_folder(const CLI::App& app, Options& o) {
    ExportRequest& request = o.request;
    request.input = model_file(request.input);
    if (!o.type.empty()) {
        request.type = weight_type("--type", o.type);
        if (dtype_info(*request.type)->block_size > 1)
            fail_usage("--type: `%s` has no place in a safetensors file; choose f32, f16 or bf16", o.type.c_str());
    }
    if (!request.base.empty()) request.base = model_file(request.base);
    const bool adapter = AdapterFile::is_adapter(GgufFile::open(request.input));
    report_conversion(app, request.output, [&](const ConvertReports& reports) {
        return adapter ? export_adapter(request, reports) : export_model(request, reports);
    });
}

}  // namespace

void export_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->request.input);
    app.add_option("-o,--output", o->request.output, "folder to write")->required()->type_name("FOLDER");
    app.add_option("--type", o->type, "type of the weights: f32, f16 or bf16 (default: as in MODEL)")->type_name("TYPE");
    app.add_option("--base", o->request.base, "of an adapter, the model file it belongs to, where it does not say enough")
        ->type_name("FILE");
    add_conversion_options(app, o->request.overwrite, o->request.threads);
    app.footer(kFooter);
    app.callback([&app, o] { export_folder(app, *o); });
}

}  // namespace nib
