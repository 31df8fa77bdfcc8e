// Texts in lines and columns of a terminal.
#include "text/columns.h"

#include <gtest/gtest.h>

#include "text/utf8.h"

namespace nib {
namespace {

using Strings = std::vector<std::string>;

TEST(Columns, LinesBreakBetweenWords) {
    EXPECT_EQ(wrapped_lines("the fox is out", 9), (Strings{"the fox", "is out"}));
    EXPECT_EQ(wrapped_lines("the fox is out", 7), (Strings{"the fox", "is out"}));
    EXPECT_EQ(wrapped_lines("the fox is out", 14), (Strings{"the fox is out"}));
    EXPECT_EQ(wrapped_lines("a lantern", 4), (Strings{"a", "lant", "ern"}));
    EXPECT_EQ(wrapped_lines("", 4), (Strings{""}));
    EXPECT_EQ(wrapped_lines("one\n\n  two", 9), (Strings{"one", "", "  two"}));
    EXPECT_EQ(wrapped_lines("        x", 4), (Strings{"   x"}));
    EXPECT_EQ(wrapped_lines("ab", 0), (Strings{"a", "b"}));
}

TEST(Columns, WideCharactersTakeTwoColumns) {
    EXPECT_EQ(wrapped_lines("狐狸出去了", 4), (Strings{"狐狸", "出去", "了"}));
    EXPECT_EQ(wrapped_lines("狐狸出去了", 5), (Strings{"狐狸", "出去", "了"}));
    EXPECT_EQ(wrapped_lines("a狐狸", 4), (Strings{"a狐", "狸"}));
    EXPECT_EQ(wrapped_lines("狐狸出去。", 8), (Strings{"狐狸出", "去。"}));  // no line begins with a full stop
    EXPECT_EQ(wrapped_lines("狐", 1), (Strings{"狐"}));
    EXPECT_EQ(wrapped_lines("e\u0301e\u0301e\u0301", 2), (Strings{"e\u0301e\u0301", "e\u0301"}));  // accents take none
}

TEST(Columns, NothingMovesTheCursor) {
    EXPECT_EQ(wrapped_lines("a\x1b[2Jb\tc\r\nd\re\x07", 20), (Strings{"a[2Jb c", "de"}));
}

TEST(Columns, NoLineIsTooWide) {
    const std::string text =
        "The fox 狐狸 said: \"¡Olé!\" and 出去了。Then\tsupercalifragilistic things\n  \U0001F98A\U0001F98A.";
    for (size_t width = 2; width < 70; ++width)
        for (const std::string& line : wrapped_lines(text, width)) EXPECT_LE(display_width(line), width) << line;
}

TEST(Columns, StandSideBySide) {
    const Strings left = {"狐狸", "abcd", ""}, right = {"x"};
    EXPECT_EQ(side_by_side(left, right, 5), (Strings{"狐狸  │ x", "abcd  │", "      │"}));
    EXPECT_EQ(side_by_side(right, left, 5), (Strings{"x     │ 狐狸", "      │ abcd", "      │"}));
    EXPECT_EQ(side_by_side({}, {}, 5), Strings());
}

}  // namespace
}  // namespace nib
