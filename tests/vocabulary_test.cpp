// Lists of characters in JSON and in pickles: every form, what its tokens are for, what is refused, and Hugging Face's
// files.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "test_errors.h"
#include "test_files.h"
#include "text/char_tokenizer.h"
#include "text/extended_tokenizer.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using nlohmann::json;
using Ids = std::vector<int32_t>;

std::unique_ptr<Tokenizer> parse(const std::string& bytes, int32_t begin = -1, int32_t end = -1) {
    std::vector<std::string> notes;
    return parse_vocabulary(bytes, "v.json", begin, end, notes);
}

std::vector<std::string> tokens_of(const std::string& bytes) {
    const auto tokenizer = parse(bytes);
    std::vector<std::string> tokens;
    for (int32_t id = 0; id < tokenizer->vocab_size(); ++id) tokens.push_back(tokenizer->decode(id));
    return tokens;
}

std::string message(const std::string& bytes) {
    return error_of([&] { parse(bytes); });
}

TEST(Vocabulary, EveryForm) {
    const std::vector<std::string> tokens = {"\n", " ", "é", "ab"};
    for (const char* text : {
             R"({"\n": 0, " ": 1, "é": 2, "ab": 3})",
             R"({"ab": 3, "é": 2, "\n": 0, " ": 1})",
             R"({"0": "\n", "1": " ", "2": "é", "3": "ab"})",
             R"(["\n", " ", "é", "ab"])",
             R"({"stoi": {"\n": 0, " ": 1, "é": 2, "ab": 3}})",
             R"({"vocab_size": 4, "itos": {"0": "\n", "1": " ", "2": "é", "3": "ab"}})",
             R"({"itos": ["\n", " ", "é", "ab"]})",
             R"({"itos": ["\n", " ", "é", "ab"], "stoi": {"\n": 0, " ": 1, "é": 2, "ab": 3}})",
             "\xEF\xBB\xBF[\"\\n\", \" \", \"é\", \"ab\"]",
         })
        EXPECT_EQ(tokens_of(text), tokens) << text;
    EXPECT_EQ(tokens_of(R"({"1": 0, "0": 1})"), (std::vector<std::string>{"1", "0"})) << "digits are characters";
    EXPECT_EQ(tokens_of(R"({"stoi": 0, "s": 1})"), (std::vector<std::string>{"stoi", "s"}));
    EXPECT_EQ(tokens_of(R"({"a": 1, "b": 3})"), (std::vector<std::string>{"", "a", "", "b"}));
}

// The letters of GPT-2's byte alphabet, and all others, beside a mark.
TEST(Vocabulary, EveryLetterBesideAMark) {
    for (char32_t code = 0x21; code < 0x3000; ++code) {
        if (code == U'a' || !is_code_point(code)) continue;
        std::string letter;
        append_utf8(letter, code);
        const auto tokenizer = parse(json{
            {"<.>",  0},
            {"a",    1},
            {letter, 2}
        }.dump());
        ASSERT_EQ(tokenizer->encode("a" + letter + "a", {.begin = true}), (Ids{0, 1, 2, 1})) << letter;
        ASSERT_EQ(tokenizer->decode(Ids{1, 2}), "a" + letter);
        ASSERT_EQ(tokenizer->end_token(), 0);
    }
}

TEST(Vocabulary, WhatMarksAreFor) {
    const auto specials = [](const std::string& bytes, int32_t begin = -1, int32_t end = -1) {
        const SpecialTokens s = parse(bytes, begin, end)->specials();
        EXPECT_EQ(s.add_begin, s.begin >= 0);
        return Ids{s.begin, s.end, s.unknown, s.padding};
    };
    EXPECT_EQ(specials(R"(["a", "<.>", "b"])"), (Ids{1, 1, -1, -1}));
    EXPECT_EQ(specials(R"(["a", "<|endoftext|>"])"), (Ids{1, 1, -1, -1}));
    EXPECT_EQ(specials(R"(["a", "<s>", "</s>", "<unk>"])"), (Ids{1, 2, 3, -1}));
    EXPECT_EQ(specials(R"(["[PAD]", "a", "[UNK]"])"), (Ids{-1, -1, 2, 0}));
    EXPECT_EQ(specials(R"(["[PAD]", "a", "[EOS]", "[MASK]"])"), (Ids{2, 2, -1, 0}));
    EXPECT_EQ(specials(R"(["<SOS>", "a", "<EOS>"])"), (Ids{0, 2, -1, -1}));
    EXPECT_EQ(specials(R"(["<x>", "a", "<y>"])"), (Ids{-1, -1, -1, -1}));
    EXPECT_EQ(specials(R"(["<x>", "a", "<y>"])", 2, 0), (Ids{2, 0, -1, -1})) << "config.json knows";
    EXPECT_EQ(specials(R"(["<s>", "a", "</s>"])", 1, 50256), (Ids{0, 2, -1, -1})) << "but a letter is none, nor is nothing";
    EXPECT_EQ(specials(R"(["<", ">", "<>", "[]", "a"])"), (Ids{-1, -1, -1, -1}));
    EXPECT_EQ(parse(R"(["[PAD]", "a", "[UNK]"])")->encode("aé[PAD]"), (Ids{1, 2, 0}));
}

TEST(Vocabulary, ADotBeforeLetters) {
    const auto find = [](const std::string& bytes) {
        std::vector<std::string> notes;
        const auto tokenizer = parse_vocabulary(bytes, "v.json", -1, -1, notes);
        EXPECT_EQ(notes.size(), tokenizer->end_token() == 0 ? 1u : 0u) << bytes;
        EXPECT_EQ(tokenizer->end_token() >= 0, tokenizer->begins_texts()) << bytes;
        return tokenizer->end_token();
    };
    EXPECT_EQ(find(R"({".": 0, "a": 1, "b": 2})"), 0);
    EXPECT_EQ(find(R"([".", "é", "'", "-", " ", "ß"])"), 0);
    EXPECT_EQ(find(R"([".", "0", "1", "2"])"), -1) << "digits";
    EXPECT_EQ(find(R"([".", "\n", "a"])"), -1) << "texts of lines";
    EXPECT_EQ(find(R"(["a", "."])"), -1);
    EXPECT_EQ(find(R"(["."])"), -1);
    EXPECT_EQ(find(R"([".", "a", "<s>"])"), 2) << "a mark";
    EXPECT_EQ(find(R"([".", "a", "bc"])"), -1);
}

TEST(Vocabulary, Pickles) {
    // Python's pickle.dumps(..., protocol) of the dict; the first of which is what nanoGPT's prepare.py saves.
    const auto dict = [](const std::string& items) { return "\x80\x02}(" + items + "u."; };
    const auto text = [](const std::string& s) {
        return "X" + std::string(1, static_cast<char>(s.size())) + "\0\0\0"s + s;
    };
    const auto number = [](int n) { return "K" + std::string(1, static_cast<char>(n)); };
    const std::string stoi = "}(" + text("b") + number(0) + text("é") + number(1) + "u",
                      itos = "}(" + number(0) + text("b") + number(1) + text("é") + "u",
                      other = "}(" + number(0) + text("b") + number(1) + text("a") + "u";
    const std::vector<std::string> tokens = {"b", "é"};
    EXPECT_EQ(tokens_of(dict(text("vocab_size") + number(2) + text("itos") + itos + text("stoi") + stoi)), tokens);
    EXPECT_EQ(tokens_of(dict(text("stoi") + stoi)), tokens);
    EXPECT_EQ(tokens_of(dict(text("itos") + itos)), tokens);
    EXPECT_EQ(tokens_of(dict(text("itos") + "](" + text("b") + text("é") + "e")), tokens);
    EXPECT_EQ(tokens_of("\x80\x02" + stoi + "."), tokens) << "stoi alone";
    EXPECT_EQ(tokens_of("\x80\x02" + itos + "."), tokens) << "itos alone";
    EXPECT_EQ(tokens_of("\x80\x02](" + text("b") + text("é") + "e."), tokens);
    EXPECT_EQ(tokens_of("\x80\x04\x95\0\0\0\0\0\0\0\0}(\x8c\1b\x94K\0\x8c\2é\x94K\1u."s), tokens) << "protocol 4";
    expect_contains(message(dict(text("itos") + other + text("stoi") + stoi)), {"v.json", "token 1", "\"é\"", "\"a\""});
    expect_contains(message("\x80\x02}."), {"v.json", "empty"});
    expect_contains(message("\x80\x02N."), {"v.json", "null"});
    expect_contains(message(dict(text("a") + "N")), {"v.json", "\"a\"", "null", "token id"});
    expect_contains(message(dict(text("a") + "J\xFF\xFF\xFF\xFF")), {"v.json", "-1"});
    expect_contains(message(dict(text("a") + number(200))), {"v.json", "200"});
    expect_contains(message(dict(text("\xFF") + number(0))), {"v.json", "UTF-8"});
    EXPECT_NE(message("\x80"), "");
    // NumPy's numbers, a class derived from dict, a set; other formats. What is not looked at may be anything.
    const std::string unknown = "cm\nC\nK\7\x85R";
    for (const std::string& body : {text("stoi") + unknown, text("itos") + "}(" + unknown + text("b") + "u",
                                    text("stoi") + "}(" + text("b") + unknown + "u", text("b") + unknown})
        expect_contains(message(dict(body)), {"v.json", "`m.C`", "plain"});
    EXPECT_EQ(tokens_of(dict(text("stoi") + stoi + text("best") + unknown)), tokens);
    EXPECT_EQ(tokens_of(dict(text("stoi") + number(0) + text("s") + number(1))), (std::vector<std::string>{"stoi", "s"}));
    expect_contains(message("\x80\4\x8f(" + text("b") + text("é") + "\x90."), {"v.json", "a set", "no order"});
    expect_contains(message(dict(text("itos") + "(" + text("b") + "\x91")), {"v.json", "a set", "no order"});
    for (const std::string& bytes : {"(dp0\n."s, "}q\0."s, "abcdef"s, "<.>\nab"s})
        expect_contains(message(bytes), {"v.json", "neither JSON", "pickle"});
    expect_contains(message("PK\3\4"), {"v.json", "torch.save", "pickle.dump"});
    expect_contains(message("\xFF\xFE[\0]\0"s), {"v.json", "UTF-16LE", "iconv"});
    EXPECT_NE(message("\x80\x02cos\nsystem\n(X\2\0\0\0lstR."s), "");
    // One long text in many places, a dict in itself.
    std::string long_text = "\x80\x02](X\0\x10\0\0"s + std::string(4096, 'x') + "q\0"s;
    for (int i = 0; i < 1000; ++i) long_text += "h\0"s;
    expect_contains(message(long_text + "e."), {"v.json", "again and again"});
    EXPECT_NE(message("\x80\x02}q\0(X\4\0\0\0stoih\0u."s), "");
}

TEST(Vocabulary, WhatIsNoList) {
    for (const auto& [text, part] : std::map<std::string, std::string>{
             {"",                                          "not valid JSON"                                 },
             {"{}",                                        "the list of tokens is empty"                    },
             {"[]",                                        "the list of tokens is empty"                    },
             {"7",                                         "expects a list of tokens or an object of tokens"},
             {R"({"": 0})",                                "the token with the id 0 is empty"               },
             {R"(["a", ""])",                              "the token with the id 1 is empty"               },
             {R"({"a": -1})",                              "nib expects a token id"                         },
             {R"({"a": 1, "b": 1})",                       "\"a\" and \"b\" have the same id, 1"            },
             {R"({"a": 0, "a": 1})",                       "the same key twice"                             },
             {R"(["a", "b", "a"])",                        "\"a\" has two ids, 0 and 2"                     },
             {R"({"0": "a", "1": "a"})",                   "\"a\" has two ids, 0 and 1"                     },
             {R"({"0": "a", "00": "b"})",                  "\"a\" and \"b\" have the same id, 0"            },
             {R"({"a": 0, "b": 1e9})",                     "is 1000000000.0; nib expects a token id"        },
             {R"({"a": 4000000000})",                      "nib expects a token id from 0"                  },
             {R"({"0": "a", "9": "b"})",                   "ids go up to 9, but there are only 2 tokens"    },
             {R"({"0": "a", "x": "b"})",                   "\"x\": the key is not a token id"               },
             {R"({"0": "a", "1": 1})",                     "is 1; nib expects text"                         },
             {R"({"stoi": {}})",                           "the list of tokens is empty"                    },
             {R"({"stoi": {"a": 0}, "itos": ["b"]})",      "token 0 is \"a\" in one and \"b\" in the other" },
             {R"({"stoi": {"a": 0}, "itos": ["a", "b"]})", "token 1 is \"\" in one and \"b\" in the other"  },
             {R"([["a"]])",                                "is array where nib expects text"                },
             {R"({"model": {}})",                          "the tokenizer type"                             },
    })
        expect_contains(message(text), {"v.json", part});
}

TEST(Vocabulary, PaddedToTheEmbedding) {
    auto tokenizer = padded(parse(R"(["[UNK]", "a", "<s>"])"), 5);
    EXPECT_EQ(tokenizer->vocab_size(), 5);
    EXPECT_EQ(tokenizer->token_count(), 3);
    EXPECT_EQ(tokenizer->encode("ax", {.begin = true}), (Ids{2, 1, 0}));
    expect_contains(error_of([&] { padded(std::move(tokenizer), 4); }), {"5 tokens", "only 4 rows"});
}

// What `tokenizers` makes of the files that nib writes: goldens/make_character_goldens.py.
TEST(CharacterFiles, SameIdsAsHuggingFace) {
    for (const json& golden_case : json::parse(read_file(golden("characters.json")))) {
        SCOPED_TRACE(golden_case["list"].dump());
        const auto tokenizer = parse(golden_case["list"].dump());
        const auto written = tokenizer_files(*tokenizer, 16);
        ASSERT_EQ(written.size(), 2u);
        EXPECT_EQ(json::parse(written[0].second), golden_case["tokenizer.json"]);
        std::map<std::string, std::string_view> files(written.begin(), written.end());
        const auto back = parse_tokenizer(files, "folder");
        for (const json& text : golden_case["texts"]) {
            EncodeOptions options;
            options.begin = options.skip_unknown = true;
            const Ids ids = tokenizer->encode(text["text"].get<std::string>(), options);
            EXPECT_EQ(json(ids), text["ids"]) << text["text"];
            EXPECT_EQ(back->encode(text["text"].get<std::string>(), options), ids) << text["text"];
        }
        EXPECT_EQ(tokenizer_files(*back, 16), written);
    }
}

// The files of `<s>`, a, bc and [UNK] after a change.
std::unique_ptr<Tokenizer> parse_changed(const std::string& patch) {
    json changed = json::parse(tokenizer_files(*parse(R"(["<s>", "a", "bc", "[UNK]"])"), 16)[0].second);
    changed.merge_patch(json::parse(patch));
    const std::string text = changed.dump();
    return parse_tokenizer(
        {
            {"tokenizer.json", text}
    },
        "folder");
}

// CharTokenizer does not do these; the ids are those of `tokenizers`.
TEST(CharacterFiles, WithOtherStepsTheyAreNoCharacterVocabulary) {
    EXPECT_STREQ(parse_changed("{}")->kind(), "char");
    EXPECT_EQ(parse_changed("{}")->encode(" bca"), (Ids{3, 2, 1}));
    const char* const text_alone = R"({"post_processor": {"single": [{"Sequence": {"id": "A", "type_id": 0}}]}})";
    EXPECT_STREQ(parse_changed(text_alone)->kind(), "char");
    EXPECT_FALSE(parse_changed(text_alone)->begins_texts());
    for (const auto& [patch, ids] : std::map<std::string, Ids>{
             {R"({"normalizer": {"type": "Lowercase"}})",                                                         {3, 2, 1}},
             {R"({"model": {"vocab": {"ad": 4}}})",                                                               {3, 2, 1}},
             {R"({"model": {"ignore_merges": true, "vocab": {" ": 4}}})",                                         {4, 2, 1}},
             {R"({"model": {"vocab": {" ": 4}}, "pre_tokenizer": {"type": "WhitespaceSplit"}})",                  {2, 1}   },
             {R"({"post_processor": {"type": "ByteLevel"}})",                                                     {3, 2, 1}},
             {R"({"added_tokens": [{"id": 2, "content": "bc", "lstrip": true}, {"id": 3, "content": "[UNK]"}]})", {2, 1}   },
    }) {
        const auto tokenizer = parse_changed(patch);
        EXPECT_STREQ(tokenizer->kind(), "bpe") << patch;
        EXPECT_EQ(tokenizer->encode(" bca"), ids) << patch;
    }
}

TEST(CharacterFiles, DamageIsNamed) {
    const auto refusal = [](const char* patch) { return error_of([&] { parse_changed(patch); }); };
    for (const auto& [patch, part] : std::map<std::string, std::string>{
             {R"({"model": {"unk_token": "x"}})",                  "there is no token \"x\""},
             {R"({"model": {"unk_token": 7}})",                    "model.unk_token"        },
             {R"({"model": {"vocab": ["a"]}})",                    "an object of tokens"    },
             {R"({"model": {"vocab": {"a": 4000}}})",              "ids go up to 4000"      },
             {R"({"model": {"vocab": {"d": 1}}})",                 "the same id, 1"         },
             {R"({"post_processor": {"single": 1}})",              "post_processor.single"  },
             {R"({"added_tokens": [{"id": 1, "content": "bc"}]})", "the same id, 1"         },
    })
        expect_contains(refusal(patch.c_str()), {"folder/tokenizer.json", part});
}

}  // namespace
}  // namespace nib
