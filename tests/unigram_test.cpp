// Unigram against what SentencePiece, tokenizers and transformers give (tests/goldens/make_unigram_goldens.py), also after
// a trip through a GGUF file and through exported files.
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "io/atomic_file.h"
#include "io/base64.h"
#include "io/gguf.h"
#include "protobuf_fields.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/charsmap.h"
#include "text/marian_files.h"
#include "text/sentencepiece_file.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_gguf.h"
#include "text/trie.h"

namespace nib {
namespace {

using namespace test;
using nlohmann::json;

std::unique_ptr<Tokenizer> parse_model(const std::string& file, const std::string& config = "{}") {
    return parse_files({
        {"spiece.model",          file  },
        {"tokenizer_config.json", config}
    });
}

class UnigramGoldens : public testing::Test {
protected:
    GgufFile store(const Tokenizer& tokenizer) {
        GgufWriter writer;
        write_tokenizer(writer, tokenizer);
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        return GgufFile::open(path);
    }
    static std::unique_ptr<Tokenizer> export_and_import(const Tokenizer& tokenizer) {
        const auto files = tokenizer_files(tokenizer, 16);
        return parse_files({files.begin(), files.end()});
    }
    json whole(const json& steps) const {
        return {
            {"added_tokens",   json::array()                                                                            },
            {"normalizer",     steps["normalizer"]                                                                      },
            {"pre_tokenizer",  steps["pre_tokenizer"]                                                                   },
            {"decoder",        steps["decoder"]                                                                         },
            {"post_processor", nullptr                                                                                  },
            {"model",          {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", cases["vocab"]}, {"byte_fallback", false}}}
        };
    }

    const json cases = json::parse(read_file(golden("unigram_cases.json")));
    const std::string model = read_file(golden("unigram.model"));
    TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
};

TEST_F(UnigramGoldens, SentencePiece) {
    for (const json& variant : cases["variants"]) {
        const auto name = variant["name"].get<std::string>();
        const auto tokenizer = parse_model(model + from_hexadecimal(variant["appended"]));
        const bool bpe = name.starts_with("BPE");  // of the same pieces
        EXPECT_STREQ(tokenizer->kind(), bpe ? "sentencepiece" : "unigram");
        const GgufFile file = store(*tokenizer);
        EXPECT_EQ(llama_cpp_differs(file), bpe || name == "spaces stay" || name == "suffix") << name;
        const std::string stored = read_file(path);
        const auto from_gguf = read_tokenizer(file);
        const auto written = bpe ? nullptr : parse_model(sentencepiece_file(pipeline(tokenizer).spec()));
        for (size_t i = 0; i < cases["texts"].size(); ++i) {
            const auto text = cases["texts"][i].get<std::string>();
            const auto ids = variant["ids"][i].get<Ids>();
            const auto& decoded = variant["decoded"][i];
            for (const auto* one : {&tokenizer, &from_gguf}) {
                EXPECT_EQ((*one)->encode(text), ids) << name << ": " << text;
                if (!decoded.is_null()) {
                    EXPECT_EQ((*one)->decode(ids), decoded.get<std::string>()) << name << ": " << text;
                }
            }
            if (written) {
                EXPECT_EQ(written->decode(written->encode(text)), tokenizer->decode(ids)) << name << ": " << text;
            }
        }
        EXPECT_EQ(pipeline(from_gguf).specials(), pipeline(tokenizer).specials()) << name;
        store(*from_gguf);
        EXPECT_EQ(stored, read_file(path)) << name;
    }
}

TEST_F(UnigramGoldens, Tokenizers) {
    for (const json& variant : cases["tokenizers"]) {
        const auto name = variant["name"].get<std::string>();
        const auto tokenizer = parse_whole(whole(variant));
        const GgufFile file = store(*tokenizer);
        EXPECT_TRUE(llama_cpp_differs(file));
        const auto from_gguf = read_tokenizer(file), exported = export_and_import(*tokenizer);
        for (size_t i = 0; i < cases["texts"].size(); ++i) {
            const auto text = cases["texts"][i].get<std::string>();
            const auto ids = variant["ids"][i].get<Ids>();
            for (const auto* one : {&tokenizer, &from_gguf, &exported}) {
                EXPECT_EQ((*one)->encode(text), ids) << name << ": " << text;
                EXPECT_EQ((*one)->decode(ids), variant["decoded"][i].get<std::string>()) << name << ": " << text;
            }
        }
    }
}

// A model of SentencePiece's as a tokenizer.json: the same ids where grapheme clusters and spaces do not matter.
TEST_F(UnigramGoldens, ModelBecomesJson) {
    const auto tokenizer = parse_model(model);
    const auto exported = export_and_import(*tokenizer);
    EXPECT_STREQ(exported->kind(), "unigram");
    for (const char* text : {"the little girl", " a  b ", "\uff21\uff22 caf\u00e9 \u2603\u2603", ""})
        EXPECT_EQ(exported->encode(text), tokenizer->encode(text)) << text;
    const auto files = tokenizer_files(*tokenizer, 16);
    EXPECT_TRUE(files == tokenizer_files(*exported, 16));
}

TEST_F(UnigramGoldens, Keys) {
    const auto tokenizer = parse_model(model);
    const GgufFile file = store(*tokenizer);
    EXPECT_EQ(file.get<std::string>("tokenizer.ggml.model"), "t5");
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_space_prefix"));
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.remove_extra_whitespaces"));
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_eos_token"));
    EXPECT_FALSE(file.get<bool>("tokenizer.ggml.add_bos_token"));
    const auto& types = file.array<int32_t>("tokenizer.ggml.token_type");
    EXPECT_EQ(std::vector(types.begin(), types.begin() + 4), (std::vector{2, 3, 3, 1}));
    EXPECT_GT(file.array<uint8_t>("tokenizer.ggml.precompiled_charsmap").size(), 1000u);
    // Files of other programs may say less, and have a table of signed bytes.
    GgufWriter writer;
    for (const auto& [key, value] : file.metadata()) {
        if (key == "tokenizer.ggml.precompiled_charsmap") {
            const auto& bytes = std::get<std::vector<uint8_t>>(value);
            writer.set(key, std::vector<int8_t>(bytes.begin(), bytes.end()));
        } else if (!key.ends_with("_id") && !key.ends_with("_pairs")) {
            writer.set(key, value);
        }
    }
    AtomicFile out(path);
    writer.write(out);
    out.publish();
    const auto back = read_tokenizer(GgufFile::open(path));
    EXPECT_EQ(back->encode("\uff41 the girl"), tokenizer->encode("\uff41 the girl"));
    EXPECT_EQ(back->specials(), (SpecialTokens{
                                    -1, 1, 2, 0, false, true, -1, {1, true, 0}
    }));
}

TEST_F(UnigramGoldens, Marian) {
    const json& marian = cases["marian"];
    const std::map<std::string, std::string> files = {
        {"source.spm", model                 },
        {"target.spm", model                 },
        {"vocab.json", marian["vocab"].dump()}
    };
    const auto both = parse_translation_tokenizers({files.begin(), files.end()}, "folder");
    ASSERT_TRUE(both);
    const auto written = translation_tokenizer_files(*both->source, *both->target, 512);
    const auto again = parse_translation_tokenizers({written.begin(), written.end()}, "written");
    GgufWriter writer;
    EXPECT_FALSE(write_tokenizer(writer, *both->source));
    write_target_tokenizer(writer, *both->target);
    AtomicFile out(path);
    writer.write(out);
    out.publish();
    const GgufFile file = GgufFile::open(path);
    EXPECT_TRUE(llama_cpp_differs(file));
    const auto source = read_tokenizer(file), target = read_target_tokenizer(file);
    for (size_t i = 0; i < marian["texts"].size(); ++i) {
        const auto text = marian["texts"][i].get<std::string>();
        for (const auto* one : {&both->source, &both->target, &again->source, &again->target, &source, &target})
            EXPECT_EQ((*one)->encode(text), marian["ids"][i].get<Ids>()) << text;
    }
    const auto padding = static_cast<int32_t>(marian["vocab"].size()) - 1;
    EXPECT_EQ(source->specials(), (SpecialTokens{
                                      -1, 0, 1, padding, false, true, -1, {0, true, 0}
    }));
    EXPECT_EQ(source->specials(), both->source->specials());
    EXPECT_TRUE(written == translation_tokenizer_files(*again->source, *again->target, 512));
    EXPECT_TRUE(written == translation_tokenizer_files(*source, *target, 512));
}

TEST_F(UnigramGoldens, MarianWithTwoVocabularies) {
    const json& marian = cases["marian"];
    json other = json::object();
    for (const auto& [text, id] : marian["vocab"].items()) other[text] = marian["vocab"].size() - 1 - id.get<size_t>();
    std::map<std::string, std::string> files = {
        {"source.spm",            model                        },
        {"target.spm",            model                        },
        {"vocab.json",            marian["vocab"].dump()       },
        {"target_vocab.json",     other.dump()                 },
        {"tokenizer_config.json", R"({"separate_vocabs":true})"}
    };
    const auto parse = [&] { return parse_translation_tokenizers({files.begin(), files.end()}, "folder"); };
    const auto both = parse();
    const Ids ids = both->source->encode("the girl"), reversed = both->target->encode("the girl");
    ASSERT_EQ(ids.size(), reversed.size());
    for (size_t i = 0; i < ids.size(); ++i)
        EXPECT_EQ(static_cast<size_t>(ids[i] + reversed[i]), marian["vocab"].size() - 1);
    const auto written = translation_tokenizer_files(*both->source, *both->target, 512);
    const auto again = parse_translation_tokenizers({written.begin(), written.end()}, "written");
    EXPECT_EQ(again->target->encode("the girl"), reversed);
    files.erase("target_vocab.json");
    expect_contains(error_of([&] { parse(); }), {"folder/target_vocab.json is missing"});
    files["target_vocab.json"] = R"({"a": 0})";
    expect_contains(error_of([&] { parse(); }), {"folder/target_vocab.json", "<unk>"});
    files["target_vocab.json"] = R"({"a": "b"})";
    expect_contains(error_of([&] { parse(); }), {"folder/target_vocab.json", "\"a\""});
    files["target.spm"] = "x";
    expect_contains(error_of([&] { parse(); }), {"folder/target.spm", "not a model of SentencePiece"});
    files["target.spm"] = model_file({
        {"<unk>", 0, 2},
        {"a",     0, 1}
    });
    expect_contains(error_of([&] { parse(); }), {"folder/target.spm", "BPE"});
    files.erase("source.spm");
    EXPECT_FALSE(parse());
}

// ---- the rule ----------------------------------------------------------------------------------------------------------

TokenizerSpec spec_of(const std::vector<std::pair<std::string, double>>& tokens, bool as_sentencepiece) {
    TokenizerSpec spec;
    spec.model.kind = WordModelSpec::Kind::Unigram;
    spec.model.as_sentencepiece = as_sentencepiece;
    spec.tokens.push_back({"<unk>", TokenType::Unknown});
    spec.scores.push_back(0);
    for (const auto& [text, score] : tokens) {
        spec.tokens.push_back({text});
        spec.scores.push_back(score);
    }
    spec.specials.unknown = 0;
    return spec;
}

TEST(Unigram, TheHighestSum) {
    for (const bool as_sentencepiece : {false, true}) {
        const TokenizerSpec spec = spec_of(
            {
                {"a",   -1  },
                {"b",   -2  },
                {"ab",  -2.5},
                {"abc", -9  },
                {"c",   -3  },
                {"bc",  -3.5}
        },
            as_sentencepiece);
        const PipelineTokenizer tokenizer(spec);
        EXPECT_EQ(tokenizer.encode("ab"), (Ids{3}));
        EXPECT_EQ(tokenizer.encode("abc"), (Ids{1, 6}));
        EXPECT_EQ(tokenizer.encode("axyb"), (Ids{1, 0, 2}));  // neighbours that are unknown are one
        EXPECT_EQ(tokenizer.encode("\u4f60"), (Ids{0}));
        EXPECT_EQ(tokenizer.encode("\xff"), (Ids{0}));
    }
}

TEST(Unigram, WhatHasNoToken) {
    TokenizerSpec spec = spec_of(
        {
            {"a",      -1                                      },
            {"<0xC3>", 0                                       },
            {"<0xA9>", 0                                       },
            {"x",      -std::numeric_limits<double>::infinity()}
    },
        true);
    spec.unlisted = {
        {"bc", -1.0}
    };
    EXPECT_EQ(PipelineTokenizer(spec).encode("abcbca\u00e9x"), (Ids{1, 0, 0, 1, 0}));
    EXPECT_EQ(PipelineTokenizer(spec).encode("axa"), (Ids{1, 4, 1}));  // found as the text of what has none
    spec.model.byte_fallback = true;
    EXPECT_EQ(PipelineTokenizer(spec).encode("a\u00e9z"), (Ids{1, 0}));  // "z" has no bytes, and both are one text
    EXPECT_EQ(PipelineTokenizer(spec).encode("a\u00e9a"), (Ids{1, 2, 3, 1}));
    EXPECT_EQ(PipelineTokenizer(spec).spec().unlisted, spec.unlisted);
    spec.specials.unknown = -1;
    expect_contains(error_of([&] { PipelineTokenizer(spec).encode("az"); }), {"U+007A"});
    EXPECT_EQ(PipelineTokenizer(spec).encode("aza", {.skip_unknown = true}), (Ids{1, 1}));
    spec.unlisted.push_back({"bc", 0});
    expect_contains(error_of([&] { PipelineTokenizer tokenizer(spec); }), {"\"bc\" is in it twice"});
    spec.unlisted.back().text = "a";
    expect_contains(error_of([&] { PipelineTokenizer tokenizer(spec); }), {"\"a\""});
}

TEST(Unigram, RefusesScores) {
    TokenizerSpec spec = spec_of(
        {
            {"a", std::nan("")}
    },
        true);
    expect_contains(error_of([&] { PipelineTokenizer tokenizer(spec); }), {"token 1", "not a number"});
    spec.scores[1] = std::numeric_limits<double>::infinity();
    expect_contains(error_of([&] { PipelineTokenizer tokenizer(spec); }), {"token 1", "not a number"});
    spec.scores = {0, 0, 0};
    expect_contains(error_of([&] { PipelineTokenizer tokenizer(spec); }), {"2 tokens, but 3 scores"});
}

// All ways to cut a text.
double best_sum(const TokenizerSpec& spec, std::string_view text) {
    if (text.empty()) return 0;
    double best = -1e300;
    for (size_t id = 1; id < spec.tokens.size(); ++id)
        if (text.starts_with(spec.tokens[id].text))
            best = std::max(best, spec.scores[id] + best_sum(spec, text.substr(spec.tokens[id].text.size())));
    return best;
}

TEST(Unigram, RandomVocabularies) {
    std::mt19937 random(3);
    for (int round = 0; round < 60; ++round) {
        std::map<std::string, double> tokens = {
            {"a", -6},
            {"b", -7}
        };
        for (int i = 0; i < 12; ++i) {
            std::string text(2 + random() % 4, 'a');
            for (char& c : text) c = random() % 2 ? 'a' : 'b';
            tokens[text] = -static_cast<double>(random() % 1000) / 64;
        }
        const TokenizerSpec spec = spec_of({tokens.begin(), tokens.end()}, round % 2 == 0);
        const PipelineTokenizer tokenizer(spec);
        for (int i = 0; i < 8; ++i) {
            std::string text(random() % 12, 'a');
            for (char& c : text) c = random() % 2 ? 'a' : 'b';
            double sum = 0;
            std::string back;
            for (const int32_t id : tokenizer.encode(text)) {
                sum += spec.scores[static_cast<size_t>(id)];
                back += spec.tokens[static_cast<size_t>(id)].text;
            }
            EXPECT_EQ(back, text);
            EXPECT_DOUBLE_EQ(sum, best_sum(spec, text));
        }
    }
}

TEST(Unigram, LongTextWithoutSpaces) {
    const PipelineTokenizer tokenizer(spec_of(
        {
            {"a",    -2},
            {"aaaa", -3}
    },
        true));
    EXPECT_EQ(tokenizer.encode(std::string(1 << 22, 'a')).size(), size_t{1} << 20);
}

TEST(UnigramFile, Damaged) {
    const auto message = [](const json& model) {
        return error_of([&] {
            parse_whole({
                {"model", model}
            });
        });
    };
    const json vocab = json::array({
        {"<unk>", 0.0 },
        {"a",     -1.5}
    });
    EXPECT_EQ(message({
                  {"type",   "Unigram"},
                  {"unk_id", 0        },
                  {"vocab",  vocab    }
    }),
              "");
    EXPECT_EQ(message({
                  {"type",   "Unigram"},
                  {"unk_id", nullptr  },
                  {"vocab",  vocab    }
    }),
              "");
    expect_contains(message({
                        {"type",   "Unigram"},
                        {"unk_id", 2        },
                        {"vocab",  vocab    }
    }),
                    {"folder/tokenizer.json", "model.unk_id"});
    const std::vector<json> damaged = {
        json::object(),        json::array({1          }
                ),          json::array({{"a"}      }
                ), json::array({{"a", "b"} }
                ),
        json::array({{1, 2}     }
                ), json::array({{"a", 1, 2}}
                )
    };
    for (const json& bad : damaged)
        expect_contains(message({
                            {"type",  "Unigram"},
                            {"vocab", bad      }
        }),
                        {"folder/tokenizer.json", "model.vocab"});
    expect_contains(message({
                        {"type",  "Unigram"                             },
                        {"vocab", json::array({{"a", 0.0}, {"a", -1.0}})}
    }),
                    {"two ids"});
    for (const char* charsmap : {"", "x", "AAAA", "BAAAAAAAAAA="}) {
        json whole = {
            {"model",      {{"type", "Unigram"}, {"unk_id", 0}, {"vocab", vocab}}       },
            {"normalizer", {{"type", "Precompiled"}, {"precompiled_charsmap", charsmap}}}
        };
        expect_contains(error_of([&] { parse_whole(whole); }), {"folder/tokenizer.json", "Precompiled", "charsmap"});
    }
}

// ---- the parts ---------------------------------------------------------------------------------------------------------

TEST(Charsmap, DamagedOnesChangeNoMemory) {
    const json cases = json::parse(read_file(golden("unigram_cases.json")));
    const std::string whole =
        *from_base64(cases["tokenizers"][2]["normalizer"]["normalizers"][0]["precompiled_charsmap"].get<std::string>());
    const std::string text = "\uff21e\u0301\x01 \ufb01\u3000\u00bd";
    EXPECT_EQ(Charsmap(whole).longest("\uff21x")->text, "A");
    EXPECT_EQ(Charsmap(whole).longest("e\u0301x")->length, 3u);
    EXPECT_FALSE(Charsmap(whole).longest("ex"));
    EXPECT_FALSE(Charsmap().longest("x"));
    std::mt19937 random(5);
    for (int round = 0; round < 3000; ++round) {
        std::string bytes = whole.substr(0, round % 3 == 0 ? random() % whole.size() : whole.size());
        for (int i = round % 5; i > 0 && !bytes.empty(); --i) bytes[random() % bytes.size()] = static_cast<char>(random());
        try {
            const Charsmap damaged(bytes);
            for (size_t at = 0; at < text.size(); ++at) {
                if (const auto match = damaged.longest(std::string_view(text).substr(at))) {
                    EXPECT_LE(match->length, text.size());
                }
                if (const auto match = damaged.shortest(std::string_view(text).substr(at))) {
                    EXPECT_LE(match->length, text.size());
                }
            }
        } catch (const Error& error) {
            EXPECT_MENTIONS(std::string(error.what()), "charsmap");
        }
    }
}

TEST(Trie, FindsItsKeys) {
    std::mt19937 random(9);
    std::map<std::string, int32_t> keys;
    for (int i = 0; i < 2000; ++i) {
        std::string key(1 + random() % 5, '\0');
        for (char& c : key) c = static_cast<char>(random() % (i % 2 ? 256 : 3));
        keys.emplace(key, i);
    }
    const Trie trie({keys.begin(), keys.end()});
    const auto find = [&](const std::string& text) {
        uint32_t node = Trie::kRoot;
        for (const char byte : text)
            if ((node = trie.child(node, byte)) == Trie::kNone) return -1;
        return trie.value(node);
    };
    for (const auto& [key, value] : keys) EXPECT_EQ(find(key), value);
    for (int i = 0; i < 2000; ++i) {
        std::string text(1 + random() % 5, '\0');
        for (char& c : text) c = static_cast<char>(random() % 4);
        const auto key = keys.find(text);
        EXPECT_EQ(find(text), key == keys.end() ? -1 : key->second);
    }
    EXPECT_EQ(Trie({}).child(Trie::kRoot, 'a'), Trie::kNone);
}

TEST(Base64, ThereAndBack) {
    EXPECT_EQ(to_base64(""), "");
    EXPECT_EQ(to_base64("f"), "Zg==");
    EXPECT_EQ(to_base64("fo"), "Zm8=");
    EXPECT_EQ(to_base64("foo"), "Zm9v");
    EXPECT_EQ(to_base64("foob\xff\xfe"), "Zm9vYv/+");
    for (const char* text : {"", "f", "fo", "foo", "foob\xff\xfe"}) EXPECT_EQ(from_base64(to_base64(text)), text);
    for (const char* text : {"Z", "Zg", "Zg=", "=", "====", "Z===", "Zg==Zg==", "Zm9\n", "Zm9_"})
        EXPECT_FALSE(from_base64(text)) << text;
}

}  // namespace
}  // namespace nib
