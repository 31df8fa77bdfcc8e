// SentencePiece's tokenizer.model and llama2.c's tokenizer.bin: what is read from them, and what is refused.
#include "text/sentencepiece_file.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "protobuf_fields.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;

const std::vector<Piece> kPieces = {
    {"<unk>",        0,  2},
    {"<s>",          0,  3},
    {"</s>",         0,  3},
    {"\u2581",       -3, 1},
    {"a",            -4, 1},
    {"\u2581a",      -1, 1},
    {"\u2581\u2581", 0,  4},
    {"b",            -5, 1}
};

std::unique_ptr<Tokenizer> parse(const std::string& file, std::map<std::string, std::string> beside = {}) {
    beside["tokenizer.model"] = file;
    return parse_files(beside);
}

TEST(SentencePieceFile, WhatItSays) {
    const auto tokenizer = parse(model_file(kPieces));
    EXPECT_EQ(tokenizer->encode("a a"), (Ids{4, 5}));
    EXPECT_EQ(tokenizer->encode("  a  "), (Ids{6, 4, 6}));  // what users defined is found first
    EXPECT_EQ(tokenizer->decode(Ids{4, 6, 4}), "a  a");
    EXPECT_EQ(tokenizer->encode("xy"), (Ids{0}));
    EXPECT_EQ(tokenizer->specials(), (SpecialTokens{1, 2, 0, -1, true, false}));
    // What the file does not say: one space before a text, and none too many.
    EXPECT_EQ(parse(model_file(kPieces, ""))->encode(" a   a "), (Ids{5, 6, 5}));
    EXPECT_EQ(parse(model_file(kPieces, number_field(4, 0)))->encode("a"), (Ids{5}));
    EXPECT_EQ(parse(model_file(kPieces, number_field(3, 0)))->encode(" a "), (Ids{4}));
}

TEST(SentencePieceFile, NamesOfMarks) {
    std::vector<Piece> pieces = kPieces;
    pieces[0].text = "[UNK]", pieces[1].text = "[BOS]", pieces[2].text = "[EOS]";
    pieces.push_back({"[PAD]", 0, 3});
    const std::string trainer = number_field(3, 2) + bytes_field(45, "[UNK]") + bytes_field(46, "[BOS]") +
                                bytes_field(47, "[EOS]") + bytes_field(48, "[PAD]");
    const std::string file = model_file(pieces, "", trainer);
    EXPECT_EQ(parse(file)->specials(), (SpecialTokens{1, 2, 0, 8, true, false}));
    const auto configured = parse(file, {
                                            {"tokenizer_config.json",
                                             R"({"bos_token": "[PAD]", "add_bos_token": false, "add_eos_token": true,
                                                 "add_prefix_space": false})"}
    });
    EXPECT_EQ(configured->specials(), (SpecialTokens{8, 2, 0, 8, false, true}));
    EXPECT_EQ(configured->encode("a"), (Ids{4}));
    // Without marks by these names config.json may know them.
    EXPECT_EQ(parse(model_file({
                        {"a"},
                        {"b"},
                        {"c"}
    }),
                    {{"config.json", R"({"bos_token_id": 1, "eos_token_id": [2]})"}})
                  ->specials(),
              (SpecialTokens{1, 2, -1, -1, true, false}));
}

TEST(SentencePieceFile, AddedTokens) {
    const auto tokenizer = parse(model_file(kPieces), {
                                                          {"added_tokens.json", R"({"<pad>": 8, "</s>": 2})"}
    });
    EXPECT_EQ(tokenizer->encode("a<pad>a</s>"), (Ids{4, 8, 4, 2}));
    EXPECT_EQ(tokenizer->specials().padding, 8);
    expect_contains(error_of([&] {
                        parse(model_file(kPieces), {
                                                       {"added_tokens.json", R"({"x": 4})"}
                        });
                    }),
                    {"folder/tokenizer.model", "same id, 4"});
}

TEST(SentencePieceFile, InAFolder) {
    TempFolder folder;
    const auto at = [&](const char* name) { return (folder / name).string(); };
    write_file(at("tokenizer.model"), model_file(kPieces));
    write_file(at("merges.txt"), "#version: 0.2\n");
    EXPECT_STREQ(load_tokenizer(folder.path().string())->kind(), "sentencepiece");
    write_file(at("tokenizer.json"), golden_tokenizer().dump());
    EXPECT_STREQ(load_tokenizer(folder.path().string())->kind(), "bpe");
    EXPECT_STREQ(load_tokenizer_file(at("tokenizer.model"))->kind(), "sentencepiece");
    write_file(at("spiece.model"), model_file(kPieces));
    EXPECT_STREQ(load_tokenizer_file(at("spiece.model"))->kind(), "sentencepiece");
    write_file(at("spiece.model"), model_file(kPieces, "", ""));
    EXPECT_STREQ(load_tokenizer_file(at("spiece.model"))->kind(), "unigram");
    write_file(at("tokenizer_config.json"), R"({"tokenizer_class": "XLNetTokenizer"})");
    expect_contains(error_of([&] { load_tokenizer_file(at("spiece.model")); }), {at("tokenizer_config.json"), "XLNet"});
    write_file(at("tokenizer_config.json"), "[");
    expect_contains(error_of([&] { load_tokenizer_file(at("spiece.model")); }), {at("tokenizer_config.json")});
}

TEST(SentencePieceFile, Refused) {
    const auto message = [](const std::string& normalizer, const std::string& trainer = number_field(3, 2)) {
        return error_of([&] { parse(model_file(kPieces, normalizer, trainer)); });
    };
    EXPECT_EQ(message(""), "");
    EXPECT_EQ(message("", ""), "");  // Unigram
    expect_contains(message("", number_field(3, 3)),
                    {"folder/tokenizer.model", "the tokenizer type Word is not supported"});
    expect_contains(message("", number_field(3, 4)), {"Char"});
    expect_contains(message("", number_field(3, 5)), {"field 3"});
    EXPECT_EQ(message("", number_field(3, 2) + number_field(24, 1)), "");
    expect_contains(message(bytes_field(1, "nmt_nfkc") + bytes_field(2, "x")), {"the charsmap is damaged"});
    EXPECT_EQ(message(bytes_field(1, "identity") + bytes_field(2, "")), "");
    expect_contains(error_of([] { parse("IQ== 0\nIg== 1\n"); }), {"not a model of SentencePiece", "tiktoken"});
    expect_contains(error_of([] { parse(""); }), {"not a model of SentencePiece"});
}

TEST(SentencePieceFile, Damaged) {
    const auto message = [](const Piece& piece) {
        return error_of([&] {
            std::vector<Piece> pieces = kPieces;
            pieces.push_back(piece);
            parse(model_file(pieces));
        });
    };
    EXPECT_EQ(message({"c"}), "");
    expect_contains(message({""}), {"folder/tokenizer.model", "token 8 is empty"});
    expect_contains(message({"a"}), {"the token \"a\" has two ids"});
    expect_contains(message({"c", 0, 0}), {"token 8", "type 0"});
    expect_contains(message({"c", 0, 7}), {"field 3", "from 0 to 6"});
    expect_contains(message({"c", 0, 6}), {"token 8", "\"c\"", "byte"});
    expect_contains(message({"c", std::nanf(""), 1}), {"token 8", "not a number"});
    expect_contains(error_of([] { parse(bytes_field(1, number_field(1, 5))); }), {"field 1", "not text"});
    const std::string whole = model_file(kPieces);
    for (size_t size = 0; size < whole.size(); ++size) {  // shorter ones may be whole by chance, but crash nothing
        const std::string error = error_of([&] { parse(whole.substr(0, size)); });
        EXPECT_TRUE(error.empty() || error.find("folder/tokenizer.model: ") == 0) << error;
    }
}

// ---- llama2.c -----------------------------------------------------------------------------------------------------------

std::string u32(uint32_t value) {
    std::string bytes;
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(value >> shift);
    return bytes;
}

std::string bin_file(const std::vector<std::pair<std::string, float>>& tokens, uint32_t longest = 6) {
    std::string file = u32(longest);
    for (const auto& [text, score] : tokens)
        file += u32(std::bit_cast<uint32_t>(score)) + u32(static_cast<uint32_t>(text.size())) + text;
    return file;
}

std::vector<std::pair<std::string, float>> bin_tokens() {
    std::vector<std::pair<std::string, float>> tokens = {
        {"<unk>",    0},
        {"\n<s>\n",  0},
        {"\n</s>\n", 0}
    };
    for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(strprintf("<0x%02X>", byte), 0.0f);
    for (const auto& [text, score] : {std::pair(" ", -3), std::pair("a", -4), std::pair(" a", -1), std::pair("aa", -2)})
        tokens.emplace_back(text, static_cast<float>(score));
    return tokens;
}

TEST(Llama2c, WhatItSays) {
    std::vector<std::string> notes;
    const auto tokenizer = parse_vocabulary(bin_file(bin_tokens()), "tok.bin", -1, -1, notes);
    EXPECT_STREQ(tokenizer->kind(), "sentencepiece");
    EXPECT_EQ(tokenizer->specials(), (SpecialTokens{1, 2, 0, -1, true, false}));
    EXPECT_EQ(tokenizer->encode("aa a\n\u00e9", {.begin = true}), (Ids{1, 261, 260, 261, 3 + '\n', 3 + 0xC3, 3 + 0xA9}));
    EXPECT_EQ(tokenizer->encode("</s>"), (Ids{2}));
    EXPECT_EQ(tokenizer->decode(Ids{261, 260, 261, 13, 198, 172}), "aa a\n\u00e9");
    EXPECT_EQ(notes, std::vector<std::string>{});
}

TEST(Llama2c, Damaged) {
    std::vector<std::string> notes;
    const auto message = [&](const std::string& file) {
        return error_of([&] { parse_vocabulary(file, "tok.bin", -1, -1, notes); });
    };
    const auto tokens = bin_tokens();
    const std::string whole = bin_file(tokens);
    EXPECT_EQ(message(whole), "");
    expect_contains(message(bin_file(tokens, 5)), {"tok.bin", "token 2", "longer"});
    expect_contains(message(whole.substr(0, whole.size() - 1)), {"tok.bin", "token 262", "ends inside"});
    expect_contains(message(whole + "\1"), {"tok.bin", "token 263", "ends inside"});
    expect_contains(message(whole.substr(0, 4) + whole.substr(17)), {"tok.bin", "token 0 is not <unk>"});
    auto changed = tokens;
    changed[261].first = "";
    expect_contains(message(bin_file(changed)), {"token 261", "empty"});
    changed[261] = {"a", 0.0f};
    expect_contains(message(bin_file(changed)), {"tok.bin", "token 261 is \"a\""});
    changed[261] = {" a", std::nanf("")};
    expect_contains(message(bin_file(changed)), {"token 261", "not a number"});
}

}  // namespace
}  // namespace nib
