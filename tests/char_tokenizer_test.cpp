// Character vocabularies: texts to ids and back, tokens of several characters, what is refused, and model files.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/atomic_file.h"
#include "io/gguf.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/char_tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using Ids = std::vector<int32_t>;
using Codes = std::vector<char32_t>;

CharToken normal(const std::string& text) { return {text, TokenType::Normal}; }
CharToken mark(const std::string& text) { return {text, TokenType::Control}; }
CharToken longer(const std::string& text) { return {text, TokenType::UserDefined}; }
CharToken unknown(const std::string& text) { return {text, TokenType::Unknown}; }
CharToken unused() { return {"", TokenType::Unused}; }

CharTokenizer of(const Codes& codes) { return CharTokenizer::from_code_points(codes); }

CharTokenizer with(const std::vector<CharToken>& tokens, const SpecialTokens& specials = {}) {
    return CharTokenizer({tokens, specials});
}

// Any order, a mark in the middle, an id without a token, tokens of several characters.
CharModel mixed_model() {
    CharModel model;
    for (const char* text : {"b", "a"}) model.tokens.push_back(normal(text));
    model.tokens.push_back(mark("<.>"));
    model.tokens.push_back(unused());
    model.tokens.push_back(normal("é"));
    for (const char* text : {"abc", "ab", "👩‍🚀", "e\u0301", "\r\n"}) model.tokens.push_back(longer(text));
    for (const char* text : {"👩", "e", " ", "▁", "\n"}) model.tokens.push_back(normal(text));
    return model;
}

TEST(CharTokenizer, CharactersAreIds) {
    const CharTokenizer tokenizer = of({U'\n', U' ', U'a', U'b', U'é', U'你', U'😀'});
    EXPECT_EQ(tokenizer.vocab_size(), 7);
    EXPECT_STREQ(tokenizer.kind(), "char");
    EXPECT_TRUE(tokenizer.only_characters());
    const std::string text = "ab 你\né😀a";
    const Ids ids = {2, 3, 1, 5, 0, 4, 6, 2};
    EXPECT_EQ(tokenizer.encode(text), ids);
    EXPECT_EQ(tokenizer.encode(text, {.begin = true}), ids);
    EXPECT_EQ(tokenizer.decode(ids), text);
    EXPECT_EQ(tokenizer.decode(5), "你");
    EXPECT_TRUE(tokenizer.encode("").empty());
    for (const char32_t code : {char32_t{U'c'}, char32_t{U'好'}, char32_t{0x10FFFF}, char32_t{0xFFFFFFFF}})
        EXPECT_EQ(tokenizer.id_of(code), -1);
    EXPECT_EQ(of({U'z', U'a'}).encode("az"), (Ids{1, 0})) << "in any order";
}

TEST(CharTokenizer, KnowsAllOfUnicode) {
    Codes all;
    for (char32_t code = 0; code < kCodePointLimit; ++code)
        if (is_code_point(code)) all.push_back(code);
    const CharTokenizer tokenizer = of(all);
    for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(tokenizer.id_of(all[i]), static_cast<int32_t>(i));
    EXPECT_EQ(tokenizer.id_of(0xD800), -1);
    EXPECT_EQ(tokenizer.code_points(), all);
    const std::vector<TokenType> types(all.size(), TokenType::Normal);
    EXPECT_EQ(CharTokenizer::from_token_strings(tokenizer.token_strings(), types, {}).code_points(), all);
}

TEST(CharTokenizer, UnknownCharacters) {
    const CharTokenizer tokenizer = of({U'a', U'你'});
    expect_contains(error_of([&] { tokenizer.encode("a你aéa"); }), {"\"é\" (U+00E9)", "character 4 ", "byte offset 5"});
    EXPECT_EQ(remedy_of([&] { tokenizer.encode("é"); }), Remedy::SkipUnknown);
    expect_contains(error_of([&] { tokenizer.encode("\n"); }), {"U+000A", "character 1 ", "byte offset 0"});
    EXPECT_EQ(tokenizer.encode("xa\n你é", {.skip_unknown = true}), (Ids{0, 1}));
    EXPECT_TRUE(tokenizer.encode("xyz", {.skip_unknown = true}).empty());
    for (const bool skip : {false, true})
        expect_contains(error_of([&] { tokenizer.encode("a你\xFF", {.skip_unknown = skip}); }),
                        {"UTF-8", "byte offset 4", "0xFF"});
    expect_contains(error_of([&] { tokenizer.decode(2); }), {"token 2", "2 tokens"});
    expect_contains(error_of([&] { tokenizer.decode(-1); }), {"token -1"});
}

TEST(CharTokenizer, TheLongestTokenCounts) {
    const CharTokenizer tokenizer(mixed_model());
    EXPECT_FALSE(tokenizer.only_characters());
    EXPECT_EQ(tokenizer.encode("abcabba"), (Ids{5, 6, 0, 1}));
    EXPECT_EQ(tokenizer.encode("👩‍🚀👩e\u0301eé"), (Ids{7, 10, 8, 11, 4})) << "joined emoji, a combining mark";
    EXPECT_EQ(tokenizer.encode("a\r\n\n"), (Ids{1, 9, 14}));
    EXPECT_EQ(tokenizer.encode(" ▁<.>"), (Ids{12, 13, 2}));
    expect_contains(error_of([&] { tokenizer.encode("abc<.>", {.special = false}); }), {"\"<\" (U+003C), character 4 "});
    expect_contains(error_of([&] { tokenizer.encode("abcé👩‍🚀👩‍"); }),
                    {"U+200D, character 9 ", "byte offset 20)"});
    expect_contains(error_of([&] { tokenizer.encode("abc\xE2\x96"); }), {"UTF-8", "byte offset 3 "});
    EXPECT_EQ(tokenizer.encode("xab\u200Dcab", {.skip_unknown = true}), (Ids{6, 6}));
    EXPECT_EQ(tokenizer.decode(Ids{5, 3, 2, 8}), "abc<.>e\u0301") << "an id without a token has no text";
    EXPECT_FALSE(tokenizer.has_token(3));
    EXPECT_EQ(tokenizer.token_count(), 14);
}

TEST(CharTokenizer, SpecialTokens) {
    CharModel model = mixed_model();
    EXPECT_EQ(CharTokenizer(model).first_token(), 14) << "a line feed";
    EXPECT_EQ(of({U'b', U'c'}).first_token(), 0);
    EXPECT_EQ(of({U'b', U'c'}).end_token(), -1);
    model.tokens.push_back(unknown("[UNK]"));
    model.specials = {.begin = 2, .end = 2, .unknown = 15, .add_begin = true};
    const CharTokenizer tokenizer(model);
    EXPECT_TRUE(tokenizer.begins_texts());
    EXPECT_EQ(tokenizer.first_token(), 2);
    EXPECT_EQ(tokenizer.end_token(), 2);
    EXPECT_EQ(tokenizer.encode("ab", {.begin = true}), (Ids{2, 6}));
    EXPECT_EQ(tokenizer.encode("axb[UNK]"), (Ids{1, 15, 0, 15}));
    EXPECT_EQ(tokenizer.encode("xy", {.skip_unknown = true}), (Ids{15, 15}));
    EXPECT_EQ(tokenizer.encode("[U", {.special = false}), (Ids{15, 15}));
    expect_contains(error_of([&] { tokenizer.encode("\xFF"); }), {"UTF-8"});
    EXPECT_FALSE(with({normal("a"), normal("?")}, {.unknown = 1}).only_characters());
}

TEST(CharTokenizer, RefusesADamagedVocabulary) {
    const auto message = [](const std::vector<CharToken>& tokens, const SpecialTokens& specials = {}) {
        return error_of([&] { with(tokens, specials); });
    };
    expect_contains(message({}), {"empty"});
    expect_contains(message({unused()}), {"empty"});
    expect_contains(message({normal("a"), normal("")}), {"token 1"});
    expect_contains(message({normal("a"), normal("bc")}), {"token 1", "\"bc\"", "not one character"});
    expect_contains(message({normal("a"), normal("b\n")}), {"token 1", "\"b\\x0A\""});
    expect_contains(message({normal("a"), normal("\xED\xA0\x80")}), {"token 1", "\\xED", "UTF-8"});
    expect_contains(message({normal("a"), longer("a\xFF")}), {"token 1", "UTF-8"});
    expect_contains(message({normal("a"), normal("b"), normal("a")}), {"tokens 0 and 2", "both \"a\""});
    expect_contains(message({longer("ab"), mark("ab")}), {"tokens 0 and 1", "both \"ab\""});
    expect_contains(message({normal("a")}, {.end = 1}), {"end", "1", "vocabulary of 1"});
    expect_contains(message({normal("a")}, {.begin = -2}), {"beginning", "-2"});
    expect_contains(error_of([] { of({U'a', 0xD800}); }), {"token 1", "0xD800"});
    expect_contains(error_of([] { of({0x110000}); }), {"token 0", "0x110000"});
    expect_contains(error_of([] { of({}); }), {"empty"});
    EXPECT_EQ(error_of([] { of({0, 0x10FFFF}); }), "");
}

TEST(CharTokenizer, TokenStrings) {
    const Codes codes = {0, U'\n', U' ', U'<', U'é', 0x2581, U'你', U'😀'};
    const std::vector<std::string> strings = {"\0"s, "\n", "\u2581", "<", "é", "<U+2581>", "你", "😀"};
    EXPECT_EQ(of(codes).token_strings(), strings);
    const CharTokenizer gaps = with({mark("[PAD1]"), unused(), normal(" "), longer("  ")});
    EXPECT_EQ(gaps.token_strings(), (std::vector<std::string>{"[PAD1]", "[[PAD1]]", "▁", "  "}));
    expect_contains(error_of([] {
                        with({normal("▁"), mark("<U+2581>")}).token_strings();
                    }),
                    {"`<U+2581>`", "as another one is"});
}

class CharGguf : public testing::Test {
protected:
    GgufFile store(const GgufWriter& writer) {
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        return GgufFile::open(path);
    }

    TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
};

TEST_F(CharGguf, ComesBackTheSame) {
    CharModel model = mixed_model();
    model.tokens.push_back(unknown("<unk>"));
    model.specials = {.begin = 2, .end = 2, .unknown = 15, .padding = 0, .add_begin = true};
    GgufWriter first;
    write_tokenizer(first, CharTokenizer(model));
    const GgufFile file = store(first);
    EXPECT_EQ(file.get<std::string>("tokenizer.ggml.model"), "llama");
    EXPECT_EQ(file.get<std::string>("nib.tokenizer"), "char");
    EXPECT_EQ(file.array<int32_t>("tokenizer.ggml.token_type"),
              (std::vector<int32_t>{1, 1, 3, 5, 1, 4, 4, 4, 4, 4, 1, 1, 1, 1, 1, 2}));
    EXPECT_EQ(file.array<std::string>("tokenizer.ggml.tokens")[3], "[PAD3]");
    EXPECT_EQ(file.get<uint32_t>("tokenizer.ggml.eos_token_id"), 2u);
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_bos_token"));
    const auto back = read_tokenizer(file);
    for (const char* text : {"abcabba<.>", "👩‍🚀 ▁\r\n", "xyz"})
        EXPECT_EQ(back->encode(text, {.begin = true}), CharTokenizer(model).encode(text, {.begin = true}));
    const std::string before = read_file(path);
    GgufWriter second;
    write_tokenizer(second, *back);
    store(second);
    EXPECT_EQ(before, read_file(path));
}

// Files from before there were marks have only these keys; others may lack the types.
TEST_F(CharGguf, OlderFiles) {
    GgufWriter writer;
    writer.set("tokenizer.ggml.model", "llama"s);
    writer.set("nib.tokenizer", "char"s);
    writer.set("tokenizer.ggml.tokens", std::vector<std::string>{"\n", "▁", "a"});
    EXPECT_EQ(read_tokenizer(store(writer))->encode("a \n"), (Ids{2, 1, 0}));
    for (const char* key : {"add_space_prefix", "add_bos_token", "add_eos_token"})
        writer.set("tokenizer.ggml."s + key, false);
    writer.set("tokenizer.ggml.token_type", std::vector<int32_t>{1, 1, 1});
    const auto tokenizer = read_tokenizer(store(writer));
    EXPECT_EQ(tokenizer->encode("a \n", {.begin = true}), (Ids{2, 1, 0}));
    EXPECT_EQ(tokenizer->end_token(), -1);
}

TEST_F(CharGguf, DamagedFiles) {
    const auto message = [&](std::vector<std::string> tokens, std::vector<int32_t> types, int64_t end = -1) {
        GgufWriter writer;
        writer.set("nib.tokenizer", "char"s);
        writer.set("tokenizer.ggml.tokens", std::move(tokens));
        writer.set("tokenizer.ggml.token_type", std::move(types));
        if (end != -1) writer.set("tokenizer.ggml.eos_token_id", end);
        const GgufFile file = store(writer);
        return error_of([&] { read_tokenizer(file); });
    };
    expect_contains(message({"a", "bc"}, {1, 1}), {path, "token 1", "\"bc\""});
    expect_contains(message({"a", "b"}, {1}), {path, "2 tokens", "1 types"});
    expect_contains(message({"a", "\xFF"}, {1, 4}), {path, "UTF-8"});
    expect_contains(message({"a", "a"}, {1, 3}), {path, "both \"a\""});
    expect_contains(message({"a", "bc"}, {1, 6}), {path, "\"bc\""});
    expect_contains(message({}, {}), {path, "empty"});
    expect_contains(message({"a"}, {1}, 1), {path, "end", "1"});
    for (const int64_t id : {int64_t{1} << 32, int64_t{-7}, -(int64_t{1} << 32), INT64_MIN, INT64_MAX})
        EXPECT_NE(message({"a"}, {1}, id), "") << id;
    EXPECT_EQ(message({"a", "bc"}, {1, 3}, 1), "");
}

}  // namespace
}  // namespace nib
