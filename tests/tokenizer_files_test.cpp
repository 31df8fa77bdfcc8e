// Tokenizers from the files of Hugging Face: what they say counts, what is not supported or damaged is named.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using nlohmann::json;

TEST(TokenizerFiles, VocabAndMergesGiveTheSame) {
    auto files = old_files();
    files["added_tokens.json"] = R"({"[tool]": 600, "[tool_call]": 601, "<pad>": 602, "ab[": 603})";
    files["special_tokens_map.json"] = R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false},
        "pad_token": "<pad>", "additional_special_tokens": ["ab["]})";
    const auto whole = parse_whole(golden_tokenizer()), parts = parse_files(files);
    ASSERT_EQ(whole->vocab_size(), parts->vocab_size());
    const json cases = json::parse(read_file(golden("bpe_cases.json")));
    for (const json& text : cases["texts"])
        EXPECT_EQ(parts->encode(text.get<std::string>()), whole->encode(text.get<std::string>())) << text;
    const SpecialTokens& specials = parts->specials();
    EXPECT_EQ(specials.begin, 0);
    EXPECT_EQ(specials.end, 1);
    EXPECT_EQ(specials.padding, 602);
    EXPECT_EQ(specials.unknown, -1);
    EXPECT_FALSE(specials.add_begin);
}

// The pair of files means BERT's cleaning and words that end in "</w>" where the merges have such words.
TEST(TokenizerFiles, VocabAndMergesOfGpt1) {
    const json cases = json::parse(read_file(golden("tokenizer_cases.json")));
    const auto whole = parse_whole(cases["bases"]["gpt1"]);
    const auto written = tokenizer_files(*whole, 16);
    std::map<std::string, std::string> files(written.begin(), written.end());
    ASSERT_TRUE(files.contains("vocab.json") && files.contains("merges.txt"));
    files.erase("tokenizer.json");
    const auto parts = parse_files(files);
    EXPECT_EQ(parts->specials(), whole->specials());
    for (const json& text : cases["texts"])
        EXPECT_EQ(parts->encode(text.get<std::string>()), whole->encode(text.get<std::string>())) << text;
}

TEST(TokenizerFiles, ConfigNamesTokens) {
    auto files = old_files();
    files["tokenizer_config.json"] =
        R"({"add_prefix_space": true, "add_bos_token": true, "bos_token": "</s>", "eos_token": null,
        "added_tokens_decoder": {"600": {"content": "[tool]", "special": false}, "601": {"content": "<pad>", "special": true}}})";
    files["config.json"] = R"({"bos_token_id": 5, "eos_token_id": [2, 3], "vocab_size": 602})";
    const auto tokenizer = parse_files(files);
    EXPECT_EQ(tokenizer->vocab_size(), 602);
    EXPECT_EQ(tokenizer->specials().begin, 1);
    EXPECT_EQ(tokenizer->specials().end, 2);
    EXPECT_TRUE(tokenizer->specials().add_begin);
    EXPECT_FALSE(tokenizer->specials().add_end);
    EXPECT_EQ(pipeline(tokenizer).type(601), TokenType::Control);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("x<pad>y")), " x<pad> y");
}

TEST(TokenizerFiles, EndOfTextByDefault) {
    auto files = old_files();
    json vocab = json::parse(files["vocab.json"]);
    vocab["<|endoftext|>"] = 600;
    files["vocab.json"] = vocab.dump();
    const auto tokenizer = parse_files(files);
    EXPECT_EQ(tokenizer->encode("<|endoftext|>"), (Ids{600}));
    EXPECT_EQ(pipeline(tokenizer).type(600), TokenType::Control);
    EXPECT_EQ(tokenizer->specials().begin, 600);
    EXPECT_EQ(tokenizer->specials().end, 600);
    EXPECT_EQ(tokenizer->specials().unknown, 600);
}

TEST(TokenizerFiles, TemplateNamesTheTokensAroundAText) {
    json changed = golden_tokenizer();
    changed["post_processor"] = json::parse(R"({"type": "Sequence", "processors": [{"type": "ByteLevel"}, {"type":
        "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        {"SpecialToken": {"id": "</s>", "type_id": 0}}]}]})");
    const auto tokenizer = parse_whole(changed);
    EXPECT_EQ(tokenizer->specials().begin, 0);
    EXPECT_EQ(tokenizer->specials().end, 1);
    EXPECT_TRUE(tokenizer->specials().add_begin && tokenizer->specials().add_end);
}

TEST(TokenizerFiles, IdsWithHoles) {
    json changed = golden_tokenizer();
    changed["added_tokens"][0]["id"] = 0;
    changed["added_tokens"].push_back({
        {"id",      700    },
        {"content", "<far>"},
        {"special", true   }
    });
    const auto tokenizer = parse_whole(changed);
    EXPECT_EQ(tokenizer->vocab_size(), 701);
    EXPECT_EQ(pipeline(tokenizer).type(650), TokenType::Unused);
    EXPECT_EQ(tokenizer->decode(650), "");
    EXPECT_EQ(tokenizer->encode("a<far>"), (Ids{tokenizer->encode("a")[0], 700}));
}

TEST(TokenizerFiles, NoTokenizer) {
    EXPECT_EQ(parse_files({}), nullptr);
    EXPECT_EQ(parse_files({
                  {"vocab.json",  "{\"a\": 0}"},
                  {"config.json", "{"         }
    }),
              nullptr);
    expect_contains(error_of([] {
                        parse_files({
                            {"merges.txt", ""}
                        });
                    }),
                    {"vocab.json", "missing"});
    EXPECT_EQ(load_tokenizer("/nonexistent/folder"), nullptr);
}

TEST(TokenizerFiles, Folder) {
    const TempFolder folder;
    const fs::path file = folder / "tokenizer.json";
    const auto load = [&] { return load_tokenizer(folder.path().string()); };
    EXPECT_EQ(load(), nullptr);
    write_file(file, golden_tokenizer().dump());
    EXPECT_EQ(load()->vocab_size(), 604);
    for (const char* damaged : {"{", ""}) {
        write_file(file, damaged);
        expect_contains(error_of(load), {file.string(), "JSON"});
    }
}

TEST(TokenizerFiles, OpenAiNames) {
    auto files = old_files();
    const auto expected = parse_files(files);
    std::map<std::string, std::string> other = {
        {"encoder.json", files["vocab.json"]},
        {"vocab.bpe",    files["merges.txt"]}
    };
    EXPECT_EQ(parse_files(other)->encode("Hello the world"), expected->encode("Hello the world"));
    other.erase("vocab.bpe");
    expect_contains(error_of([&] { parse_files(other); }), {"folder/vocab.bpe is missing beside encoder.json"});
    expect_contains(error_of([&] {
                        parse_files({
                            {"vocab.bpe", ""}
                        });
                    }),
                    {"folder/encoder.json is missing beside vocab.bpe"});
}

const char* const kWords =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ncafe\ncaf\u00e9\nCafe\n##s\n\u4e2d\n\u56fd\n\u4e2d\u56fd\n!\n";

Ids word_ids(const std::string& config, std::string_view text, const std::string& vocab = kWords) {
    return parse_files({
                           {"vocab.txt",             vocab },
                           {"tokenizer_config.json", config}
    })
        ->encode(text);
}

// What stands around one text and around two, and the segments.
TEST(TokenizerFiles, Pairs) {
    const auto tokenizer = parse_files({
        {"vocab.txt", kWords}
    });
    const MarkedText one = tokenizer->encode_marked("cafes!", {.begin = true});
    EXPECT_EQ(one.ids, (Ids{2, 5, 8, 12, 3}));
    EXPECT_EQ(one.types, (Ids{0, 0, 0, 0, 0}));
    const auto expect_pair = [](const Tokenizer& made, const Ids& ids, const Ids& types) {
        const MarkedText pair = made.encode_marked("cafe[MASK]", "!");
        EXPECT_EQ(pair.ids, ids);
        EXPECT_EQ(pair.types, types);
    };
    expect_pair(*tokenizer, {2, 5, 4, 3, 12, 3}, {0, 0, 0, 0, 1, 1});
    const auto exported = tokenizer_files(*tokenizer, 16);
    expect_pair(*parse_files({exported.begin(), exported.end()}), {2, 5, 4, 3, 12, 3}, {0, 0, 0, 0, 1, 1});
    EXPECT_EQ(parse_files({exported.begin(), exported.end()})->mask_token(), 4);
    // As other post-processors have it.
    const json whole = json::parse(exported[0].second);
    const auto with = [&](const json& post) {
        json changed = whole;
        changed["post_processor"] = post;
        return parse_whole(changed);
    };
    const auto again = [](const Tokenizer& made) {
        const auto files = tokenizer_files(made, 16);
        return parse_files({files.begin(), files.end()});
    };
    const auto marks = [](const char* type) {
        return json{
            {"type", type        },
            {"cls",  {"[CLS]", 2}},
            {"sep",  {"[SEP]", 3}}
        };
    };
    expect_pair(*with(marks("BertProcessing")), {2, 5, 4, 3, 12, 3}, {0, 0, 0, 0, 1, 1});
    expect_pair(*with(marks("RobertaProcessing")), {2, 5, 4, 3, 3, 12, 3}, {0, 0, 0, 0, 0, 0, 0});
    expect_pair(*again(*with(marks("RobertaProcessing"))), {2, 5, 4, 3, 3, 12, 3}, {0, 0, 0, 0, 0, 0, 0});
    expect_pair(*with(nullptr), {5, 4, 12}, {0, 0, 1});
    const auto part = [](const char* kind, const char* id, int type) {
        return json{
            {kind, {{"id", id}, {"type_id", type}}}
        };
    };
    json post = {
        {"type",   "TemplateProcessing"                                                     },
        {"single", json::array({part("SpecialToken", "[CLS]", 0), part("Sequence", "A", 0)})},
        {"pair",   json::array({part("SpecialToken", "[CLS]", 0), part("Sequence", "A", 0), part("SpecialToken", "[CLS]", 1),
                              part("Sequence", "B", 1)})                    }
    };
    expect_pair(*with(post), {2, 5, 4, 2, 12}, {0, 0, 0, 1, 1});
    expect_pair(*again(*with(post)), {2, 5, 4, 2, 12}, {0, 0, 0, 1, 1});
    post["pair"].push_back(part("SpecialToken", "[MASK]", 1));
    const auto other = with(post);
    EXPECT_EQ(other->encode_marked("!").ids, (Ids{2, 12}));
    expect_contains(error_of([&] { other->encode_marked("!", "!"); }), {"two texts together is not supported"});
}

TEST(TokenizerFiles, VocabTxt) {
    const std::string text = "Cafes caf\u00e9 \u4e2d\u56fd![MASK][UNK]x";
    EXPECT_EQ(word_ids("{}", text), (Ids{5, 8, 5, 9, 10, 12, 4, 1, 1}));
    EXPECT_EQ(word_ids(R"({"do_lower_case": false})", text), (Ids{7, 8, 6, 9, 10, 12, 4, 1, 1}));
    EXPECT_EQ(word_ids(R"({"strip_accents": false})", text), (Ids{5, 8, 6, 9, 10, 12, 4, 1, 1}));
    EXPECT_EQ(word_ids(R"({"do_lower_case": false, "strip_accents": true})", text), (Ids{7, 8, 5, 9, 10, 12, 4, 1, 1}));
    EXPECT_EQ(word_ids(R"({"tokenize_chinese_chars": false})", text), (Ids{5, 8, 5, 11, 12, 4, 1, 1}));
    EXPECT_EQ(word_ids(R"({"mask_token": "cafe"})", "cafes[MASK]"), (Ids{5, 1, 1, 1, 1}));
    const auto tokenizer = parse_files({
        {"vocab.txt", kWords}
    });
    EXPECT_STREQ(tokenizer->kind(), "wordpiece");
    const SpecialTokens& specials = pipeline(tokenizer).specials();
    EXPECT_EQ(specials, (SpecialTokens{2, 3, 1, 0, true, true, 4, kBertPairs}));
    EXPECT_EQ(tokenizer->encode("cafe", {.begin = true}), (Ids{2, 5}));
    EXPECT_EQ(tokenizer->decode(Ids{5, 8, 12, 9, 10}), "cafes! \u4e2d \u56fd");
    EXPECT_EQ(tokenizer->decode(8), "s");
    EXPECT_EQ(tokenizer->decode(9), " \u4e2d");
}

TEST(TokenizerFiles, OddVocabTxt) {
    EXPECT_EQ(word_ids("{}", "a b", "[UNK]\r\na\r\nb\r\n"), (Ids{1, 2}));
    EXPECT_EQ(word_ids("{}", "a b", "[UNK]\n\na\nb\na"), (Ids{4, 3}));  // of two lines alike the last counts
    EXPECT_EQ(word_ids("{}", std::string(101, 'a'), "[UNK]\na\n##a\n"), Ids{0});
    EXPECT_EQ(word_ids("{}", std::string(100, 'a'), "[UNK]\na\n##a\n").size(), 100u);
    expect_contains(error_of([] { word_ids("{}", "x", "a\nb\n"); }), {"folder/vocab.txt", "no token [UNK]", "characters"});
    EXPECT_EQ(word_ids(R"({"unk_token": "b"})", "x", "a\nb\n"), Ids{1});
    expect_contains(error_of([] { word_ids("{}", "x", "a\n\xFF\n"); }), {"folder/vocab.txt", "line 2", "UTF-8"});
    expect_contains(error_of([] { word_ids("{}", "x", ""); }), {"folder/vocab.txt", "empty"});
    expect_contains(error_of([] { word_ids(R"({"tokenizer_class": "BertJapaneseTokenizer"})", "x"); }),
                    {"BertJapaneseTokenizer without a tokenizer.json"});
    expect_contains(error_of([] { word_ids(R"({"do_lower_case": 1})", "x"); }), {"do_lower_case"});
}

TEST(TokenizerFiles, FilesByTheirNames) {
    const TempFolder folder;
    const auto at = [&](const char* name) { return (folder / name).string(); };
    write_file(at("vocab.txt"), kWords);
    write_file(at("words.txt"), kWords);
    write_file(at("other.txt"), "a\nb\n");
    write_file(at("tokenizer.json"), golden_tokenizer().dump());
    for (const char* name : {"vocab.txt", "words.txt"}) EXPECT_STREQ(load_tokenizer_file(at(name))->kind(), "wordpiece");
    EXPECT_STREQ(load_tokenizer_file(at("tokenizer.json"))->kind(), "bpe");
    EXPECT_STREQ(load_tokenizer(folder.path().string())->kind(), "bpe");
    for (const char* name : {"other.txt", "config.json", "vocab.json", "nothing", "encoder.json"})
        EXPECT_EQ(load_tokenizer_file(at(name)), nullptr) << name;
}

TEST(TokenizerFiles, WhatIsNotSupportedIsNamed) {
    const auto message = [](const char* patch) {
        json changed = golden_tokenizer();
        changed.merge_patch(json::parse(patch));
        return error_of([&] { parse_whole(changed); });
    };
    const std::map<std::string, std::vector<std::string>> cases = {
        {R"({"model": {"type": "Unigram"}})",                                                                                                                     {"model.vocab", "list"}        },
        {R"({"model": {"type": 7}})",                                                                                                                             {"model.type"}                 },
        {R"({"model": {"dropout": 0.1}})",                                                                                                                        {"dropout"}                    },
        {R"({"model": {"vocab": null}})",                                                                                                                         {"vocab"}                      },
        {R"({"model": {"merges": null}})",                                                                                                                        {"merges"}                     },
        {R"({"model": {"merges": {"a": 1}}})",                                                                                                                    {"merges", "list"}             },
        {R"({"model": {"merges": [["a"]]}})",                                                                                                                     {"merges[0]", "two tokens"}    },
        {R"({"model": {"merges": [["a", 1]]}})",                                                                                                                  {"merges[0][1]", "text"}       },
        {R"({"model": {"merges": ["a zzz"]}})",                                                                                                                   {"merge 0", "zzz"}             },
        {R"({"model": null})",                                                                                                                                    {"model"}                      },
        {R"({"normalizer": {"type": "Precompiled"}})",                                                                                                            {"Precompiled", "charsmap"}    },
        {R"({"normalizer": {"type": "SentencePiece"}})",                                                                                                          {"SentencePiece"}              },
        {R"({"pre_tokenizer": {"type": "UnicodeScripts"}})",                                                                                                      {"UnicodeScripts"}             },
        {R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "UnicodeScripts"}]}})",
         {"pretokenizers[1]", "UnicodeScripts"}                                                                                                                                                  },
        {R"({"pre_tokenizer": {"type": "Digits", "individual_digits": 1}})",                                                                                      {"individual_digits"}          },
        {R"({"pre_tokenizer": {"type": "Punctuation", "behavior": "Gone"}})",                                                                                     {"Punctuation", "Gone"}        },
        {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "ab"}})",                                                                                      {"Metaspace", "one character"} },
        {R"({"pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "last"}})",                                                                                 {"Metaspace", "last"}          },
        {R"({"pre_tokenizer": {"type": "FixedLength", "length": 0}})",                                                                                            {"FixedLength", "0"}           },
        {R"({"pre_tokenizer": {"type": "CharDelimiterSplit"}})",                                                                                                  {"CharDelimiterSplit", "empty"}},
        {R"({"pre_tokenizer": {"type": "Split", "pattern": {}}})",                                                                                                {"Split", "pattern"}           },
        {R"({"normalizer": {"type": "Replace", "pattern": {"Regex": "("}, "content": ""}})",                                                                      {"Replace", "("}               },
        {R"({"normalizer": {"type": "Sequence", "normalizers": {}}})",                                                                                            {"normalizers"}                },
        {R"({"decoder": {"type": "CTC"}})",                                                                                                                       {"CTC"}                        },
        {R"({"decoder": {"type": "Sequence", "decoders": [{"type": "ByteLevel"}, {"type": "Fuse"}, {"type": "Strip", "content": " ", "start": 0, "stop": 1}]}})",
         {"Strip", "end of a text"}                                                                                                                                                              },
        {R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[a[b]]"}}})",                                                                               {"Split", "[a[b]]", "set"}     },
        {R"({"post_processor": {"type": "OtherProcessing"}})",                                                                                                    {"OtherProcessing"}            },
        {R"({"decoder": {"type": "WordPiece"}})",                                                                                                                 {"decoder", "WordPiece"}       },
        {R"({"added_tokens": [{"id": 600, "content": "x", "lstrip": 1}]})",                                                                                       {"added_tokens[0].lstrip"}     },
        {R"({"added_tokens": [{"content": "x"}]})",                                                                                                               {"added_tokens[0]", "id"}      },
        {R"({"added_tokens": [{"id": -1, "content": "x"}]})",                                                                                                     {"added_tokens[0].id", "-1"}   },
        {R"({"added_tokens": [{"id": 1e9, "content": "x"}]})",                                                                                                    {"added_tokens[0].id"}         },
        {R"({"added_tokens": [{"id": 99999999999999999999999, "content": "x"}]})",                                                                                {"added_tokens[0].id"}         },
        {R"({"added_tokens": [{"id": 2000000000, "content": "x"}]})",                                                                                             {"2000000000", "tokens"}       },
        {R"({"added_tokens": [{"id": 5, "content": "<new>"}]})",                                                                                                  {"<new>", "5"}                 },
        {R"({"added_tokens": [{"id": 601, "content": "<s>"}]})",                                                                                                  {"<s>"}                        },
        {R"({"model": {"vocab": {"!": 3}}})",                                                                                                                     {"same id", "3"}               },
        {R"({"model": {"vocab": {"!": -3}}})",                                                                                                                    {"\"!\""}                      },
        {R"({"model": {"vocab": {"!": "x"}}})",                                                                                                                   {"\"!\""}                      },
        {R"({"model": {"vocab": {"!": 4294967296}}})",                                                                                                            {"4294967296"}                 },
        {R"({"model": {"vocab": {"!": 2147483647}}})",                                                                                                            {"2147483647"}                 },
    };
    for (const auto& [patch, parts] : cases) {
        auto expected = parts;
        expected.push_back("folder/tokenizer.json");
        SCOPED_TRACE(patch);
        expect_contains(message(patch.c_str()), expected);
    }
}

TEST(TokenizerFiles, HostileJson) {
    const auto message = [](const std::string& text) {
        return error_of([&] {
            parse_files({
                {"tokenizer.json", text}
            });
        });
    };
    for (const char* text :
         {"", "x", "{", "[]", "7", "null", "\"x\"", "{} {}", "{\"model\": 1e999}", "\xFF\xFE", "{\"\xFF\": 1}", "[1"})
        expect_contains(message(text), {"folder/tokenizer.json"});
    for (const std::string open : {"[", "{\"a\":"}) {
        std::string deep;
        for (int i = 0; i < 1000000; ++i) deep += open;
        expect_contains(message(deep), {"64 levels"});
    }
    expect_contains(message(R"({"model": {}, "model": {}})"), {"same key twice"});
    expect_contains(message("{\"model\": {\"vocab\": {\"a\\u0000\": 0, \"a\": \"\"}, \"merges\": []}}"s), {"\"a\""});
}

TEST(TokenizerFiles, HostileVocabAndMerges) {
    const auto message = [](const std::string& name, const std::string& text) {
        auto files = old_files();
        files[name] = text;
        return error_of([&] { parse_files(files); });
    };
    expect_contains(message("merges.txt", "a\n"), {"merge 0", "\"a\""});
    expect_contains(message("merges.txt", "#version: 0.2\n\xFF\0 x\n"s), {"merge 0", "\\xFF\\x00"});
    expect_contains(message("vocab.json", "[]"), {"vocab.json", "object"});
    expect_contains(message("vocab.json", R"({"a": 0, "a": 1})"), {"vocab.json", "twice"});
    expect_contains(message("added_tokens.json", R"({"x": 2})"), {"vocab.json", "\"x\"", "same id"});
    expect_contains(message("added_tokens.json", R"(["x"])"), {"added_tokens.json"});
    expect_contains(message("tokenizer_config.json", R"({"added_tokens_decoder": {"-1": {}}})"),
                    {"added_tokens_decoder.-1"});
    expect_contains(message("tokenizer_config.json", R"({"added_tokens_decoder": {"600": {}}})"), {"600", "content"});
    expect_contains(message("tokenizer_config.json",
                            R"({"added_tokens_decoder": {"600": {"content": "a"}, "0600": {"content": "b"}}})"),
                    {"twice"});
    expect_contains(message("tokenizer_config.json", R"({"eos_token": 5})"), {"eos_token", "text"});
    expect_contains(message("special_tokens_map.json", R"({"additional_special_tokens": "x"})"),
                    {"additional_special_tokens"});
    EXPECT_EQ(message("config.json", R"({"eos_token_id": -1, "bos_token_id": 1e30})"), "");
    EXPECT_EQ(message("merges.txt", ""), "");
}

}  // namespace
}  // namespace nib
