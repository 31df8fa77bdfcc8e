// A JSON text as a tree, for the small files beside a model (config.json, tokenizer.json), with messages that say what is
// wrong and where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace nib {

/// Parses JSON, nested at most 64 levels deep and without duplicate keys in an object. Error begins with `name`.
nlohmann::json parse_json(std::string_view text, const std::string& name);

/// The double whose shortest decimal form is that of `value`, for JSON: 1e-05, not 9.999999747378752e-06.
double shortest(float value);

/// A value and where it is, for messages: "tokenizer.json: model.vocab". A value of the wrong type is an Error.
class JsonValue {
public:
    /// `value` must outlive this and what comes out of it. A `where` that ends with a colon is the name of the file.
    JsonValue(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {}

    const nlohmann::json& raw() const { return *value_; }
    const std::string& where() const { return where_; }

    /// The member of an object; find: none if it is missing or null, get: Error.
    std::optional<JsonValue> find(const char* key) const;
    JsonValue get(const char* key) const;
    /// An element of a list with items().
    JsonValue at(size_t i) const { return {(*value_)[i], where_ + "[" + std::to_string(i) + "]"}; }
    size_t items() const;

    const std::string& text() const;
    bool truth() const;
    double number() const;
    /// From 0 to `largest`; `what` is what nib expects, for messages.
    int64_t whole_number(const char* what, int64_t largest) const;
    std::string text_or(const char* key, const char* fallback) const;
    bool truth_or(const char* key, bool fallback) const;

    [[noreturn]] void wrong(const char* expected) const;
    /// Error: nib does not support `what`.
    [[noreturn]] void refuse(const std::string& what) const;

private:
    const nlohmann::json* value_;
    std::string where_;
};

}  // namespace nib
