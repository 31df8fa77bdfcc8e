#include "model/loaded_model.h"

#include <algorithm>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "model/tensor_names.h"
#include "quant/quantize.h"
#include "text/chat_template_files.h"
#include "text/token_numbers.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

constexpr const char* kEndKey = "tokenizer.ggml.eos_token_id";

std::unique_ptr<Tokenizer> tokenizer_of(const GgufFile& file, const ModelConfig& config) {
    std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
    if (!tokenizer)
        tokenizer =
            std::make_unique<TokenNumbers>(static_cast<int32_t>(config.source_tokens()), file.get_or<int32_t>(kEndKey, -1));
    return tokenizer;
}

// None where the model writes what it reads.
std::unique_ptr<Tokenizer> target_tokenizer_of(const GgufFile& file, const ModelConfig& config) {
    std::unique_ptr<Tokenizer> tokenizer = read_target_tokenizer(file);
    if (!tokenizer && config.source_vocab > 0)
        tokenizer = std::make_unique<TokenNumbers>(static_cast<int32_t>(config.vocab), file.get_or<int32_t>(kEndKey, -1));
    return tokenizer;
}

void check_vocabulary(const GgufFile& file, const Tokenizer& tokenizer, int64_t rows, const char* embedding) {
    if (tokenizer.vocab_size() != rows)
        file.wrong(strprintf("the tokenizer has %d tokens, but the embedding `%s` has %lld rows; the file is damaged",
                             tokenizer.vocab_size(), embedding, static_cast<long long>(rows)));
}

}  // namespace

void check_tensors(const ModelConfig& config, const GgufFile& file) {
    const Architecture& family = architecture_of(config);
    const std::vector<ParameterSpec> specs = model_parameters(config);
    std::unordered_set<std::string_view> known(family.other_tensors.begin(), family.other_tensors.end());
    for (const ParameterSpec& spec : specs) {
        known.insert(spec.name);
        Shape shape;
        for (const int64_t d : file.tensor(spec.name).shape) shape.dims[static_cast<size_t>(shape.rank++)] = d;
        if (shape != spec.shape)
            file.wrong("tensor `" + spec.name + "` has shape " + shape.text() + ", but the model's sizes ask for " +
                       spec.shape.text());
    }
    for (const GgufTensor& tensor : file.tensors())
        if (!known.contains(tensor.name))
            file.wrong("tensor `" + printable(tensor.name) + "` belongs to no parameter of a " + family.title + " of " +
                       counted(config.layers, "layer"));
}

Weights weights_in(const ModelConfig& config, const GgufFile& file, int buffer) {
    check_tensors(config, file);
    return place_weights(config, [&](const ParameterSpec& spec) {
        const GgufTensor& tensor = file.tensor(spec.name);
        const bool matrix = spec.shape.rank == 2;
        if (matrix ? !quant::can_unpack(tensor.type) : tensor.type != DType::F32)
            file.wrong("tensor `" + spec.name + "` is stored as " + dtype_info(tensor.type)->name + "; nib runs " +
                       (matrix ? "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 and q2_k to q6_k"
                               : "norms and biases of f32 only"));
        const auto offset = static_cast<size_t>(tensor.data.data() - file.bytes().data());
        return Weight{
            spec.name, spec.shape, tensor.type, {buffer,           offset},
               {                }
        };
    });
}

int map_weights(Backend& backend, const GgufFile& file) {
    std::vector<size_t> cuts;
    for (const GgufTensor& t : file.tensors()) {
        fit_segment(0, t.data.size(), backend.segment(), t.name);
        cuts.push_back(static_cast<size_t>(t.data.data() - file.bytes().data()));
    }
    std::sort(cuts.begin(), cuts.end());
    return backend.map_weights(file.bytes(), cuts);
}

LoadedModel::LoadedModel(const std::string& path, Backend& backend, std::span<const AdapterChoice> adapters)
    : file_(GgufFile::open(path)),
      config_(read_config(file_)),
      tokenizer_(tokenizer_of(file_, config_)),
      target_tokenizer_(target_tokenizer_of(file_, config_)),
      mapped_(backend, file_),
      weights_(weights_in(config_, file_, mapped_.buffer())) {
    check_vocabulary(file_, *tokenizer_, config_.source_tokens(), config_.source_vocab > 0 ? kSourceEmbedding : kEmbedding);
    check_vocabulary(file_, target_tokenizer(), config_.vocab, kEmbedding);
    for (const AdapterChoice& choice : adapters) {
        AdapterFile file(GgufFile::open(choice.path));
        file.check_base(config_, file_);
        adapters_.push_back(std::make_unique<Attached>(backend, std::move(file)));
        adapters_.back()->file.attach(weights_, config_, adapters_.back()->mapped.buffer(), choice.scale);
    }
}

std::string LoadedModel::chat_template() const {
    for (const auto& adapter : adapters_)
        if (auto own = adapter->file.file().get_or<std::string>(kChatTemplateKey, ""); !own.empty()) return own;
    return file_.get_or<std::string>(kChatTemplateKey, "");
}

}  // namespace nib
