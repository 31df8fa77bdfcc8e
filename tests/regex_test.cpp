// Regular expressions in Oniguruma's syntax. What they match is also in the golden ids of
// tests/tokenizer_pipeline_test.cpp.
#include "text/regex.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

// The parts of a text, matches in brackets.
std::string parts_of(const Regex& regex, std::string_view text) {
    std::string parts;
    RegexSplitter splitter(regex, text);
    for (RegexSplitter::Part part; splitter.next(part);)
        parts += part.is_match ? "[" + std::string(part.text) + "]" : std::string(part.text);
    return parts;
}

TEST(Regex, Parts) {
    EXPECT_EQ(parts_of(Regex("a+"), "xaaya"), "x[aa]y[a]");
    EXPECT_EQ(parts_of(Regex("b*"), "abbc"), "[]a[bb]c[]");
    EXPECT_EQ(parts_of(Regex("b*"), ""), "");
    EXPECT_EQ(parts_of(Regex("\\b"), "caf\u00e9 e\u0301"), "[]caf\u00e9[] []e\u0301[]");
    EXPECT_EQ(parts_of(Regex("^."), "ab\ncd\n"), "[a]b\n[c]d\n");
    EXPECT_EQ(parts_of(Regex("(?m).+"), "ab\ncd"), "[ab\ncd]");
    EXPECT_EQ(parts_of(Regex("\\h+|[\\h ]"), "ef gh"), "[ef][ ]gh");
    EXPECT_EQ(parts_of(Regex("\\p{Han}+|\\p{^L}"), "a\u4e2d\u56fd1\u30fc"), "a[\u4e2d\u56fd][1]\u30fc");
    EXPECT_EQ(parts_of(Regex("[^\\S\n]"), "a \t\n\u180e\u3000"), "a[ ][\t]\n\u180e[\u3000]");
    EXPECT_EQ(parts_of(Regex("\\u00e9(?#comment [)|\\.|[]x]"), "\u00e9.]y"), "[\u00e9][.][]]y");
    EXPECT_EQ(parts_of(Regex::literal("a.\\E(\u00e9"), "a.\\E(\u00e9 a.b"), "[a.\\E(\u00e9] a.b");
}

TEST(Regex, RefusesWhatItCannotDo) {
    const std::vector<std::pair<std::string, std::string>> refused = {
        {"(",                "parenthes"   },
        {"[a",               "not closed"  },
        {"a\\",              "backslash"   },
        {"[a[b]]",           "set in a set"},
        {"[a&&b]",           "&&"          },
        {"(?R)",             "(?R"         },
        {"(?1)",             "(?1"         },
        {"\\g<1>(a)",        "\\g"         },
        {"(*UTF8)a",         "(*"          },
        {"\\p{Nonsense}",    "property"    },
        {"\\p{L",            "braces"      },
        {"\\pL",             "braces"      },
        {"\\Qa\\E",          "\\Q"         },
        {"a{1,2}+",          "{...}+"      },
        {"a{,2}",            "{,"          },
        {"[\\W]",            "\\W"         },
        {"\\u12",            "four digits" },
        {"(?s:a)",           "(?s"         },
        {"(?<=a*)b",         "lookbehind"  },
        {"\xFF",             "UTF-8"       },
        {std::string(10'000, 'a'),           "8192"},
        {"(a{1000}){1000}{1000}",                  ""         },
    };
    for (const auto& one : refused) {
        SCOPED_TRACE(one.first.substr(0, 40));
        const std::string message = error_of([&] { Regex regex(one.first); });
        EXPECT_FALSE(message.empty());
        expect_contains(message, {one.second});
    }
    std::string deep(5000, '(');
    EXPECT_NE(error_of([&] { Regex regex(deep + "a" + std::string(5000, ')')); }), "");
}

TEST(Regex, StopsWhenItTakesTooLong) {
    const Regex regex("(a+)+$");
    const std::string text = std::string(5000, 'a') + "b";
    Regex::Match match{};
    expect_contains(error_of([&] { regex.find(text, 0, match); }), {"byte offset 0", "limit"});
}

}  // namespace
}  // namespace nib
