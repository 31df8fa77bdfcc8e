// A tiny GPT-2 of random weights in memory, on the reference kernels, for tests of running models.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "cpu/backend.h"
#include "engine_steps.h"
#include "gpt_case.h"
#include "ref/kernels.h"
#include "text/char_tokenizer.h"

namespace nib::test {

constexpr int64_t kContext = 40;  // more rows than an engine's short plan has, fewer than its long one

inline ModelConfig tiny_config(int64_t context = kContext, int64_t vocab = 23) {
    ModelConfig c;
    c.layers = 2;
    c.heads = 2;
    c.embd = 16;
    c.context = context;
    c.vocab = vocab;
    c.tied = false;
    return c;
}

inline std::vector<float> random_values(int64_t count, std::mt19937& random, float scale, float mean) {
    std::normal_distribution<float> normal(mean, scale);
    std::vector<float> values(static_cast<size_t>(count));
    for (float& x : values) x = normal(random);
    return values;
}

// A model of random weights in memory, on the reference kernels.
class TinyModelTest : public ::testing::Test {
protected:
    explicit TinyModelTest(int64_t context = kContext, int64_t vocab = 23) : config_(tiny_config(context, vocab)) {
        std::mt19937 random(1);
        weights_ = place_weights(config_, [&](const ParameterSpec& spec) {
            const bool gain = spec.init == ParameterSpec::Init::One;
            const auto values = random_values(spec.shape.elements(), random, gain ? 0.1f : 0.4f, gain ? 1.0f : 0.0f);
            Weight w;
            w.name = spec.name;
            w.shape = spec.shape;
            w.value.buffer = backend_.allocate(values.size() * sizeof(float));
            backend_.upload(w.value, std::as_bytes(std::span(values)));
            return w;
        });
        std::vector<char32_t> letters;
        for (char32_t c = U'a'; c < U'a' + static_cast<char32_t>(config_.vocab); ++c) letters.push_back(c);
        tokenizer_ = std::make_unique<CharTokenizer>(CharTokenizer::from_code_points(letters));
    }

    std::vector<int32_t> random_ids(size_t count, unsigned seed = 2) const {
        std::mt19937 random(seed);
        std::vector<int32_t> ids(count);
        for (int32_t& id : ids) id = static_cast<int32_t>(random() % static_cast<unsigned>(config_.vocab));
        return ids;
    }

    // Logits (T,V) by a plan without a cache.
    std::vector<float> direct_logits(const std::vector<int32_t>& ids) {
        return LogitsGraph(backend_, config_, weights_, 1, static_cast<int64_t>(ids.size())).run(ids);
    }

    // The rows of `expected` (T,V) after token t.
    std::span<const float> row(const std::vector<float>& logits, size_t t) const {
        const auto V = static_cast<size_t>(config_.vocab);
        return std::span(logits).subspan(t * V, V);
    }

    static void expect_near(std::span<const float> expected, std::span<const float> actual) {
        ASSERT_EQ(expected.size(), actual.size());
        for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(expected[i], actual[i], 1e-5) << i;
    }

    CpuBackend backend_{ref::table, 2};
    ModelConfig config_;
    Weights weights_;
    std::unique_ptr<CharTokenizer> tokenizer_;
};

}  // namespace nib::test
