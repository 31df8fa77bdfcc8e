#include "model/loaded_model.h"

#include <algorithm>

#include "core/error.h"
#include "quant/quantize.h"
#include "text/token_numbers.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

std::unique_ptr<Tokenizer> tokenizer_of(const GgufFile& file, const ModelConfig& config) {
    std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
    if (!tokenizer)
        tokenizer = std::make_unique<TokenNumbers>(static_cast<int32_t>(config.vocab),
                                                   file.get_or<int32_t>("tokenizer.ggml.eos_token_id", -1));
    return tokenizer;
}

}  // namespace

Weights weights_in(const ModelConfig& config, const GgufFile& file, int buffer) {
    return place_weights(config, [&](const ParameterSpec& spec) {
        const GgufTensor& tensor = file.tensor(spec.name);
        Shape shape;
        for (const int64_t d : tensor.shape) shape.dims[static_cast<size_t>(shape.rank++)] = d;
        if (shape != spec.shape)
            fail("%s: tensor `%s` has shape %s, but the model's sizes ask for %s", file.name().c_str(), spec.name.c_str(),
                 shape.text().c_str(), spec.shape.text().c_str());
        const bool matrix = spec.shape.rank == 2;
        if (matrix ? !quant::can_unpack(tensor.type) : tensor.type != DType::F32)
            fail("%s: tensor `%s` is stored as %s; nib runs %s", file.name().c_str(), spec.name.c_str(),
                 dtype_info(tensor.type)->name,
                 matrix ? "f32, f16, bf16, q8_0, q4_0, q4_1, q5_0, q5_1 and q2_k to q6_k" : "norms and biases of f32 only");
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

LoadedModel::LoadedModel(const std::string& path, Backend& backend)
    : backend_(backend),
      file_(GgufFile::open(path)),
      config_(read_config(file_)),
      tokenizer_(tokenizer_of(file_, config_)),
      buffer_(map_weights(backend, file_)),
      weights_(weights_in(config_, file_, buffer_)) {
    if (tokenizer_->vocab_size() != config_.vocab)
        fail("%s: the tokenizer has %d tokens, but the embedding `token_embd.weight` has %lld rows; the file is damaged",
             file_.name().c_str(), tokenizer_->vocab_size(), static_cast<long long>(config_.vocab));
}

}  // namespace nib
