// SentencePiece's BPE against what SentencePiece gives (tests/goldens/make_sentencepiece_goldens.py), also after a trip
// through a GGUF file and through an exported folder.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "protobuf_fields.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/sentencepiece_bpe.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_gguf.h"
#include "text/utf8.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using nlohmann::json;

std::unique_ptr<Tokenizer> parse_model(const std::string& file) {
    return parse_files({
        {"tokenizer.model", file}
    });
}

class SentencePiece : public testing::Test {
protected:
    GgufFile store(const Tokenizer& tokenizer) {
        GgufWriter writer;
        write_tokenizer(writer, tokenizer);
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        return GgufFile::open(path);
    }
    GgufFile store_keys(const std::vector<GgufEntry>& keys) {
        GgufWriter writer;
        for (const auto& [key, value] : keys) writer.set(key, value);
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        return GgufFile::open(path);
    }
    static std::unique_ptr<Tokenizer> export_and_import(const Tokenizer& tokenizer) {
        const auto files = tokenizer_files(tokenizer, 16);
        return parse_files({files.begin(), files.end()});
    }

    const json cases = json::parse(read_file(golden("sentencepiece_cases.json")));
    const std::string model = read_file(golden("sentencepiece.model"));
    TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
};

TEST_F(SentencePiece, Goldens) {
    for (const json& variant : cases["variants"]) {
        const auto name = variant["name"].get<std::string>();
        const auto tokenizer = parse_model(model + from_hexadecimal(variant["appended"]));
        EXPECT_STREQ(tokenizer->kind(), "sentencepiece");
        const GgufFile file = store(*tokenizer);
        EXPECT_EQ(llama_cpp_differs(file), name == "no extra spaces");
        const std::string stored = read_file(path);
        const auto from_gguf = read_tokenizer(file), exported = export_and_import(*tokenizer);
        EXPECT_STREQ(exported->kind(), "bpe");
        for (size_t i = 0; i < cases["texts"].size(); ++i) {
            const auto text = cases["texts"][i].get<std::string>();
            const auto ids = variant["ids"][i].get<Ids>();
            const auto& decoded = variant["decoded"][i];
            for (const auto* one : {&tokenizer, &from_gguf, &exported}) {
                EXPECT_EQ((*one)->encode(text), ids) << name << ": " << text;
                EXPECT_EQ((*one)->decode(ids), decoded.is_null() ? text : decoded.get<std::string>()) << name;
            }
        }
        store(*from_gguf);
        const bool scores_kept = !llama_cpp_differs(file);  // else they come from merges, and have other values
        EXPECT_EQ(stored == read_file(path), scores_kept) << name;
    }
}

TEST_F(SentencePiece, Keys) {
    const auto tokenizer = parse_model(model);
    const GgufFile file = store(*tokenizer);
    EXPECT_EQ(file.get<std::string>("tokenizer.ggml.model"), "llama");
    EXPECT_EQ(file.get<std::string>("tokenizer.ggml.pre"), "default");
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_space_prefix"));
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_bos_token"));
    EXPECT_FALSE(file.get<bool>("tokenizer.ggml.add_eos_token"));
    EXPECT_EQ(file.value("tokenizer.ggml.remove_extra_whitespaces"), nullptr);
    const auto& types = file.array<int32_t>("tokenizer.ggml.token_type");
    EXPECT_EQ(std::vector(types.begin(), types.begin() + 4), (std::vector{2, 3, 3, 6}));
    EXPECT_EQ(types[258], 6);
    EXPECT_EQ(types[259], 1);
    EXPECT_EQ(file.array<std::string>("tokenizer.ggml.tokens")[13], "<0x0A>");
    EXPECT_EQ(file.array<float>("tokenizer.ggml.scores")[260], -1.0f);
    EXPECT_EQ(file.array<float>("tokenizer.ggml.scores").back(), -1e9f);
    EXPECT_EQ(pipeline(tokenizer).specials(), (SpecialTokens{1, 2, 0, -1, true, false}));
    EXPECT_EQ(pipeline(read_tokenizer(file)).specials(), pipeline(tokenizer).specials());
}

// A tokenizer.json whose merges say no more than scores becomes the same keys as the model that it was made of, but for the
// values of the scores; what comes of those is the same file again.
TEST_F(SentencePiece, MergesBecomeScores) {
    const auto exported = export_and_import(*parse_model(model));
    const GgufFile file = store(*exported);
    EXPECT_FALSE(llama_cpp_differs(file));
    const auto back = read_tokenizer(file);
    EXPECT_STREQ(back->kind(), "sentencepiece");
    for (size_t i = 0; i < cases["texts"].size(); ++i)
        EXPECT_EQ(back->encode(cases["texts"][i].get<std::string>()), cases["variants"][0]["ids"][i].get<Ids>());
    const auto files = tokenizer_files(*back, 16);
    EXPECT_TRUE(files == tokenizer_files(*exported, 16));
    const std::string before = read_file(path);
    store(*export_and_import(*back));
    EXPECT_TRUE(before == read_file(path));
}

TEST_F(SentencePiece, MetaspaceIsKept) {
    json whole = json::parse(tokenizer_files(*parse_model(model), 16)[0].second);
    whole["normalizer"] = nullptr;
    whole["pre_tokenizer"] = {
        {"type",           "Metaspace"},
        {"replacement",    "\u2581"   },
        {"prepend_scheme", "first"    },
        {"split",          false      }
    };
    const auto tokenizer = parse_whole(whole);
    const GgufFile file = store(*tokenizer);
    EXPECT_EQ(file.get<std::string>("tokenizer.ggml.model"), "llama");
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_space_prefix"));
    EXPECT_TRUE(llama_cpp_differs(file));
    const auto back = read_tokenizer(file);
    for (const char* text : {" the", "the", "<s>the", "  the </s> the"})
        EXPECT_EQ(back->encode(text), tokenizer->encode(text)) << text;
    EXPECT_EQ(back->encode("the"), back->encode(" the"));
}

TEST_F(SentencePiece, MarksAreFoundInATextUnlessTheyAreText) {
    const auto tokenizer = parse_model(model);
    const Ids ids = tokenizer->encode("the</s>the", {.begin = true});
    ASSERT_EQ(ids.size(), 4u);
    EXPECT_EQ((Ids{ids[0], ids[2]}), (Ids{1, 2}));
    EXPECT_EQ(ids[1], ids[3]);  // both begin with a space
    EXPECT_EQ(tokenizer->decode(Ids{ids[1], ids[2], ids[3]}), "the</s> the");
    const Ids text = tokenizer->encode("</s>", {.special = false});
    EXPECT_EQ(std::count(text.begin(), text.end(), 2), 0);
    EXPECT_EQ(tokenizer->decode(text), "</s>");
    // Not even if other tokens make it up.
    const auto other = parse_model(model_file({
        {"<unk>", 0,  2},
        {"<s>",   9,  3},
        {"<",     -1, 1},
        {"s>",    -2, 1},
        {"s",     -3, 1},
        {">",     -4, 1}
    }));
    EXPECT_EQ(other->encode("<s>"), (Ids{1}));
    EXPECT_EQ(other->encode("<s>", {.special = false}), (Ids{2, 3}));
}

TEST_F(SentencePiece, StreamsHalfCharacters) {
    const auto tokenizer = parse_model(model);
    const std::string text = "\u2603 \u4f60\u597d\nx";
    Utf8Streamer streamer;
    DecodeState state;
    std::string streamed;
    size_t most = 0;
    const Ids ids = tokenizer->encode(text);
    for (const int32_t id : ids) {
        const std::string piece = streamer.push(tokenizer->decode_next(id, state));
        EXPECT_EQ(find_invalid(piece), std::string::npos);
        most = std::max(most, piece.size());
        streamed += piece;
    }
    EXPECT_EQ(streamed + streamer.finish(), text);
    EXPECT_EQ(most, 3u);
    EXPECT_GT(ids.size(), 8u);                                          // most characters are bytes
    EXPECT_EQ(tokenizer->decode(Ids{3 + 0xE2, 3 + 0x98}), "\xE2\x98");  // not a character yet
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("\xFF")), "\uFFFD");
}

// ---- the rule ----------------------------------------------------------------------------------------------------------

TokenizerSpec spec_of(const std::vector<std::pair<std::string, float>>& tokens, bool fuse = true) {
    TokenizerSpec spec;
    spec.model.kind = WordModelSpec::Kind::SentencePiece;
    spec.model.fuse_unknown = fuse;
    spec.tokens.push_back({"<unk>", TokenType::Unknown});
    spec.scores.push_back(0);
    for (const auto& [text, score] : tokens) {
        spec.tokens.push_back({text});
        spec.scores.push_back(score);
    }
    spec.specials.unknown = 0;
    spec.decoders = sentencepiece_decoders(false);
    return spec;
}

std::vector<std::string> pieces(const TokenizerSpec& spec, const std::string& text) {
    std::vector<std::string> result;
    for (const int32_t id : PipelineTokenizer(spec).encode(text))
        result.push_back(spec.tokens[static_cast<size_t>(id)].text);
    return result;
}

using Pieces = std::vector<std::string>;

TEST(SentencePieceBpe, TheHighestScoreFirstAndOfThoseTheLeftmost) {
    const TokenizerSpec spec = spec_of({
        {"a",   0 },
        {"b",   0 },
        {"c",   0 },
        {"ab",  -2},
        {"bc",  -1},
        {"ca",  -1},
        {"abc", -9},
        {"aaa", -5},
        {"aa",  -5}
    });
    EXPECT_EQ(pieces(spec, "abc"), (Pieces{"abc"}));        // from "a" and "bc", not "ab" and "c"
    EXPECT_EQ(pieces(spec, "abca"), (Pieces{"abc", "a"}));  // "bc" and "ca" have the same score
    EXPECT_EQ(pieces(spec, "cabc"), (Pieces{"ca", "bc"}));
    EXPECT_EQ(pieces(spec, "aaaaa"), (Pieces{"aaa", "aa"}));
    EXPECT_EQ(pieces(spec, "abab"), (Pieces{"ab", "ab"}));
}

TEST(SentencePieceBpe, WhatHasNoToken) {
    const std::vector<std::pair<std::string, float>> tokens = {
        {"a",       0 },
        {"\u00e9x", -1},
        {"<0xC3>",  0 },
        {"<0xB6>",  0 }
    };
    const TokenizerSpec plain = spec_of(tokens), one_by_one = spec_of(tokens, false);
    EXPECT_EQ(pieces(plain, "a\u00e9xa"), (Pieces{"a", "\u00e9x", "a"}));  // of two that have none
    EXPECT_EQ(pieces(plain, "axy\u00e9a"), (Pieces{"a", "<unk>", "a"}));
    EXPECT_EQ(pieces(one_by_one, "axya"), (Pieces{"a", "<unk>", "<unk>", "a"}));
    TokenizerSpec bytes = plain;
    bytes.model.byte_fallback = true;
    EXPECT_EQ(pieces(bytes, "x\u00f6\u00e9\u00f6"), (Pieces{"<unk>", "<0xC3>", "<0xB6>", "<unk>", "<0xC3>", "<0xB6>"}));
    TokenizerSpec none = plain;
    none.specials.unknown = -1;
    expect_contains(error_of([&] { pieces(none, "a\u00e9"); }), {"U+00E9"});
    EXPECT_EQ(PipelineTokenizer(none).encode("a\u00e9a", {.skip_unknown = true}), (Ids{1, 1}));
}

TEST(SentencePieceBpe, TokensAcrossWords) {
    TokenizerSpec spec = spec_of({
        {"a",            0 },
        {"\u2581",       0 },
        {"\u2581a",      -1},
        {"\u2581\u2581", -2}
    });
    EXPECT_EQ(pieces(spec, "a\u2581\u2581a\u2581a"), (Pieces{"a", "\u2581", "\u2581a", "\u2581a"}));
    spec.tokens.push_back({"a\u2581"});
    spec.scores.push_back(-0.5f);
    EXPECT_EQ(pieces(spec, "a\u2581\u2581a\u2581a"), (Pieces{"a\u2581", "\u2581", "a\u2581", "a"}));
}

// Any pair of neighbours, found by looking at all of them.
Pieces merge_slowly(const TokenizerSpec& spec, const std::string& text) {
    Pieces symbols;
    for (const char c : text) symbols.emplace_back(1, c);
    for (;;) {
        size_t best = SIZE_MAX;
        float highest = 0;
        for (size_t i = 0; i + 1 < symbols.size(); ++i) {
            for (size_t id = 0; id < spec.tokens.size(); ++id) {
                if (spec.tokens[id].text != symbols[i] + symbols[i + 1]) continue;
                if (best != SIZE_MAX && spec.scores[id] <= highest) continue;
                best = i;
                highest = spec.scores[id];
            }
        }
        if (best == SIZE_MAX) return symbols;
        symbols[best] += symbols[best + 1];
        symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
}

TEST(SentencePieceBpe, RandomVocabularies) {
    std::mt19937 random(7);
    const auto letters = [&](size_t size) {
        std::string text(size, 'a');
        for (char& c : text) c = static_cast<char>('a' + random() % 3);
        return text;
    };
    for (int round = 0; round < 100; ++round) {
        TokenizerSpec spec = spec_of({
            {"a", 0},
            {"b", 0},
            {"c", 0}
        });
        for (int i = 0; i < 20; ++i) {
            const std::string text = letters(2 + random() % 4);
            if (std::any_of(spec.tokens.begin(), spec.tokens.end(), [&](const auto& token) { return token.text == text; }))
                continue;
            spec.tokens.push_back({text});
            spec.scores.push_back(-static_cast<float>(random() % 8));  // often the same
        }
        for (const size_t size : {0, 1, 2, 5, 40, 150}) {
            const std::string text = letters(size);
            ASSERT_EQ(pieces(spec, text), merge_slowly(spec, text)) << "round " << round << ": " << text;
        }
    }
}

// Takes a second or so; in quadratic time it would be hours.
TEST(SentencePieceBpe, LongTextWithoutSpaces) {
    std::vector<std::pair<std::string, float>> tokens = {
        {"b", 0}
    };
    for (size_t length = 1; length <= 16; length *= 2) tokens.emplace_back(std::string(length, 'a'), 0);
    const PipelineTokenizer tokenizer(spec_of(tokens));
    EXPECT_EQ(tokenizer.encode(std::string(1 << 20, 'a')), Ids(1 << 16, 6));
    EXPECT_EQ(tokenizer.encode(std::string(1 << 20, 'b')), Ids(1 << 20, 1));
}

TEST(SentencePieceBpe, DamagedScores) {
    TokenizerSpec spec = spec_of({
        {"a", 0}
    });
    spec.scores = {0, std::nanf("")};
    expect_contains(error_of([&] { PipelineTokenizer{spec}; }), {"token 1", "not a number"});
    spec.scores = {0, 0, 0};
    expect_contains(error_of([&] { PipelineTokenizer{spec}; }), {"2 tokens", "3 scores"});
    spec.scores = {};
    EXPECT_EQ(pieces(spec, "a"), (Pieces{"a"}));
}

// ---- files of others
// ------------------------------------------------------------------------------------------------------

TEST_F(SentencePiece, FilesOfOthers) {
    const std::vector<std::string> tokens = {"<unk>", "<s>", "</s>", "\u2581", "a", "\u2581a", "<0x62>", "  "};
    std::vector<GgufEntry> keys = {
        {"tokenizer.ggml.model",      "llama"s                                     },
        {"tokenizer.ggml.tokens",     tokens                                       },
        {"tokenizer.ggml.scores",     std::vector<float>{0, 0, 0, -3, -2, -1, 0, 0}},
        {"tokenizer.ggml.token_type", std::vector<int32_t>{2, 3, 3, 1, 1, 1, 6, 4} },
    };
    const auto with = [&](const GgufEntry& key) {
        std::vector<GgufEntry> all = keys;
        all.push_back(key);
        return all;
    };
    const auto read = [&](const std::vector<GgufEntry>& all) { return read_tokenizer(store_keys(all)); };
    const auto tokenizer = read(keys);
    EXPECT_EQ(pipeline(tokenizer).specials(), (SpecialTokens{1, 2, 0, -1, true, false}));
    EXPECT_EQ(tokenizer->encode("a b</s>a", {.begin = true}), (Ids{1, 5, 3, 6, 2, 5}));
    EXPECT_EQ(tokenizer->encode("a  a"), (Ids{5, 7, 5}));
    EXPECT_EQ(tokenizer->encode("c"), (Ids{3, 0}));
    EXPECT_EQ(read(with({"tokenizer.ggml.add_space_prefix", false}))->encode("a a"), (Ids{4, 5}));
    EXPECT_EQ(read(with({"tokenizer.ggml.remove_extra_whitespaces", true}))->encode(" a "), (Ids{5}));
    EXPECT_EQ(tokenizer->encode(" a "), (Ids{3, 5, 3}));
    EXPECT_FALSE(read(with({"tokenizer.ggml.add_bos_token", false}))->begins_texts());
    EXPECT_EQ(read(with({"tokenizer.ggml.bos_token_id", UINT32_MAX}))->begin_token(), -1);
    expect_contains(error_of([&] { read(with({"tokenizer.ggml.scores", std::vector<float>(9)})); }), {path, "9 scores"});
    expect_contains(error_of([&] {
                        read(with({"tokenizer.ggml.scores", std::vector<float>(8, std::nanf(""))}));
                    }),
                    {path, "not a number"});
    expect_contains(error_of([&] { read(with({"tokenizer.ggml.scores", 5})); }), {path, "tokenizer.ggml.scores"});
    expect_contains(error_of([&] { read(with({"tokenizer.ggml.eos_token_id", uint32_t{8}})); }), {path, "8"});
    expect_contains(error_of([&] { read(with({"tokenizer.ggml.token_type", std::vector<int32_t>(7)})); }), {path, "types"});
    expect_contains(error_of([&] {
                        read(with({
                            "tokenizer.ggml.tokens", std::vector<std::string>{"a", "a", "b", "c", "d", "e", "f", "g"}
                        }));
                    }),
                    {path, "token 1"});
    keys.resize(2);  // all scores are the same, all tokens but three normal
    EXPECT_EQ(read(keys)->encode("a<s>"), (Ids{5, 1}));
}

}  // namespace
}  // namespace nib
