// What a view shows of models of transformers, against what these show: tests/goldens/make_attention_goldens.py.
#include "infer/attention_map.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "gpt_case.h"
#include "infer/encoder.h"
#include "model/convert.h"
#include "model/loaded_model.h"
#include "numbers.h"
#include "test_errors.h"
#include "test_files.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

struct AttentionMaps : Vulkan, testing::WithParamInterface<const char*> {
    AttentionMaps() {
        ConvertRequest request;
        request.input = golden(std::string("transformers/") + GetParam());
        request.output = file;
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
    }

    void expect_view(Backend& backend) {
        const LoadedModel model(file, backend);
        const ModelConfig& c = model.config();
        const auto ids = numbers<int32_t>(expected, "ids");
        TextTokens text{
            {ids.begin(),   ids.end()},
            {             }
        };
        if (expected.find("segments") != nullptr) {
            const auto segments = numbers<int32_t>(expected, "segments");
            text.segments.assign(segments.begin(), segments.end());
        }
        std::vector<int32_t> source;
        if (c.has_encoder()) {
            const auto numbers_of = numbers<int32_t>(expected, "source_ids");
            source.assign(numbers_of.begin(), numbers_of.end());
        }
        const TextView view = view_text(backend, c, model.weights(), text, 4, source);
        ASSERT_EQ(view.maps.size(), c.has_encoder() ? 3u : 1u);
        for (const AttentionMap& map : view.maps) {
            SCOPED_TRACE(map.name);
            EXPECT_EQ(map.queries, map.source_queries ? source : text.ids);
            EXPECT_EQ(map.keys, map.source_keys ? source : text.ids);
            EXPECT_EQ(map.layers, map.source_queries ? c.encoder_layers : c.layers);
            EXPECT_EQ(map.heads, c.heads);
            const auto weights = numbers<float>(
                expected, map.within_one_text() ? (map.source_keys ? "encoder_weights" : "weights") : "cross_weights");
            ASSERT_EQ(map.weights.size(), weights.size());
            for (size_t i = 0; i < weights.size(); ++i) ASSERT_NEAR(map.weights[i], weights[i], 1e-5) << i;
        }
        expect_predictions(view.predictions, static_cast<size_t>(c.vocab));
    }

    void expect_predictions(const LayerPredictions& got, size_t V) {
        const auto logits = numbers<float>(expected, "logits");
        EXPECT_EQ(got.head, std::string(GetParam()).starts_with("bert") ? "mlm" : "lm");
        ASSERT_EQ(got.top, 4u);
        ASSERT_EQ(got.best.size(), logits.size() / V * got.top);
        for (size_t row = 0; row < logits.size() / V; ++row) {
            const std::vector<Ranked> best = most_probable(logits.subspan(row * V, V), V);
            for (size_t i = 0; i < got.top; ++i) {
                const Ranked& one = got.best[row * got.top + i];
                ASSERT_NEAR(one.probability, best[i].probability, 1e-5) << row;
                const bool near_tie = best[i].probability - best[i + 1].probability < 1e-4 ||
                                      (i > 0 && best[i - 1].probability - best[i].probability < 1e-4);
                if (!near_tie) {
                    ASSERT_EQ(one.index, best[i].index) << row;
                }
            }
        }
    }

    TempFolder folder;
    const std::string file = (folder / "m.gguf").string();
    const GgufFile expected = GgufFile::open(golden(std::string("attention/") + GetParam() + ".gguf"));
};

TEST_P(AttentionMaps, AreThoseOfTransformers) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend cpu(*table, 2);
        expect_view(cpu);
    }
    expect_view(backend());
}

INSTANTIATE_TEST_SUITE_P(All, AttentionMaps,
                         testing::Values("gpt1", "gpt2_inverse", "gptneo_local", "llama", "qwen2", "bert_mlm", "marian"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ViewText, TakesWhatItCanShow) {
    CpuBackend backend(kernel_table("auto"), 1);
    ModelConfig config = tiny_config();
    EXPECT_EQ(longest_view(config), config.context);
    const GptCase model(backend, config);
    randomize(model, 8);
    const auto view = [&](std::vector<int32_t> ids, size_t top = 1) {
        return view_text(backend, config, model.weights, {std::move(ids), {}}, top);
    };
    const TextView whole = view(random_tokens(config.context, config.vocab, 1), 99);
    EXPECT_EQ(whole.predictions.top, static_cast<size_t>(config.vocab)) << "more than there are";
    double sum = 0;
    for (const Ranked& one : std::span(whole.predictions.best).first(whole.predictions.top)) sum += one.probability;
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_EQ(view({3}).maps[0].weights, std::vector<float>(static_cast<size_t>(config.layers * config.heads), 1.0f));
    EXPECT_TRUE(view({3}, 0).predictions.head.empty());
    EXPECT_MENTIONS(error_of([&] { view({}); }), "without tokens");
    EXPECT_MENTIONS(error_of([&] { view(std::vector<int32_t>(33)); }), "33 tokens");
    EXPECT_MENTIONS(error_of([&] { view({17}); }), "token 17 is not among the 17");

    // What can be held, and not what a file says.
    config.layers = 64, config.heads = 64, config.context = 4096;
    EXPECT_EQ(longest_view(config), 64);
    config.layers = int64_t{1} << 30, config.heads = int64_t{1} << 30;
    EXPECT_EQ(longest_view(config), 1);
}

// With norms before each part, layers leave their sums without one; the model puts its last norm behind them.
TEST(ViewText, ReadsAPairAsTheModelDoes) {
    CpuBackend backend(kernel_table("auto"), 1);
    ModelConfig config = tiny_config();
    config.arch = "transformer", config.encoder_layers = 3, config.source_vocab = 11;
    config.encoder_decoder.pre_norm = true;
    const GptCase model(backend, config);
    randomize(model, 10);
    const std::vector<int32_t> source = random_tokens(5, 11, 2), ids = random_tokens(4, config.vocab, 3);
    const TextView view = view_text(backend, config, model.weights, {ids, {}}, 1, source);
    ASSERT_EQ(view.maps.size(), 3u);
    EXPECT_EQ(view.maps[0].weights.size(), static_cast<size_t>(3 * config.heads * 5 * 5));
    EXPECT_EQ(view.maps[1].weights.size(), static_cast<size_t>(config.layers * config.heads * 4 * 4));
    EXPECT_EQ(view.maps[2].weights.size(), static_cast<size_t>(config.layers * config.heads * 4 * 5));
    const std::vector<int32_t> lengths = {5};
    const std::vector<float> logits =
        LogitsGraph(backend, config, model.weights, 1, 4, 5).run(ids, SourceBatch{source, lengths});
    const std::span<const Ranked> last = std::span(view.predictions.best).last(4);
    for (size_t t = 0; t < 4; ++t) {
        const auto V = static_cast<size_t>(config.vocab);
        const Ranked right = most_probable(std::span(logits).subspan(t * V, V), 1)[0];
        EXPECT_EQ(last[t].index, right.index);
        EXPECT_NEAR(last[t].probability, right.probability, 1e-6);
    }

    const auto error = [&](std::vector<int32_t> from) {
        return error_of([&] { view_text(backend, config, model.weights, {ids, {}}, 1, from); });
    };
    EXPECT_MENTIONS(error({}), "a source without tokens");
    EXPECT_MENTIONS(error({11}), "token 11 is not among the 11");
    EXPECT_MENTIONS(error(std::vector<int32_t>(33)), "a source has 33 tokens");
    config = tiny_config();
    EXPECT_MENTIONS(error({1}), "reads no source");
}

// Damaged weights give an error, not a page of nonsense.
TEST(ViewText, ResultsThatAreNoNumbersAreRefused) {
    CpuBackend backend(kernel_table("auto"), 1);
    const ModelConfig config = tiny_config();
    const GptCase model(backend, config);
    for (const float damaged : {NAN, INFINITY}) {
        randomize(model, 8);
        const std::vector<float> values(static_cast<size_t>(config.embd), damaged);
        for (const Weight& w : model.weights.all())
            if (w.name == "output_norm.weight") backend.upload(w.value, std::as_bytes(std::span(values)));
        EXPECT_MENTIONS(error_of([&] {
                            view_text(backend, config, model.weights,
                                      {
                                          {1,                                           2},
                                          {                                           }
                            },
                                      1);
                        }),
                        "is not a number");
        SequenceEncoder encoder(backend, config, model.weights);
        const std::vector<TextTokens> texts = {
            {{1, 2}, {}}
        };
        EXPECT_MENTIONS(error_of([&] { encoder.embed(texts, Pooling::Mean, true); }), "is not a number");
    }
}

TEST(ViewText, ModelsWithoutAHeadForTokensPredictNothing) {
    CpuBackend backend(kernel_table("auto"), 1);
    ModelConfig config = tiny_config();
    config.arch = "bert", config.segments = 2;
    config.task_heads = {
        {"tag", 3, {}}
    };
    const GptCase model(backend, config);
    randomize(model, 9);
    const TextView view = view_text(backend, config, model.weights,
                                    {
                                        {1,                                         2},
                                        {                                         }
    },
                                    5);
    EXPECT_TRUE(view.predictions.head.empty());
    EXPECT_EQ(view.maps[0].weights.size(), static_cast<size_t>(config.layers * config.heads * 4));
}

}  // namespace
}  // namespace nib
