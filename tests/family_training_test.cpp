// What every family of the table must do in training: learn texts by heart, on every device, to the same bits however many
// threads there are and whether activations are kept or computed again, and go on exactly where it was interrupted.
#include <gtest/gtest.h>

#include <vector>

#include "family_case.h"
#include "numbers.h"
#include "tiny_training.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

constexpr int64_t kSteps = 150;

struct Learned {
    double loss = 0;
    std::vector<float> weights;
};

Learned learn(Backend& backend, const ModelConfig& config, bool recompute, int64_t steps, DType activations = DType::F32) {
    TrainShape shape;
    shape.batch = kTexts, shape.time = kLength, shape.recompute = recompute, shape.activations = activations;
    shape.objectives[0].head = make_model(config)->heads()[0].name;
    TrainStep train(backend, config, shape);
    train.initialise(1);
    const Texts texts;
    const SourceBatch source = config.has_encoder() ? SourceBatch{texts.ids, texts.lengths} : SourceBatch{};
    for (int64_t step = 0; step < steps; ++step)
        train.last_micro_step(texts.ids, texts.targets, {1, static_cast<uint32_t>(step), {train.rows()}, true, source}, 1,
                              {.step = step, .lr = 1e-2, .weight_decay = 0, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8});
    Learned result;
    result.loss = train.evaluate(texts.ids, texts.targets, source).sum / static_cast<double>(train.rows());
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        std::vector<float> values(static_cast<size_t>(train.parameters()[i].shape.elements()));
        backend.download(train.locate(i, 0), std::as_writable_bytes(std::span(values)));
        result.weights.insert(result.weights.end(), values.begin(), values.end());
    }
    return result;
}

TEST(FamilyTraining, LearnsByHeartToTheSameBits) {
    for (const Architecture* family : architectures()) {
        SCOPED_TRACE(family->name);
        const ModelConfig config = small_config(*family);
        CpuBackend one(kernel_table("auto"), 1);
        const Learned expected = learn(one, config, false, kSteps);
        EXPECT_LT(expected.loss, 0.05);
        for (const int threads : {2, 3}) {
            CpuBackend several(kernel_table("auto"), threads);
            EXPECT_EQ(learn(several, config, false, kSteps).weights, expected.weights) << threads << " threads";
        }
        EXPECT_EQ(learn(one, config, true, kSteps).weights, expected.weights) << "recomputed";
    }
}

struct VulkanFamilyTraining : Vulkan {};

TEST_F(VulkanFamilyTraining, LearnsByHeart) {
    CpuBackend cpu(kernel_table("auto"), 2);
    for (const Architecture* family : architectures()) {
        SCOPED_TRACE(family->name);
        const ModelConfig config = small_config(*family);
        EXPECT_LT(learn(backend(), config, false, kSteps).loss, 0.05);
        const Learned kept = learn(backend(), config, false, 5), again = learn(backend(), config, true, 5);
        EXPECT_EQ(kept.weights, again.weights) << "recomputed";
        EXPECT_LT(relative_error(kept.weights, learn(cpu, config, false, 5).weights), 1e-3);
    }
}

// Where norms come after the sums, what goes on as the residual stream stays in floats.
TEST_F(VulkanFamilyTraining, ActivationsOfHalfFloatsWhereNormsComeAfterTheSums) {
    for (const char* name : {"openai-gpt", "bert", "transformer"}) {
        SCOPED_TRACE(name);
        const ModelConfig config = small_config(*find_architecture(name));
        EXPECT_LT(learn(backend(), config, false, kSteps, DType::F16).loss, 0.06);
        const Learned halves = learn(backend(), config, false, 5, DType::F16);
        EXPECT_LT(relative_error(halves.weights, learn(backend(), config, false, 5).weights), 0.05);
        EXPECT_EQ(halves.weights, learn(backend(), config, true, 5, DType::F16).weights) << "recomputed";
    }
}

struct FamilyResume : TinyTraining {
    // Lines of a source, a tab and a target.
    std::string pairs() const {
        std::string text;
        for (int i = 0; i < 60; ++i) text += std::to_string(7 * i) + "\t" + std::to_string(i * i) + "\n";
        put("pairs.tsv", text);
        return (folder_ / "pairs.tsv").string();
    }
};

TEST_F(FamilyResume, GoesOnExactly) {
    for (const Architecture* family : architectures()) {
        const std::string name = family->name;
        TrainRequest whole = request(name + "_whole");
        whole.options.arch = name;
        if (family->has_encoder) whole.inputs = {pairs()};
        whole.options.window = family->may_be_local ? 3 : 0;
        whole.options.iters = whole.options.decay_iters = 12;
        whole.options.save_every = whole.options.eval_every = 4;
        whole.options.dropout = 0.1;
        whole.given = {"decay-iters", "save-every"};
        run(whole);
        TrainRequest part = whole;
        part.output = (folder_ / (name + "_part")).string();
        part.options.iters = 5;
        run(part);
        part.resume = true;
        part.options.iters = 12;
        part.given = {"iters"};
        run(part);
        EXPECT_EQ(get(name + "_part.gguf"), get(name + "_whole.gguf")) << name;
        EXPECT_EQ(get(name + "_part.state.gguf"), get(name + "_whole.state.gguf")) << name;
    }
}

}  // namespace
}  // namespace nib
