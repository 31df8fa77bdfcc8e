#include "text/token_decoder.h"

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/step_pattern.h"
#include "text/unknown_text.h"
#include "text/utf8.h"

namespace nib {
namespace {

using nlohmann::json;
using Step = std::function<std::string(std::string, DecodeState&)>;

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
    return text;
}

// Undoes the spaces that WordPiece put around punctuation, as far as one token shows.
std::string clean_up(std::string text) {
    static constexpr std::pair<const char*, const char*> kReplacements[] = {
        {" .",      "."     },
        {" ?",      "?"     },
        {" !",      "!"     },
        {" ,",      ","     },
        {" ' ",     "'"     },
        {" n't",    "n't"   },
        {" 'm",     "'m"    },
        {" do not", " don't"},
        {" 's",     "'s"    },
        {" 've",    "'ve"   },
        {" 're",    "'re"   }
    };
    for (const auto& [from, to] : kReplacements) text = replaced(std::move(text), from, to);
    return text;
}

Step wordpiece(const json& step) {
    return [prefix = step["prefix"].get<std::string>(), cleanup = step["cleanup"].get<bool>()](std::string token,
                                                                                               DecodeState& state) {
        if (state.begun) {
            if (token.starts_with(prefix))
                token.erase(0, prefix.size());
            else
                token.insert(0, 1, ' ');
        }
        return cleanup ? clean_up(std::move(token)) : token;
    };
}

Step metaspace(const json& step) {
    const bool drop_first = step["prepend_scheme"] != "never";
    return [drop_first, mark = step["replacement"].get<std::string>()](std::string token, DecodeState& state) {
        return mark.empty() ? token : replaced(std::move(token), mark, drop_first && !state.begun ? "" : " ");
    };
}

// A word's end is a space, but not at the end of the text: it waits for the next token.
Step bpe_suffix(const json& step) {
    return [suffix = step["suffix"].get<std::string>()](std::string token, DecodeState& state) {
        const std::string held = std::exchange(state.held, "");
        if (suffix.empty()) return held + token;
        if (token.ends_with(suffix)) {
            token.resize(token.size() - suffix.size());
            state.held = " ";
        }
        return held + replaced(std::move(token), suffix, " ");
    };
}

std::string fall_back(std::string token, DecodeState&) {
    const auto byte = fallback_byte(token);
    return byte ? std::string(1, static_cast<char>(*byte)) : token;
}

std::string spell_back(std::string token, DecodeState&) {
    std::string bytes;
    return append_spelled(bytes, token) ? bytes : token;
}

// Removes up to `start` times a character at the beginning, and up to `stop` times at the end: of each token, or `fused`
// of the text, where a token that is nothing else is removed as a whole.
Step strip(const json& step, bool fused) {
    const auto content = step["content"].get<std::string>();
    const auto start = step["start"].get<size_t>(), stop = step["stop"].get<size_t>();
    if (content.empty()) fail("the content is empty");
    if (fused && stop > 0) fail("the end of a text cannot be stripped");
    return [=](std::string token, DecodeState& state) {
        size_t begin = 0, left = fused ? start - std::min(start, state.stripped) : start;
        for (; left > 0 && token.compare(begin, content.size(), content) == 0; --left) begin += content.size();
        token.erase(0, begin);
        state.stripped = token.empty() ? start - left : start;
        for (size_t i = 0; i < stop && token.ends_with(content); ++i) token.resize(token.size() - content.size());
        return token;
    };
}

Step replace(const json& step) {
    const auto regex = std::make_shared<const Regex>(read_pattern(step["pattern"]));
    return [regex, content = step["content"].get<std::string>()](std::string token, DecodeState&) {
        return find_invalid(token) == std::string::npos ? replace_matches(*regex, token, content) : token;
    };
}

std::string after_space(std::string token, DecodeState& state) { return state.begun ? " " + token : token; }

Step make_step(const json& step, bool fused) {
    const std::string type = step["type"];
    if (type == "Strip") return strip(step, fused);
    if (fused) fail("it cannot come after Fuse");
    if (type == "BPEDecoder") return bpe_suffix(step);
    if (type == "ByteFallback") return fall_back;
    if (type == "ByteLevel") return spell_back;
    if (type == "Metaspace") return metaspace(step);
    if (type == "Replace") return replace(step);
    CHECK(type == "WordPiece");
    return wordpiece(step);
}

}  // namespace

TokenDecoder::TokenDecoder(const std::string& steps, bool byte_level) {
    const json list = json::parse(steps);
    if (list.empty() && !byte_level) steps_.emplace_back(after_space);
    bool fused = false;
    for (size_t i = 0; i < list.size(); ++i) {
        const auto type = list[i]["type"].get<std::string>();
        if (i == 0 && byte_level && type != "ByteLevel")
            fail("the decoder %s after byte-level BPE is not supported", type.c_str());
        if (i == 0 && byte_level) continue;
        fused = fused || type == "Fuse";
        if (type == "Fuse") continue;
        try {
            steps_.push_back(make_step(list[i], fused));
        } catch (const Error& error) {
            fail("the decoder %s: %s", type.c_str(), error.what());
        }
    }
}

std::string TokenDecoder::next(std::string_view token, DecodeState& state) const {
    std::string text(token);
    for (const auto& step : steps_) text = step(std::move(text), state);
    state.begun = true;
    return text;
}

}  // namespace nib
