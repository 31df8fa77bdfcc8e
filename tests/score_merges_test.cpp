// Scores of SentencePiece's BPE as merges, and back.
#include "text/score_merges.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "test_errors.h"
#include "text/unknown_text.h"

namespace nib {
namespace {

using namespace test;
using Kind = WordModelSpec::Kind;
using Merges = std::vector<std::string>;

// BPE of all bytes, these tokens and merges.
TokenizerSpec merged(const Merges& tokens, const Merges& merges) {
    TokenizerSpec spec;
    spec.model.byte_fallback = true;
    for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back({fallback_token(static_cast<unsigned char>(byte))});
    for (const std::string& token : tokens) spec.tokens.push_back({token});
    spec.merges = merges;
    return spec;
}

// The scores after those of bytes.
std::vector<float> scores_of(const std::optional<TokenizerSpec>& spec) {
    if (!spec) return {};
    return {spec->scores.begin() + 256, spec->scores.end()};
}

TEST(ScoreMerges, GoldenModel) {
    const auto cases = nlohmann::json::parse(read_file(golden("sentencepiece_cases.json")));
    const auto tokenizer = parse_files({
        {"tokenizer.model", read_file(golden("sentencepiece.model"))}
    });
    const TokenizerSpec spec = pipeline(tokenizer).spec(), made = with_merges(spec);
    EXPECT_EQ(made.model.kind, Kind::Bpe);
    ASSERT_EQ(made.merges.size(), cases["merges"].size());
    for (size_t i = 0; i < made.merges.size(); ++i)
        EXPECT_EQ(made.merges[i], join_merge(cases["merges"][i][0], cases["merges"][i][1]));
    const auto back = with_scores(made);
    ASSERT_TRUE(back.has_value());
    EXPECT_EQ(back->model, spec.model);
    EXPECT_EQ(with_merges(*back).merges, made.merges);
}

TEST(ScoreMerges, ScoresFollowTheMerges) {
    const Merges tokens = {"a", "b", "ab", "abb", "ba"};
    const auto made = with_scores(merged(tokens, {"b a", "ab b", "a b"}));
    EXPECT_EQ(scores_of(made), (std::vector<float>{-3, -4, -2, -1, 0}));
    EXPECT_EQ(made->scores[0], 0);
    EXPECT_EQ(made->model.kind, Kind::SentencePiece);
    EXPECT_TRUE(made->merges.empty());
    EXPECT_TRUE(made->model.fuse_unknown);
}

TEST(ScoreMerges, WhatScoresCannotSay) {
    const Merges tokens = {"a", "b", "ab", "aab", "aa"};
    const Merges merges = {"a b", "a ab", "aa b", "a a"};
    EXPECT_TRUE(with_scores(merged(tokens, merges)));
    EXPECT_FALSE(with_scores(merged(tokens, {"a b", "a ab", "a a"})));          // not "aa b"
    EXPECT_FALSE(with_scores(merged(tokens, {"a b", "a ab", "a a", "aa b"})));  // others between those of "aab"
    EXPECT_EQ(scores_of(with_scores(merged(tokens, {"a b", "a ab", "a a"}), true)),
              (std::vector<float>{-3, -4, 0, -1, -2}));
    EXPECT_FALSE(with_scores(merged({"a", "ax"}, {})));  // "x" is no token: SentencePiece could merge it
    TokenizerSpec spec = merged(tokens, merges);
    spec.tokens[0].text = "other";
    EXPECT_FALSE(with_scores(spec));  // one byte is no token
    EXPECT_TRUE(with_scores(spec, true));
    spec = merged(tokens, merges);
    spec.model.ignore_merges = true;
    EXPECT_FALSE(with_scores(spec));
    spec = merged(tokens, merges);
    spec.model.word_suffix = "</w>";
    EXPECT_FALSE(with_scores(spec));
}

// Tokens with the same score: their merges are mixed, in the order of their parts' lengths.
TEST(ScoreMerges, RunsOfOneCharacter) {
    const Merges runs = {"a", "aa", "aaa", "aaaa"};
    const Merges mixed = {"aaa a", "aa aa", "aa a", "a aaa", "a aa", "a a"};
    EXPECT_EQ(scores_of(with_scores(merged(runs, mixed))), (std::vector<float>{-2, -1, 0, 0}));
    EXPECT_FALSE(with_scores(merged(runs, {"aaa a", "aa a", "aa aa", "a aaa", "a aa", "a a"})));
    // After "aa" has been merged, "aaaa" and "aaaaa" compete for the end of a text: scores take the one that is leftmost.
    EXPECT_FALSE(with_scores(merged({"a", "aa", "aaa", "aaaa", "aaaaa"}, {"a a", "aa a", "a aa", "aaaa a", "aaa aa",
                                                                          "aaa a", "aa aaa", "aa aa", "a aaaa", "a aaa"})));
    EXPECT_FALSE(with_scores(merged({"a", "b", "ab", "aab", "aa"}, {"aa b", "a a", "a ab", "a b"})));
    TokenizerSpec spec = merged(runs, {});
    spec.model.kind = Kind::SentencePiece;
    EXPECT_EQ(with_merges(spec).merges, mixed);
}

// Where with_scores() says that scores do the same as merges, they do.
TEST(ScoreMerges, RandomVocabularies) {
    std::mt19937 random(3);
    const auto text_of = [&](size_t length, unsigned letters) {
        std::string text(length, 'a');
        for (char& c : text) c = static_cast<char>('a' + random() % letters);
        return text;
    };
    int exact = 0;
    for (int round = 0; round < 400; ++round) {
        const unsigned letters = 1 + random() % 3;
        std::set<std::string> texts;
        for (size_t i = 2 + random() % 14; i > 0; --i) texts.insert(text_of(2 + random() % 5, letters));
        for (unsigned i = 0; i < letters; ++i) texts.insert(std::string(1, static_cast<char>('a' + i)));
        TokenizerSpec spec = merged({texts.begin(), texts.end()}, {});
        spec.model.kind = Kind::SentencePiece;
        spec.decoders = sentencepiece_decoders(false);
        spec.scores.resize(spec.tokens.size());
        for (double& score : spec.scores) score = -static_cast<float>(random() % (round % 2 == 0 ? 4 : 1000));
        const TokenizerSpec by_merges = with_merges(spec);
        const auto by_scores = with_scores(by_merges);
        if (!by_scores) continue;
        ++exact;
        const PipelineTokenizer one(by_merges), other(*by_scores);
        for (int i = 0; i < 10; ++i) {
            const std::string text = text_of(random() % 30, letters);
            ASSERT_EQ(one.encode(text), other.encode(text)) << "round " << round << ": " << text;
        }
    }
    EXPECT_GT(exact, 200);
    EXPECT_LT(exact, 400);
}

TEST(ScoreMerges, AddedTokensAreNotMerged) {
    TokenizerSpec spec = merged({"<", "s", ">", "s>", "<s>"}, {"s >", "< s>"});
    EXPECT_TRUE(with_scores(spec));
    spec.tokens.back().type = TokenType::Control;
    const auto made = with_scores(spec);
    EXPECT_EQ(scores_of(made), (std::vector<float>{-1, -2, -3, 0, 0}));
    EXPECT_EQ(with_merges(*made).merges, (Merges{"s >"}));
    spec.merges.pop_back();
    EXPECT_TRUE(with_scores(spec));
}

TEST(ScoreMerges, TooManyWays) {
    TokenizerSpec spec;
    spec.model.kind = Kind::SentencePiece;
    for (size_t length = 1; length <= 400; ++length) spec.tokens.push_back({std::string(length, 'a')});
    expect_contains(error_of([&] { with_merges(spec); }), {"too many ways"});
    spec.tokens.resize(100);
    EXPECT_EQ(with_merges(spec).merges.size(), 99u * 100 / 2);
}

}  // namespace
}  // namespace nib
