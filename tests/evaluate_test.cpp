// The loss of a model over texts.
#include "infer/evaluate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "tiny_model_case.h"

namespace nib {
namespace {

using namespace test;

using EvaluateTest = TinyModelTest;

// Every token but the first counts once, whatever the batch and the length of the last window.
TEST_F(EvaluateTest, EvaluationCountsEveryTokenOnce) {
    for (const size_t size : {size_t{2}, size_t{30}, size_t{41}, size_t{42}, size_t{161}, size_t{200}}) {
        const std::vector<int32_t> text = random_ids(size);
        double loss = 0;
        int64_t correct = 0;
        for (size_t begin = 0; begin + 1 < size; begin += kContext) {
            const size_t n = std::min<size_t>(kContext, size - 1 - begin);
            const auto from = text.begin() + static_cast<std::ptrdiff_t>(begin);
            const std::vector<float> logits = direct_logits({from, from + static_cast<std::ptrdiff_t>(n)});
            for (size_t t = 0; t < n; ++t) {
                const std::span<const float> r = row(logits, t);
                double sum = 0;
                for (const float x : r) sum += std::exp(static_cast<double>(x));
                const auto target = static_cast<size_t>(text[begin + t + 1]);
                loss += std::log(sum) - static_cast<double>(r[target]);
                correct += std::max_element(r.begin(), r.end()) == r.begin() + static_cast<std::ptrdiff_t>(target);
            }
        }
        for (const int64_t batch : {0, 1, 3, 100}) {
            std::vector<int> read(size);
            Evaluator evaluator(backend_, config_, weights_, {static_cast<int64_t>(size)}, {.batch = batch});
            const Evaluation result = evaluator.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(text.begin() + begin, ids.size(), ids.begin()); });
            EXPECT_EQ(result.tokens, static_cast<int64_t>(size) - 1);
            EXPECT_EQ(result.correct, correct);
            EXPECT_NEAR(result.loss_sum, loss, 1e-4 * static_cast<double>(size));
        }
    }
}

// With a stride: the windows of Hugging Face's guide to perplexity, written down as it does.
TEST_F(EvaluateTest, EvaluationWithAStride) {
    const auto T = static_cast<size_t>(config_.context);
    for (const size_t size : {size_t{2}, T - 1, T, T + 1, 2 * T, 2 * T + 1, 3 * T + 7}) {
        const std::vector<int32_t> text = random_ids(size);
        for (const size_t stride : {size_t{1}, size_t{7}, T - 1, T}) {
            double loss = 0;
            int64_t count = 0;
            for (size_t begin = 0, reached = 0; reached < size; begin += stride) {
                const size_t end = std::min(begin + T, size);
                const std::vector<float> logits = direct_logits({text.data() + begin, text.data() + end});
                for (size_t t = std::max(reached, begin + 1); t < end; ++t) {
                    const std::span<const float> r = row(logits, t - 1 - begin);
                    double sum = 0;
                    for (const float x : r) sum += std::exp(static_cast<double>(x));
                    loss += std::log(sum) - static_cast<double>(r[static_cast<size_t>(text[t])]);
                    ++count;
                }
                reached = end;
            }
            Evaluator evaluator(backend_, config_, weights_, {static_cast<int64_t>(size)},
                                {.batch = 3, .stride = static_cast<int64_t>(stride)});
            const Evaluation result = evaluator.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(text.begin() + begin, ids.size(), ids.begin()); });
            EXPECT_EQ(result.tokens, count) << size << " by " << stride;
            EXPECT_NEAR(result.loss_sum, loss, 1e-4 * static_cast<double>(size)) << size << " by " << stride;
        }
    }
    EXPECT_THROW(Evaluator(backend_, config_, weights_, {10}, {.stride = config_.context + 1}), Error);
}

// Each as if it were alone, whatever shares a batch with it.
TEST_F(EvaluateTest, EvaluationOfSeveralTexts) {
    const auto T = static_cast<size_t>(config_.context);
    const std::vector<size_t> sizes = {2, 5, 2 * T + 3, T + 1, 9, T};
    for (const int64_t stride : {0, 7}) {
        std::vector<int32_t> all;
        std::vector<int64_t> ends;
        Evaluation expected;
        for (const size_t size : sizes) {
            const std::vector<int32_t> text = random_ids(size);
            Evaluator alone(backend_, config_, weights_, {static_cast<int64_t>(size)}, {.stride = stride});
            const Evaluation e = alone.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(text.begin() + begin, ids.size(), ids.begin()); });
            expected.tokens += e.tokens, expected.loss_sum += e.loss_sum, expected.correct += e.correct;
            all.insert(all.end(), text.begin(), text.end());
            ends.push_back(static_cast<int64_t>(all.size()));
        }
        for (const int64_t batch : {0, 1, 4}) {
            Evaluator evaluator(backend_, config_, weights_, ends, {.batch = batch, .stride = stride});
            const Evaluation result = evaluator.run(
                [&](int64_t begin, std::span<int32_t> ids) { std::copy_n(all.begin() + begin, ids.size(), ids.begin()); });
            EXPECT_EQ(result.tokens, expected.tokens);
            EXPECT_EQ(result.correct, expected.correct);
            EXPECT_NEAR(result.loss_sum, expected.loss_sum, 1e-4 * static_cast<double>(all.size()));
        }
    }
}

TEST_F(EvaluateTest, MemoryIsKnownBeforeItIsTaken) {
    Evaluator fits(backend_, config_, weights_, {1000}, {.batch = 2, .memory = 1e9});
    EXPECT_THROW(Evaluator(backend_, config_, weights_, {1000}, {.batch = 2, .memory = 1000}), Error);
}

TEST_F(EvaluateTest, WrongTokensAreRefused) {
    Evaluator evaluator(backend_, config_, weights_, {10});
    for (const auto& [at, id] : {
             std::pair<int64_t, int32_t>{0, -2                                 },
              {9, static_cast<int32_t>(config_.vocab)}
    })
        EXPECT_THROW(evaluator.run([&, where = at, wrong = id](int64_t begin, std::span<int32_t> ids) {
            std::fill(ids.begin(), ids.end(), 0);
            if (where >= begin && where < begin + static_cast<int64_t>(ids.size()))
                ids[static_cast<size_t>(where - begin)] = wrong;
        }),
                     Error);
}

}  // namespace
}  // namespace nib
