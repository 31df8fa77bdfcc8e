// Byte-level BPE tokenizers in GGUF files.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using nlohmann::json;

class BpeGguf : public testing::Test {
protected:
    GgufFile store(const GgufWriter& writer) {
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        return GgufFile::open(path);
    }
    // What reading gives when `changes` are set beside the golden tokenizer's keys.
    std::unique_ptr<Tokenizer> read_with(const std::vector<GgufEntry>& changes,
                                         const std::vector<std::string>& without = {}) {
        GgufWriter all;
        write_tokenizer(all, *parse_whole(golden_tokenizer()));
        const GgufFile stored = store(all);
        GgufWriter changed;
        for (const auto& [key, value] : stored.metadata())
            if (std::find(without.begin(), without.end(), key) == without.end()) changed.set(key, value);
        for (const auto& [key, value] : changes) changed.set(key, value);
        const GgufFile file = store(changed);
        return read_tokenizer(file);
    }

    TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
};

TEST_F(BpeGguf, ComesBackTheSame) {
    const json cases = json::parse(read_file(golden("bpe_cases.json")));
    for (const json& variant : cases["variants"]) {
        json changed = golden_tokenizer();
        changed.merge_patch(variant["patch"]);
        changed["added_tokens"].push_back({
            {"id",      610    },
            {"content", "<far>"},
            {"special", true   }
        });
        const auto tokenizer = parse_whole(changed);
        GgufWriter first;
        write_tokenizer(first, *tokenizer);
        const GgufFile file = store(first);
        EXPECT_EQ(file.get<std::string>("tokenizer.ggml.model"), "gpt2");
        EXPECT_EQ(file.array<std::string>("tokenizer.ggml.tokens")[605], "[PAD605]");
        EXPECT_EQ(file.array<int32_t>("tokenizer.ggml.token_type")[0], 3);
        EXPECT_EQ(file.array<int32_t>("tokenizer.ggml.token_type")[600], 4);
        EXPECT_EQ(file.array<int32_t>("tokenizer.ggml.token_type")[605], 5);
        const auto back = read_tokenizer(file);
        for (const json& text : cases["texts"])
            EXPECT_EQ(back->encode(text.get<std::string>()), tokenizer->encode(text.get<std::string>())) << text;
        const std::string before = read_file(path);
        GgufWriter second;
        write_tokenizer(second, *back);
        store(second);
        EXPECT_EQ(before, read_file(path)) << variant["name"];
    }
}

TEST_F(BpeGguf, Keys) {
    json changed = golden_tokenizer();
    changed.merge_patch(json::parse(read_file(golden("bpe_cases.json")))["variants"][3]["patch"]);
    GgufWriter writer;
    write_tokenizer(writer, *parse_whole(changed));
    const GgufFile file = store(writer);
    EXPECT_EQ(file.get<std::string>("tokenizer.ggml.pre"), "llama-bpe");
    EXPECT_EQ(file.get<uint32_t>("tokenizer.ggml.bos_token_id"), 0u);
    EXPECT_EQ(file.value("tokenizer.ggml.padding_token_id"), nullptr);
    EXPECT_TRUE(file.get<bool>("tokenizer.ggml.add_bos_token"));
    EXPECT_FALSE(file.get<bool>("tokenizer.ggml.add_space_prefix"));
    EXPECT_EQ(file.value("nib.tokenizer.ignore_merges"), nullptr);
    EXPECT_EQ(file.array<std::string>("tokenizer.ggml.merges").size(), golden_tokenizer()["model"]["merges"].size());
}

TEST_F(BpeGguf, FilesOfOthers) {
    const auto whole = parse_whole(golden_tokenizer());
    const std::string text = "Hello <s>world [tool] 123";
    EXPECT_EQ(read_with({}, {"tokenizer.ggml.pre", "tokenizer.ggml.add_bos_token"})->encode(text), whole->encode(text));
    const auto untyped = read_with(
        {
            {"tokenizer.ggml.bos_token_id", int32_t{0}}
    },
        {"tokenizer.ggml.token_type"});
    EXPECT_EQ(untyped->encode("<s>"), (Ids{0}));
    EXPECT_NE(untyped->encode("</s>"), (Ids{1}));
    EXPECT_EQ(pipeline(read_with({
                           {"tokenizer.ggml.padding_token_id", UINT32_MAX}
    }))
                  .specials()
                  .padding,
              -1);
}

// As llama.cpp's converter writes BERT.
TEST_F(BpeGguf, BertOfOthers) {
    using Strings = std::vector<std::string>;
    Strings tokens(103, "");
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = "\u2581w" + std::to_string(i);
    tokens[0] = "[PAD]", tokens[100] = "[UNK]", tokens[101] = "[CLS]", tokens[102] = "[SEP]";
    tokens.insert(tokens.end(), {"\u2581a", "b", "[unused1]", "\u2581\u00e9", "\u2581e"});
    std::vector<int32_t> types(tokens.size(), 1);
    types[0] = types[100] = types[101] = types[102] = 3;
    const auto read = [&](const std::vector<GgufEntry>& more) {
        GgufWriter writer;
        writer.set("tokenizer.ggml.model", "bert"s);
        writer.set("tokenizer.ggml.tokens", tokens);
        writer.set("tokenizer.ggml.token_type", types);
        for (const auto& [key, value] : more) writer.set(key, value);
        return read_tokenizer(store(writer));
    };
    const auto tokenizer = read({});
    EXPECT_EQ(tokenizer->encode("AB x \u00c9[SEP]", {.begin = true}), (Ids{101, 103, 104, 100, 107, 102}));
    EXPECT_EQ(tokenizer->decode(Ids{103, 104, 105}), "ab [unused1]");
    EXPECT_EQ(pipeline(tokenizer).specials(), (SpecialTokens{101, 102, 100, 0, true, true, -1, kBertPairs}));
    EXPECT_EQ(read({
                       {"tokenizer.ggml.normalizer.strip_accents", false}
    })
                  ->encode("\u00c9"),
              (Ids{106}));
    EXPECT_EQ(read({
                       {"tokenizer.ggml.normalizer.lowercase", false}
    })
                  ->encode("A a \u00e9"),
              (Ids{100, 103, 106}));
    EXPECT_FALSE(read({
                          {"tokenizer.ggml.add_bos_token", false}
    })
                     ->begins_texts());
    expect_contains(error_of([&] {
                        read({
                            {"tokenizer.ggml.unknown_token_id", uint32_t{1000}}
                        });
                    }),
                    {path, "1000"});
}

TEST_F(BpeGguf, DamagedWhole) {
    const auto message = [&](const std::string& whole) {
        return error_of([&] {
            read_with({
                {"tokenizer.huggingface.json", whole}
            });
        });
    };
    const std::string whole = golden_tokenizer().dump();
    EXPECT_EQ(message(whole), "");
    expect_contains(message(""), {path, "tokenizer.huggingface.json", "JSON"});
    expect_contains(message(whole.substr(0, whole.size() / 2)), {path, "tokenizer.huggingface.json", "JSON"});
    expect_contains(message("{}"), {path, "tokenizer.huggingface.json", "model"});
    json larger = golden_tokenizer();
    larger["added_tokens"].push_back({
        {"id",      604   },
        {"content", "more"}
    });
    expect_contains(message(larger.dump()), {path, "605", "604"});
    EXPECT_NE(error_of([&] {
                  read_with({
                      {"tokenizer.huggingface.json", 5}
                  });
              }),
              "");
}

TEST_F(BpeGguf, DamagedFiles) {
    using Strings = std::vector<std::string>;
    const auto message = [&](const std::vector<GgufEntry>& changes, const Strings& without = {}) {
        return error_of([&] { read_with(changes, without); });
    };
    expect_contains(message({
                        {"tokenizer.ggml.pre", "deepseek-llm"s}
    }),
                    {path, "deepseek-llm", "gpt-2"});
    expect_contains(message({
                        {"tokenizer.ggml.token_type", std::vector<int32_t>{1}}
    }),
                    {path, "604", "types"});
    expect_contains(message({
                        {"tokenizer.ggml.tokens",     Strings{}             },
                        {"tokenizer.ggml.token_type", std::vector<int32_t>{}}
    }),
                    {path, "empty"});
    expect_contains(message({
                        {"tokenizer.ggml.merges", Strings{"a"}}
    }),
                    {path, "merge 0"});
    expect_contains(message({}, {"tokenizer.ggml.merges"}), {path, "tokenizer.ggml.merges"});
    expect_contains(message({}, {"tokenizer.ggml.tokens"}), {path, "tokenizer.ggml.tokens"});
    expect_contains(message({
                        {"tokenizer.ggml.eos_token_id", uint32_t{604}}
    }),
                    {path, "604"});
    expect_contains(message({
                        {"tokenizer.ggml.eos_token_id", uint64_t{1} << 40}
    }),
                    {path, "eos_token_id"});
    expect_contains(message({
                        {"tokenizer.ggml.model", "rwkv"s}
    }),
                    {path, "rwkv"});
}

}  // namespace
}  // namespace nib
