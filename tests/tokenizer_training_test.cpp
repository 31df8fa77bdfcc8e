// From texts to a tokenizer: its kinds, the files that it is kept in, and that neither threads nor how a text is cut into
// pieces matter.
#include "text/tokenizer_training.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test_errors.h"
#include "test_files.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"
#include "text/word_counts.h"

namespace nib {
namespace {

using Type = TokenizerTraining::Type;
using Split = TokenizerTraining::Split;
using test::error_of;

void no_progress(const char*, uint64_t, uint64_t) {}

const std::string kText =
    "The cat sat on the mat. The cats sat on the mats! Don't they? <|x|> Café CAFÉ café\r\n\r\n\t你好，世界。你好！ "
    "12345 123 the the cat  cat\n";

class TokenizerTrainingTest : public testing::Test {
protected:
    std::unique_ptr<Tokenizer> train(const TokenizerTraining& options, const std::string& text = kText) {
        const std::string path = (folder_ / "text.txt").string();
        test::write_file(path, text);
        TextSource source({path});
        return train_tokenizer(source, options, no_progress);
    }
    // The same tokenizer, read from its tokenizer.json alone.
    std::unique_ptr<Tokenizer> reread(const Tokenizer& tokenizer) {
        test::write_file(folder_ / "tokenizer.json", tokenizer_json(tokenizer));
        return load_tokenizer_file((folder_ / "tokenizer.json").string());
    }
    static std::string tokenizer_json(const Tokenizer& tokenizer) {
        for (const auto& [name, text] : tokenizer_files(tokenizer, 0))
            if (name == "tokenizer.json") return text;
        return "";
    }

    test::TempFolder folder_;
};

TokenizerTraining options_of(Type type, Split split, int64_t size) {
    TokenizerTraining options;
    options.type = type;
    options.split = split;
    options.size = size;
    options.specials = default_specials(type, split);
    return options;
}

TEST_F(TokenizerTrainingTest, ByteLevelBpe) {
    for (const Split split : {Split::Gpt2, Split::Llama3}) {
        TokenizerTraining options = options_of(Type::Bpe, split, 280);
        options.specials = {"<|x|>"};
        const auto tokenizer = train(options);
        EXPECT_EQ(tokenizer->vocab_size(), 280);
        EXPECT_EQ(tokenizer->encode("<|x|>"), std::vector<int32_t>{0});
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(kText)), kText);
        EXPECT_LT(tokenizer->encode(kText).size(), kText.size() - 30);
        const auto again = reread(*tokenizer);
        EXPECT_EQ(again->encode(kText), tokenizer->encode(kText));
        EXPECT_EQ(tokenizer_json(*again), tokenizer_json(*tokenizer));
    }
}

TEST_F(TokenizerTrainingTest, LowerCase) {
    TokenizerTraining options = options_of(Type::Bpe, Split::Gpt2, 270);
    options.lowercase = true;
    const auto tokenizer = train(options);
    EXPECT_EQ(tokenizer->encode("The CAFÉ"), tokenizer->encode("the café"));
    EXPECT_EQ(reread(*tokenizer)->encode("The CAFÉ"), tokenizer->encode("the café"));
}

TEST_F(TokenizerTrainingTest, BpeOfCharactersEndsWords) {
    TokenizerTraining options = options_of(Type::Bpe, Split::Gpt1, 90);
    options.lowercase = true;
    const auto tokenizer = train(options);
    const auto ids = tokenizer->encode("The cat. \u1234");
    ASSERT_EQ(ids.size(), 4U);
    EXPECT_EQ(tokenizer->decode(ids), "the cat . <unk>");
    EXPECT_EQ(ids[3], 0);
    EXPECT_EQ(tokenizer->encode("cafe"), tokenizer->encode("CAFÉ"));
    EXPECT_EQ(reread(*tokenizer)->encode(kText), tokenizer->encode(kText));
}

TEST_F(TokenizerTrainingTest, WordPiece) {
    for (const bool lowercase : {false, true}) {
        TokenizerTraining options = options_of(Type::WordPiece, Split::Gpt2, 100);
        options.lowercase = lowercase;
        const auto tokenizer = train(options);
        EXPECT_STREQ(tokenizer->kind(), "wordpiece");
        EXPECT_EQ(tokenizer->encode_marked("\u1234").ids, (std::vector<int32_t>{2, 1, 3}));  // [CLS] [UNK] [SEP]
        EXPECT_EQ(tokenizer->mask_token(), 4);
        EXPECT_EQ(tokenizer->encode("cat cats 世界").size(), 5U);
        EXPECT_EQ(tokenizer->encode("cafe") == tokenizer->encode("CAFÉ"), lowercase);
        EXPECT_EQ(reread(*tokenizer)->encode_marked(kText).ids, tokenizer->encode_marked(kText).ids);
    }
}

TEST_F(TokenizerTrainingTest, OnlyTheFrequentCharactersAreKept) {
    TokenizerTraining options = options_of(Type::WordPiece, Split::Gpt2, 30);
    options.limit_alphabet = 8;
    const auto tokenizer = train(options, "aaa bbb ccc ddd eee fff ggg hhh z");
    EXPECT_EQ(tokenizer->encode("a z"), (std::vector<int32_t>{5, 1}));
}

TEST_F(TokenizerTrainingTest, Characters) {
    TokenizerTraining options;
    options.type = Type::Char;
    const auto tokenizer = train(options, "hello\n你");
    const auto& characters = dynamic_cast<const CharTokenizer&>(*tokenizer);
    EXPECT_EQ(characters.code_points(), (std::vector<char32_t>{U'\n', U'e', U'h', U'l', U'o', U'你'}));
    EXPECT_STREQ(reread(*tokenizer)->kind(), "char");
    options.specials = {"<s>"};
    EXPECT_EQ(train(options, "ab")->encode("b<s>a"), (std::vector<int32_t>{2, 0, 1}));
}

TEST_F(TokenizerTrainingTest, WrongOptions) {
    TokenizerTraining options = options_of(Type::Bpe, Split::Gpt2, 255);
    EXPECT_MENTIONS(error_of([&] { train(options); }), "size is 255");
    options.size = 300;
    options.specials = {"a", "b", "a"};
    EXPECT_MENTIONS(error_of([&] { train(options); }), "special names `a` twice");
    options.specials = {""};
    EXPECT_MENTIONS(error_of([&] { train(options); }), "special is empty");
    options.specials = {"\xFF"};
    EXPECT_MENTIONS(error_of([&] { train(options); }), "special is not UTF-8");
    options.specials = {"<s>"};
    options.split = Split::Gpt1;
    EXPECT_MENTIONS(error_of([&] { train(options); }), "special does not name <unk>");
    options.type = Type::WordPiece;
    EXPECT_MENTIONS(error_of([&] { train(options); }), "special does not name [UNK]");
    EXPECT_MENTIONS(error_of([&] { train(options_of(Type::Bpe, Split::Gpt2, 300), ""); }), "text.txt: empty");
    EXPECT_MENTIONS(error_of([&] { train(options_of(Type::Char, Split::Gpt2, 0), ""); }), "text.txt: empty");
    TokenizerTraining none = options_of(Type::Bpe, Split::Gpt2, 300);
    none.min_frequency = 0;
    EXPECT_MENTIONS(error_of([&] { train(none); }), "min-frequency is 0");
    none = options_of(Type::Bpe, Split::Gpt2, 300);
    none.threads = 0;
    EXPECT_MENTIONS(error_of([&] { train(none); }), "threads is 0");
}

// A text of several pieces has the words that it has as a whole, however many threads count them.
TEST_F(TokenizerTrainingTest, NeitherPiecesNorThreadsMatter) {
    const std::vector<std::string> parts = {"it's", "'re", " ",       "  ", "\n",   "\r\n", "\n\n", "a",
                                            "é",    "你",  "e\u0301", "12", "3456", "!",    "...",  "\u3000",
                                            "_",    "$",   "'",       "\t", "ſ",    "Ⓐ",    "²",    "अ\u093e"};
    std::mt19937 random(3);
    std::string text;
    while (text.size() < 6 * TextSource::kPiece)
        text += parts[std::uniform_int_distribution<size_t>(0, parts.size() - 1)(random)];
    for (const Split split : {Split::Gpt2, Split::Llama3, Split::Gpt1}) {
        const bool bytes = split != Split::Gpt1;
        const Normalizer normalizer(bytes ? "[]" : bert_normalizers(true));
        const PreTokenizer cut(split == Split::Gpt2     ? gpt2_pre_tokenizers()
                               : split == Split::Llama3 ? llama3_pre_tokenizers()
                                                        : bert_pre_tokenizers(),
                               bytes);
        WordCounts whole;
        cut(normalizer(text), true, [&](std::string_view word, bool) { whole.add(word); });
        const auto expected = whole.sorted();
        for (const int threads : {1, 2, 5}) {
            const std::string path = (folder_ / "text.txt").string();
            test::write_file(path, text);
            TextSource source({path});
            const WordCounts counts = count_words(source, normalizer, cut, threads, [](uint64_t, uint64_t) {});
            const auto sorted = counts.sorted();
            ASSERT_EQ(sorted.size(), expected.size());
            for (size_t i = 0; i < sorted.size(); ++i) {
                ASSERT_EQ(sorted[i].text, expected[i].text);
                ASSERT_EQ(sorted[i].count, expected[i].count) << sorted[i].text;
            }
        }
    }
}

TEST_F(TokenizerTrainingTest, TheFirstErrorCounts) {
    std::vector<std::string> paths;
    for (int i = 0; i < 20; ++i) {
        paths.push_back((folder_ / (std::to_string(i) + ".txt")).string());
        test::write_file(paths.back(), i == 7 || i == 12 ? "ab\xFF" : std::string(TextSource::kPiece / 3, 'a'));
    }
    for (int round = 0; round < 5; ++round) {
        TextSource source(paths);
        TokenizerTraining options = options_of(Type::Bpe, Split::Gpt2, 300);
        options.threads = 4;
        EXPECT_MENTIONS(error_of([&] { train_tokenizer(source, options, no_progress); }), "/7.txt: not UTF-8");
    }
}

}  // namespace
}  // namespace nib
