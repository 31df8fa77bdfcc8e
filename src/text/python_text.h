// What Python does with text, where files that nib reads rely on it.
#pragma once

#include <string_view>

namespace nib {

/// The text without white space at its ends, as str.strip() knows it.
std::string_view python_strip(std::string_view text, bool left = true, bool right = true);

}  // namespace nib
