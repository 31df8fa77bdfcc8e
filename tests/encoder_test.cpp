// Whole texts through a model, side by side.
#include "infer/encoder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "gpt_case.h"
#include "numbers.h"
#include "test_errors.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

ModelConfig tiny_bert() {
    ModelConfig c;
    c.arch = "bert";
    const Architecture& family = *find_architecture(c.arch);
    family.defaults(c);
    c.layers = 2, c.heads = 2, c.embd = 16, c.context = 40, c.vocab = 23, c.ffn = 24, c.pooler = true;
    c.task_heads = {
        {"mlm",   23, {}},
        {"class", 3,  {}},
        {"tag",   4,  {}}
    };
    family.complete(c);
    return c;
}

std::vector<TextTokens> random_texts(const ModelConfig& c, std::initializer_list<int64_t> lengths) {
    std::vector<TextTokens> texts;
    for (const int64_t T : lengths) {
        TextTokens text{random_tokens(T, c.vocab, static_cast<uint64_t>(T)), {}};
        for (int64_t t = 0; T % 2 == 0 && c.segments > 0 && t < T; ++t) text.segments.push_back(t >= T / 2);
        texts.push_back(text);
    }
    return texts;
}

std::vector<std::vector<float>> hidden_of(SequenceEncoder& encoder, std::span<const TextTokens> texts) {
    std::vector<std::vector<float>> all(texts.size());
    encoder.hidden(texts, [&](size_t i, std::span<const float> rows) { all[i].assign(rows.begin(), rows.end()); });
    return all;
}

// Of an encoder and of a decoder, with passes that hold all texts, some, and one.
TEST(SequenceEncoder, TextsDoNotSeeEachOther) {
    CpuBackend backend(kernel_table("auto"), 2);
    for (const ModelConfig& config : {tiny_bert(), test::tiny_config(), tiny_llama()}) {
        SCOPED_TRACE(config.arch);
        const GptCase model(backend, config);
        randomize(model, 4);
        const std::vector<TextTokens> texts = random_texts(config, {3, 20, 1, 32, 7, 7, 31, 2});
        SequenceEncoder together(backend, config, model.weights), some(backend, config, model.weights, 45);
        const auto all = hidden_of(together, texts), parts = hidden_of(some, texts);
        for (size_t i = 0; i < texts.size(); ++i) {
            SequenceEncoder alone(backend, config, model.weights);
            const auto one = hidden_of(alone, std::span(texts).subspan(i, 1));
            EXPECT_LE(relative_error(all[i], one[0]), 1e-5) << i;
            EXPECT_LE(relative_error(parts[i], one[0]), 1e-5) << i;
        }
    }
}

TEST(SequenceEncoder, LogitsOfAnyPlaces) {
    CpuBackend backend(kernel_table("auto"), 2);
    const ModelConfig config = tiny_bert();
    const GptCase model(backend, config);
    randomize(model, 5);
    SequenceEncoder encoder(backend, config, model.weights);
    const std::vector<TextTokens> texts = random_texts(config, {5, 12, 9});
    for (const Head& head : encoder.model().heads()) {
        SCOPED_TRACE(head.name);
        const auto N = static_cast<size_t>(head.outputs);
        const std::vector<TokenPlace> places = SequenceEncoder::places_of(head, texts);
        EXPECT_EQ(places.size(), head.rows == HeadRows::Every ? 26u : 3u);
        const std::vector<float> all = encoder.logits(head.name, texts, places);
        std::vector<TokenPlace> backwards(places.rbegin(), places.rend());
        const std::vector<float> reversed = encoder.logits(head.name, texts, backwards);
        for (size_t i = 0; i < places.size(); ++i)
            EXPECT_LE(relative_error(std::span(all).subspan(i * N, N),
                                     std::span(reversed).subspan((places.size() - 1 - i) * N, N)),
                      1e-6);
    }
    EXPECT_TRUE(encoder.logits("tag", texts, {}).empty());
    const TokenPlace beyond[] =
        {
            {0, 5}
    },
                     nowhere[] = {{3, 0}}, before[] = {{0, -1}};
    for (const auto& wrong : {beyond, nowhere, before})
        EXPECT_MENTIONS(error_of([&] { encoder.logits("tag", texts, {wrong, 1}); }), "there is no token");
    EXPECT_MENTIONS(error_of([&] { encoder.logits("span", texts, {}); }), "no head `span`; it has mlm, class, tag");
}

TEST(SequenceEncoder, RefusesWhatTheModelCannotRead) {
    CpuBackend backend(kernel_table("auto"), 1);
    const ModelConfig config = tiny_bert();
    const GptCase model(backend, config);
    randomize(model, 6);
    SequenceEncoder encoder(backend, config, model.weights);
    const auto error = [&](const TextTokens& text) {
        return error_of([&] { encoder.embed(std::span(&text, 1), Pooling::Mean, true); });
    };
    EXPECT_MENTIONS(error({}), "without tokens");
    EXPECT_MENTIONS(error({std::vector<int32_t>(41), {}}), "41 tokens, but the model's context has room for 40");
    EXPECT_MENTIONS(error({
                        {1,                         23},
                        {                         }
    }),
                    "token 23 is not among the 23");
    EXPECT_MENTIONS(error({
                        {1,                         -1},
                        {                         }
    }),
                    "token -1");
    EXPECT_MENTIONS(error({
                        {1, 2},
                        {0, 2}
    }),
                    "segment 2 is not among the 2");
    EXPECT_MENTIONS(error({
                        {1, 2},
                        {0}
    }),
                    "segments of 1");
    EXPECT_MENTIONS(error_of([&] { SequenceEncoder(backend, config, model.weights, -1); }), "-1 rows");
    EXPECT_TRUE(encoder.embed({}, Pooling::Mean, true).empty());
}

TEST(Pool, Formulas) {
    const std::vector<float> rows{1, -4, 3, 8, 2, -1};  // (3,2)
    std::vector<float> out(2);
    const auto pooled = [&](Pooling pooling, bool normalize = false) {
        pool(rows, pooling, normalize, out);
        return out;
    };
    EXPECT_EQ(pooled(Pooling::Mean), (std::vector<float>{2, 1}));
    EXPECT_EQ(pooled(Pooling::Max), (std::vector<float>{3, 8}));
    EXPECT_EQ(pooled(Pooling::Cls), (std::vector<float>{1, -4}));
    EXPECT_EQ(pooled(Pooling::Last), (std::vector<float>{2, -1}));
    pooled(Pooling::Last, true);
    EXPECT_NEAR(out[0], 2 / std::sqrt(5.0), 1e-7);
    EXPECT_NEAR(out[1], -1 / std::sqrt(5.0), 1e-7);
    pool(std::vector<float>(4), Pooling::Mean, true, out);
    EXPECT_EQ(out, std::vector<float>(2)) << "of zeros stays zero";
    EXPECT_MENTIONS(error_of([&] { pooled(Pooling::None); }), "no pooling");
    EXPECT_MENTIONS(error_of([&] { pool({}, Pooling::Mean, true, out); }), "no pooling of 0 rows");
}

struct VulkanEncoder : Vulkan {};

TEST_F(VulkanEncoder, AgreesWithTheCpu) {
    const ModelConfig config = tiny_bert();
    CpuBackend cpu(kernel_table("auto"), 2);
    const GptCase here(cpu, config), there(backend(), config);
    randomize(here, 7), randomize(there, 7);
    SequenceEncoder on_cpu(cpu, config, here.weights), on_gpu(backend(), config, there.weights);
    const std::vector<TextTokens> texts = random_texts(config, {3, 20, 1, 32, 7});
    EXPECT_LE(relative_error(on_gpu.embed(texts, Pooling::Mean, true), on_cpu.embed(texts, Pooling::Mean, true)), 1e-5);
    for (const Head& head : on_cpu.model().heads()) {
        const auto places = SequenceEncoder::places_of(head, texts);
        EXPECT_LE(relative_error(on_gpu.logits(head.name, texts, places), on_cpu.logits(head.name, texts, places)), 1e-5)
            << head.name;
    }
}

}  // namespace
}  // namespace nib
