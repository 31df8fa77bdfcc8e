#include "model/loaded_model.h"

#include "core/error.h"
#include "text/token_numbers.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

std::unique_ptr<Tokenizer> tokenizer_of(const GgufFile& file, const GptConfig& config) {
    std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
    if (!tokenizer)
        tokenizer = std::make_unique<TokenNumbers>(static_cast<int32_t>(config.vocab),
                                                   file.get_or<int32_t>("tokenizer.ggml.eos_token_id", -1));
    return tokenizer;
}

}  // namespace

LoadedModel::LoadedModel(const std::string& path, Backend& backend)
    : backend_(backend),
      file_(GgufFile::open(path)),
      config_(read_config(file_)),
      tokenizer_(tokenizer_of(file_, config_)),
      buffer_(map_weights(backend, file_)),
      weights_(gpt_weights(config_, file_, buffer_)) {
    if (tokenizer_->vocab_size() != config_.vocab)
        fail("%s: the tokenizer has %d tokens, but the embedding `token_embd.weight` has %lld rows; the file is damaged",
             file_.name().c_str(), tokenizer_->vocab_size(), static_cast<long long>(config_.vocab));
}

}  // namespace nib
