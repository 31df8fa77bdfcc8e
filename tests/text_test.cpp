// UTF-8, the streamer and the character tokenizer.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "test_errors.h"
#include "text/char_tokenizer.h"
#include "text/utf8.h"

namespace nib {
namespace {

using namespace test;

using namespace std::string_literals;

std::string utf8(std::u32string_view characters) {
    std::string text;
    for (const char32_t code : characters) append_utf8(text, code);
    return text;
}

TEST(Utf8, EveryCodePointSurvives) {
    for (char32_t code = 0; code < kCodePointLimit; ++code) {
        if (!is_code_point(code)) continue;
        std::string text;
        append_utf8(text, code);
        const Decoded back = decode_utf8(text, 0);
        ASSERT_EQ(back.code, code);
        ASSERT_EQ(static_cast<size_t>(back.length), text.size());
        ASSERT_EQ(text.size(), code < 0x80 ? 1u : code < 0x800 ? 2u : code < 0x10000 ? 3u : 4u);
        ASSERT_EQ(find_invalid(text), std::string::npos);
    }
}

TEST(Utf8, MalformedSequencesAreFoundWhereTheyBegin) {
    const std::vector<std::pair<const char*, std::string>> malformed = {
        {"stray continuation",         "\x80"                },
        {"stray continuation, last",   "\xBF"                },
        {"overlong, 2 bytes",          "\xC0\xAF"            },
        {"overlong, 2 bytes, largest", "\xC1\xBF"            },
        {"overlong, 3 bytes",          "\xE0\x80\xAF"        },
        {"overlong, 3 bytes, largest", "\xE0\x9F\xBF"        },
        {"overlong, 4 bytes",          "\xF0\x80\x80\xAF"    },
        {"overlong, 4 bytes, largest", "\xF0\x8F\xBF\xBF"    },
        {"first surrogate",            "\xED\xA0\x80"        },
        {"last surrogate",             "\xED\xBF\xBF"        },
        {"U+110000",                   "\xF4\x90\x80\x80"    },
        {"lead F5",                    "\xF5\x80\x80\x80"    },
        {"lead F8",                    "\xF8\x88\x80\x80\x80"},
        {"lead FE",                    "\xFE"                },
        {"lead FF",                    "\xFF"                },
        {"2 bytes, 1 there",           "\xC3"                },
        {"3 bytes, 1 there",           "\xE4"                },
        {"3 bytes, 2 there",           "\xE4\xBD"            },
        {"4 bytes, 1 there",           "\xF0"                },
        {"4 bytes, 2 there",           "\xF0\x9F"            },
        {"4 bytes, 3 there",           "\xF0\x9F\x98"        },
    };
    // Before it: nothing, ASCII of all lengths around the 8-byte step, longer characters. After it: nothing or ASCII.
    std::vector<std::string> before = {"", "é", "你好", "a😀", "0123456你8901234567"};
    for (size_t n = 1; n <= 17; ++n) before.emplace_back(n, 'x');
    for (const auto& [what, bytes] : malformed) {
        EXPECT_EQ(decode_utf8(bytes, 0).length, 0) << what;
        for (const std::string& head : before) {
            for (const std::string& tail : {""s, "z"s, "abcdefghijklmnopq"s}) {
                EXPECT_EQ(find_invalid(head + bytes + tail), head.size()) << what << " after " << head;
            }
        }
    }
    EXPECT_EQ(find_invalid(""), std::string::npos);
    EXPECT_EQ(find_invalid("\0\x7F plain"s), std::string::npos);
    EXPECT_EQ(decode_utf8("", 0).length, 0);
    EXPECT_EQ(decode_utf8("a", 1).length, 0);
}

TEST(Utf8, WhatIsNoCodePointIsWrittenAsReplacement) {
    for (const char32_t code : {char32_t{0xD800}, char32_t{0xDFFF}, char32_t{0x110000}, char32_t{0xFFFFFFFF}}) {
        std::string text;
        append_utf8(text, code);
        EXPECT_EQ(text, "\uFFFD");
    }
}

TEST(Utf8, SkipsCharacters) {
    const std::u32string characters =
        U"0123456789 é你好，世界😀😀 abcdefghijklmnopqrstuvwxyz 红楼梦第一回甄士隐梦幻识通灵\uFEFF\r\n.";
    const std::string text = utf8(characters);
    for (size_t from = 0; from <= characters.size(); ++from) {
        for (size_t count = 0; from + count <= characters.size(); ++count) {
            const std::u32string_view all = characters;
            ASSERT_EQ(skip_characters(text, utf8(all.substr(0, from)).size(), count),
                      utf8(all.substr(0, from + count)).size());
        }
    }
    EXPECT_EQ(skip_characters(text, 0, 1000), text.size());
}

TEST(Utf8, DescribesCharacters) {
    EXPECT_EQ(describe(U'é'), "\"é\" (U+00E9)");
    EXPECT_EQ(describe(U'你'), "\"你\" (U+4F60)");
    EXPECT_EQ(describe(U'😀'), "\"😀\" (U+1F600)");
    EXPECT_EQ(describe(U' '), "\" \" (U+0020)");
    EXPECT_EQ(describe(U'\n'), "U+000A");
    EXPECT_EQ(describe(0x1B), "U+001B");
    EXPECT_EQ(describe(0x9B), "U+009B");    // a C1 control: some terminals obey it
    EXPECT_EQ(describe(0x202E), "U+202E");  // turns the line around
    EXPECT_EQ(describe(0x0301), "U+0301");  // sits on the character before it
    EXPECT_EQ(describe(0xFEFF), "U+FEFF");
    EXPECT_EQ(describe(0x3000), "U+3000");
    EXPECT_EQ(describe(0xD800), "U+D800");
}

// All pieces through one streamer; every single answer must be whole characters.
std::string stream(const std::vector<std::string>& pieces) {
    Utf8Streamer streamer;
    std::string all;
    for (const std::string& piece : pieces) {
        const std::string part = streamer.push(piece);
        EXPECT_EQ(find_invalid(part), std::string::npos);
        all += part;
    }
    return all + streamer.finish();
}

std::vector<std::string> single_bytes(const std::string& text) {
    std::vector<std::string> pieces;
    for (const char byte : text) pieces.emplace_back(1, byte);
    return pieces;
}

TEST(Utf8Streamer, NeverSplitsACharacter) {
    const std::string text = "a é 你好，世界 😀👩‍🚀 end";
    EXPECT_EQ(stream({text}), text);
    EXPECT_EQ(stream(single_bytes(text)), text);
    for (size_t cut = 0; cut <= text.size(); ++cut) EXPECT_EQ(stream({text.substr(0, cut), text.substr(cut)}), text);

    Utf8Streamer streamer;
    EXPECT_EQ(streamer.push("x\xE4"), "x");
    EXPECT_EQ(streamer.push("\xBD"), "");
    EXPECT_EQ(streamer.push(""), "");
    EXPECT_EQ(streamer.push("\xA0y"), "你y");
    EXPECT_EQ(streamer.finish(), "");
}

TEST(Utf8Streamer, AnIncompleteTailIsReplaced) {
    Utf8Streamer streamer;
    EXPECT_EQ(streamer.push("ok\xF0\x9F\x98"), "ok");
    EXPECT_EQ(streamer.finish(), "\uFFFD");
    EXPECT_EQ(streamer.finish(), "");
    EXPECT_EQ(streamer.push("again"), "again");
}

TEST(Utf8Streamer, MalformedSequencesBecomeOneReplacementEach) {
    // The examples of the Unicode standard, tables 3-8 to 3-11: maximal subparts.
    const std::vector<std::pair<std::string, std::u32string>> examples = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", U"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", U"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", U"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFDA\uFFFD\uFFFDB"     },
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", U"\uFFFD\uFFFD\uFFFD\uFFFDA"                        },
    };
    for (const auto& [bytes, expected] : examples) {
        EXPECT_EQ(stream({bytes}), utf8(expected));
        EXPECT_EQ(stream(single_bytes(bytes)), utf8(expected));
    }
}

TEST(Utf8Streamer, RandomBytesInRandomPieces) {
    std::mt19937 random(7);
    const unsigned char likely[] = {0xE4, 0xBD, 0xA0, 0xF0, 0x9F, 0x98, 0x80, 0xC3, 0xED, 0xF4, 0x41, 0xFF};
    for (int round = 0; round < 3000; ++round) {
        std::string bytes;
        for (size_t n = random() % 40; n > 0; --n) {
            bytes += static_cast<char>(random() % 2 ? likely[random() % sizeof likely] : random() % 256);
        }
        std::vector<std::string> pieces;
        for (size_t at = 0; at < bytes.size();) {
            const size_t length = random() % 5;
            pieces.push_back(bytes.substr(at, length));
            at += length;
        }
        const std::string whole = stream({bytes});
        ASSERT_EQ(stream(pieces), whole);
        if (find_invalid(bytes) == std::string::npos) {
            ASSERT_EQ(whole, bytes);
        }
    }
}

}  // namespace
}  // namespace nib
