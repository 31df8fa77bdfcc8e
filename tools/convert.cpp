// nib convert: a model of Hugging Face, PyTorch or llama2.c as a GGUF file.
#include <memory>
#include <string>

#include "command.h"
#include "conversion.h"
#include "core/error.h"
#include "input.h"
#include "model/encode.h"
#include "model/hf_config.h"
#include "model/peft.h"
#include "options.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "SOURCE is a folder as on the Hugging Face hub (config.json, weights, tokenizer), or a file of weights: safetensors, "
    "with its config.json and tokenizer beside it, what torch.save has written (.bin, .pt, .pth, .ckpt), or a file of "
    "llama2.c in f32. It holds a GPT-1, GPT-2, GPT-Neo, Llama, Mistral (without a window), Qwen2, BERT or Marian of "
    "transformers or sentence-transformers, or a checkpoint of "
    "nanoGPT, minGPT (the first one, too), makemore, the lecture gpt.py, the book \"Build a Large Language Model (From "
    "Scratch)\" or llama2.c. Nothing in it is executed.\n\n"
    "Norms, biases and position embeddings are stored as f32 whatever the type. Types in blocks need rows of whole blocks: "
    "channels and feed-forward width divide by 256 for q6_k, q5_k and q4_k, by 32 for the other q types.\n\n"
    "--vocab names a folder with a tokenizer, a tokenizer.json, a tokenizer.model of SentencePiece or llama2.c's copy of "
    "one (tokenizer.bin), a vocab.json with a merges.txt beside it (OpenAI called them encoder.json and vocab.bpe), a "
    "vocab.txt of WordPiece, or a list of characters: {\"a\": 0, \"b\": 1} or [\"a\", \"b\"] in JSON, or nanoGPT's "
    "meta.pkl; `none` leaves out a tokenizer that nib does not know. Without a tokenizer the model takes and gives token "
    "numbers.\n\n"
    "A folder with PEFT's adapter_config.json and adapter_model.safetensors becomes an adapter, for --lora of other "
    "commands "
    "and for llama.cpp. --base names the model it belongs to; adapters of Llama's queries and keys need it.\n\n"
    "Examples:\n"
    "  nib convert path/to/gpt2 -o gpt2.gguf\n"
    "  nib convert path/to/gpt2 -o gpt2-q8.gguf --type q8_0\n"
    "  nib convert path/to/llama -o llama-q4.gguf --type q4_k\n"
    "  nib convert ckpt.pt --vocab vocab.json -o names.gguf\n"
    "  nib convert path/to/adapter -o adapter.gguf --base llama.gguf";

struct Options {
    ConvertRequest request;
    std::string type, act;
    int64_t heads = 0;
};

void convert(const CLI::App& app, Options& o) {
    ConvertRequest& request = o.request;
    request.output = model_file_to_write(request.output);
    if (!o.type.empty()) request.type = weight_type("--type", o.type);
    if (!request.base.empty()) request.base = model_file(request.base);
    if (o.heads > 0) request.hints.heads = o.heads;
    if (!o.act.empty()) request.hints.act = find_activation(o.act);
    if (!o.act.empty() && !request.hints.act)
        fail_usage("--activation: there is no activation `%s` in nib", printable(o.act, 40).c_str());
    report_conversion(app, request.output, [&](const ConvertReports& reports) {
        return is_peft_adapter(request.input) ? convert_adapter(request, reports) : convert_checkpoint(request, reports);
    });
}

}  // namespace

void convert_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    app.add_option("SOURCE", o->request.input, "folder or file to convert")->required();
    app.add_option("-o,--output", o->request.output, "model file to write (GGUF)")->required()->type_name("FILE");
    app.add_option("--type", o->type, "type of the weights: " + weight_type_names() + " (default: as in SOURCE)")
        ->type_name("TYPE");
    app.add_option("--vocab", o->request.vocab, "the tokenizer (default: Hugging Face's beside config.json)")
        ->type_name("PATH");
    add_end_token_option(app, o->request.end_token);
    app.add_option("--heads", o->heads, "number of attention heads, whatever the files say")
        ->transform(whole_number(1, int64_t{1} << 24))
        ->type_name("N");
    app.add_option("--activation", o->act, "gelu_new, gelu or relu, whatever the files say")->type_name("NAME");
    app.add_option("--base", o->request.base, "of an adapter, the model file it belongs to")->type_name("FILE");
    add_conversion_options(app, o->request.overwrite, o->request.threads);
    app.footer(kFooter);
    app.callback([&app, o] { convert(app, *o); });
}

}  // namespace nib
