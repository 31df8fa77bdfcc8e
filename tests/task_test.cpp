// What trainings train on.
#include "task/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "task/examples.h"
#include "task/masked_rows.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/char_tokenizer.h"
#include "text/corpus.h"

namespace nib {
namespace {

using namespace test;

constexpr int32_t kMask = 50;

TEST(MaskedTokens, SharesAreThoseOfThePaper) {
    constexpr size_t kTokens = 100000;
    const MaskedRows masked(3, kMask, kMask);
    std::vector<int32_t> before(kTokens), ids, targets(kTokens);
    for (size_t t = 0; t < kTokens; ++t) before[t] = static_cast<int32_t>(t % 50);
    ids = before;
    masked.mask(4, 5, ids, targets);
    double chosen = 0, hidden = 0, other = 0;
    for (size_t t = 0; t < kTokens; ++t) {
        if (targets[t] == kIgnore) {
            EXPECT_EQ(ids[t], before[t]);
            continue;
        }
        EXPECT_EQ(targets[t], before[t]);
        ASSERT_TRUE(ids[t] >= 0 && ids[t] <= kMask);
        ++chosen, hidden += ids[t] == kMask, other += ids[t] != kMask && ids[t] != before[t];
    }
    EXPECT_NEAR(chosen / kTokens, 0.15, 0.005);
    EXPECT_NEAR(hidden / chosen, 0.8, 0.01);
    EXPECT_NEAR(other / chosen, 0.1 * 49 / 50, 0.01);
    EXPECT_EQ(masked.count(4, 5, before), static_cast<int64_t>(chosen));
}

TEST(MaskedTokens, DependOnSeedStepAndRow) {
    const auto targets_of = [](uint64_t seed, uint32_t step, uint32_t row) {
        std::vector<int32_t> ids(200, 7), targets(200);
        MaskedRows(seed, kMask, kMask).mask(step, row, ids, targets);
        return targets;
    };
    const auto first = targets_of(1, 2, 3);
    EXPECT_EQ(targets_of(1, 2, 3), first);
    EXPECT_NE(targets_of(2, 2, 3), first);
    EXPECT_NE(targets_of(1, 3, 3), first);
    EXPECT_NE(targets_of(1, 2, 4), first);
    std::vector<int32_t> ids(3), targets(2);
    EXPECT_MENTIONS(error_of([&] { MaskedRows(1, kMask, kMask).mask(2, 3, ids, targets); }), "3 tokens, but 2 targets");
}

struct Tasks : testing::Test {
    Tasks() { write_file(folder / "text.txt", "the fox that ate the crow slept in the sun until noon"); }
    static TaskTexts texts(const CharacterText& text) {
        return {
            .train = text,
            .validation = text,
            .train_span = {0,  40         },
            .validation_span = {40, text.size()},
            .tokenizer = text.tokenizer(),
            .context = 9,
            .seed = 1
        };
    }
    CharTokenizer tokenizer_of(const Corpus& corpus, bool mask) const {
        CharModel model = CharTokenizer::from_code_points(corpus.characters()).model();
        if (mask) {
            model.specials.mask = static_cast<int32_t>(model.tokens.size());
            model.tokens.push_back({kMaskToken, TokenType::Control});
        }
        return CharTokenizer(std::move(model));
    }
    TempFolder folder;
};

TEST_F(Tasks, MaskedCharactersAreThoseOfTheText) {
    const Corpus corpus({(folder / "text.txt").string()});
    const CharTokenizer tokenizer = tokenizer_of(corpus, true);
    const CharacterText text(corpus, tokenizer);
    const auto task = make_task("mlm", texts(text)), plain = make_task("lm", texts(text));
    EXPECT_EQ(task_objectives("mlm").front().head, "mlm");
    std::vector<int32_t> ids(9), targets(9), original(9), next(9);
    TaskRow masked{ids, targets}, whole{original, next};
    int64_t counted = 0, said = 0;
    for (uint32_t row = 0; row < 50; ++row) {
        task->fill(2, row, masked);
        plain->fill(2, row, whole);
        said += task->counted(2, row)[0];
        for (size_t t = 0; t < ids.size(); ++t) {
            counted += targets[t] != kIgnore;
            EXPECT_EQ(targets[t] != kIgnore ? targets[t] : ids[t], original[t]);
        }
    }
    EXPECT_EQ(counted, said);
    EXPECT_GT(counted, 30);
    ASSERT_EQ(task->validation_rows(), 2);
    std::vector<int32_t> expected(9);
    task->fill_validation(1, masked);
    corpus.read(corpus.size() - 9, expected, tokenizer);
    for (size_t t = 0; t < ids.size(); ++t) EXPECT_EQ(targets[t] != kIgnore ? targets[t] : ids[t], expected[t]);
}

TEST_F(Tasks, WhatCannotBe) {
    const Corpus corpus({(folder / "text.txt").string()});
    const CharTokenizer tokenizer = tokenizer_of(corpus, false);
    const CharacterText text(corpus, tokenizer);
    EXPECT_MENTIONS(error_of([&] { make_task("mlm", texts(text)); }), "[MASK]");
    EXPECT_MENTIONS(error_of([&] { make_task("x", texts(text)); }), "no task `x`; nib knows lm, mlm, translate");
}

TEST(EvalExamples, AreEvenlySpacedAndEachIsItself) {
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(U"a");
    const Corpus corpus = [] {
        const TempFolder folder;
        write_file(folder / "a.txt", "aaaa");
        return Corpus({(folder / "a.txt").string()});
    }();
    const CharacterText text(corpus, tokenizer);
    TaskTexts texts{
        .train = text, .validation = text, .train_span = {0, 4},
                .validation_span = {0, 4},
                .tokenizer = tokenizer
    };
    texts.context = 10;
    for (const int64_t all : {1, 7, 100, 872}) {
        texts.validation_tokens = 0;
        const EvalExamples every(texts, "text", 1, all);
        ASSERT_EQ(every.count(), all);
        for (int64_t i = 0; i < all; ++i) EXPECT_EQ(every.number(i), i) << all;
        texts.validation_tokens = 70;
        const EvalExamples some(texts, "text", 1, all);
        ASSERT_EQ(some.count(), std::min<int64_t>(all, 7));
        for (int64_t i = 1; i < some.count(); ++i) {
            const int64_t step = some.number(i) - some.number(i - 1);
            EXPECT_TRUE(step >= all / 7 && step <= all / 7 + 1) << all;
        }
        EXPECT_EQ(some.number(0), 0);
    }
}

// A WordPiece of words and what follows in them.
class Words : public Tokenizer {
public:
    Words() : Tokenizer({.begin = 0, .end = 1, .add_begin = true, .add_end = true, .mask = 2}) {}
    std::vector<int32_t> encode(std::string_view, const EncodeOptions&) const override { return {}; }
    std::string decode(int32_t id) const override { return std::to_string(id); }
    int32_t vocab_size() const override { return 100; }
    bool continues_word(int32_t id) const override { return id >= 50; }
    const char* kind() const override { return "test"; }
};

TEST(MaskedTokens, WholeWordsAreChosenOrNot) {
    const Words words;
    const MaskedRows masked(5, words, true);
    std::vector<int32_t> before(30000), targets(before.size());
    for (size_t t = 0; t < before.size(); ++t) before[t] = t % 3 == 0 ? 10 : 60;
    std::vector<int32_t> ids = before;
    masked.mask(1, 2, ids, targets);
    int64_t chosen = 0;
    for (size_t t = 0; t < ids.size(); ++t) {
        EXPECT_EQ(targets[t] == kIgnore, targets[t - t % 3] == kIgnore);
        chosen += targets[t] != kIgnore;
    }
    EXPECT_NEAR(static_cast<double>(chosen) / 30000, 0.15, 0.01);
    EXPECT_EQ(masked.count(1, 2, before), chosen);
    EXPECT_MENTIONS(error_of([] {
                        MaskedRows(1,
                                   CharTokenizer({
                                       {{"a"}, {"[MASK]", TokenType::Control}},
                                       {.mask = 1    }
                        }),
                                   true);
                    }),
                    "WordPiece vocabulary only");
}

// Ten documents, each of its own token, 3 to 12, of 40 each.
class Documents : public TokenText {
public:
    int64_t size() const override { return 400; }
    const char* unit() const override { return "token"; }
    void read(int64_t begin, std::span<int32_t> ids) const override {
        for (size_t t = 0; t < ids.size(); ++t) ids[t] = 3 + static_cast<int32_t>((begin + static_cast<int64_t>(t)) / 40);
    }
    int64_t documents() const override { return 10; }
    Span document(int64_t i) const override { return {40 * i, 40 * (i + 1)}; }
};

TEST(SentencePairs, HalfOfTheSecondTextsFollow) {
    const Documents text;
    const Words words;
    TaskTexts texts{
        .train = text, .validation = text, .train_span = {0,   280},
                .validation_span = {280, 400},
                .tokenizer = words
    };
    texts.context = 20;
    texts.choices.next_sentence = true;
    const auto task = make_task("mlm", texts);
    EXPECT_TRUE(task->ragged());
    std::vector<int32_t> ids(20), targets(20), segments(20), second(20);
    int64_t follow = 0, masked = 0, tokens = 0;
    for (uint32_t row = 0; row < 1000; ++row) {
        std::fill(second.begin(), second.end(), kIgnore);
        TaskRow to{.ids = ids, .targets = targets, .segments = segments, .second = second};
        task->fill(3, row, to);
        const auto length = static_cast<size_t>(to.length);
        ASSERT_TRUE(length >= 5 && length <= 20);
        std::vector<int32_t> seen[2];
        int32_t marks = 0, counted = 0;
        for (size_t t = 0; t < length; ++t) {
            if (ids[t] <= 1 && targets[t] == kIgnore) {
                EXPECT_EQ(ids[t], t == 0 ? 0 : 1);
                ++marks;
                continue;
            }
            counted += targets[t] != kIgnore;
            seen[segments[t]].push_back(targets[t] != kIgnore ? targets[t] : ids[t]);
        }
        EXPECT_EQ(marks, 3);
        ASSERT_FALSE(seen[0].empty() || seen[1].empty());
        for (const auto& text_of : seen)
            for (const int32_t id : text_of) ASSERT_TRUE(id == text_of[0] && id < 10) << "of one document that trains";
        EXPECT_EQ(second[0], seen[0][0] == seen[1][0] ? 0 : 1);
        EXPECT_EQ(task->counted(3, row), (TargetCounts{counted, 1}));
        follow += second[0] == 0, masked += counted, tokens += to.length - 3;
    }
    EXPECT_NEAR(static_cast<double>(follow) / 1000, 0.5, 0.05);
    EXPECT_NEAR(static_cast<double>(masked) / static_cast<double>(tokens), 0.15, 0.01);

    // A model that is always right.
    const auto judge = task->judge();
    for (int64_t row = 0; row < task->validation_rows(); ++row) {
        TaskRow to{.ids = ids, .targets = targets, .segments = segments, .second = second};
        task->fill_validation(row, to);
        std::vector<int32_t> right;
        for (const int32_t target : targets)
            if (target != kIgnore) right.push_back(target);
        judge->add(row, {
                            .labels = {right, std::span(second).first(1)}
        });
    }
    EXPECT_GT(task->validation_rows(), 0);
    for (const Score& score : judge->scores()) EXPECT_EQ(score.value, 1) << score.name;
    EXPECT_FALSE(judge->decides());
    texts.train_span = {0, 40};
    EXPECT_MENTIONS(error_of([&] { make_task("mlm", texts); }), "what trains is one; documents may end");
}

// 60 documents of 1 to 6 words of their own, each between marks.
class MarkedDocuments : public TokenText {
public:
    MarkedDocuments() {
        for (int32_t d = 0; d < 60; ++d) {
            ids_.push_back(0);
            for (int32_t t = 0; t <= d % 6; ++t) ids_.push_back(3 + d);
            ids_.push_back(1);
            ends_.push_back(std::ssize(ids_));
        }
    }
    int64_t size() const override { return std::ssize(ids_); }
    const char* unit() const override { return "token"; }
    void read(int64_t begin, std::span<int32_t> ids) const override {
        std::copy_n(&ids_[static_cast<size_t>(begin)], ids.size(), ids.begin());
    }
    int64_t documents() const override { return 60; }
    Span document(int64_t i) const override {
        return {i > 0 ? ends_[static_cast<size_t>(i) - 1] : 0, ends_[static_cast<size_t>(i)]};
    }

private:
    std::vector<int32_t> ids_;
    std::vector<int64_t> ends_;
};

TEST(SentencePairs, NeitherLengthsNorMarksTell) {
    const MarkedDocuments text;
    const Words words;
    TaskTexts texts{
        .train = text, .validation = text, .train_span = {0, text.size()},
                .validation_span = {0, 0          },
                .tokenizer = words
    };
    texts.context = 12;
    texts.choices.next_sentence = true;
    const auto task = make_task("mlm", texts);
    std::vector<int32_t> ids(12), targets(12), segments(12), second(12);
    std::array<double, 2> pairs{}, lengths{};
    for (uint32_t row = 0; row < 4000; ++row) {
        TaskRow to{.ids = ids, .targets = targets, .segments = segments, .second = second};
        task->fill(1, row, to);
        int32_t marks = 0;
        for (size_t t = 0; t < static_cast<size_t>(to.length); ++t)
            marks += (targets[t] != kIgnore ? targets[t] : ids[t]) <= 1;
        ASSERT_EQ(marks, 3) << "those of the documents are gone";
        const auto which = static_cast<size_t>(second[0]);
        pairs[which] += 1;
        lengths[which] += static_cast<double>(std::count(segments.begin(), segments.begin() + to.length, 1) - 1);
    }
    EXPECT_NEAR(lengths[0] / pairs[0], lengths[1] / pairs[1], 0.1);
}

}  // namespace
}  // namespace nib
