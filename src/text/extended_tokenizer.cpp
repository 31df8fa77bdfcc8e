#include "text/extended_tokenizer.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "core/error.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/utf8.h"

namespace nib {
namespace {

// Of a TokenizerSpec and of a CharModel.
template <class Token>
void add_marks(std::vector<Token>& tokens, std::span<const std::string> marks, const std::function<void(Token&)>& finish) {
    size_t next = 0;
    for (const std::string& mark : marks) {
        const auto same = [&](const Token& token) { return token.type != TokenType::Unused && token.text == mark; };
        if (const auto known = std::find_if(tokens.begin(), tokens.end(), same); known != tokens.end()) {
            if (known->type == TokenType::Control) continue;
            fail("`%s` is a token already, but no mark that could be told from text", printable(mark, 60).c_str());
        }
        while (next < tokens.size() && tokens[next].type != TokenType::Unused) ++next;
        if (next == tokens.size()) tokens.emplace_back();
        tokens[next] = Token{mark, TokenType::Control};
        finish(tokens[next]);
    }
}

}  // namespace

std::unique_ptr<Tokenizer> padded(std::unique_ptr<Tokenizer> tokenizer, int64_t size) {
    if (tokenizer->vocab_size() > size)
        fail("the tokenizer has %d tokens, but the embedding has only %lld rows: they do not belong together",
             tokenizer->vocab_size(), static_cast<long long>(size));
    if (tokenizer->vocab_size() == size) return tokenizer;
    if (const auto* other = dynamic_cast<const PipelineTokenizer*>(tokenizer.get())) {
        TokenizerSpec spec = other->spec();
        spec.tokens.resize(static_cast<size_t>(size), TokenSpec{"", TokenType::Unused});
        return std::make_unique<PipelineTokenizer>(spec);
    }
    CharModel model = dynamic_cast<const CharTokenizer&>(*tokenizer).model();
    model.tokens.resize(static_cast<size_t>(size), CharToken{"", TokenType::Unused});
    return std::make_unique<CharTokenizer>(std::move(model));
}

std::vector<std::string> parse_marks(const std::string& list) {
    constexpr const char* kOption = "add-tokens";
    std::vector<std::string> marks;
    for (size_t at = 0; at <= list.size();) {
        const size_t end = std::min(list.find(',', at), list.size());
        const std::string mark = list.substr(at, end - at);
        if (mark.empty()) fail_usage_option(kOption, "names a token without text");
        if (find_invalid(mark) != std::string_view::npos || mark.find_first_of(" \t\r\n") != std::string::npos)
            fail_usage_option(kOption, "names `%s`, which is not UTF-8 without spaces", printable(mark, 60).c_str());
        if (std::find(marks.begin(), marks.end(), mark) != marks.end())
            fail_usage_option(kOption, "names `%s` twice", printable(mark, 60).c_str());
        marks.push_back(mark);
        at = end + 1;
    }
    return marks;
}

std::unique_ptr<Tokenizer> with_marks(std::unique_ptr<Tokenizer> tokenizer, std::span<const std::string> marks) {
    if (const auto* other = dynamic_cast<const PipelineTokenizer*>(tokenizer.get())) {
        TokenizerSpec spec = other->spec();
        add_marks<TokenSpec>(spec.tokens, marks, [](TokenSpec& token) { token.in_vocabulary = false; });
        return std::make_unique<PipelineTokenizer>(spec);
    }
    CharModel model = dynamic_cast<const CharTokenizer&>(*tokenizer).model();
    add_marks<CharToken>(model.tokens, marks, [](CharToken&) {});
    return std::make_unique<CharTokenizer>(std::move(model));
}

}  // namespace nib
