// libFuzzer target: no list of characters may crash nib, in JSON or in a pickle, and no text. The seeds are in
// tests/fuzz_corpus/vocabulary: the list, and after a line of "--" a text to encode.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/char_tokenizer.h"
#include "text/text_encoding.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace {

using nib::CharTokenizer;

std::vector<int32_t> ids_of(const nib::Tokenizer& tokenizer, std::string_view text) {
    try {
        return tokenizer.encode(text, {.begin = true, .skip_unknown = true});
    } catch (const nib::Error&) {  // not UTF-8
        return {-1};
    }
}

// A tokenizer must be made again from what model files and Hugging Face's say of it, and give the same ids.
void check(const CharTokenizer& tokenizer, std::string_view text) {
    const auto ids = ids_of(tokenizer, text);
    for (const int32_t id : ids) CHECK(id >= -1 && id < tokenizer.vocab_size());
    if (ids != std::vector{-1} && !tokenizer.begins_texts() && tokenizer.specials().unknown < 0)
        CHECK(tokenizer.decode(ids).size() <= text.size());
    std::vector<nib::TokenType> types;
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) types.push_back(tokenizer.token(id).type);
    try {
        const auto again = CharTokenizer::from_token_strings(tokenizer.token_strings(), types, tokenizer.specials());
        CHECK(ids_of(again, text) == ids);
    } catch (const nib::Error& error) {  // two tokens are spelled alike
        CHECK(std::string_view(error.what()).find("spelled") != std::string_view::npos);
    }
    const auto written = nib::tokenizer_files(tokenizer, 16);
    const std::map<std::string, std::string_view> files(written.begin(), written.end());
    const auto back = nib::parse_tokenizer(files, "fuzz");
    CHECK(ids_of(*back, text) == ids);
    CHECK(back->specials().end == tokenizer.specials().end && nib::tokenizer_files(*back, 16) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t end = std::min(input.find("\n--\n"), size);
    const std::string_view text = input.substr(std::min(end + 4, size));
    nib::find_wide_encoding(text);
    try {
        std::vector<std::string> notes;
        const auto tokenizer = nib::parse_vocabulary(input.substr(0, end), "fuzz", 0, 1, notes);
        if (const auto* characters = dynamic_cast<const CharTokenizer*>(tokenizer.get())) check(*characters, text);
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    return 0;
}
