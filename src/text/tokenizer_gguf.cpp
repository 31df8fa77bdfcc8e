#include "text/tokenizer_gguf.h"

#include <string>
#include <vector>

#include "core/error.h"

namespace nib {
namespace {

constexpr int32_t kNormalToken = 1;  // llama.cpp's LLAMA_TOKEN_TYPE_NORMAL

}  // namespace

void write_tokenizer(GgufWriter& file, const CharTokenizer& tokenizer) {
    const auto size = static_cast<size_t>(tokenizer.vocab_size());
    file.set("tokenizer.ggml.model", std::string("llama"));
    file.set("nib.tokenizer", std::string("char"));
    file.set("tokenizer.ggml.tokens", tokenizer.token_strings());
    file.set("tokenizer.ggml.scores", std::vector<float>(size, 0.0f));
    file.set("tokenizer.ggml.token_type", std::vector<int32_t>(size, kNormalToken));
    for (const char* key : {"add_space_prefix", "add_bos_token", "add_eos_token"})
        file.set(std::string("tokenizer.ggml.") + key, false);
}

std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file) {
    const auto kind = file.get_or<std::string>("nib.tokenizer", "");
    if (kind != "char") {
        const auto model = kind.empty() ? file.get_or<std::string>("tokenizer.ggml.model", "none") : kind;
        fail("%s: tokenizer `%s` is not supported; nib runs character models", file.name().c_str(),
             printable(model, 40).c_str());
    }
    const auto& tokens = file.array<std::string>("tokenizer.ggml.tokens");
    try {
        return std::make_unique<CharTokenizer>(CharTokenizer::from_token_strings(tokens));
    } catch (const Error& error) {
        fail("%s: %s", file.name().c_str(), error.what());
    }
}

}  // namespace nib
