// The golden chat templates and dialogues (tests/goldens/make_chat_goldens.py), and tokenizers for them.
#pragma once

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "text/char_tokenizer.h"
#include "text/chat_template.h"

namespace nib::test {

using Messages = std::vector<ChatMessage>;

inline const nlohmann::json& chat_templates() {
    static const auto all = nlohmann::json::parse(read_file(golden("chat_templates.json")));
    return all;
}

inline const nlohmann::json& chat_cases() {
    static const auto all = nlohmann::json::parse(read_file(golden("chat_cases.json")));
    return all;
}

inline std::string role_of(char letter) { return letter == 's' ? "system" : letter == 'u' ? "user" : "assistant"; }

// "sua" and what they say, in turn.
inline Messages dialogue(std::string_view roles, const std::vector<std::string>& texts) {
    Messages out;
    for (const char role : roles) out.push_back({role_of(role), texts[out.size() % texts.size()]});
    return out;
}

inline std::string joined(const std::vector<ChatStretch>& stretches) {
    std::string text;
    for (const ChatStretch& stretch : stretches) text += stretch.text;
    return text;
}

// A tokenizer whose texts begin and end with these tokens; "": there is none. For what needs no more of it.
inline CharTokenizer tokenizer_with(const std::string& begin, const std::string& end) {
    CharModel model;
    for (char c = ' '; c <= '~'; ++c) model.tokens.push_back({std::string(1, c)});
    model.tokens.push_back({"\n"});
    for (const auto& [text, id] : {
             std::pair(begin, &model.specials.begin), {end, &model.specials.end}
    }) {
        if (text.empty()) continue;
        const auto same = std::find_if(model.tokens.begin(), model.tokens.end(),
                                       [&wanted = text](const auto& one) { return one.text == wanted; });
        *id = static_cast<int32_t>(same - model.tokens.begin());
        if (same == model.tokens.end()) model.tokens.push_back({text, TokenType::Control});
    }
    return CharTokenizer(std::move(model));
}

inline ChatTemplate golden_template(const std::string& name) {
    const nlohmann::json& one = chat_templates()[name];
    return ChatTemplate::recognize(one["jinja"], tokenizer_with(one["begin"], one["end"]));
}

}  // namespace nib::test
