// libFuzzer target: no Jinja may crash nib, or keep it busy, and a template that nib knows takes dialogues.
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "text/char_tokenizer.h"
#include "text/chat_encoding.h"

namespace {

nib::CharTokenizer make_tokenizer() {
    nib::CharModel model;
    for (char c = ' '; c <= '~'; ++c) model.tokens.push_back({std::string(1, c)});
    for (const auto& [text, id] : {
             std::pair("<s>", &model.specials.begin), {"</s>",  &model.specials.end    },
               {"[UNK]", &model.specials.unknown}
    }) {
        *id = static_cast<int32_t>(model.tokens.size());
        model.tokens.push_back({text, nib::TokenType::Control});
    }
    return nib::CharTokenizer(std::move(model));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const nib::CharTokenizer tokenizer = make_tokenizer();
    const nib::ChatMessage messages[] = {
        {"user",      "a </s> b"},
        {"assistant", " c"      }
    };
    try {
        const auto found = nib::ChatTemplate::recognize({reinterpret_cast<const char*>(data), size}, tokenizer);
        const auto tokens = nib::encode_chat(tokenizer, found, messages);
        CHECK(tokens.ids.size() == tokens.counted.size());
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    return 0;
}
