// nib quantize: a model file with its weights as another type.
#include <memory>
#include <string>

#include "command.h"
#include "conversion.h"
#include "model/encode.h"
#include "options.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Norms, biases and position embeddings stay as they are, and so do the tokenizer and all other data of the file. Types "
    "in blocks need rows of whole blocks: channels and feed-forward width divide by 256 for q6_k, q5_k and q4_k, by 32 for "
    "the other q types.\n\n"
    "`nib quantize MODEL FILE TYPE`, as llama.cpp has it, is the same.\n\n"
    "Examples:\n"
    "  nib quantize gpt2.gguf -o gpt2-q4.gguf --type q4_k\n"
    "  nib quantize gpt2.gguf -o gpt2-f16.gguf --type f16";

struct Options {
    ConvertRequest request;
    std::string type;
};

void quantize(const CLI::App& app, Options& o) {
    ConvertRequest& request = o.request;
    request.input = model_file(request.input);
    request.output = model_file_to_write(request.output);
    request.type = weight_type("--type", o.type);
    report_conversion(app, request.output, [&](const ConvertReports& reports) { return quantize_file(request, reports); });
}

}  // namespace

void quantize_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_argument(app, o->request.input);
    app.add_option("OUTPUT,-o,--output", o->request.output, "model file to write (GGUF)")->required()->type_name("FILE");
    app.add_option("TYPE,--type", o->type, "type of the weights: " + weight_type_names())->required()->type_name("TYPE");
    add_conversion_options(app, o->request.overwrite, o->request.threads);
    app.footer(kFooter);
    app.callback([&app, o] { quantize(app, *o); });
}

}  // namespace nib
