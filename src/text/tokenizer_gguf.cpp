#include "text/tokenizer_gguf.h"

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.h"

namespace nib {
namespace {

// What `tokenizer.ggml.pre` calls a way of splitting; the first name of each is the one that nib writes. llama.cpp splits
// by the same expression for all of these, and for the Llama 3 family it ignores merges and begins texts with a token.
struct PreName {
    std::string_view name;
    SplitPattern split;
    bool ignore_merges = false, add_begin = false;
};
constexpr PreName kPreNames[] = {
    {"gpt-2",               SplitPattern::Gpt2   },
    {"llama-bpe",           SplitPattern::Llama3,  true, true},
    {"qwen2",                 SplitPattern::Qwen2                                     },
    {"phi-2",SplitPattern::Gpt2},
    {"roberta-bpe",                  SplitPattern::Gpt2                                                                     },
    {"mpt",SplitPattern::Gpt2},
    {"olmo",                  SplitPattern::Gpt2                                                                                                     },
    {"jais",SplitPattern::Gpt2},
    {"llama3",                  SplitPattern::Llama3,                                                                                                                                      true, true},
    {"llama-v3",SplitPattern::Llama3,true, true},
    {"stablelm2",                     SplitPattern::Qwen2                                },
};

const PreName& pre_of(SplitPattern split) {
    for (const PreName& pre : kPreNames)
        if (pre.split == split) return pre;
    fail("a split pattern has no name in GGUF");
}

// Files from before there was such a key are split as GPT-2 does.
const PreName& read_pre(const GgufFile& file) {
    const auto name = file.get_or<std::string>("tokenizer.ggml.pre", "gpt-2");
    for (const PreName& pre : kPreNames)
        if (pre.name == name) return pre;
    std::string known;
    for (const PreName& pre : kPreNames) known += (known.empty() ? "" : ", ") + std::string(pre.name);
    fail("%s: the way of splitting text `%s` (tokenizer.ggml.pre) is not supported; nib knows %s", file.name().c_str(),
         printable(name, 40).c_str(), known.c_str());
}

constexpr std::pair<const char*, int32_t SpecialTokens::*> kSpecialKeys[] = {
    {"tokenizer.ggml.bos_token_id",     &SpecialTokens::begin  },
    {"tokenizer.ggml.eos_token_id",     &SpecialTokens::end    },
    {"tokenizer.ggml.unknown_token_id", &SpecialTokens::unknown},
    {"tokenizer.ggml.padding_token_id", &SpecialTokens::padding},
};

SpecialTokens read_specials(const GgufFile& file, bool add_begin) {
    SpecialTokens specials;
    for (const auto& [key, member] : kSpecialKeys) {
        const auto id = file.get_or<int64_t>(key, -1);
        if (id < -1 || (id >= std::numeric_limits<int32_t>::max() && id != std::numeric_limits<uint32_t>::max()))
            fail("%s: key `%s`: there is no token %lld", file.name().c_str(), key, static_cast<long long>(id));
        specials.*member = id == std::numeric_limits<uint32_t>::max() ? -1 : static_cast<int32_t>(id);
    }
    specials.add_begin = file.get_or<bool>("tokenizer.ggml.add_bos_token", add_begin && specials.begin >= 0);
    specials.add_end = file.get_or<bool>("tokenizer.ggml.add_eos_token", false);
    return specials;
}

// Without types all tokens are normal but those with a purpose.
std::vector<TokenType> read_types(const GgufFile& file, const SpecialTokens& specials) {
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    const bool typed = file.value("tokenizer.ggml.token_type") != nullptr;
    const std::vector<int32_t> none;
    const auto& types = typed ? file.array<int32_t>("tokenizer.ggml.token_type") : none;
    if (typed && types.size() != texts.size()) {
        fail("%s: the vocabulary is damaged: %zu tokens, but %zu types of tokens", file.name().c_str(), texts.size(),
             types.size());
    }
    std::vector<TokenType> read(texts.size(), TokenType::Normal);
    for (size_t i = 0; i < types.size(); ++i) {
        const bool known = types[i] >= 1 && types[i] <= static_cast<int32_t>(TokenType::Unused);
        if (known) read[i] = static_cast<TokenType>(types[i]);
    }
    for (const int32_t id : {specials.begin, specials.end, specials.unknown, specials.padding}) {
        const auto i = static_cast<size_t>(id);
        if (!typed && id >= 0 && i < read.size()) read[i] = TokenType::Control;
    }
    return read;
}

std::unique_ptr<Tokenizer> read_bpe(const GgufFile& file) {
    const PreName& pre = read_pre(file);
    BpeModel model;
    model.split = pre.split;
    model.specials = read_specials(file, pre.add_begin);
    const auto& texts = file.array<std::string>("tokenizer.ggml.tokens");
    const std::vector<TokenType> types = read_types(file, model.specials);
    for (size_t i = 0; i < texts.size(); ++i)
        model.tokens.push_back({texts[i], types[i], types[i] == TokenType::UserDefined});
    const auto& merges = file.array<std::string>("tokenizer.ggml.merges");
    model.add_prefix_space = file.get_or<bool>("tokenizer.ggml.add_space_prefix", false);
    model.ignore_merges = file.get_or<bool>("nib.tokenizer.ignore_merges", pre.ignore_merges);
    try {
        return std::make_unique<BpeTokenizer>(model, merges);
    } catch (const Error& error) {
        fail("%s: %s", file.name().c_str(), error.what());
    }
}

std::unique_ptr<Tokenizer> read_characters(const GgufFile& file) {
    const SpecialTokens specials = read_specials(file, false);
    const std::vector<TokenType> types = read_types(file, specials);
    try {
        return std::make_unique<CharTokenizer>(
            CharTokenizer::from_token_strings(file.array<std::string>("tokenizer.ggml.tokens"), types, specials));
    } catch (const Error& error) {
        fail("%s: %s", file.name().c_str(), error.what());
    }
}

void write_specials(GgufWriter& file, const SpecialTokens& specials) {
    for (const auto& [key, member] : kSpecialKeys)
        if (specials.*member >= 0) file.set(key, static_cast<uint32_t>(specials.*member));
    file.set("tokenizer.ggml.add_bos_token", specials.add_begin);
    file.set("tokenizer.ggml.add_eos_token", specials.add_end);
}

}  // namespace

void write_tokenizer(GgufWriter& file, const CharTokenizer& tokenizer) {
    std::vector<int32_t> types;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) types.push_back(static_cast<int32_t>(tokenizer.token(id).type));
    file.set("tokenizer.ggml.model", std::string("llama"));
    file.set("nib.tokenizer", std::string("char"));
    file.set("tokenizer.ggml.tokens", tokenizer.token_strings());
    file.set("tokenizer.ggml.scores", std::vector<float>(types.size(), 0.0f));
    file.set("tokenizer.ggml.token_type", std::move(types));
    file.set("tokenizer.ggml.add_space_prefix", false);
    write_specials(file, tokenizer.specials());
}

void write_tokenizer(GgufWriter& file, const BpeTokenizer& tokenizer) {
    BpeModel model = tokenizer.model();
    std::vector<std::string> texts;
    std::vector<int32_t> types;
    for (size_t i = 0; i < model.tokens.size(); ++i) {
        BpeToken& token = model.tokens[i];
        texts.push_back(token.type == TokenType::Unused ? strprintf("[PAD%zu]", i) : std::move(token.text));
        types.push_back(static_cast<int32_t>(token.type));
    }
    const PreName& pre = pre_of(model.split);
    file.set("tokenizer.ggml.model", std::string("gpt2"));
    file.set("tokenizer.ggml.pre", std::string(pre.name));
    file.set("tokenizer.ggml.tokens", std::move(texts));
    file.set("tokenizer.ggml.token_type", std::move(types));
    file.set("tokenizer.ggml.merges", std::move(model.merges));
    write_specials(file, model.specials);
    file.set("tokenizer.ggml.add_space_prefix", model.add_prefix_space);
    if (model.ignore_merges != pre.ignore_merges) file.set("nib.tokenizer.ignore_merges", model.ignore_merges);
}

void write_tokenizer(GgufWriter& file, const Tokenizer& tokenizer) {
    if (const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer)) return write_tokenizer(file, *characters);
    if (const auto* bpe = dynamic_cast<const BpeTokenizer*>(&tokenizer)) return write_tokenizer(file, *bpe);
    fail("a tokenizer of the kind `%s` cannot be stored in a GGUF file", tokenizer.kind());
}

std::unique_ptr<Tokenizer> read_tokenizer(const GgufFile& file) {
    const auto kind = file.get_or<std::string>("nib.tokenizer", "");
    const auto model = kind.empty() ? file.get_or<std::string>("tokenizer.ggml.model", "none") : kind;
    if (model == "none" || model == "no_vocab") return nullptr;
    if (model == "gpt2") return read_bpe(file);
    if (kind != "char") {
        fail("%s: tokenizer `%s` is not supported; nib knows characters and byte-level BPE (`gpt2`)", file.name().c_str(),
             printable(model, 40).c_str());
    }
    return read_characters(file);
}

}  // namespace nib
