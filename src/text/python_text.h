// What Python does with text, where files and scores rely on it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// Whether str.isspace() holds for the character.
bool is_python_space(char32_t code);

/// The text without white space at its ends, as str.strip() knows it.
std::string_view python_strip(std::string_view text, bool left = true, bool right = true);

/// What white space separates, as str.split() gives it; never empty words.
std::vector<std::string_view> python_split(std::string_view text);

/// str.lower(), but for the sigma that ends a word. Bytes that are not UTF-8 stay as they are.
std::string python_lower(std::string_view text);

/// list(text): the characters one by one. A byte that is not UTF-8 counts as one.
std::vector<std::string_view> python_characters(std::string_view text);

}  // namespace nib
