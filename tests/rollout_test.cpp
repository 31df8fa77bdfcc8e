// Many texts written side by side, and the probabilities of their tokens.
#include "infer/rollout.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "infer/encoder.h"
#include "infer/probabilities.h"
#include "infer/token_weights.h"
#include "test_errors.h"
#include "tiny_model_case.h"

namespace nib {
namespace {

using namespace test;

class RolloutTest : public TinyModelTest {
protected:
    // Log-probabilities of what follows the prompt, by evaluation of the whole text.
    std::vector<float> direct(const std::vector<int32_t>& prompt, const std::vector<int32_t>& text) {
        std::vector<int32_t> ids = prompt;
        ids.insert(ids.end(), text.begin(), text.end());
        const std::vector<float> logits = direct_logits(ids);
        std::vector<float> logp;
        for (size_t t = prompt.size(); t < ids.size(); ++t) {
            const auto before = row(logits, t - 1);
            logp.push_back(
                static_cast<float>(static_cast<double>(before[static_cast<size_t>(ids[t])]) - log_sum_exp(before)));
        }
        return logp;
    }
};

TEST_F(RolloutTest, ProbabilitiesAreThoseOfTheModel) {
    const std::vector<int32_t> a = random_ids(5), b = random_ids(3, 7);
    const std::vector<std::vector<int32_t>> prompts = {a, a, a, b, b, a};
    for (const int64_t slots : {1, 4, 8}) {
        SCOPED_TRACE(slots);
        Engine engine(backend_, config_, weights_, {.slots = slots});
        const std::vector<Rollout> texts = roll_out(engine, *tokenizer_, prompts, {.longest = 12, .ends = {3}, .seed = 5});
        ASSERT_EQ(texts.size(), prompts.size());
        for (size_t i = 0; i < texts.size(); ++i) {
            const Rollout& text = texts[i];
            EXPECT_EQ(text.ended, text.ids.back() == 3);
            EXPECT_TRUE(text.ended || text.ids.size() == 12);
            EXPECT_EQ(std::count(text.ids.begin(), text.ids.end(), 3), text.ended ? 1 : 0);
            expect_near(direct(prompts[i], text.ids), text.logp);
        }
        EXPECT_NE(texts[0].ids, texts[1].ids);
    }
}

TEST_F(RolloutTest, TheSameTextsWithAnyNumberOfSlots) {
    const std::vector<std::vector<int32_t>> prompts(6, random_ids(4));
    Engine one(backend_, config_, weights_, {.slots = 1}), many(backend_, config_, weights_, {.slots = 6});
    const RolloutOptions options{.longest = 8, .seed = 9};
    const auto apart = roll_out(one, *tokenizer_, prompts, options),
               together = roll_out(many, *tokenizer_, prompts, options);
    for (size_t i = 0; i < prompts.size(); ++i) EXPECT_EQ(apart[i].ids, together[i].ids) << i;
    // The numbers of texts go on where a later call begins.
    const auto later = roll_out(many, *tokenizer_, std::span(prompts).first(2), {.longest = 8, .seed = 9, .first = 4});
    EXPECT_EQ(later[0].ids, together[4].ids);
    EXPECT_EQ(later[1].ids, together[5].ids);
}

TEST_F(RolloutTest, TokensComeAsOftenAsTheyAreProbable) {
    const std::vector<int32_t> prompt = random_ids(4);
    const std::vector<float> logits = direct_logits(prompt);
    const auto last = row(logits, 3);
    std::vector<int> counts(last.size());
    Engine engine(backend_, config_, weights_, {.slots = 16});
    constexpr int kTexts = 4000;
    for (const Rollout& text : roll_out(engine, *tokenizer_, std::vector(kTexts, prompt), {.longest = 1, .seed = 1}))
        ++counts[static_cast<size_t>(text.ids[0])];
    for (size_t v = 0; v < last.size(); ++v) {
        const double p = std::exp(static_cast<double>(last[v]) - log_sum_exp(last)), mean = kTexts * p;
        EXPECT_LE(std::abs(counts[v] - mean), 5 * std::sqrt(mean * (1 - p)) + 1) << v;
    }
}

TEST_F(RolloutTest, Greedy) {
    const std::vector<std::vector<int32_t>> prompts = {random_ids(4)};
    Engine engine(backend_, config_, weights_);
    const auto text = roll_out(engine, *tokenizer_, prompts, {.longest = 5, .greedy = true})[0];
    std::vector<int32_t> ids = prompts[0];
    for (const int32_t token : text.ids) {
        const std::vector<float> logits = direct_logits(ids);
        const auto last = row(logits, ids.size() - 1);
        EXPECT_EQ(token, std::max_element(last.begin(), last.end()) - last.begin());
        ids.push_back(token);
    }
}

TEST_F(RolloutTest, RefusesWhatDoesNotFit) {
    Engine engine(backend_, config_, weights_);
    const std::vector<std::vector<int32_t>> none = {{}}, full = {random_ids(30)};
    EXPECT_MENTIONS(error_of([&] { roll_out(engine, *tokenizer_, none, {}); }), "0 tokens");
    EXPECT_MENTIONS(error_of([&] { roll_out(engine, *tokenizer_, full, {.longest = 12}); }),
                    "30 tokens and 12 more do not fit into a context of 40");
    EXPECT_EQ(roll_out(engine, *tokenizer_, full, {.longest = 11})[0].ids.size(), 11u);
}

TEST_F(RolloutTest, LogProbabilitiesOfAnyPlaces) {
    SequenceEncoder all(backend_, config_, weights_), few(backend_, config_, weights_, 45);
    std::vector<TextTokens> texts;
    for (const size_t size : {7, 30, 2, 40}) texts.push_back({random_ids(size, static_cast<unsigned>(size)), {}});
    std::vector<TokenPlace> places;
    std::vector<float> expected;
    for (size_t i = 0; i < texts.size(); ++i) {
        const auto& ids = texts[i].ids;
        const std::vector<float> logp = direct({ids[0]}, {ids.begin() + 1, ids.end()});
        for (int64_t t = std::ssize(ids) - 1; t > 0; --t) {
            places.push_back({i, t});
            expected.push_back(logp[static_cast<size_t>(t) - 1]);
        }
    }
    expect_near(expected, all.log_probs(texts, places));
    expect_near(expected, few.log_probs(texts, places));
    const TokenPlace first[] = {
        {0, 0}
    };
    EXPECT_MENTIONS(error_of([&] { all.log_probs(texts, first); }), "nothing predicts the first token");
}

TEST(TokenWeights, AreTheSoftmax) {
    std::vector<float> logits;
    for (int v = 0; v < 131; ++v) logits.push_back(std::sin(static_cast<float>(v)) * 5);  // more than two blocks
    TokenWeights weights(logits.size());
    weights.set(logits);
    const double all = log_sum_exp(logits);
    for (size_t v = 0; v < logits.size(); ++v)
        EXPECT_NEAR(weights.log_probability(logits, v), static_cast<double>(logits[v]) - all, 1e-6);
    // Each token has the stretch of its probability, one behind the other.
    double begin = 0;
    for (size_t v = 0; v < logits.size(); ++v) {
        const double share = std::exp(static_cast<double>(logits[v]) - all);
        EXPECT_EQ(weights.draw(begin + share / 2), v);
        begin += share;
    }
    const size_t most = weights.most_probable();
    EXPECT_EQ(most, static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    weights.exclude(most);
    EXPECT_NE(weights.most_probable(), most);
    for (int i = 0; i < 100; ++i) EXPECT_NE(weights.draw(i / 100.0), most);
    EXPECT_LT(weights.draw(0.99999999999999), logits.size());
    logits[7] = NAN;
    EXPECT_MENTIONS(error_of([&] { weights.set(logits); }), "not a number");
}

}  // namespace
}  // namespace nib
