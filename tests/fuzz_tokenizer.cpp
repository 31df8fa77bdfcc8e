// libFuzzer target: no tokenizer files may crash nib, and no text. The seeds are in tests/fuzz_corpus/tokenizer: parts
// between lines of "--", the last one a text to encode. The first letter says what the others are.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"

namespace {

std::vector<std::string_view> split(std::string_view data) {
    constexpr std::string_view kBetween = "\n--\n";
    std::vector<std::string_view> parts;
    for (size_t end; (end = data.find(kBetween)) != std::string_view::npos; data.remove_prefix(end + kBetween.size()))
        parts.push_back(data.substr(0, end));
    parts.push_back(data);
    return parts;
}

// A tokenizer must be made again from what it says of itself and give the same ids.
void check(const nib::PipelineTokenizer& tokenizer, const nib::Tokenizer& again, std::string_view text) {
    const nib::EncodeOptions options{.skip_unknown = true};
    try {
        const auto ids = tokenizer.encode(text, options);
        for (const int32_t id : ids) CHECK(id >= 0 && id < tokenizer.vocab_size());
        CHECK(tokenizer.encode(text, options) == ids && again.encode(text, options) == ids);
        CHECK(tokenizer.decode(ids) == again.decode(ids));
    } catch (const nib::Error& error) {  // an expression may take too long
        CHECK(error.what()[0] != '\0');
    }
}

const std::deque<nib::PipelineTokenizer>& complete_tokenizers() {
    static std::deque<nib::PipelineTokenizer> all;
    if (all.empty()) {
        nib::TokenizerSpec model;
        model.decoders = nib::byte_level_decoders();
        for (int byte = 0; byte < 256; ++byte)
            model.tokens.push_back({nib::spell_bytes(std::string(1, static_cast<char>(byte)))});
        for (const char* merge : {"a b", "b a", "a a", "ab a", "a ba", "aa aa", "Ġ a", "Ġ Ġ", "ä ½", "1 2", "12 1"}) {
            std::string merged = merge;
            merged.erase(merged.find(' '), 1);
            if (merged != "aba" || model.merges.size() == 3) model.tokens.push_back({merged});
            model.merges.push_back(merge);
        }
        model.tokens.push_back({"<x>", nib::TokenType::Control});
        for (const std::string& steps :
             {nib::gpt2_pre_tokenizers(), nib::llama3_pre_tokenizers(), nib::qwen2_pre_tokenizers()}) {
            model.pre_tokenizers = steps;
            all.emplace_back(model);
        }
    }
    return all;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0) return 0;
    std::string_view input(reinterpret_cast<const char*>(data), size);
    const char kind = input[0];
    input.remove_prefix(1);
    if (kind != 'T' && kind != 'V' && kind != 'W') {
        for (const auto& tokenizer : complete_tokenizers()) {
            CHECK(tokenizer.decode(tokenizer.encode(input)) == input);
            check(tokenizer, tokenizer, input);
        }
        return 0;
    }
    static const std::vector<std::string> kWhole = {"tokenizer.json", "tokenizer_config.json", "config.json"};
    static const std::vector<std::string> kParts = {"vocab.json", "merges.txt", "added_tokens.json",
                                                    "special_tokens_map.json", "tokenizer_config.json"};
    static const std::vector<std::string> kWords = {"vocab.txt", "tokenizer_config.json", "added_tokens.json"};
    const auto parts = split(input);
    const auto& names = kind == 'T' ? kWhole : kind == 'V' ? kParts : kWords;
    std::map<std::string, std::string_view> files;
    for (size_t i = 0; i + 1 < parts.size() && i < names.size(); ++i) files[names[i]] = parts[i];
    try {
        const auto tokenizer = nib::parse_tokenizer(files, "fuzz");
        const auto* const other = dynamic_cast<const nib::PipelineTokenizer*>(tokenizer.get());
        if (other == nullptr) return 0;
        check(*other, nib::PipelineTokenizer(other->spec()), parts.back());
        const auto exported = nib::tokenizer_files(*other, 16);
        const auto again = nib::parse_tokenizer({exported.begin(), exported.end()}, "fuzz");
        if (dynamic_cast<const nib::PipelineTokenizer*>(again.get()) != nullptr) check(*other, *again, parts.back());
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    return 0;
}
