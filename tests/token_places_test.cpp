// Where in a text its tokens stand.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "test_errors.h"
#include "text/char_tokenizer.h"
#include "text/token_numbers.h"
#include "text/tokenizer_files.h"
#include "text/utf8.h"

namespace nib {
namespace {

using namespace test;

// "text" of each token.
std::vector<std::string> pieces(const Tokenizer& tokenizer, const std::string& text) {
    const PlacedTokens tokens = tokenizer.encode_placed(text);
    EXPECT_EQ(tokens.ids, tokenizer.encode(text)) << text;
    std::vector<std::string> all;
    for (const auto& [begin, end] : tokens.places) all.push_back(text.substr(begin, end - begin));
    return all;
}

struct TokenPlacesTest : testing::Test {
    // BERT's: lower case, no accents, with these words.
    std::unique_ptr<Tokenizer> word_pieces(const std::string& words) {
        write_file(folder_ / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n" + words);
        return load_tokenizer_file(folder_ / "vocab.txt");
    }
    TempFolder folder_;
};

using Pieces = std::vector<std::string>;

TEST_F(TokenPlacesTest, WordPiece) {
    const auto tokenizer = word_pieces("cafe\nun\n##aff\n##able\n.\n中\n文\ne\n##s\n1990\n");
    EXPECT_EQ(pieces(*tokenizer, "  Café unAFFable.\n"), (Pieces{"Café", "un", "AFF", "able", "."}));
    EXPECT_EQ(pieces(*tokenizer, "中文  xyz 1990s"), (Pieces{"中", "文", "xyz", "1990", "s"}));
    EXPECT_EQ(pieces(*tokenizer, "cafe\u0301 e\u200bs"), (Pieces{"cafe\u0301", "e", "s"}));
    EXPECT_EQ(pieces(*tokenizer,
                     "\x01"
                     "Cafe\x02 1990"),
              (Pieces{"Cafe", "1990"}));
    EXPECT_EQ(pieces(*tokenizer, "a[MASK]e"), (Pieces{"a", "[MASK]", "e"}));
    EXPECT_TRUE(pieces(*tokenizer, "").empty());
    EXPECT_TRUE(pieces(*tokenizer, " \n").empty());
}

TEST_F(TokenPlacesTest, Bytes) {
    const auto tokenizer = parse_whole(golden_tokenizer());
    for (const std::string text : {"the Größe  of 中文, and\nmore ", "\U0001F600 x", " "}) {
        const PlacedTokens tokens = tokenizer->encode_placed(text);
        EXPECT_EQ(tokens.ids, tokenizer->encode(text));
        for (size_t i = 0; i < tokens.ids.size(); ++i) {
            const PlacedTokens::Place place = tokens.places[i];
            const std::string piece = text.substr(place.begin, place.end - place.begin),
                              token = tokenizer->decode(tokens.ids[i]);
            const size_t word = token.find_first_not_of(" \n");
            EXPECT_EQ(find_invalid(piece), std::string::npos);
            EXPECT_NE(piece.find(token.substr(word == std::string::npos ? 0 : word)), std::string::npos)
                << text << ": " << token;
        }
    }
}

TEST_F(TokenPlacesTest, Characters) {
    const std::vector<char32_t> codes = {U'a', U'é', U'中', U' '};
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(codes);
    EXPECT_EQ(pieces(tokenizer, "é a中"), (Pieces{"é", " ", "a", "中"}));
    EXPECT_MENTIONS(error_of([&] { tokenizer.encode_placed("ab"); }), "does not know the character");
}

// Whatever a tokenizer does to a text, its tokens are the same ones, in order, and each is of whole characters.
TEST_F(TokenPlacesTest, OfEveryTokenizer) {
    const nlohmann::json file = nlohmann::json::parse(read_file(golden("tokenizer_cases.json")));
    size_t count = 0;
    for (const nlohmann::json& variant : file["variants"]) {
        nlohmann::json json = file["bases"][variant["base"].get<std::string>()];
        json.merge_patch(variant["patch"]);
        const auto tokenizer = parse_whole(json);
        for (const nlohmann::json& one : file["texts"]) {
            const auto text = one.get<std::string>();
            if (find_invalid(text) != std::string::npos) continue;
            SCOPED_TRACE(variant["name"].get<std::string>() + ": " + text);
            std::vector<int32_t> ids;
            try {
                ids = tokenizer->encode(text);
            } catch (const Error&) {
                continue;  // of text without a token
            }
            const PlacedTokens tokens = tokenizer->encode_placed(text);
            ASSERT_EQ(tokens.ids, ids);
            ASSERT_EQ(tokens.places.size(), ids.size());
            PlacedTokens::Place before;
            for (const PlacedTokens::Place& place : tokens.places) {
                ASSERT_LE(place.begin, place.end);
                ASSERT_LE(place.end, text.size());
                ASSERT_GE(place.begin, before.begin);
                ASSERT_GE(place.end, before.end);
                ASSERT_EQ(find_invalid(text.substr(place.begin, place.end - place.begin)), std::string::npos);
                before = place;
                ++count;
            }
        }
    }
    EXPECT_GT(count, 1000u);
}

TEST_F(TokenPlacesTest, Refuses) {
    const auto tokenizer = word_pieces("a\n");
    EXPECT_MENTIONS(error_of([&] { tokenizer->encode_placed("a\xFF"); }), "not valid UTF-8");
    EXPECT_MENTIONS(error_of([&] { TokenNumbers(3).encode_placed("1"); }), "not pieces of a text");
}

}  // namespace
}  // namespace nib
