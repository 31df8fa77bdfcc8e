// What commands lean on, whatever the tokenizer: marks as tokens or as text, tokens with a purpose, models without any.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/token_numbers.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

using Ids = std::vector<int32_t>;

template <class Action>
std::string error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

// 256 bytes with their values as ids, "<s>" (begin and end), "[tool]" (user-defined), "ab".
TokenizerSpec small_model() {
    TokenizerSpec model;
    model.pre_tokenizers = gpt2_pre_tokenizers();
    model.decoders = byte_level_decoders();
    for (int byte = 0; byte < 256; ++byte) model.tokens.push_back({spell_bytes(std::string(1, static_cast<char>(byte)))});
    model.tokens.push_back({"<s>", TokenType::Control});
    model.tokens.push_back({"[tool]", TokenType::UserDefined});
    model.tokens.push_back({"ab"});
    model.merges = {"a b"};
    model.specials.begin = model.specials.end = 256;
    return model;
}

TEST(Tokenizer, MarksAreTokensOrText) {
    const PipelineTokenizer tokenizer(small_model());
    EXPECT_EQ(tokenizer.encode("ab<s>[tool]"), (Ids{258, 256, 257}));
    EXPECT_EQ(tokenizer.encode("ab<s>[tool]", {.special = false}), (Ids{258, '<', 's', '>', 257}));
    for (const bool special : {false, true})
        EXPECT_EQ(tokenizer.decode(tokenizer.encode("ab<s>[tool]", {.special = special})), "ab<s>[tool]");
}

TEST(Tokenizer, MarksAreTextInPartsOfAText) {
    const PipelineTokenizer tokenizer(small_model());
    const std::string_view text = "<s><s>a<s>";
    const auto encode = [&](std::vector<std::string_view> verbatim) {
        return tokenizer.encode(text, {.verbatim = verbatim});
    };
    EXPECT_EQ(encode({}), (Ids{256, 256, 'a', 256}));
    EXPECT_EQ(encode({text}), (Ids{'<', 's', '>', '<', 's', '>', 'a', '<', 's', '>'}));
    EXPECT_EQ(encode({text.substr(3, 3)}), (Ids{256, '<', 's', '>', 'a', 256}));
    EXPECT_EQ(encode({text.substr(2, 1), text.substr(6, 1), text.substr(9)}),
              (Ids{'<', 's', '>', 256, 'a', '<', 's', '>'}));
    EXPECT_EQ(encode({text.substr(3, 0)}), (Ids{256, 256, 'a', 256}));
}

TEST(Tokenizer, BeginsATextIfTheModelWantsIt) {
    TokenizerSpec model = small_model();
    EXPECT_EQ(PipelineTokenizer(model).encode("ab", {.begin = true}), (Ids{258}));
    model.specials.add_begin = true;
    EXPECT_EQ(PipelineTokenizer(model).encode("ab", {.begin = true}), (Ids{256, 258}));
    EXPECT_EQ(PipelineTokenizer(model).encode("ab"), (Ids{258}));
    model.specials.begin = -1;
    EXPECT_EQ(PipelineTokenizer(model).encode("ab", {.begin = true}), (Ids{258}));
}

TEST(Tokenizer, SkipsWhatHasNoToken) {
    TokenizerSpec model = small_model();
    model.tokens['x'].type = TokenType::Unused;
    const PipelineTokenizer tokenizer(model);
    EXPECT_NE(error_of([&] { tokenizer.encode("axb"); }), "");
    EXPECT_EQ(tokenizer.encode("axb", {.skip_unknown = true}), (Ids{258}));
}

TEST(Tokenizer, FirstAndLast) {
    TokenizerSpec model = small_model();
    model.specials.begin = 257;
    EXPECT_EQ(PipelineTokenizer(model).first_token(), 257);
    EXPECT_EQ(PipelineTokenizer(model).end_token(), 256);
    model.specials.begin = -1;
    EXPECT_EQ(PipelineTokenizer(model).first_token(), 256);
    model.specials.end = -1;
    EXPECT_EQ(PipelineTokenizer(model).first_token(), 0);
    EXPECT_EQ(PipelineTokenizer(model).end_token(), -1);
}

TEST(Tokenizer, TheEndTokenCanBeNamed) {
    TokenizerSpec model = small_model();
    PipelineTokenizer both(model);  // one that begins and ends texts gives way in both
    both.set_end_token("\n");
    EXPECT_TRUE(both.end_token() == 10 && both.first_token() == 10 && !both.begins_texts());
    model.specials.add_begin = true;
    PipelineTokenizer begins(model);
    begins.set_end_token("ab");
    EXPECT_TRUE(begins.end_token() == 258 && begins.first_token() == 258 && begins.begins_texts());
    begins.set_end_token("");
    EXPECT_TRUE(begins.end_token() == -1 && begins.specials().begin == -1 && !begins.begins_texts());
    model.specials.end = 257;
    PipelineTokenizer two(model);
    two.set_end_token("[tool]");
    two.set_end_token("a");
    EXPECT_TRUE(two.end_token() == 'a' && two.first_token() == 256 && two.begins_texts());
    model.specials = {};
    PipelineTokenizer none(model);
    none.set_end_token("<s>");
    EXPECT_TRUE(none.end_token() == 256 && none.first_token() == 256 && none.begins_texts());
    EXPECT_NE(error_of([&] { none.set_end_token("abc\n"); }).find("the model has no token `abc\\x0A`"), std::string::npos);
    EXPECT_EQ(none.end_token(), 256);
    TokenNumbers numbers(10);
    numbers.set_end_token("7");
    EXPECT_TRUE(numbers.end_token() == 7 && numbers.first_token() == 7);
    EXPECT_NE(error_of([&] { numbers.set_end_token("10"); }), "");
}

TEST(TokenNumbers, ReadsNumbers) {
    EXPECT_EQ(parse_token_numbers(" 1, 2\t3\r\n0 ", 4), (Ids{1, 2, 3, 0}));
    EXPECT_EQ(parse_token_numbers("", 4), Ids{});
    for (const char* word : {"4", "-1", "1.5", "x", "1x", "99999999999", "+1"})
        EXPECT_EQ(error_of([&] { parse_token_numbers(std::string("1 ") + word, 4); }),
                  "`" + std::string(word) + "` is not a token; tokens are whole numbers from 0 to 3");
    const Ids ids = {3, 0, 2};
    EXPECT_EQ(token_numbers(ids), "3 0 2");
    EXPECT_EQ(token_numbers({}), "");
}

TEST(TokenNumbers, StandForAMissingTokenizer) {
    const TokenNumbers tokenizer(10);
    EXPECT_EQ(tokenizer.vocab_size(), 10);
    const Ids ids = {3, 0};
    EXPECT_EQ(tokenizer.decode(ids) + tokenizer.decode(9), "3 0 9");
    EXPECT_EQ(tokenizer.encode(""), Ids{});
    EXPECT_NE(error_of([&] { tokenizer.encode("1 2"); }).find("no tokenizer"), std::string::npos);
}

TEST(TokenNumbers, FilesWithoutTokenizer) {
    const std::string path = testing::TempDir() + "nib_no_tokenizer." + std::to_string(getpid()) + ".gguf";
    const auto read = [&](const char* model) {
        GgufWriter writer;
        if (model != nullptr) writer.set("tokenizer.ggml.model", std::string(model));
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        return read_tokenizer(GgufFile::open(path));
    };
    for (const char* model : {static_cast<const char*>(nullptr), "none", "no_vocab"}) EXPECT_EQ(read(model), nullptr);
    EXPECT_NE(error_of([&] { read("rwkv"); }).find("`rwkv` is not supported"), std::string::npos);
    std::filesystem::remove(path);
}

}  // namespace
}  // namespace nib
