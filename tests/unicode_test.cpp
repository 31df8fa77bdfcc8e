// Unicode as tokenizers know it. What they make of every option is in tests/tokenizer_pipeline_test.cpp.
#include "text/unicode.h"

#include <gtest/gtest.h>

#include <string>

#include "text/utf8.h"

namespace nib {
namespace {

std::string utf8(char32_t code) {
    std::string text;
    append_utf8(text, code);
    return text;
}

TEST(Unicode, NormalForms) {
    struct {
        const char *text, *nfc, *nfd, *nfkc, *nfkd;
    } const cases[] = {
        {"",                     "",                     "",                     "",                     ""                  },
        {"abc",                  "abc",                  "abc",                  "abc",                  "abc"               },
        {"e\u0301",              "\u00e9",               "e\u0301",              "\u00e9",               "e\u0301"           },
        {"\u212b",               "\u00c5",               "A\u030a",              "\u00c5",               "A\u030a"           },
        {"q\u0307\u0323",        "q\u0323\u0307",        "q\u0323\u0307",        "q\u0323\u0307",        "q\u0323\u0307"     },
        {"s\u0307\u0323",        "\u1e69",               "s\u0323\u0307",        "\u1e69",               "s\u0323\u0307"     },
        {"\u1e9b\u0323",         "\u1e9b\u0323",         "\u017f\u0323\u0307",   "\u1e69",               "s\u0323\u0307"     },
        {"\ufb01\u00b2",         "\ufb01\u00b2",         "\ufb01\u00b2",         "fi2",                  "fi2"               },
        {"\u1100\u1161\u11a8",   "\uac01",               "\u1100\u1161\u11a8",   "\uac01",               "\u1100\u1161\u11a8"},
        {"\uac00\u11a8",         "\uac01",               "\u1100\u1161\u11a8",   "\uac01",               "\u1100\u1161\u11a8"},
        {"\u0958",               "\u0915\u093c",         "\u0915\u093c",         "\u0915\u093c",         "\u0915\u093c"      },
        {"\u0301\u0316a",        "\u0316\u0301a",        "\u0316\u0301a",        "\u0316\u0301a",        "\u0316\u0301a"     },
 // Newer than the tokenizers' Unicode.
        {"\U0001e04a\U00011938", "\U0001e04a\U00011938", "\U0001e04a\U00011938", "\U0001e04a\U00011938",
         "\U0001e04a\U00011938"                                                                                              },
        {"\U00011935\U00011930", "\U00011935\U00011930", "\U00011935\U00011930", "\U00011935\U00011930",
         "\U00011935\U00011930"                                                                                              },
    };
    for (const auto& one : cases) {
        EXPECT_EQ(normalized(one.text, NormalForm::Nfc), one.nfc) << one.text;
        EXPECT_EQ(normalized(one.text, NormalForm::Nfd), one.nfd) << one.text;
        EXPECT_EQ(normalized(one.text, NormalForm::Nfkc), one.nfkc) << one.text;
        EXPECT_EQ(normalized(one.text, NormalForm::Nfkd), one.nfkd) << one.text;
    }
}

TEST(Unicode, FormsAgreeWithEachOther) {
    for (char32_t code = 0; code < kCodePointLimit; ++code) {
        if (!is_code_point(code)) continue;
        const std::string text = utf8(code), nfc = normalized(text, NormalForm::Nfc),
                          nfd = normalized(text, NormalForm::Nfd);
        ASSERT_EQ(normalized(nfd, NormalForm::Nfc), nfc) << describe(code);
        ASSERT_EQ(normalized(nfc, NormalForm::Nfd), nfd) << describe(code);
        const std::string nfkd = normalized(text, NormalForm::Nfkd);
        ASSERT_EQ(normalized(nfkd, NormalForm::Nfkd), nfkd) << describe(code);
        ASSERT_LE(nfkd.size(), 18 * 3u) << describe(code);
    }
}

TEST(Unicode, Lower) {
    const auto lower = [](char32_t code) {
        std::string text;
        append_lower(text, code);
        return text;
    };
    EXPECT_EQ(lower(U'A'), "a");
    EXPECT_EQ(lower(U'['), "[");
    EXPECT_EQ(lower(U'\u00c9'), "\u00e9");
    EXPECT_EQ(lower(U'\u0130'), "i\u0307");
    EXPECT_EQ(lower(U'\u03a3'), "\u03c3");
    EXPECT_EQ(lower(U'\u1e9e'), "\u00df");
    EXPECT_EQ(lower(U'\U00010d52'), "\U00010d72");  // new in Unicode 16
}

TEST(Unicode, Classes) {
    EXPECT_TRUE(is_whitespace(U'\u3000') && is_whitespace(U'\u0085') && !is_whitespace(U'\u200b'));
    EXPECT_TRUE(is_numeric(U'7') && is_numeric(U'\u00bd') && is_numeric(U'\u0664') && !is_numeric(U'a'));
    EXPECT_TRUE(is_punctuation(U'$') && is_punctuation(U'\u3001') && !is_punctuation(U'\u20ac') && !is_punctuation(U'a'));
    EXPECT_TRUE(is_control(U'\u200d') && is_control(U'\0') && !is_control(U'\n') && !is_control(U'\u0378'));
    EXPECT_TRUE(is_mark(U'\u0301') && is_mark(U'\u0903') && !is_mark(U'a'));
    EXPECT_TRUE(is_nonspacing_mark(U'\u0301') && !is_nonspacing_mark(U'\u0903'));
    EXPECT_TRUE(is_word(U'_') && is_word(U'\u0301') && is_word(U'\u4e2d') && !is_word(U'-') && !is_word(U'\u00b2'));
    EXPECT_TRUE(is_chinese(U'\u4e2d') && !is_chinese(U'\u3042') && !is_chinese(U'\uac00'));
}

}  // namespace
}  // namespace nib
