// Patterns in the steps of a tokenizer: {"String": " "} or {"Regex": "\\s+"}.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "text/regex.h"

namespace nib {

/// Error that names a pattern which is none of both, or whose expression nib does not support.
Regex read_pattern(const nlohmann::json& pattern);

/// Steps let a text grow to at most this many bytes, so that no file makes an endless text of a short one.
constexpr size_t longest_result(size_t text) { return 64 * text + (1 << 20); }

/// The text with `content` for every match. Error if that becomes longer than longest_result().
std::string replace_matches(const Regex& regex, std::string_view text, std::string_view content);

}  // namespace nib
