#include "text/token_numbers.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "core/error.h"

namespace nib {

std::vector<int32_t> parse_token_numbers(std::string_view text, int64_t vocab) {
    std::vector<int32_t> ids;
    const char* const separators = " ,\t\r\n";
    for (size_t at = 0; (at = text.find_first_not_of(separators, at)) != std::string_view::npos;) {
        const size_t end = std::min(text.find_first_of(separators, at), text.size());
        const std::string_view word = text.substr(at, end - at);
        int32_t id = 0;
        const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
        if (error != std::errc() || stop != word.data() + word.size() || id < 0 || id >= vocab)
            fail("`%s` is not a token; tokens are whole numbers from 0 to %lld", printable(word, 40).c_str(),
                 static_cast<long long>(vocab - 1));
        ids.push_back(id);
        at = end;
    }
    return ids;
}

std::string token_numbers(std::span<const int32_t> ids) {
    std::string text;
    for (const int32_t id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
    return text;
}

std::vector<int32_t> TokenNumbers::encode(std::string_view text, const EncodeOptions&) const {
    if (!text.empty()) fail("the model has no tokenizer; give it token numbers instead of text");
    return {};
}

}  // namespace nib
