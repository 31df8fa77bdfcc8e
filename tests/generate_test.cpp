// Models that write: samples, the end of the context, stop strings and end tokens.
#include "infer/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "text/utf8.h"
#include "tiny_model_case.h"

namespace nib {
namespace {

using namespace test;

class GenerateTest : public TinyModelTest {
protected:
    using TinyModelTest::TinyModelTest;

    GenerateResult write(Engine& engine, const std::vector<int32_t>& prompt, const GenerateOptions& options,
                         std::vector<std::string>& texts) const {
        texts.assign(static_cast<size_t>(engine.slots()), "");
        return generate(engine, *tokenizer_, prompt, options, [&](size_t s, std::string_view text) { texts[s] += text; });
    }
};

TEST_F(GenerateTest, SamplesEqualSingleOnes) {
    GenerateOptions options;
    options.count = 60;  // past the context
    options.sampler.seed = 3;
    options.sampler.temperature = 1;
    const std::vector<int32_t> prompt = random_ids(5);
    std::vector<std::string> one, three;
    Engine single(backend_, config_, weights_), several(backend_, config_, weights_, {.slots = 3});
    write(single, prompt, options, one);
    const GenerateResult result = write(several, prompt, options, three);
    EXPECT_EQ(one[0], three[0]);
    EXPECT_NE(three[0], three[1]);
    EXPECT_NE(three[1], three[2]);
    EXPECT_EQ(one[0].size(), 60u);
    EXPECT_EQ(result.decoded_tokens, 3 * 59);
    EXPECT_EQ(result.prompt_tokens, 5);
    write(single, prompt, options, three);
    EXPECT_EQ(one, three);  // the same seed, the same text, in an engine that was used before
}

// Greedy text by evaluation from scratch, with the rule of the context written out.
TEST_F(GenerateTest, PastTheContext) {
    for (const Overflow overflow : {Overflow::Half, Overflow::Slide, Overflow::Stop}) {
        GenerateOptions options;
        options.count = 100;
        options.overflow = overflow;
        options.sampler.temperature = 0;
        const std::vector<int32_t> prompt = random_ids(7);
        std::vector<int32_t> seen = prompt;
        std::string expected;
        for (int64_t i = 0; i < options.count; ++i) {
            const std::vector<float> logits = direct_logits(seen);
            const std::span<const float> last = row(logits, seen.size() - 1);
            const auto best = static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin());
            expected += tokenizer_->decode(best);
            if (seen.size() == kContext) {
                if (overflow == Overflow::Stop) break;
                seen.erase(seen.begin(), seen.begin() + (overflow == Overflow::Half ? kContext / 2 : 1));
            }
            seen.push_back(best);
        }
        for (const int64_t samples : {1, 2}) {
            Engine engine(backend_, config_, weights_, {.slots = samples});
            std::vector<std::string> texts;
            const GenerateResult result = write(engine, prompt, options, texts);
            for (const std::string& text : texts) EXPECT_EQ(text, expected);
            for (const auto& sample : result.samples) EXPECT_EQ(sample.full, overflow == Overflow::Stop);
        }
    }
}

TEST_F(GenerateTest, OfALongPromptTheEndIsRead) {
    GenerateOptions options;
    options.count = 1;
    options.sampler.temperature = 0;
    const std::vector<int32_t> prompt = random_ids(100);
    Engine engine(backend_, config_, weights_);
    std::vector<std::string> whole, end;
    EXPECT_EQ(write(engine, prompt, options, whole).prompt_tokens, kContext);
    write(engine, {prompt.end() - kContext, prompt.end()}, options, end);
    EXPECT_EQ(whole, end);
}

TEST_F(GenerateTest, WhatIsCachedIsNotEvaluatedAgain) {
    GenerateOptions options;
    options.count = 8;
    const std::vector<int32_t> prompt = random_ids(20);
    Engine engine(backend_, config_, weights_, {.slots = 2});
    std::vector<std::string> whole, cached;
    EXPECT_EQ(write(engine, prompt, options, whole).prompt_tokens, 20);
    options.cached = 19;
    EXPECT_EQ(write(engine, prompt, options, cached).prompt_tokens, 1);
    EXPECT_EQ(whole, cached);
    for (const int64_t wrong : {int64_t{-1}, int64_t{20}, INT64_MAX}) {
        options.cached = wrong;
        EXPECT_THROW(write(engine, prompt, options, cached), Error);
    }
    options.cached = 1;
    EXPECT_THROW(write(engine, random_ids(kContext + 1), options, cached), Error);  // its beginning is not read
}

TEST_F(GenerateTest, Cancelled) {
    GenerateOptions options;
    options.count = 30;
    const std::vector<int32_t> prompt = random_ids(5);
    Engine engine(backend_, config_, weights_);
    std::vector<std::string> whole, some;
    write(engine, prompt, options, whole);
    int asked = 0;
    options.cancelled = [&] { return ++asked > 9; };
    write(engine, prompt, options, some);
    EXPECT_EQ(some[0], whole[0].substr(0, 10));
    EXPECT_EQ(engine.length(0), 14);  // the last token is not evaluated
}

class LongContextTest : public GenerateTest {
protected:
    LongContextTest() : GenerateTest(2000) {}
};

TEST_F(LongContextTest, CancelledWithinThePrompt) {
    GenerateOptions options;
    int asked = 0;
    options.cancelled = [&] { return ++asked > 1; };
    Engine engine(backend_, config_, weights_);
    std::vector<std::string> texts;
    const GenerateResult result = write(engine, random_ids(1500), options, texts);
    EXPECT_TRUE(texts[0].empty());
    EXPECT_TRUE(result.samples[0].ids.empty());
    EXPECT_EQ(engine.length(0), 512);
}

class TinyContextTest : public GenerateTest {
protected:
    TinyContextTest() : GenerateTest(1) {}
};

TEST_F(TinyContextTest, AContextOfOneTokenStillWrites) {
    GenerateOptions options;
    options.count = 10;
    Engine engine(backend_, config_, weights_, {.slots = 2});
    std::vector<std::string> texts;
    write(engine, random_ids(3), options, texts);
    EXPECT_EQ(texts[0].size(), 10u);
    EXPECT_EQ(texts[1].size(), 10u);
}

TEST_F(GenerateTest, StopStringsEndOneSample) {
    GenerateOptions options;
    options.count = 30;
    options.sampler.temperature = 1;
    const std::vector<int32_t> prompt = random_ids(4);
    Engine engine(backend_, config_, weights_, {.slots = 2});
    std::vector<std::string> whole, stopped;
    write(engine, prompt, options, whole);
    options.stop = {whole[0].substr(12, 4)};
    const GenerateResult result = write(engine, prompt, options, stopped);
    const size_t at = whole[0].find(options.stop[0]);
    EXPECT_EQ(stopped[0], whole[0].substr(0, at));
    EXPECT_TRUE(result.samples[0].stopped);
    EXPECT_EQ(result.samples[0].ids.size(), static_cast<size_t>(at) + 4);
    EXPECT_EQ(stopped[1], whole[1].substr(0, whole[1].find(options.stop[0])));
}

TEST_F(GenerateTest, TheEndTokenEndsOneSample) {
    GenerateOptions options;
    options.count = 30;
    options.sampler.temperature = 1;
    const std::vector<int32_t> prompt = random_ids(4);
    Engine engine(backend_, config_, weights_, {.slots = 2});
    std::vector<std::string> whole, ended;
    const GenerateResult free = write(engine, prompt, options, whole);
    options.ends = {-1, free.samples[0].ids[11]};
    const GenerateResult result = write(engine, prompt, options, ended);
    for (size_t s = 0; s < 2; ++s) {
        std::vector<int32_t> expected = free.samples[s].ids;
        const auto end = std::find(expected.begin(), expected.end(), options.ends[1]);
        const bool stopped = end != expected.end();
        if (stopped) expected.erase(end + 1, expected.end());
        EXPECT_EQ(result.samples[s].ids, expected);
        EXPECT_EQ(result.samples[s].stopped, stopped);
        EXPECT_EQ(ended[s], whole[s].substr(0, expected.size() - stopped));
    }
    EXPECT_TRUE(result.samples[0].stopped);
}

// Two tokens make one character: what the prompt has begun is shown when it is whole, and never half of it.
TEST_F(GenerateTest, CharactersAreWhole) {
    struct HalvesTokenizer : Tokenizer {
        std::vector<int32_t> encode(std::string_view, const EncodeOptions&) const override { return {}; }
        std::string decode(int32_t id) const override { return id % 2 == 0 ? "\xC3" : "\xA9"; }
        int32_t vocab_size() const override { return 23; }
        const char* kind() const override { return "halves"; }
    };
    GenerateOptions options;
    options.count = 60;
    options.sampler.temperature = 3;
    Engine engine(backend_, config_, weights_);
    std::string shown, bytes = "\xC3";
    const std::vector<int32_t> prompt = {1, 2};
    const GenerateResult result = generate(engine, HalvesTokenizer(), prompt, options, [&](size_t, std::string_view text) {
        EXPECT_EQ(find_invalid(text), std::string_view::npos);
        shown += text;
    });
    for (const int32_t id : result.samples[0].ids) bytes += HalvesTokenizer().decode(id);
    Utf8Streamer characters;
    EXPECT_EQ(shown, characters.push(bytes) + characters.finish());
}

TEST_F(GenerateTest, NoTokensAreAskedFor) {
    GenerateOptions options;
    options.count = 0;
    Engine engine(backend_, config_, weights_);
    std::vector<std::string> texts;
    EXPECT_EQ(write(engine, random_ids(4), options, texts).samples[0].ids.size(), 0u);
    EXPECT_EQ(texts[0], "");
}

}  // namespace
}  // namespace nib
