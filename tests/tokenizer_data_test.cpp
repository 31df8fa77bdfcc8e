// Published vocabularies with ids of many texts, where they lie beside the project (see ../shared/data/README.md there).
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "test_files.h"
#include "text/tokenizer_files.h"
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

}  // namespace
}  // namespace nib
