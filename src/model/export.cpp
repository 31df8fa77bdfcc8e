#include "model/export.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/gguf.h"
#include "io/safetensors.h"
#include "model/architecture.h"
#include "model/encode.h"
#include "model/hf_config.h"
#include "model/layouts.h"
#include "model/loaded_model.h"
#include "model/output_folder.h"
#include "model/sentence_transformers.h"
#include "model/tensor_names.h"
#include "quant/quantize.h"
#include "text/chat_template_files.h"
#include "text/marian_files.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

constexpr const char* kWeightsFile = "model.safetensors";
constexpr const char* kConfigFile = "config.json";
// All that an export may write, and what would be taken instead of it; config.json first (OutputFiles::publish).
constexpr const char* kFiles[] = {kConfigFile,
                                  kWeightsFile,
                                  "tokenizer.json",
                                  "tokenizer_config.json",
                                  "vocab.json",
                                  "source.spm",
                                  "target.spm",
                                  "target_vocab.json",
                                  "merges.txt",
                                  "encoder.json",
                                  "vocab.bpe",
                                  "vocab.txt",
                                  "added_tokens.json",
                                  "special_tokens_map.json",
                                  "generation_config.json",
                                  "model.safetensors.index.json",
                                  "modules.json",
                                  "sentence_bert_config.json",
                                  "1_Pooling/config.json"};

struct ExportedTensor {
    const GgufTensor* from;
    std::string name;            // Hugging Face's
    std::vector<int64_t> shape;  // as written
    Order order;
    DType type;
};

const char* torch_name(DType type) { return type == DType::F16 ? "float16" : type == DType::BF16 ? "bfloat16" : "float32"; }

// Whether transformers' class names a text only, and gives no next token.
bool is_classifier(const ModelConfig& config) {
    return !architecture_of(config).encoder_only && config.find_head("class") != nullptr;
}

// Error, naming the file, for what transformers' class does not have.
const Layout& layout_of(const GgufFile& file, const ModelConfig& config) {
    try {
        hf_config_text(config, "", "");
        return hf_format(config).layouts[0];
    } catch (const Error& error) {
        file.wrong(error.what());
    }
}

std::vector<ExportedTensor> plan_tensors(const GgufFile& file, const ModelConfig& config, std::optional<DType> type) {
    const Layout& layout = layout_of(file, config);
    check_tensors(config, file);
    std::vector<ExportedTensor> tensors;
    const auto model = make_model(config);
    for (const ParameterSpec& spec : model->parameters()) {
        if (spec.name == kHead && is_classifier(config)) continue;
        const GgufTensor& from = file.tensor(spec.name);
        if (!quant::can_unpack(from.type))
            file.wrong("tensor `" + spec.name + "` has type " + dtype_info(from.type)->name +
                       ", which weights cannot have");
        ExportedTensor to{&from, hf_name(layout, spec.name, !model->heads().empty()), from.shape, Order::Same,
                          type.value_or(from.type)};
        to.order = first_row_of(layout, spec.name).order;
        if (!is_plain(to.type)) to.type = DType::F32;
        if (to.order == Order::Conv1d) std::reverse(to.shape.begin(), to.shape.end());
        if (to.order == Order::OneRow) to.shape.insert(to.shape.begin(), 1);
        tensors.push_back(std::move(to));
    }
    return tensors;
}

uint64_t write_weights(AtomicFile& file, const GgufFile& source, const ModelConfig& config,
                       const std::vector<ExportedTensor>& tensors, Encoder& encoder) {
    std::vector<SafetensorsEntry> entries;
    for (const ExportedTensor& t : tensors) entries.push_back({t.name, source_type(t.type), t.shape});
    const std::string header = safetensors_header(entries);
    file.write(std::as_bytes(std::span(header)));
    uint64_t bytes = header.size();
    for (const ExportedTensor& t : tensors) {
        std::vector<float> values;
        const SourceTensor tensor = as_stored(open_tensor(*t.from, values), t.order, config);
        encoder.encode(
            t.from->name, t.type, t.shape, [&](int64_t first, std::span<float> out) { tensor.read(first, out); },
            [&](std::span<const std::byte> piece) {
                bytes += piece.size();
                file.write(piece);
            });
        source.release(*t.from);
    }
    return bytes;
}

// The tokenizer, or nullptr with a warning; and the ids of the tokens around a text. A token that ends texts pads none:
// a class is read from the last token that is not padding.
std::unique_ptr<Tokenizer> find_tokenizer(const GgufFile& file, const ModelConfig& config, const ConvertReports& reports,
                                          HfTokens& tokens) {
    const auto model = file.get_or<std::string>("tokenizer.ggml.model", "none");
    if (model == "none" || model == "no_vocab") {
        reports.warn("the model has no tokenizer: none is written");
        tokens.begin = file.get_or<int32_t>("tokenizer.ggml.bos_token_id", -1);
        tokens.end = file.get_or<int32_t>("tokenizer.ggml.eos_token_id", -1);
        return nullptr;
    }
    std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
    if (tokenizer->vocab_size() > config.source_tokens())
        file.wrong(strprintf("the tokenizer has %d tokens, but the embedding has only %lld rows", tokenizer->vocab_size(),
                             static_cast<long long>(config.source_tokens())));
    tokens = {tokenizer->begin_token(), tokenizer->end_token(), tokenizer->specials().padding};
    if (tokens.padding < 0) tokens.padding = tokens.end;
    if (tokenizer->ends_texts() && tokens.padding == tokens.end) tokens.padding = -1;
    return tokenizer;
}

}  // namespace

ConvertResult export_model(const ExportRequest& request, const ConvertReports& reports) {
    const GgufFile file = GgufFile::open(request.input);
    const ModelConfig config = read_config(file);
    const std::vector<ExportedTensor> tensors = plan_tensors(file, config, request.type);
    HfTokens around;
    const std::unique_ptr<Tokenizer> tokenizer = find_tokenizer(file, config, reports, around);
    if (is_classifier(config) && !config.tied)
        reports.warn("the head that gives the next token is left out: transformers' class names texts only");
    const auto quantized =
        std::count_if(tensors.begin(), tensors.end(), [](const auto& t) { return !is_plain(t.from->type); });
    const DType type = tensors.front().type;
    if (quantized > 0)
        reports.warn(strprintf("%lld tensor%s quantized, written as %s", static_cast<long long>(quantized),
                               quantized == 1 ? " is" : "s are", dtype_info(type)->name));

    const std::string name = printable(file.get_or<std::string>("general.name", config.arch));
    const std::string json = hf_config_text(config, name, torch_name(type), around);
    OutputFolder folder(request.output, request.overwrite);
    OutputFiles files(folder);
    const int64_t parameters = parameter_count(config);
    Encoder encoder(request.threads, parameters, reports.progress);
    const uint64_t bytes = write_weights(files.add(kWeightsFile), file, config, tensors, encoder);
    const std::unique_ptr<Tokenizer> target = read_target_tokenizer(file);
    const auto vocabulary = tokenizer == nullptr ? std::vector<std::pair<std::string, std::string>>()
                            : target != nullptr  ? translation_tokenizer_files(*tokenizer, *target, config.context)
                                                 : tokenizer_files(*tokenizer, config.context, config.segments > 0);
    for (const auto& [name, text] : vocabulary) files.add(name, text);
    if (const auto chat = file.get_or<std::string>(kChatTemplateKey, ""); !chat.empty()) files.add(kChatTemplateFile, chat);
    for (const auto& [name, text] : sentence_transformers_files(config)) files.add(name, text);
    files.add(kConfigFile, json);
    files.publish(kFiles);
    for (const std::string& finding : encoder.findings()) reports.warn(finding);
    return {type, parameters, bytes};
}

}  // namespace nib
