#include "text/chat_encoding.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.h"
#include "text/python_text.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

struct Range {
    size_t begin, end;
};

// A rendered dialogue as one text.
struct ChatText {
    std::string text;
    std::vector<Range> stretches;  // bytes of each

    std::string_view stretch(size_t i) const {
        return std::string_view(text).substr(stretches[i].begin, stretches[i].end - stretches[i].begin);
    }
    void add(std::string_view stretch) {
        stretches.push_back({text.size(), text.size() + stretch.size()});
        text += stretch;
    }
};

// How many bytes of `text`, from `at` on, a token is that adds `token` to what was decoded before. A tokenizer may have put
// a space before a word, and taken white space away; npos if there is more to it.
size_t match(std::string_view text, size_t at, std::string_view token) {
    const std::string_view bare = token.starts_with(' ') ? token.substr(1) : token;
    for (size_t from = at;;) {
        const std::string_view rest = text.substr(from);
        if (rest.starts_with(token)) return from + token.size() - at;
        if (rest.starts_with(bare)) return from + bare.size() - at;
        const Decoded next = decode_utf8(text, from);
        if (next.length == 0 || !is_whitespace(next.code)) return std::string_view::npos;
        from += static_cast<size_t>(next.length);
    }
}

// The bytes of each token in the text; nothing if the tokens are those of another text.
std::optional<std::vector<Range>> find_tokens(const Tokenizer& tokenizer, std::span<const int32_t> ids,
                                              std::string_view text) {
    std::vector<Range> out;
    out.reserve(ids.size());
    DecodeState state;
    size_t at = 0;
    for (const int32_t id : ids) {
        const std::string token = tokenizer.decode_next(id, state);
        const size_t length = match(text, at, token);
        if (length == std::string_view::npos) return std::nullopt;
        // White space that the tokenizer took away belongs to no token.
        const size_t begin = at + length - std::min(length, token.size());
        at += length;
        out.push_back({begin, at});
    }
    return python_strip(text.substr(at)).empty() ? std::optional(std::move(out)) : std::nullopt;
}

// The text as the tokenizer makes it: normalized, and with what stands for unknown text.
ChatText as_decoded(const Tokenizer& tokenizer, const ChatText& chat, std::span<const ChatStretch> stretches) {
    ChatText out;
    for (size_t i = 0; i < stretches.size(); ++i) {
        const std::string_view text = chat.stretch(i);
        const auto verbatim = std::span(&text, stretches[i].content ? 1 : 0);
        out.add(tokenizer.decode(tokenizer.encode(text, {.verbatim = verbatim})));
    }
    return out;
}

// Error for a token within what a message says that is a mark.
void check_marks(const ChatText& chat, std::span<const ChatStretch> stretches, std::span<const Range> tokens,
                 const std::vector<std::string>& marks) {
    size_t i = 0;
    for (const Range& token : tokens) {
        while (i < stretches.size() && chat.stretches[i].end <= token.begin) ++i;
        if (i == stretches.size() || !stretches[i].content || token.end > chat.stretches[i].end) continue;
        const std::string_view text = std::string_view(chat.text).substr(token.begin, token.end - token.begin);
        if (std::find(marks.begin(), marks.end(), text) != marks.end())
            fail("message %lld has the mark \"%s\" in it, which would end it for this tokenizer",
                 static_cast<long long>(stretches[i].message + 1), printable(text, 40).c_str());
    }
}

std::vector<bool> count(const ChatText& chat, std::span<const ChatStretch> stretches, std::span<const ChatMessage> messages,
                        std::span<const Range> tokens) {
    std::vector<bool> counted(tokens.size());
    size_t token = 0;
    for (size_t i = 0; i < stretches.size(); ++i) {
        if (!stretches[i].answer || !messages[static_cast<size_t>(stretches[i].message)].learnt) continue;
        const auto [begin, end] = chat.stretches[i];
        while (token > 0 && tokens[token - 1].end > begin) --token;
        for (; token < tokens.size() && tokens[token].begin < end; ++token)
            if (tokens[token].end > begin || tokens[token].begin >= begin) counted[token] = true;
    }
    return counted;
}

ChatTokens encode_all(const Tokenizer& tokenizer, const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                      bool add_generation_prompt) {
    const std::vector<ChatStretch> stretches = chat_template.render(messages, add_generation_prompt);
    ChatText chat;
    for (const ChatStretch& stretch : stretches) chat.add(stretch.text);
    std::vector<std::string_view> contents;
    for (size_t i = 0; i < stretches.size(); ++i)
        if (stretches[i].content) contents.push_back(chat.stretch(i));
    ChatTokens out;
    out.ids = tokenizer.encode(chat.text, {.verbatim = contents});
    auto tokens = find_tokens(tokenizer, out.ids, chat.text);
    if (!tokens) {
        chat = as_decoded(tokenizer, chat, stretches);
        tokens = find_tokens(tokenizer, out.ids, chat.text);
    }
    if (!tokens) fail("the tokenizer changes the dialogue, so that the tokens of its answers cannot be told from others");
    check_marks(chat, stretches, *tokens, chat_template.marks());
    out.counted = count(chat, stretches, messages, *tokens);
    return out;
}

// Where turns begin.
std::vector<size_t> find_turns(std::span<const ChatMessage> messages) {
    std::vector<size_t> out;
    for (size_t i = 0; i < messages.size(); ++i) {
        if (messages[i].role == "system") continue;
        if (out.empty() || (messages[i].role == "user" && messages[i - 1].role != "user")) out.push_back(i);
    }
    return out;
}

}  // namespace

ChatTokens encode_chat(const Tokenizer& tokenizer, const ChatTemplate& chat_template, std::span<const ChatMessage> messages,
                       const ChatEncodeOptions& options) {
    ChatTokens best = encode_all(tokenizer, chat_template, messages, options.add_generation_prompt);
    if (best.ids.size() <= options.longest) return best;
    const std::vector<size_t> turns = find_turns(messages);
    const size_t system = messages[0].role == "system";
    const auto encode_from = [&](size_t turn) {
        std::vector<ChatMessage> kept(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(system));
        kept.insert(kept.end(), messages.begin() + static_cast<std::ptrdiff_t>(turns[turn]), messages.end());
        ChatTokens tokens = encode_all(tokenizer, chat_template, kept, options.add_generation_prompt);
        tokens.left_out = messages.size() - kept.size();
        return tokens;
    };
    best = encode_from(turns.size() - 1);
    if (best.ids.size() > options.longest)
        fail_with(Remedy::LengthenContext, "the last turn of the dialogue has %zu tokens, but there is room for %zu",
                  best.ids.size(), options.longest);
    // The first turn that may stay is between these: `fits` may, `too_long` may not.
    for (size_t too_long = 0, fits = turns.size() - 1; fits - too_long > 1;) {
        const size_t middle = (too_long + fits) / 2;
        ChatTokens tokens = encode_from(middle);
        const bool fit = tokens.ids.size() <= options.longest;
        (fit ? fits : too_long) = middle;
        if (fit) best = std::move(tokens);
    }
    return best;
}

}  // namespace nib
