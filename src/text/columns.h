// Texts for a terminal, in lines of some width and in columns.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// The lines of a text, which is UTF-8, each of `width` columns at most (display_width()). They are broken between words
/// and beside wide characters, and within a word only where it is longer than a line. Tabs become blanks, other control
/// characters are left out: they would move the cursor.
std::vector<std::string> wrapped_lines(std::string_view text, size_t width);

/// Lines of `width` columns at most with others to their right, behind a rule: "left  | right".
std::vector<std::string> side_by_side(std::span<const std::string> left, std::span<const std::string> right, size_t width);

/// How many columns the rule takes with the blanks around it.
inline constexpr size_t kRuleWidth = 3;

}  // namespace nib
