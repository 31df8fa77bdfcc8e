// Models on a Vulkan device against the CPU.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "engine_steps.h"
#include "gpt_case.h"
#include "infer/engine.h"
#include "numbers.h"
#include "vulkan_device.h"

// Drivers keep some memory to themselves. Objects of theirs that nib forgets are reported by the validation layer.
extern "C" const char* __lsan_default_suppressions() { return "leak:libvulkan\nleak:libVkLayer\nleak:libLLVM\n"; }

namespace nib {
namespace {

using namespace test;

// GPT-2's embedding in f32 is 147 MiB; a shader may bind 128 MiB on many devices.
TEST_F(Vulkan, AMatrixLargerThanABinding) {
    constexpr int64_t V = 50257, C = 768;
    std::vector<float> table(V * C);
    for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i * 2654435761u % 1048573) * 0x1p-20f - 0.5f;
    const int weights = backend().map_weights(std::as_bytes(std::span(table)));
    const std::vector<int32_t> ids = {0, 43689, 43690, 43691, 50256, 7};
    const auto R = static_cast<int64_t>(ids.size());
    const Weight wte{
        "wte", {V,  C},
         DType::F32, {weights,  0},
         {  }
    };
    Graph g(Mode::Infer);
    const Tensor in = g.input("ids", {1, R}, DType::I32), row = g.input("row", {1}, DType::I32);
    const Tensor x = g.output(g.embed({in}, {wte}));
    const Tensor all = g.output(g.linear(x, {wte, {}}));
    const Tensor one = g.output(g.linear(g.gather(x, row), {wte, {}}));
    {
        const Plan plan = compile(std::move(g), backend());
        plan.set<int32_t>(in, ids);
        plan.set<int32_t>(row, std::vector<int32_t>{2});
        plan.run({});
        std::vector<float> got(static_cast<size_t>(R * C)), logits(static_cast<size_t>(R * V)), last(V);
        plan.get(x, std::span(got));
        plan.get(all, std::span(logits));
        plan.get(one, std::span(last));
        for (int64_t r = 0; r < R; ++r)
            ASSERT_EQ(std::memcmp(got.data() + r * C, table.data() + ids[static_cast<size_t>(r)] * C, C * 4), 0) << r;
        for (int64_t v = 0; v < V; v += v < 43680 || v > 43700 ? 13 : 1) {
            const float* a = table.data() + v * C;
            for (int64_t r = 0; r < R; ++r) {
                const double y = std::inner_product(a, a + C, got.data() + r * C, 0.0);
                ASSERT_NEAR(logits[static_cast<size_t>(r * V + v)], y, 1e-4) << "row " << r << " token " << v;
                if (r != 2) continue;
                ASSERT_NEAR(last[static_cast<size_t>(v)], y, 1e-4) << "token " << v;
            }
        }
    }
    backend().release(weights);
}

struct TwoModels {
    CpuBackend cpu{kernel_table("auto"), 2};
    GptCase expected, got;
    TwoModels(Backend& backend, const ModelConfig& config) : expected(cpu, config), got(backend, config) {
        randomize(expected, 5), randomize(got, 5);
    }
};

struct VulkanModels : Vulkan {};

TEST_F(VulkanModels, EnginesGiveTheLogitsOfTheCpu) {
    for (const DType cache : {DType::F32, DType::F16}) {
        const TwoModels models(backend(), tiny_config());
        const std::vector<int32_t> ids = random_tokens(27, 17, 3);
        std::vector<float> logits[2], decoded[2];
        for (const GptCase* model : {&models.expected, &models.got}) {
            const size_t i = model == &models.got;
            Engine engine(model->backend, model->config, model->weights,
                          {.slots = 2, .cache_type = cache, .logit_rows = 8});
            const auto all = all_logits(engine, ids);
            logits[i].assign(all.begin(), all.end());
            engine.reset();
            const auto prefilled = engine.append(0, std::span(ids).first(20));
            decoded[i].assign(prefilled.begin(), prefilled.begin() + 17);
            engine.copy(0, 1, 20);
            for (const int32_t id : {3, 16, 0}) {
                const auto row = decode(engine, std::vector<int32_t>{id, id / 2});
                decoded[i].insert(decoded[i].end(), row.begin(), row.end());
            }
        }
        EXPECT_LT(relative_error(logits[1], logits[0]), cache == DType::F32 ? 1e-5 : 1e-4);
        EXPECT_LT(relative_error(decoded[1], decoded[0]), cache == DType::F32 ? 1e-5 : 1e-4);
    }
}

std::vector<float> losses_of(const GptCase& model, const std::vector<int32_t>& ids, const std::vector<int32_t>& targets) {
    LossGraph lg(model, Mode::Infer, 3, 32);
    const Plan plan = compile(std::move(lg.graph), model.backend);
    lg.set(plan, ids, targets);
    plan.run({});
    return lg.losses(plan);
}

TEST_F(VulkanModels, EvaluationGivesTheLossesOfTheCpu) {
    const TwoModels models(backend(), tiny_config());
    const std::vector<int32_t> ids = random_tokens(96, 17, 1), targets = random_tokens(96, 17, 2);
    EXPECT_LT(relative_error(losses_of(models.got, ids, targets), losses_of(models.expected, ids, targets)), 1e-5);
}

// A weight that is not a number makes every loss that it takes part in none, whatever lies between.
TEST_F(VulkanModels, NotANumberStaysNone) {
    const TwoModels models(backend(), tiny_config());
    const std::vector<int32_t> ids = random_tokens(96, 17, 1), targets = random_tokens(96, 17, 2);
    for (size_t i = 0; i < models.got.specs.size(); ++i) {
        const std::vector<float> whole = models.got.value(i);
        std::vector<float> holed = whole;
        // Of positions the first, which all see: others are masked, as zeros times not a number or not at all.
        holed[models.got.specs[i].name == "position_embd.weight" ? 0 : holed.size() / 2] = NAN;
        for (const GptCase* model : {&models.expected, &models.got}) model->set_value(i, holed);
        const std::vector<float> expected = losses_of(models.expected, ids, targets),
                                 got = losses_of(models.got, ids, targets);
        EXPECT_TRUE(std::any_of(expected.begin(), expected.end(), [](float x) { return std::isnan(x); }));
        for (size_t r = 0; r < expected.size(); ++r)
            EXPECT_EQ(std::isnan(got[r]), std::isnan(expected[r])) << models.got.specs[i].name << " row " << r;
        for (const GptCase* model : {&models.expected, &models.got}) model->set_value(i, whole);
    }
}

TEST_F(Vulkan, RefusesMasksThatShadersCannotCount) {
    Graph g(Mode::Train);
    const Tensor qkv = g.input("qkv", {8, 32768, 3}, DType::F32);
    g.output(g.attention(g.split_qkv(qkv, 1, 1), {.heads = 1, .dropout = 0.1f}));
    EXPECT_MENTIONS(error_of([&] { compile(std::move(g), backend()); }), "cannot run op");
}

TEST_F(Vulkan, BuffersHoldWhatIsPutThere) {
    // More than the staging buffer has room for, at odd places.
    std::vector<std::byte> bytes(9'000'001), back(bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 31 >> 3);
    const int buffer = backend().allocate(bytes.size() + 100);
    backend().upload({buffer, 13}, bytes);
    backend().upload({buffer, 14}, std::span(bytes).first(5));
    std::copy_n(bytes.begin(), 5, bytes.begin() + 1);
    backend().download({buffer, 13}, back);
    EXPECT_TRUE(back == bytes);
    std::vector<std::byte> edge(13, std::byte{1});
    backend().download({buffer, 0}, edge);
    EXPECT_EQ(std::count(edge.begin(), edge.end(), std::byte{0}), 13) << "allocated buffers are zero";
    backend().release(buffer);
}

TEST_F(Vulkan, RefusesWhatDoesNotFit) {
    EXPECT_MENTIONS(error_of([&] { backend().allocate(size_t{1} << 50); }), "choose a smaller model");
    EXPECT_MENTIONS(error_of([&] { vulkan::open_backend(device_ + 100); }), "there is no device");
    // 137 MiB of activations, which cannot come in pieces, where shaders reach 128 MiB.
    Graph g(Mode::Infer);
    const Tensor rows = g.input("rows", {1}, DType::I32), x = g.input("x", {1, 70000, 512}, DType::F32);
    g.output(g.gather(x, rows));
    const vulkan::DeviceInfo device = vulkan::list_devices().devices[static_cast<size_t>(device_)];
    if (device.max_buffer_range >= 70000 * 512 * 4) return;
    EXPECT_MENTIONS(error_of([&] { compile(std::move(g), backend()); }), "choose a smaller batch");
}

}  // namespace
}  // namespace nib
