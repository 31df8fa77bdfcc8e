// Published vocabularies with ids of many texts, where they lie beside the project (see ../shared/data/README.md there).
#include <gtest/gtest.h>

#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_gguf.h"
#include "text/tokenizer_training.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

using namespace test;
namespace fs = std::filesystem;

const fs::path kData = "../shared/data";

class TokenizerData : public testing::Test {
protected:
    void SetUp() override {
        if (!fs::exists(kData / "tokenizers"))
            GTEST_SKIP() << kData / "tokenizers"
                         << " is not there";
    }

    // Every line of a file is {"text": ..., "ids": [...]}.
    void expect_ids(const Tokenizer& tokenizer, const std::string& file, size_t lines) {
        std::istringstream in(read_file(kData / "tokenizers" / file));
        size_t count = 0, wrong = 0;
        for (std::string line; std::getline(in, line); ++count) {
            const nlohmann::json entry = nlohmann::json::parse(line);
            const auto ids = tokenizer.encode(entry["text"].get<std::string>());
            const auto expected = entry["ids"].get<Ids>();
            wrong += ids != expected;
            if (wrong <= 5) {
                EXPECT_EQ(ids, expected) << line;
            }
        }
        EXPECT_EQ(wrong, 0u);
        EXPECT_EQ(count, lines);
    }
};

TEST_F(TokenizerData, Bert) {
    expect_ids(*load_tokenizer(kData / "bert-base-uncased"), "bert-base-uncased/squad-questions.jsonl", 10570);
    expect_ids(*load_tokenizer_file(kData / "bert-base-uncased/vocab.txt"), "bert-base-uncased/squad-questions.jsonl",
               10570);
}

TEST_F(TokenizerData, BertOfChinese) {
    expect_ids(*load_tokenizer(kData / "bert-base-chinese"), "bert-base-chinese/cmrc-questions.jsonl", 1002);
}

TEST_F(TokenizerData, Gpt1) {
    const auto tokenizer = load_tokenizer(kData / "tokenizers/gpt1");
    expect_ids(*tokenizer, "gpt1/xquad-questions.jsonl", 1190);
    const nlohmann::json published = nlohmann::json::parse(read_file(kData / "tokenizers/gpt1/published.json"));
    EXPECT_EQ(tokenizer->encode(published["text"].get<std::string>()), published["ids"].get<Ids>());
}

// Llama's vocabulary with the texts that llama.cpp tests its own tokenizer with; again as BPE by merges, and in a file of
// nib's.
TEST_F(TokenizerData, LlamaSentencePiece) {
    const fs::path vocabulary = kData / "tokenizers/llama-spm/ggml-vocab-llama-spm.gguf";
    const std::string texts = read_file(vocabulary.string() + ".inp"), between = "\n__ggml_vocab_test__\n";
    std::istringstream expected(read_file(vocabulary.string() + ".out"));
    const auto original = read_tokenizer(GgufFile::open(vocabulary.string()));
    const auto exported = tokenizer_files(*original, 16);
    const auto merged = parse_tokenizer({exported.begin(), exported.end()}, "exported");
    EXPECT_STREQ(merged->kind(), "bpe");
    TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
    GgufWriter writer;
    write_tokenizer(writer, *merged);
    AtomicFile file(path);
    writer.write(file);
    file.publish();
    const GgufFile written = GgufFile::open(path);
    EXPECT_FALSE(llama_cpp_differs(written));
    const auto back = read_tokenizer(written);
    EXPECT_STREQ(back->kind(), "sentencepiece");
    size_t count = 0;
    std::string line;
    for (size_t begin = 0, end; begin <= texts.size() && std::getline(expected, line);
         begin = end + between.size(), ++count) {
        end = std::min(texts.find(between, begin), texts.size());
        const std::string text = texts.substr(begin, end - begin);
        std::istringstream numbers(line);
        const Ids ids{std::istream_iterator<int32_t>(numbers), {}};
        for (const auto* tokenizer : {&original, &merged, &back}) {
            EXPECT_EQ((*tokenizer)->encode(text), ids) << text;
            EXPECT_EQ((*tokenizer)->decode(ids), text);
        }
    }
    EXPECT_EQ(count, 46u);
    EXPECT_FALSE(std::getline(expected, line));
}

// Ids by llama2.c's rule.
TEST_F(TokenizerData, Llama2c) {
    if (!fs::exists(kData / "stories260K"))
        GTEST_SKIP() << kData / "stories260K"
                     << " is not there";
    std::vector<std::string> notes;
    const auto tokenizer = open_vocabulary(kData / "stories260K/tok512.bin", -1, -1, notes);
    EXPECT_EQ(tokenizer->vocab_size(), 512);
    EXPECT_EQ(tokenizer->encode("Once upon a time", {.begin = true}), (Ids{1, 403, 407, 261, 378}));
    EXPECT_EQ(tokenizer->encode("Lily said, \"I am sad!\""), (Ids{317, 336, 432, 313, 442, 261, 423, 296, 418, 443, 436}));
    EXPECT_EQ(tokenizer->encode("  two\n\nthree  "), (Ids{410, 410, 259, 424, 414, 13, 13, 413, 415, 276, 411, 410, 410}));
    EXPECT_EQ(tokenizer->encode("caf\u00e9 \u4f60\u597d"), (Ids{280, 412, 431, 485, 410, 231, 192, 163, 232, 168, 192}));
    const std::string story = read_file(kData / "stories260K/expected_stdout_t0_n200.txt");
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(story)), story);
}

TEST_F(TokenizerData, SentencePieceUnigram) {
    const auto english = load_tokenizer_file(kData / "tokenizers/sentencepiece/test_model.model");
    expect_ids(*english, "sentencepiece/botchan-ids.jsonl", 4288);
    const auto japanese = load_tokenizer_file(kData / "tokenizers/sentencepiece/test_ja_model.model");
    expect_ids(*japanese, "sentencepiece/japanese-ids.jsonl", 20);
}

// The folders of ../shared/data/cases that are about tokenizers.
TEST_F(TokenizerData, Cases) {
    const auto ids = [](const char* folder, std::string_view text) {
        const fs::path path = kData / "cases" / folder;
        return fs::exists(path) ? load_tokenizer(path)->encode(text) : Ids{};
    };
    if (!fs::exists(kData / "cases"))
        GTEST_SKIP() << kData / "cases"
                     << " is not there";
    EXPECT_EQ(ids("tok-lstrip", "the  <mask> river"), (Ids{296, 320, 311}));
    EXPECT_EQ(ids("tok-nfc", "cafe\u0301 rain"), (Ids{67, 268, 290}));
    EXPECT_EQ(ids("tok-digits", "until 12 dusk"), (Ids{287, 221, 17, 18, 313}));
    EXPECT_EQ(ids("encoder-json", "the old miller walked"), (Ids{296, 316, 286, 297}));
    EXPECT_EQ(ids("bert-vocab", "\u4e2d\u56fd"), (Ids{15, 20}));
    std::vector<std::string> notes;
    for (const char* file : {"encoder.json", "vocab.bpe"})
        EXPECT_EQ(open_vocabulary(kData / "cases/encoder-json" / file, -1, -1, notes)->encode("the old miller walked"),
                  (Ids{296, 316, 286, 297}));
}

// FNV-1a.
uint64_t hash_of(const std::string& text) {
    uint64_t hash = 0xCBF29CE484222325;
    for (const char byte : text) hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
    return hash;
}

// The hashes are those of the merges that tokenizers 0.23.3 makes of each text as a whole: a BpeTrainer of 3000 tokens,
// none special, with min_frequency 2; each merge is its two tokens with a space between, and a line feed divides them.
TEST(TokenizerTrainingData, MergesAreThoseOfTokenizers) {
    using Split = TokenizerTraining::Split;
    struct Case {
        const char* name;
        Split split;
        uint64_t hash;
    };
    constexpr Case kCases[] = {
        {"tinyshakespeare.txt", Split::Gpt2,   0x22A856E4F30BB243},
        {"tinyshakespeare.txt", Split::Llama3, 0x9EB97823CEBD7BBF},
        {"wikitext2-valid.txt", Split::Gpt2,   0xCA42F637453B0F1A},
        {"wikitext2-valid.txt", Split::Llama3, 0x4D5CECBF035E231E},
        {"hongloumeng.txt",     Split::Gpt2,   0xA1061FABE83F8D7F},
        {"hongloumeng.txt",     Split::Llama3, 0x53737F8050B4F390},
    };
    for (const auto& [name, split, hash] : kCases) {
        if (!fs::exists(kData / name)) GTEST_SKIP() << kData / name << " is not there";
        TokenizerTraining options;
        options.split = split;
        options.size = 3000;
        TextSource source({(kData / name).string()});
        const auto tokenizer = train_tokenizer(source, options, [](const char*, uint64_t, uint64_t) {});
        std::string merges;
        for (const std::string& merge : dynamic_cast<const PipelineTokenizer&>(*tokenizer).spec().merges)
            merges += (merges.empty() ? "" : "\n") + merge;
        EXPECT_EQ(hash_of(merges), hash) << name;
    }
}

}  // namespace
}  // namespace nib
