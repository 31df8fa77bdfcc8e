// The engine: its cache against evaluation from scratch, slots beside each other, wrong rows.
#include "infer/engine.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "core/error.h"
#include "test_errors.h"
#include "tiny_model_case.h"

namespace nib {
namespace {

using namespace test;

using EngineTest = TinyModelTest;

class LongEngineTest : public TinyModelTest {
protected:
    LongEngineTest() : TinyModelTest(300) {}
};

TEST_F(EngineTest, DecodingEqualsEvaluationFromScratch) {
    const std::vector<int32_t> ids = random_ids(kContext);
    const std::vector<float> expected = direct_logits(ids);
    Engine engine(backend_, config_, weights_);
    for (size_t t = 0; t < ids.size(); ++t) {
        expect_near(row(expected, t), engine.append(0, std::span(ids).subspan(t, 1)));
        EXPECT_EQ(engine.length(0), static_cast<int64_t>(t) + 1);
    }
}

TEST_F(EngineTest, PromptsInAnyPieces) {
    const std::vector<int32_t> ids = random_ids(kContext);
    const std::vector<float> expected = direct_logits(ids);
    Engine engine(backend_, config_, weights_);
    const auto in_pieces = [&](const std::vector<size_t>& sizes) {
        engine.reset();
        size_t at = 0;
        for (const size_t n : sizes) {
            const std::span<const float> logits = engine.append(0, std::span(ids).subspan(at, n));
            at += n;
            expect_near(row(expected, at - 1), logits);
        }
    };
    in_pieces({40});
    in_pieces({16, 24});
    in_pieces({1, 39});
    in_pieces({39, 1});
    in_pieces({17, 1, 1, 15, 6});
    in_pieces({3, 3, 3, 20});
}

// More rows than a plan has, more rows with logits than a pass gives.
TEST_F(LongEngineTest, StepsOfSeveralPasses) {
    const std::vector<int32_t> ids = random_ids(300);
    const std::vector<float> expected = direct_logits(ids);
    for (const int64_t logit_rows : {0, 7, 128}) {
        Engine engine(backend_, config_, weights_, {.logit_rows = logit_rows});
        for (const size_t n : {size_t{300}, size_t{270}, size_t{1}, size_t{16}, size_t{17}}) {
            engine.reset();
            expect_near(row(expected, n - 1), engine.append(0, std::span(ids).first(n)));
        }
        engine.reset();
        expect_near(expected, all_logits(engine, ids));
    }
}

TEST_F(EngineTest, SlotsAreIndependent) {
    const std::vector<int32_t> prompt = random_ids(18);
    Engine engine(backend_, config_, weights_, {.slots = 3});
    engine.append(0, prompt);
    for (int64_t s = 1; s < 3; ++s) engine.copy(0, s, engine.length(0));
    std::vector<std::vector<int32_t>> ids(3, prompt);
    for (unsigned step = 0; step < 10; ++step) {
        const std::vector<int32_t> next = random_ids(3, 10 + step);
        const std::span<const float> logits = decode(engine, next);
        for (size_t s = 0; s < 3; ++s) {
            ids[s].push_back(next[s]);
            const std::vector<float> expected = direct_logits(ids[s]);
            expect_near(row(expected, ids[s].size() - 1), logits.subspan(s * 23, 23));
        }
    }
}

// What a server does: prompts arrive while others are being written, texts begin like others, end, and are taken back.
TEST_F(EngineTest, AnyRowsInAnyOrder) {
    constexpr size_t kSlots = 5;
    for (const unsigned seed : {1u, 2u, 3u}) {
        std::mt19937 random(seed);
        const auto below = [&](size_t n) { return static_cast<size_t>(random() % static_cast<unsigned>(n)); };
        Engine engine(backend_, config_, weights_, {.slots = kSlots, .logit_rows = 4});
        std::vector<std::vector<int32_t>> texts(kSlots);
        for (int step = 0; step < 12; ++step) {
            if (const size_t from = below(kSlots), to = below(kSlots); step % 3 == 2) {
                const size_t count = below(texts[from].size() + 1);
                texts[to] = {texts[from].begin(), texts[from].begin() + static_cast<std::ptrdiff_t>(count)};
                engine.copy(static_cast<int64_t>(from), static_cast<int64_t>(to), static_cast<int64_t>(count));
            }
            std::vector<EngineRow> rows;
            std::vector<std::vector<int32_t>> wanted;  // the texts up to rows with logits
            std::vector<std::vector<EngineRow>> left(kSlots);
            for (size_t s = 0; s < kSlots; ++s) {
                std::vector<int32_t>& text = texts[s];
                if (below(4) == 0) text.resize(below(text.size() + 1));  // rows from there on replace what was
                const size_t count = std::min(below(3) == 0 ? below(20) : size_t{1}, kContext - text.size());
                for (const int32_t token : random_ids(count, static_cast<unsigned>(random()))) {
                    left[s].push_back({token, static_cast<int32_t>(s), static_cast<int64_t>(text.size()), below(2) == 0});
                    text.push_back(token);
                }
                if (count == 0) engine.truncate(static_cast<int64_t>(s), static_cast<int64_t>(text.size()));
            }
            for (std::vector<size_t> at(kSlots, 0);;) {  // shuffled, but each slot's in order
                std::vector<size_t> open;
                for (size_t s = 0; s < kSlots; ++s)
                    if (at[s] < left[s].size()) open.push_back(s);
                if (open.empty()) break;
                const size_t s = open[below(open.size())];
                rows.push_back(left[s][at[s]++]);
                const auto end = texts[s].begin() + static_cast<std::ptrdiff_t>(rows.back().position + 1);
                if (rows.back().logits) wanted.emplace_back(texts[s].begin(), end);
            }
            const std::span<const float> logits = engine.step(rows);
            ASSERT_EQ(logits.size(), wanted.size() * 23);
            for (size_t i = 0; i < wanted.size(); ++i)
                expect_near(row(direct_logits(wanted[i]), wanted[i].size() - 1), logits.subspan(i * 23, 23));
            for (size_t s = 0; s < kSlots; ++s)
                EXPECT_EQ(engine.length(static_cast<int64_t>(s)), static_cast<int64_t>(texts[s].size()));
        }
    }
}

TEST_F(EngineTest, WrongRowsThrowAndChangeNothing) {
    Engine engine(backend_, config_, weights_, {.slots = 2});
    engine.append(0, random_ids(5));
    const auto error = [&](const std::vector<EngineRow>& rows) {
        const std::string message = error_of([&] { engine.step(rows); });
        EXPECT_EQ(engine.length(0), 5);
        EXPECT_EQ(engine.length(1), 0);
        return message;
    };
    EXPECT_MENTIONS(error({
                        {23, 0, 5}
    }),
                    "token 23");
    EXPECT_MENTIONS(error({
                        {-1, 0, 5}
    }),
                    "token -1");
    EXPECT_MENTIONS(error({
                        {1, 2, 0}
    }),
                    "no slot 2");
    EXPECT_MENTIONS(error({
                        {1, -1, 0}
    }),
                    "no slot -1");
    EXPECT_MENTIONS(error({
                        {1, 0, 6}
    }),
                    "position 6 of slot 0");
    EXPECT_MENTIONS(error({
                        {1, 0, -1}
    }),
                    "position -1 of slot 0");
    EXPECT_MENTIONS(error({
                        {1, 0, 5},
                        {1, 0, 7}
    }),
                    "position 7 of slot 0");
    EXPECT_MENTIONS(error({
                        {1, 0, 5},
                        {1, 1, 0},
                        {1, 0, 5}
    }),
                    "position 5 of slot 0");
    std::vector<EngineRow> many;
    for (int64_t t = 0; t <= kContext; ++t) many.push_back({1, 1, t});
    EXPECT_MENTIONS(error(many), "position 40 of slot 1");
    EXPECT_THROW(engine.append(0, {}), Error);
    EXPECT_THROW(engine.append(0, random_ids(kContext)), Error);
    EXPECT_THROW(engine.copy(0, 1, 6), Error);
    EXPECT_THROW(engine.copy(0, 2, 1), Error);
    EXPECT_THROW(engine.truncate(0, 6), Error);
    EXPECT_THROW(Engine(backend_, config_, weights_, {.slots = 0}), Error);
    EXPECT_THROW(Engine(backend_, config_, weights_, {.cache_type = DType::Q8_0}), Error);
    EXPECT_TRUE(engine.step({}).empty());
}

TEST_F(EngineTest, TextsMayHaveLessRoomThanTheModel) {
    const std::vector<int32_t> ids = random_ids(kContext);
    const std::vector<float> expected = direct_logits(ids);
    Engine engine(backend_, config_, weights_, {.slots = 2, .context = 9});
    EXPECT_EQ(engine.context(), 9);
    expect_near(row(expected, 7), engine.append(1, std::span(ids).first(8)));
    engine.copy(1, 0, 8);
    expect_near(row(expected, 8), engine.append(0, std::span(ids).subspan(8, 1)));
    EXPECT_THROW(engine.append(0, std::span(ids).subspan(9, 1)), Error);
    for (const int64_t context : {int64_t{-1}, kContext + 1})
        EXPECT_THROW(Engine(backend_, config_, weights_, {.context = context}), Error);
}

TEST_F(EngineTest, MemoryIsKnownBeforeItIsTaken) {
    const auto bytes = [&](int64_t context) {
        return static_cast<double>(3 * 2 * config_.layers * context * config_.embd * 4);
    };
    EXPECT_EQ(Engine::cache_bytes(config_, {.slots = 3}), bytes(config_.context));
    EXPECT_EQ(Engine::cache_bytes(config_, {.slots = 3, .context = 7}), bytes(7));
    EXPECT_THROW(Engine(backend_, config_, weights_, {.slots = int64_t{1} << 60}), Error);
}

}  // namespace
}  // namespace nib
