// The sampler: its filters against direct computations, its draws against its probabilities. And stop strings.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "infer/sampler.h"
#include "infer/stop_filter.h"

namespace nib {
namespace {

// Nothing filtered: only what a test changes counts.
SamplerOptions plain() {
    SamplerOptions o;
    o.temperature = 1;
    o.top_k = 0;
    o.top_p = 1;
    return o;
}

std::vector<float> random_logits(size_t vocab, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> logits(vocab);
    for (float& x : logits) x = normal(random);
    return logits;
}

std::map<int32_t, double> distribution(const SamplerOptions& options, const std::vector<float>& logits,
                                       const std::vector<int32_t>& history = {}) {
    Sampler sampler(options, static_cast<int64_t>(logits.size()));
    std::map<int32_t, double> result;
    for (const auto& [id, p] : sampler.probabilities(logits, history)) EXPECT_TRUE(result.emplace(id, p).second);
    return result;
}

// Softmax of some tokens' logits.
std::map<int32_t, double> softmax(const std::vector<float>& logits, const std::vector<int32_t>& ids,
                                  double temperature = 1) {
    std::map<int32_t, double> result;
    double sum = 0;
    for (const int32_t id : ids) sum += result[id] = std::exp(logits[static_cast<size_t>(id)] / temperature);
    for (auto& [id, p] : result) p /= sum;
    return result;
}

std::vector<int32_t> by_probability(const std::vector<float>& logits) {
    std::vector<int32_t> ids(logits.size());
    std::iota(ids.begin(), ids.end(), 0);
    std::stable_sort(ids.begin(), ids.end(),
                     [&](int32_t a, int32_t b) { return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)]; });
    return ids;
}

void expect_same(const std::map<int32_t, double>& expected, const std::map<int32_t, double>& actual) {
    ASSERT_EQ(expected.size(), actual.size());
    for (const auto& [id, p] : expected) {
        ASSERT_TRUE(actual.contains(id)) << id;
        EXPECT_NEAR(p, actual.at(id), 1e-9) << id;
    }
}

TEST(Sampler, Temperature) {
    const std::vector<float> logits = random_logits(50, 1);
    for (const double temperature : {0.1, 0.8, 1.0, 2.5}) {
        SamplerOptions o = plain();
        o.temperature = temperature;
        expect_same(softmax(logits, by_probability(logits), temperature), distribution(o, logits));
    }
}

TEST(Sampler, GreedyTakesTheMostProbableAndTheFirstOfEquals) {
    SamplerOptions o = plain();
    o.temperature = 0;
    EXPECT_EQ(distribution(o,
                           {
                               1, 3, 3, 2
    }),
              (std::map<int32_t, double>{{1, 1.0}}));
    o.repeat_penalty = 2;
    EXPECT_EQ(distribution(o,
                           {
                               1, 3, 3, 2
    },
                           {1, 2}),
              (std::map<int32_t, double>{{3, 1.0}}));
}

TEST(Sampler, TinyTemperatureIsGreedy) {
    SamplerOptions o = plain();
    o.temperature = 1e-300;
    EXPECT_EQ(distribution(o,
                           {
                               1, 3, 2
    }),
              (std::map<int32_t, double>{{1, 1.0}}));
}

TEST(Sampler, TopK) {
    const std::vector<float> logits = random_logits(100, 2);
    for (const size_t k : {size_t{1}, size_t{7}, size_t{100}, size_t{5000}}) {
        SamplerOptions o = plain();
        o.top_k = static_cast<int64_t>(k);
        std::vector<int32_t> ids = by_probability(logits);
        ids.resize(std::min(k, ids.size()));
        expect_same(softmax(logits, ids), distribution(o, logits));
    }
}

// Hugging Face: a token stays when those before it have less than p together. After top-k the rest sums to 1 again.
std::map<int32_t, double> direct_top_p(const std::vector<float>& logits, size_t k, double p) {
    std::vector<int32_t> ids = by_probability(logits);
    ids.resize(std::min(k, ids.size()));
    const std::map<int32_t, double> all = softmax(logits, ids);
    double before = 0;
    std::vector<int32_t> kept;
    for (const int32_t id : ids) {
        if (before >= p) break;
        kept.push_back(id);
        before += all.at(id);
    }
    return softmax(logits, kept);
}

TEST(Sampler, TopP) {
    const std::vector<float> logits = random_logits(200, 3);
    for (const double p : {1e-9, 0.3, 0.9, 0.999, 0.9999999})
        for (const size_t k : {size_t{200}, size_t{10}}) {
            SamplerOptions o = plain();
            o.top_k = k < 200 ? static_cast<int64_t>(k) : 0;
            o.top_p = p;
            expect_same(direct_top_p(logits, k, p), distribution(o, logits));
        }
}

TEST(Sampler, MinP) {
    const std::vector<float> logits = random_logits(200, 4);
    const std::vector<int32_t> ids = by_probability(logits);
    const std::map<int32_t, double> all = softmax(logits, ids);
    for (const double p : {0.01, 0.2, 1.0}) {
        SamplerOptions o = plain();
        o.min_p = p;
        std::vector<int32_t> kept;
        for (const int32_t id : ids)
            if (all.at(id) >= p * all.at(ids[0])) kept.push_back(id);
        expect_same(softmax(logits, kept), distribution(o, logits));
    }
}

TEST(Sampler, RepeatPenaltyCountsEachRecentTokenOnce) {
    SamplerOptions o = plain();
    o.repeat_penalty = 2;
    o.repeat_last = 3;
    const std::vector<float> logits = {2, -1, 3, 0.5};
    const std::vector<int32_t> all = {0, 1, 2, 3};
    expect_same(softmax({1, -2, 3, 0.5}, all), distribution(o, logits, {2, 2, 0, 1, 0}));
    o.repeat_last = -1;
    expect_same(softmax({1, -2, 1.5, 0.5}, all), distribution(o, logits, {2, 2, 0, 1, 0}));
    o.repeat_last = 0;
    expect_same(softmax(logits, all), distribution(o, logits, {2, 2, 0, 1, 0}));
}

// Pearson's statistic has the mean of its degrees of freedom and twice that as variance; the seed is fixed.
TEST(Sampler, FrequenciesFollowProbabilities) {
    const std::vector<float> logits = random_logits(40, 6);
    SamplerOptions o;
    o.seed = 7;
    o.temperature = 2;
    o.top_k = 20;
    Sampler sampler(o, 40);
    const std::map<int32_t, double> expected = distribution(o, logits);
    ASSERT_GT(expected.size(), 8u);
    std::map<int32_t, int> counts;
    constexpr int kDraws = 200000;
    for (int i = 0; i < kDraws; ++i)
        ++counts[sampler.sample(logits, {}, static_cast<uint32_t>(i % 4), static_cast<uint64_t>(i / 4))];
    double statistic = 0;
    for (const auto& [id, p] : expected) statistic += std::pow(counts[id] - p * kDraws, 2) / (p * kDraws);
    EXPECT_EQ(counts.size(), expected.size());
    const auto degrees = static_cast<double>(expected.size() - 1);
    EXPECT_LT(statistic, degrees + 4 * std::sqrt(2 * degrees));
}

TEST(Sampler, UniformNumbersDependOnSeedSampleAndPosition) {
    double sum = 0;
    for (uint64_t i = 0; i < 10000; ++i) {
        const double u = sample_uniform(1, 0, i);
        ASSERT_TRUE(u >= 0 && u < 1);
        sum += u;
    }
    EXPECT_NEAR(sum / 10000, 0.5, 0.01);
    EXPECT_EQ(sample_uniform(1, 2, 3), sample_uniform(1, 2, 3));
    EXPECT_NE(sample_uniform(1, 2, 3), sample_uniform(2, 2, 3));
    EXPECT_NE(sample_uniform(1, 2, 3), sample_uniform(1, 3, 3));
    EXPECT_NE(sample_uniform(1, 2, 3), sample_uniform(1, 2, 4));
    EXPECT_NE(sample_uniform(1, 2, 3), sample_uniform(1, 2, 3 + (uint64_t{1} << 32)));
}

TEST(Sampler, RefusesOptionsWithoutSense) {
    const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
    const auto refuses = [](auto change) {
        SamplerOptions o;
        change(o);
        EXPECT_THROW(Sampler(o, 10), Error);
    };
    for (const double bad : {-1.0, nan, inf}) refuses([&](SamplerOptions& o) { o.temperature = bad; });
    for (const double bad : {0.0, 1.1, nan}) refuses([&](SamplerOptions& o) { o.top_p = bad; });
    for (const double bad : {-0.1, 1.1, nan}) refuses([&](SamplerOptions& o) { o.min_p = bad; });
    for (const double bad : {0.0, -1.0, nan, inf}) refuses([&](SamplerOptions& o) { o.repeat_penalty = bad; });
    refuses([](SamplerOptions& o) { o.top_k = -1; });
    refuses([](SamplerOptions& o) { o.repeat_last = -2; });
}

TEST(Sampler, RefusesLogitsThatAreNoNumbers) {
    const float nan = std::numeric_limits<float>::quiet_NaN(), inf = std::numeric_limits<float>::infinity();
    Sampler sampler(SamplerOptions(), 3);
    for (const std::vector<float>& bad : {
             std::vector<float>{1,    nan,  2   },
             {nan,  nan,  nan },
             {1,    inf,  2   },
             {-inf, -inf, -inf}
    })
        EXPECT_THROW(sampler.probabilities(bad, {}), Error);
    EXPECT_EQ(sampler.probabilities(std::vector<float>{-inf, 1, -inf}, {}).size(), 1u);
}

TEST(StopFilter, EndsBeforeTheFirstStopStringHoweverTheTextIsCut) {
    const std::string text = "one two three. END of it";
    for (size_t piece = 1; piece <= text.size(); ++piece) {
        StopFilter filter({"nothing", "END", "hree. EN!", "it"});
        std::string shown;
        for (size_t at = 0; at < text.size(); at += piece) shown += filter.push(text.substr(at, piece));
        EXPECT_TRUE(filter.stopped());
        EXPECT_EQ(shown + filter.finish(), "one two three. ");
    }
}

TEST(StopFilter, ShowsAtOnceWhatCannotBecomeAStopString) {
    StopFilter filter({"aab"});
    EXPECT_EQ(filter.push("xa"), "x");
    EXPECT_EQ(filter.push("a"), "");
    EXPECT_EQ(filter.push("a"), "a");
    EXPECT_EQ(filter.push("c"), "aac");
    EXPECT_EQ(filter.push("aa"), "");
    EXPECT_FALSE(filter.stopped());
    EXPECT_EQ(filter.finish(), "aa");
    EXPECT_THROW(StopFilter({""}), Error);
}

TEST(Sampler, WrongUseIsRefused) {
    EXPECT_THROW(Sampler(plain(), 0), Error);
    SamplerOptions options = plain();
    options.repeat_penalty = 2;
    Sampler sampler(options, 5);
    EXPECT_THROW(sampler.probabilities(random_logits(4, 1), {}), Error);
    const std::vector<float> logits = random_logits(5, 1);
    for (const int32_t id : {-1, 5}) EXPECT_THROW(sampler.probabilities(logits, std::vector<int32_t>{id}), Error);
    EXPECT_NO_THROW(sampler.probabilities(logits, std::vector<int32_t>{0, 4}));
}

}  // namespace
}  // namespace nib
