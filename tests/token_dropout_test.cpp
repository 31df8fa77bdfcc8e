#include "task/token_dropout.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "test_errors.h"
#include "text/char_tokenizer.h"

namespace nib {
namespace {

using namespace test;

// "a" to "z", then marks.
CharTokenizer letters(bool mask, bool unknown) {
    CharModel model;
    for (char c = 'a'; c <= 'z'; ++c) model.tokens.push_back({std::string(1, c), TokenType::Normal});
    model.tokens.push_back({"<|end|>", TokenType::Control});
    if (mask) model.specials.mask = static_cast<int32_t>(model.tokens.size());
    if (mask) model.tokens.push_back({"[MASK]", TokenType::Control});
    if (unknown) model.specials.unknown = static_cast<int32_t>(model.tokens.size());
    if (unknown) model.tokens.push_back({"[UNK]", TokenType::Unknown});
    return CharTokenizer(std::move(model));
}
constexpr int32_t kEnd = 26;

struct Row {
    explicit Row(size_t tokens) : ids(tokens), targets(tokens, 3), positions(tokens), source(tokens) {
        for (size_t t = 0; t < tokens; ++t) ids[t] = source[t] = static_cast<int32_t>(t % 27);
    }
    TaskRow row() {
        return {ids, targets, source, static_cast<int32_t>(source.size()), positions, static_cast<int32_t>(ids.size())};
    }
    std::vector<int32_t> ids, targets, positions, source;
};

TEST(TokenDropout, HidesTheShareOfTokensThatItIsToldTo) {
    for (const bool mask : {true, false})
        for (const bool unknown : {true, false}) {
            const CharTokenizer tokenizer = letters(mask, unknown);
            const TokenDropout dropout(0.2, 1, tokenizer);
            const Row before(27000);
            Row after = before;
            TaskRow row = after.row();
            dropout.apply(3, 4, row);
            EXPECT_EQ(after.targets, before.targets);
            EXPECT_NE(after.ids, after.source);  // each is hidden by itself
            for (const auto* ids : {&after.ids, &after.source}) {
                int64_t changed = 0;
                for (size_t t = 0; t < ids->size(); ++t) {
                    const int32_t now = (*ids)[t], was = before.ids[t];
                    if (now == was) continue;
                    ++changed;
                    ASSERT_NE(was, kEnd);
                    if (mask || unknown)
                        ASSERT_EQ(now, kEnd + 1);
                    else
                        ASSERT_LT(now, kEnd);
                }
                const double share = mask || unknown ? 0.2 : 0.2 * 25 / 26;  // one of 26 is the same letter again
                EXPECT_NEAR(static_cast<double>(changed) / 26000, share, 0.01);
            }
        }
}

TEST(TokenDropout, DependsOnSeedStepAndRowAndStopsWhereTheRowEnds) {
    const CharTokenizer tokenizer = letters(true, true);
    const auto hidden = [&](uint64_t seed, uint32_t step, uint32_t number) {
        Row all(200);
        TaskRow row = all.row();
        row.length = 100, row.source_length = 50;
        TokenDropout(0.5, seed, tokenizer).apply(step, number, row);
        const Row before(200);
        EXPECT_TRUE(std::equal(all.ids.begin() + 100, all.ids.end(), before.ids.begin() + 100));
        EXPECT_TRUE(std::equal(all.source.begin() + 50, all.source.end(), before.source.begin() + 50));
        return all.ids;
    };
    const auto first = hidden(1, 2, 3);
    EXPECT_EQ(hidden(1, 2, 3), first);
    EXPECT_NE(hidden(2, 2, 3), first);
    EXPECT_NE(hidden(1, 3, 3), first);
    EXPECT_NE(hidden(1, 2, 4), first);
    EXPECT_MENTIONS(error_of([&] { TokenDropout(1, 1, tokenizer); }), "dropout of 1");
}

}  // namespace
}  // namespace nib
