// UTF-16 and UTF-32 are told from UTF-8, with and without a byte order mark, in many scripts.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "test_errors.h"
#include "text/text_encoding.h"
#include "text/utf8.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;

// The units of a text, least significant bytes first or last.
std::string wide(const std::u32string& text, int bytes, bool little) {
    std::string out;
    const auto put = [&](uint32_t unit) {
        for (int i = 0; i < bytes; ++i) out += static_cast<char>(unit >> 8 * (little ? i : bytes - 1 - i));
    };
    for (const char32_t code : text) {
        if (bytes == 2 && code > 0xFFFF) {
            put(0xD800 + ((code - 0x10000) >> 10));
            put(0xDC00 + ((code - 0x10000) & 0x3FF));
        } else {
            put(code);
        }
    }
    return out;
}

std::string found(const std::string& bytes) {
    const char* name = find_wide_encoding(bytes);
    return name == nullptr ? "" : name;
}

const std::map<std::string, std::u32string> kTexts = {
    {"two letters",       U"hi"                                                                                          },
    {"English",           U"the old miller walked to the river,\r\nand the fox came late.\r\n"                           },
    {"quotes and dashes", U"\u201CWho\u2019s there?\u201D \u2014 nobody answered, and he went on."                       },
    {"German",            U"Über die Brücke ging der Müller; größer war keiner.\n"                                  },
    {"Russian",           U"Старый мельник пошёл к реке, и лиса пришла поздно.\n"},
    {"Greek",             U"Ο γέρος μυλωνάς περπάτησε στο ποτάμι.\n"                      },
    {"Arabic",            U"مشى الطحان العجوز إلى النهر.\n"                                       },
    {"emoji",             U"the fox 🦊 went out 😀 and came home again"                                              },
};

TEST(TextEncoding, WideTextIsRecognized) {
    for (const auto& [name, text] : kTexts) {
        for (const std::u32string& mark : {std::u32string(), std::u32string(U"\uFEFF")}) {
            EXPECT_EQ(found(wide(mark + text, 2, true)), "UTF-16LE") << name;
            EXPECT_EQ(found(wide(mark + text, 2, false)), "UTF-16BE") << name;
            EXPECT_EQ(found(wide(mark + text, 4, true)), "UTF-32LE") << name;
            EXPECT_EQ(found(wide(mark + text, 4, false)), "UTF-32BE") << name;
        }
    }
    const std::u32string chinese = U"\uFEFF红楼梦";  // without a mark its bytes are just not UTF-8
    EXPECT_EQ(found(wide(chinese, 2, true)), "UTF-16LE");
    EXPECT_EQ(found(wide(chinese, 4, false)), "UTF-32BE");
    EXPECT_EQ(found(wide(U"红楼梦", 4, false)), "UTF-32BE");
}

TEST(TextEncoding, Utf8IsLeftAlone) {
    for (const auto& [name, text] : kTexts) {
        std::string bytes;
        for (const char32_t code : text) append_utf8(bytes, code);
        EXPECT_EQ(found(bytes), "") << name;
        EXPECT_EQ(without_mark(bytes, name), bytes);
        EXPECT_EQ(without_mark("\xEF\xBB\xBF" + bytes, name), bytes);
    }
    const std::string bytes[] = {"",
                                 "\0"s,
                                 "a"s,
                                 "a\0"s,
                                 "a\0b"s,
                                 "name\0other\0third\0"s,
                                 "\0\0\0\0"s,
                                 std::string(5000, '\0'),
                                 "\t\n\t\n\t\n\t\n"s,
                                 "a\nb\nc\nd\n"s,
                                 "\xFF",
                                 "\xFF\xFF\xFF\xFF",
                                 std::string(300, '\x01')};
    for (const std::string& text : bytes) EXPECT_EQ(found(text), "") << text;
    EXPECT_EQ(without_mark("\xEF\xBB", ""), "\xEF\xBB");
    EXPECT_EQ(without_mark("\xEF\xBB\xBF\xEF\xBB\xBFx", ""), "\xEF\xBB\xBFx") << "one mark";
}

TEST(TextEncoding, TheErrorSaysWhatToDo) {
    const std::string text = "x" + wide(U"the fox", 2, true);
    EXPECT_EQ(error_of([&] { refuse_wide_encoding(text, 1, "a\nb.txt"); }),
              "a\\x0Ab.txt: is UTF-16LE from byte offset 1 on, not UTF-8; convert it with iconv -f UTF-16LE -t UTF-8");
    refuse_wide_encoding(text, text.size(), "");
}

}  // namespace
}  // namespace nib
