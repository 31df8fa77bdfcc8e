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
