// Adapters in every family: an adapter that adds nothing gives the model's bits; gradients; the same bits on any number of
// threads and computed again; frozen weights of any type; devices.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "core/align.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "family_case.h"
#include "gpt_case.h"
#include "numbers.h"
#include "quant/quantize.h"
#include "ref/kernels.h"
#include "test_errors.h"
#include "train/train_step.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

// A model of random weights, matrices as `type`, and a training of adapters on it.
class LoraCase {
public:
    LoraCase(Backend& backend, const ModelConfig& config, DType type = DType::F32) : backend_(backend), config_(config) {
        std::vector<std::byte> bytes;
        Random random(5);
        base_ = place_weights(config, [&](const ParameterSpec& spec) {
            const bool matrix = spec.shape.rank == 2 && spec.name.find("token_types") == std::string::npos &&
                                spec.name.find("position_embd") == std::string::npos;
            Weight w{
                spec.name, spec.shape, matrix ? type : DType::F32, {0,                        align_up(bytes.size())},
                       {                        },
                       false
            };
            std::vector<float> values(static_cast<size_t>(spec.shape.elements()));
            for (float& x : values) x = (spec.init == ParameterSpec::Init::One ? 1.0f : 0.0f) + random.uniform(-0.3f, 0.3f);
            bytes.resize(w.value.offset + dtype_bytes(w.type, spec.shape.elements()));
            quant::pack(w.type, values.data(), spec.shape.elements(), bytes.data() + w.value.offset);
            return w;
        });
        buffer_ = backend.allocate(bytes.size());
        backend.upload({buffer_, 0}, bytes);
        base_ = at(base_, buffer_);
    }
    ~LoraCase() { backend_.release(buffer_); }
    LoraCase(const LoraCase&) = delete;
    LoraCase& operator=(const LoraCase&) = delete;

    TrainShape shape(const LoraConfig& lora) const {
        TrainShape shape;
        shape.batch = kTexts, shape.time = kLength;
        shape.objectives[0].head = make_model(config_)->heads()[0].name;
        shape.frozen = base_;
        shape.lora = lora;
        return shape;
    }
    const ModelConfig& config() const { return config_; }
    const Weights& base() const { return base_; }
    // Of the base, in the file's order.
    size_t parameters() const { return base_.all().size(); }

private:
    static Weights at(const Weights& weights, int buffer) {
        std::vector<Weight> all = weights.all();
        for (Weight& w : all) w.value.buffer = buffer;
        return Weights(all);
    }

    Backend& backend_;
    const ModelConfig config_;
    int buffer_ = -1;
    Weights base_;
};

std::vector<float> values(const TrainStep& train, Location where, size_t parameter) {
    std::vector<float> v(static_cast<size_t>(train.parameters()[parameter].shape.elements()));
    train.backend().download(where, std::as_writable_bytes(std::span(v)));
    return v;
}

void set(const TrainStep& train, size_t parameter, std::span<const float> v) {
    train.backend().upload(train.locate(parameter, 0), std::as_bytes(v));
}

// Gives both matrices of every adapter numbers of their own.
void randomize(const LoraCase& model, const TrainStep& train) {
    Random random(9);
    for (size_t i = model.parameters(); i < train.parameters().size(); ++i) {
        std::vector<float> v = values(train, train.locate(i, 0), i);
        for (float& x : v) x = random.uniform(-0.3f, 0.3f);
        set(train, i, v);
    }
}

SourceBatch source_of(const ModelConfig& config, const Texts& texts) {
    return config.has_encoder() ? SourceBatch{texts.ids, texts.lengths} : SourceBatch{};
}

const LoraConfig kLora{.rank = 3, .alpha = 4.5};

TEST(Lora, AnAdapterThatAddsNothingGivesTheBitsOfTheModel) {
    const Texts texts;
    for (const KernelTable* table : kernel_tables())
        for (const Architecture* family : architectures())
            for (const DType type : {DType::F32, DType::F16, DType::Q8_0}) {
                if (table == &ref::table) continue;  // it rounds a product once, whatever follows in the same kernel
                SCOPED_TRACE(strprintf("%s %s %s", table->name, family->name, dtype_info(type)->name));
                CpuBackend backend(*table, 2);
                const LoraCase model(backend, small_config(*family), type);
                TrainShape shape = model.shape(kLora);
                TrainStep train(backend, model.config(), shape);
                train.initialise(3);
                for (const auto& [B, T] : {
                         std::pair(kTexts, kLength), {int64_t{1}, int64_t{1}},
                           {int64_t{1}, int64_t{5}}
                }) {
                    const auto n = static_cast<size_t>(B * T);
                    const auto ids = std::span(texts.ids).first(n);
                    const auto lengths = std::span(texts.lengths).first(static_cast<size_t>(B));
                    const bool paired = model.config().has_encoder();
                    if (paired && T < kLength) continue;
                    const SourceBatch source = paired ? SourceBatch{ids, lengths} : SourceBatch{};
                    const auto run = [&](const Weights& weights) {
                        return LogitsGraph(backend, model.config(), weights, B, T, T).run(ids, source);
                    };
                    const std::vector<float> expected = run(model.base());
                    EXPECT_EQ(run(train.weights()), expected);
                    randomize(model, train);
                    EXPECT_NE(run(train.weights()), expected);
                    train.initialise(3);
                }
            }
}

// Along each parameter's own gradient g the loss changes at the rate |g|.
TEST(Lora, Gradients) {
    const Texts texts;
    for (const Architecture* family : architectures())
        for (const float dropout : {0.0f, 0.2f}) {
            SCOPED_TRACE(strprintf("%s, dropout %g", family->name, static_cast<double>(dropout)));
            CpuBackend backend(ref::table, 2);
            ModelConfig config = small_config(*family);
            if (config.act == Act::Relu) config.act = Act::GeluErf;  // without kinks
            const LoraCase model(backend, config);
            LoraConfig lora = kLora;
            lora.dropout = static_cast<double>(dropout) / 2;
            TrainShape shape = model.shape(lora);
            shape.dropout = dropout;
            TrainStep train(backend, model.config(), shape);
            randomize(model, train);
            const SourceBatch source = source_of(model.config(), texts);
            const auto loss = [&] { return train.micro_step(texts.ids, texts.targets, {.seed = 3, .source = source}); };
            EXPECT_EQ(train.parameters().size(), model.parameters() + 2 * lora_parameters(model.config(), lora).size());
            for (size_t i = model.parameters(); i < train.parameters().size(); ++i) {
                loss();
                const std::vector<float> at = values(train, train.locate(i, 0), i), g = values(train, train.gradient(i), i);
                double squares = 0;
                for (const float x : g) squares += static_cast<double>(x) * x;
                const double length = std::sqrt(squares), h = 2e-3;
                ASSERT_GT(length, 1e-5) << train.parameters()[i].name;
                const auto moved = [&](double by) {
                    std::vector<float> v(at);
                    for (size_t j = 0; j < v.size(); ++j) v[j] += static_cast<float>(by * g[j] / length);
                    set(train, i, v);
                    return loss();
                };
                const double rate = (moved(h) - moved(-h)) / (2 * h);
                set(train, i, at);
                EXPECT_NEAR(rate, length, 0.01 * length + 2e-4) << train.parameters()[i].name;
            }
        }
}

struct Learned {
    double first = 0, last = 0;
    std::vector<float> adapters;
};

Learned learn(Backend& backend, const ModelConfig& config, const LoraConfig& lora, bool recompute, int64_t steps,
              DType type = DType::F32, DType activations = DType::F32, float dropout = 0) {
    const LoraCase model(backend, config, type);
    TrainShape shape = model.shape(lora);
    shape.recompute = recompute, shape.activations = activations, shape.dropout = dropout;
    TrainStep train(backend, config, shape);
    train.initialise(1);
    const Texts texts;
    const SourceBatch source = source_of(config, texts);
    const auto loss = [&] {
        return train.evaluate(texts.ids, texts.targets, source).sum / static_cast<double>(train.rows());
    };
    Learned result{loss(), 0, {}};
    for (int64_t step = 0; step < steps; ++step)
        train.last_micro_step(texts.ids, texts.targets, {1, static_cast<uint32_t>(step), {train.rows()}, true, source}, 1,
                              {.step = step, .lr = 1e-2, .weight_decay = 0, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8});
    result.last = loss();
    for (size_t i = model.parameters(); i < train.parameters().size(); ++i) {
        const std::vector<float> v = values(train, train.locate(i, 0), i);
        result.adapters.insert(result.adapters.end(), v.begin(), v.end());
    }
    return result;
}

TEST(Lora, LearnsToTheSameBits) {
    const LoraConfig lora{.rank = 4, .alpha = 6, .dropout = 0.1};
    for (const Architecture* family : architectures()) {
        SCOPED_TRACE(family->name);
        const ModelConfig config = small_config(*family);
        CpuBackend one(kernel_table("auto"), 1);
        const auto trained = [&](Backend& backend, bool recompute) {
            return learn(backend, config, lora, recompute, 20, DType::F32, DType::F32, 0.1f);
        };
        const Learned expected = trained(one, false);
        EXPECT_LT(expected.last, expected.first - 0.3);
        for (const int threads : {2, 3, 4}) {
            CpuBackend several(kernel_table("auto"), threads);
            EXPECT_EQ(trained(several, false).adapters, expected.adapters) << threads << " threads";
        }
        EXPECT_EQ(trained(one, true).adapters, expected.adapters) << "recomputed";
    }
}

TEST(Lora, LearnsOnWeightsOfAnyType) {
    ModelConfig config = small_config(*find_architecture("llama"));
    config.heads = 8, config.kv_heads = 4, config.embd = 256, config.ffn = 256, config.rope.dimensions = 32;
    CpuBackend backend(kernel_table("auto"), 2);
    for (const DType type : {DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
        SCOPED_TRACE(dtype_info(type)->name);
        const Learned result = learn(backend, config, {.rank = 4}, false, 40, type);
        EXPECT_LT(result.last, result.first / 2);
    }
}

struct VulkanLora : Vulkan {};

TEST_F(VulkanLora, LearnsAsTheCpuDoes) {
    const LoraConfig lora{.rank = 4, .alpha = 6, .dropout = 0.1};
    CpuBackend cpu(kernel_table("auto"), 2);
    for (const char* name : {"gpt2", "llama", "bert", "transformer"}) {
        SCOPED_TRACE(name);
        const ModelConfig config = small_config(*find_architecture(name));
        for (const DType type : {DType::F32, DType::Q8_0}) {
            const Learned here = learn(backend(), config, lora, false, 5, type),
                          there = learn(cpu, config, lora, false, 5, type);
            // AdamW takes whole steps also along gradients that rounding decides over; 8-bit activations have more of them.
            EXPECT_LT(relative_error(here.adapters, there.adapters), type == DType::F32 ? 5e-3 : 0.1);
            EXPECT_NEAR(here.last, there.last, 2e-3);
        }
    }
}

TEST_F(VulkanLora, ActivationsOfHalfFloats) {
    const LoraConfig lora{.rank = 3, .alpha = 6};
    for (const char* name : {"gpt2", "openai-gpt", "bert"}) {
        SCOPED_TRACE(name);
        const ModelConfig config = small_config(*find_architecture(name));
        const auto trained = [&](DType activations, bool recompute) {
            return learn(backend(), config, lora, recompute, 10, DType::F32, activations);
        };
        const Learned halves = trained(DType::F16, false), floats = trained(DType::F32, false);
        EXPECT_NEAR(halves.last, floats.last, 0.03);
        EXPECT_EQ(trained(DType::F16, true).adapters, halves.adapters) << "recomputed";
    }
}

TEST(Lora, TargetsByName) {
    const ModelConfig gpt2 = small_config(*find_architecture("gpt2")), llama = small_config(*find_architecture("llama"));
    EXPECT_EQ(lora_targets(gpt2), (std::vector<std::string>{"attn_qkv", "attn_output", "ffn_up", "ffn_down"}));
    const auto pairs = lora_parameters(llama, {
                                                  .rank = 2, .targets = {"attn_v", "attn_q"}
    });
    ASSERT_EQ(pairs.size(), 4u);
    EXPECT_EQ(pairs[0].a.name, "blk.0.attn_q.weight.lora_a");
    EXPECT_EQ(pairs[1].b.name, "blk.0.attn_v.weight.lora_b");
    EXPECT_EQ(pairs[0].a.shape, (Shape{2, 32}));
    EXPECT_EQ(pairs[1].b.shape, (Shape{16, 2}));
    EXPECT_EQ(lora_parameters(gpt2, {.rank = 2}).size(), 8u);
    EXPECT_EQ(lora_parameters(gpt2, {.rank = 2, .targets = {"all"}}).size(), 8u);
    EXPECT_TRUE(lora_parameters(gpt2, {}).empty());
    EXPECT_MENTIONS(error_of([&] { lora_parameters(gpt2, {.rank = 2, .targets = {"attn_q"}}); }),
                    "the model has no linear layers `attn_q`; it has all, attn_qkv, attn_output, ffn_up, ffn_down");
    EXPECT_MENTIONS(error_of([&] { lora_parameters(gpt2, {.rank = -1}); }), "rank of an adapter is -1");
    EXPECT_MENTIONS(error_of([&] { lora_parameters(gpt2, {.rank = 4, .alpha = -1}); }), "alpha of an adapter is -1");
}

TEST(Lora, FirstValuesAreThoseOfPeft) {
    CpuBackend backend(kernel_table("auto"), 1);
    const LoraCase model(backend, small_config(*find_architecture("gpt2")));
    TrainStep train(backend, model.config(), model.shape({.rank = 8}));
    train.initialise(1);
    for (size_t i = model.parameters(); i < train.parameters().size(); ++i) {
        const ParameterSpec& spec = train.parameters()[i];
        const std::vector<float> v = values(train, train.locate(i, 0), i);
        double squares = 0, largest = 0;
        for (const float x : v) squares += static_cast<double>(x) * x, largest = std::max(largest, std::abs(double{x}));
        if (spec.name.ends_with(".lora_b")) {
            EXPECT_EQ(largest, 0) << spec.name;
            continue;
        }
        const double bound = 1 / std::sqrt(static_cast<double>(spec.shape[1]));
        EXPECT_LE(largest, bound) << spec.name;
        EXPECT_NEAR(std::sqrt(squares / static_cast<double>(v.size())), bound / std::sqrt(3.0), 0.1 * bound) << spec.name;
    }
}

// The frozen model is where it is: memory is needed for the adapters alone, four times, and for activations.
TEST(Lora, MemoryOfATraining) {
    CpuBackend backend(kernel_table("auto"), 1);
    const LoraCase model(backend, small_config(*find_architecture("llama")));
    TrainShape shape = model.shape({.rank = 4});
    double values = 0;
    for (const LoraParameter& pair : lora_parameters(model.config(), shape.lora))
        values += static_cast<double>(pair.a.shape.elements() + pair.b.shape.elements());
    const TrainingMemory lora = training_memory(model.config(), shape, backend);
    EXPECT_NEAR(lora.parameters, 4 * 4 * values, 4 * 64.0 * 28);
    EXPECT_GT(training_flops(model.config(), shape), 0);
    shape.frozen = {}, shape.lora = {};
    const TrainingMemory full = training_memory(model.config(), shape, backend);
    EXPECT_LT(lora.parameters, full.parameters / 2);
}

// What goes into adapters is computed again, not kept.
TEST(Lora, MemoryOfActivations) {
    CpuBackend backend(kernel_table("auto"), 1);
    for (const char* name : {"gpt2", "llama", "bert"}) {
        ModelConfig config = small_config(*find_architecture(name));
        config.layers = 12;
        const LoraCase model(backend, config);
        TrainShape shape = model.shape({.rank = 2});
        const double lora = training_memory(config, shape, backend).activations;
        shape.lora.dropout = 0.1;
        const double with_dropout = training_memory(config, shape, backend).activations;
        shape.frozen = {}, shape.lora = {};
        const double full = training_memory(config, shape, backend).activations;
        EXPECT_LT(lora, 0.8 * full) << name;
        EXPECT_LT(with_dropout, 0.85 * full) << name;
    }
}

TEST(Lora, ATrainedModelAndAHeadAreRefused) {
    CpuBackend backend(kernel_table("auto"), 1);
    const LoraCase model(backend, small_config(*find_architecture("gpt2")));
    TrainShape shape = model.shape(kLora);
    shape.frozen = {};
    EXPECT_MENTIONS(error_of([&] { TrainStep(backend, model.config(), shape); }),
                    "adapters are trained on a frozen model, but `token_embd.weight` is not frozen");
    Graph g(Mode::Infer);
    const Weight w = model.base().all()[0];
    const Tensor x = g.input("x", {1, 2, w.shape[1]}, DType::F32), targets = g.input("targets", {1, 2}, DType::I32);
    EXPECT_MENTIONS(error_of([&] {
                        g.cross_entropy(x, {w, {}, {Adapter{w, w}}}, targets);
                    }),
                    "an output head takes no adapters");
}

}  // namespace
}  // namespace nib
