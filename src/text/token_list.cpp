#include "text/token_list.h"

#include <algorithm>
#include <limits>

#include "core/error.h"

namespace nib {
namespace {

std::string shown(std::string_view text) { return "\"" + printable(text, 60) + "\""; }

}  // namespace

int32_t read_token_id(const JsonValue& value) {
    return static_cast<int32_t>(value.whole_number("a token id", std::numeric_limits<int32_t>::max() - 1));
}

void TokenList::add_normal(const JsonValue& vocab) {
    if (!vocab.raw().is_object()) vocab.wrong("an object of tokens and ids");
    tokens_.reserve(tokens_.size() + vocab.raw().size());
    for (const auto& [text, id] : vocab.raw().items()) {
        const bool plain = id.is_number_unsigned() && id.get<uint64_t>() < 1'000'000;
        add_normal(text,
                   plain ? id.get<int32_t>() : read_token_id(JsonValue(id, vocab.where() + ": the id of " + shown(text))));
    }
}

void TokenList::add_added(TokenSpec token, int32_t id) {
    if (token.text.empty()) return;
    token.in_vocabulary = false;
    tokens_.emplace_back(id, std::move(token));
}

void TokenList::add_added(const JsonValue& token, int32_t id) {
    const bool special = token.truth_or("special", false);
    TokenSpec spec{token.get("content").text(), special ? TokenType::Control : TokenType::UserDefined};
    spec.normalized = token.truth_or("normalized", !special);
    spec.lstrip = token.truth_or("lstrip", false);
    spec.rstrip = token.truth_or("rstrip", false);
    spec.single_word = token.truth_or("single_word", false);
    add_added(std::move(spec), id);
}

std::vector<TokenSpec> TokenList::finish() {
    std::stable_sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    size_t distinct = 0;
    for (size_t i = 0; i < tokens_.size(); ++i) distinct += i == 0 || tokens_[i].first != tokens_[i - 1].first;
    const size_t size = tokens_.empty() ? 0 : static_cast<size_t>(tokens_.back().first) + 1;
    if (size > 2 * distinct)
        fail("%s: ids go up to %zu, but there %s only %s", name_.c_str(), size - 1, distinct == 1 ? "is" : "are",
             counted(static_cast<int64_t>(distinct), "token").c_str());
    std::vector<TokenSpec> all(size, TokenSpec{"", TokenType::Unused});
    for (auto& [id, token] : tokens_) {
        TokenSpec& there = all[static_cast<size_t>(id)];
        const bool again = token.is_added() && there.text == token.text;
        if (there.type != TokenType::Unused && !again) {
            fail("%s: the tokens %s and %s have the same id, %d", name_.c_str(), shown(there.text).c_str(),
                 shown(token.text).c_str(), id);
        }
        token.in_vocabulary = token.in_vocabulary || (again && there.in_vocabulary);
        there = std::move(token);
    }
    tokens_.clear();
    std::unordered_map<std::string_view, size_t> ids;
    for (size_t id = 0; id < all.size(); ++id) {
        if (all[id].type == TokenType::Unused) continue;
        const auto [other, added] = ids.emplace(all[id].text, id);
        if (!added)
            fail("%s: the token %s has two ids, %zu and %zu", name_.c_str(), shown(all[id].text).c_str(), other->second,
                 id);
    }
    return all;
}

std::unordered_map<std::string_view, int32_t> ids_by_text(const std::vector<TokenSpec>& tokens) {
    std::unordered_map<std::string_view, int32_t> ids;
    for (size_t i = 0; i < tokens.size(); ++i)
        if (tokens[i].type != TokenType::Unused) ids.emplace(tokens[i].text, static_cast<int32_t>(i));
    return ids;
}

}  // namespace nib
