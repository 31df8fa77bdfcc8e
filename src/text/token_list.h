// Collecting the tokens of a vocabulary from files that list them in any order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/json_value.h"
#include "text/tokenizer_spec.h"

namespace nib {

class TokenList {
public:
    /// `name`: of the file, for messages.
    explicit TokenList(std::string name) : name_(std::move(name)) {}

    /// A token of the vocabulary that was trained.
    void add_normal(std::string_view text, int32_t id) { tokens_.emplace_back(id, TokenSpec{std::string(text)}); }
    void add(TokenSpec token, int32_t id) { tokens_.emplace_back(id, std::move(token)); }
    /// All of {"token": id, ...}.
    void add_normal(const JsonValue& vocab);

    /// A token that was added to those, which may hold it already: then under the same id.
    void add_added(TokenSpec token, int32_t id);
    /// The same for an object of Hugging Face's with its options: {"content": "<s>", "lstrip": false, ...}.
    void add_added(const JsonValue& token, int32_t id);

    /// All tokens in the order of their ids; nothing is left here. Error for two with the same id, and for ids with more
    /// gaps than tokens: that is another kind of file, and an id is no reason to allocate.
    std::vector<TokenSpec> finish();

private:
    std::string name_;
    std::vector<std::pair<int32_t, TokenSpec>> tokens_;
};

/// A number that can be a token's id.
int32_t read_token_id(const JsonValue& value);

/// Where each token is, by its text.
std::unordered_map<std::string_view, int32_t> ids_by_text(const std::vector<TokenSpec>& tokens);

}  // namespace nib
