// What trainings train on.
#include "task/task.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "test_errors.h"
#include "test_files.h"
#include "text/corpus.h"

namespace nib {
namespace {

using namespace test;

constexpr int32_t kMask = 50;

TEST(MaskedTokens, SharesAreThoseOfThePaper) {
    constexpr size_t kTokens = 100000;
    std::vector<int32_t> before(kTokens), ids, targets(kTokens);
    for (size_t t = 0; t < kTokens; ++t) before[t] = static_cast<int32_t>(t % 50);
    ids = before;
    mask_tokens(3, 4, 5, kMask, kMask, ids, targets);
    double chosen = 0, masked = 0, other = 0;
    for (size_t t = 0; t < kTokens; ++t) {
        if (targets[t] == kIgnore) {
            EXPECT_EQ(ids[t], before[t]);
            continue;
        }
        EXPECT_EQ(targets[t], before[t]);
        ASSERT_TRUE(ids[t] >= 0 && ids[t] <= kMask);
        ++chosen, masked += ids[t] == kMask, other += ids[t] != kMask && ids[t] != before[t];
    }
    EXPECT_NEAR(chosen / kTokens, 0.15, 0.005);
    EXPECT_NEAR(masked / chosen, 0.8, 0.01);
    EXPECT_NEAR(other / chosen, 0.1 * 49 / 50, 0.01);
    EXPECT_EQ(count_masked(3, 4, 5, kTokens), static_cast<int64_t>(chosen));
}

TEST(MaskedTokens, DependOnSeedStepAndRow) {
    const auto targets_of = [](uint64_t seed, uint32_t step, uint32_t row) {
        std::vector<int32_t> ids(200, 7), targets(200);
        mask_tokens(seed, step, row, kMask, kMask, ids, targets);
        return targets;
    };
    const auto first = targets_of(1, 2, 3);
    EXPECT_EQ(targets_of(1, 2, 3), first);
    EXPECT_NE(targets_of(2, 2, 3), first);
    EXPECT_NE(targets_of(1, 3, 3), first);
    EXPECT_NE(targets_of(1, 2, 4), first);
    std::vector<int32_t> ids(3), targets(2);
    EXPECT_MENTIONS(error_of([&] { mask_tokens(1, 2, 3, kMask, kMask, ids, targets); }), "3 tokens, but 2 targets");
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
    EXPECT_EQ(task_head("mlm"), std::string("mlm"));
    std::vector<int32_t> ids(9), targets(9), original(9), next(9);
    TaskRow masked{ids, targets}, whole{original, next};
    int64_t counted = 0, said = 0;
    for (uint32_t row = 0; row < 50; ++row) {
        task->fill(2, row, masked);
        plain->fill(2, row, whole);
        said += task->counted(2, row);
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
    EXPECT_MENTIONS(error_of([&] { make_task("x", texts(text)); }), "no task `x`; nib knows lm, mlm, pairs");
}

}  // namespace
}  // namespace nib
