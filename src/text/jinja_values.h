// What Jinja can do with values: they are JSON's, and one that is discarded stands for what is undefined.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace nib::jinja {

using nlohmann::json;

inline json undefined() { return json(json::value_t::discarded); }

bool is_true(const json& value);
bool equal(const json& a, const json& b);
/// What writing the value writes.
std::string to_text(const json& value);

// Error for a value of another kind.
const std::string& to_string(const json& value);
int64_t to_integer(const json& value);

/// What a loop goes through: a list's elements, a text's characters, an object's keys.
json elements(const json& value);
/// A member of an object, undefined if there is none; Error for one of what is undefined itself.
json member(const json& value, const std::string& name);
/// The same by a value in brackets.
json item(const json& value, const json& index);
/// value[start:stop:step]
json sliced(const json& value, std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step);

// Operators, methods, filters and tests by their names; Error for one that nib does not know, or for values that it is
// not for.
json binary(const std::string& what, const json& a, const json& b);
json method(const json& value, const std::string& name, const std::vector<json>& arguments);
json filtered(const json& value, const std::string& name, const std::vector<json>& arguments);
bool passes(const json& value, const std::string& test, const std::vector<json>& arguments);

}  // namespace nib::jinja
