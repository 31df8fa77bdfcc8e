// The shaders against the scalar reference, and models on them against the CPU, watched by the Khronos validation layer:
// any message of its fails the test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "infer/session.h"
#include "op_cases.h"
#include "ref/node_check.h"
#include "test_errors.h"
#include "vulkan/backend.h"
#include "vulkan/devices.h"
#include "vulkan/dispatch.h"

// Drivers keep some memory to themselves. Objects of theirs that nib forgets are reported by the validation layer.
extern "C" const char* __lsan_default_suppressions() { return "leak:libvulkan\nleak:libVkLayer\nleak:libLLVM\n"; }

namespace nib {
namespace {

using namespace test;

// A backend on a software device, or what there is. Made once: drivers take their time to start.
class Vulkan : public testing::Test {
protected:
    static void SetUpTestSuite() {
        // LeakSanitizer knows whose memory it is only while the driver is loaded.
        if (static Backend* kept = nullptr; kept == nullptr)
            error_of([&] { kept = vulkan::open_backend(-1, [](const char*) {}).release(); });
        const vulkan::DeviceList list = vulkan::list_devices();
        const auto software =
            std::find_if(list.devices.begin(), list.devices.end(), [](const auto& d) { return d.software; });
        if (list.devices.empty()) {
            problem_ = list.problem.empty() ? "there is no Vulkan device" : list.problem;
            return;
        }
        device_ = software == list.devices.end() ? 0 : static_cast<int>(software - list.devices.begin());
        try {
            backend_ = vulkan::open_backend(device_, note);
        } catch (const Error& error) {
            problem_ = error.what();
        }
    }
    static void TearDownTestSuite() {
        backend_.reset();
        EXPECT_EQ(messages_, "") << "when the backend was closed";
    }
    void SetUp() override {
        if (!backend_) GTEST_SKIP() << "not tested: " << problem_;
    }
    void TearDown() override { EXPECT_EQ(std::exchange(messages_, ""), ""); }
    static Backend& backend() { return *backend_; }
    static void note(const char* text) { messages_ += std::string(text) + "\n"; }

    static inline int device_ = -1;

private:
    static inline std::unique_ptr<Backend> backend_;
    static inline std::string messages_, problem_;
};

struct VulkanOps : Vulkan, testing::WithParamInterface<Op> {
    void check(const OpCase& c) { check(c, backend()); }
    void check(OpCase c, Backend& backend) {
        if (HasFatalFailure()) return;
        const auto drops = {Op::Linear, Op::LinearBackwardEpilogue};
        if (std::find(drops.begin(), drops.end(), c.op) == drops.end()) c.p.dropout = 0;
        const std::optional<ref::Comparison> result = ref::check_op(c, backend);
        if (!result) return;
        ++cases_;
        ASSERT_EQ(result->mismatch, "");
    }
    int cases_ = 0;
};

TEST_P(VulkanOps, AllTailsAndOptions) {
    for_each_case(GetParam(), {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 192, 768},
                  [&](const OpCase& c) { check(c); });
    EXPECT_GT(cases_, 30);
}

TEST_P(VulkanOps, OtherTypes) {
    ref::for_each_typed_case(GetParam(), [&](const OpCase& c) { check(c); });
    const bool typed = GetParam() == Op::Embed || GetParam() == Op::Linear || GetParam() == Op::AttentionCached;
    EXPECT_EQ(cases_ > 0, typed);
}

TEST_P(VulkanOps, LargeShapesAndFewerRows) {
    ref::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c); });
    ref::for_each_case_of_fewer_rows(GetParam(), [&](const OpCase& c) { check(c); });
    EXPECT_EQ(cases_ > 0, GetParam() != Op::Attention);
}

// Where a software device is taken for a GPU.
TEST_P(VulkanOps, WithTheShadersForGpus) {
    vulkan::Overrides overrides;
    overrides.software = false;
    const auto gpu = vulkan::open_backend(device_, note, overrides);
    for_each_case(GetParam(), {1, 3, 8, 31, 33, 65, 129}, [&](const OpCase& c) { check(c, *gpu); });
    ref::for_each_large_case(GetParam(), [&](const OpCase& c) { check(c, *gpu); });
    EXPECT_GT(cases_, 20);
}

// Weights and their gradients are bound in pieces, here of 168 rows.
TEST_P(VulkanOps, MatricesInPieces) {
    const auto linear = {Op::Linear, Op::LinearBackward, Op::LinearBackwardWeight};
    if (std::find(linear.begin(), linear.end(), GetParam()) == linear.end()) return;
    for (const bool software : {true, false}) {
        vulkan::Overrides overrides;
        overrides.max_buffer_range = 65536;
        overrides.software = software;
        const auto small = vulkan::open_backend(device_, note, overrides);
        for (const int64_t N : {168, 169, 1000, 1003})
            for (uint64_t options = 0; options < 12; ++options)
                check(make_case(GetParam(), 1, 9, 96, N, 1, 1, options * 37), *small);
    }
    EXPECT_EQ(cases_, 96);
}

INSTANTIATE_TEST_SUITE_P(Shaders, VulkanOps,
                         testing::Values(Op::Embed, Op::Norm, Op::Linear, Op::LinearBackwardEpilogue, Op::LinearBackward,
                                         Op::LinearBackwardWeight, Op::Attention, Op::AttentionCached, Op::GatherRows,
                                         Op::CrossEntropy),
                         [](const auto& info) { return op_name(info.param); });

double relative_l2(std::span<const float> got, std::span<const float> expected) {
    double error = 0, squares = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
        error += std::pow(static_cast<double>(got[i]) - expected[i], 2);
        squares += std::pow(static_cast<double>(expected[i]), 2);
    }
    return std::sqrt(error / squares);
}

// A launch must end before a driver loses its patience with a small GPU.
TEST(VulkanLaunches, LargeProductsAreCut) {
    Node node;
    node.p.B = 8, node.p.T = 1024, node.p.C = 768, node.p.N = 50257;
    for (const Op op : {Op::Linear, Op::LinearBackward, Op::LinearBackwardWeight}) {
        node.op = op;
        uint32_t end = 0;
        for (const vulkan::Dispatch& d : vulkan::dispatches(node, {uint64_t{1} << 30, false, 0})) {
            EXPECT_EQ(d.push.begin, end);
            end = d.push.end;
            EXPECT_LE(8192.0 * 768 * (d.push.end - d.push.begin), 1e10);
        }
        EXPECT_EQ(end, 50257u) << op_name(op);
    }
}

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
    Graph g(Mode::Infer, 1, R);
    const Tensor in = g.input("ids", {R}, DType::I32), row = g.input("row", {1}, DType::I32);
    const Tensor x = g.output(g.embed(in, {}, wte, {}));
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
    TwoModels(Backend& backend, const GptConfig& config) : expected(cpu, config), got(backend, config) {
        randomize(expected, 5), randomize(got, 5);
    }
};

TEST_F(Vulkan, SessionsGiveTheLogitsOfTheCpu) {
    for (const DType cache : {DType::F32, DType::F16}) {
        const TwoModels models(backend(), tiny_config());
        const std::vector<int32_t> ids = random_tokens(27, 17, 3);
        std::vector<float> logits[2], decoded[2];
        for (const GptCase* model : {&models.expected, &models.got}) {
            const size_t i = model == &models.got;
            Session session(model->backend, model->config, model->weights, 2, cache);
            session.all_logits(ids, [&](auto rows) { logits[i].insert(logits[i].end(), rows.begin(), rows.end()); });
            session.reset();
            const auto prefilled = session.prefill(std::span(ids).first(20));
            decoded[i].assign(prefilled.begin(), prefilled.begin() + 17);
            session.copy_to(1);
            for (const int32_t id : {3, 16, 0}) {
                const auto row = session.decode(std::vector<int32_t>{id, id / 2});
                decoded[i].insert(decoded[i].end(), row.begin(), row.end());
            }
        }
        EXPECT_LT(relative_l2(logits[1], logits[0]), cache == DType::F32 ? 1e-5 : 1e-4);
        EXPECT_LT(relative_l2(decoded[1], decoded[0]), cache == DType::F32 ? 1e-5 : 1e-4);
    }
}

TEST_F(Vulkan, EvaluationGivesTheLossesOfTheCpu) {
    const TwoModels models(backend(), tiny_config());
    const std::vector<int32_t> ids = random_tokens(96, 17, 1), targets = random_tokens(96, 17, 2);
    std::vector<float> losses[2];
    for (const GptCase* model : {&models.expected, &models.got}) {
        LossGraph lg(*model, Mode::Infer, 3, 32);
        const Plan plan = compile(std::move(lg.graph), model->backend);
        lg.set(plan, ids, targets);
        plan.run({});
        losses[model == &models.got] = lg.losses(plan);
    }
    EXPECT_LT(relative_l2(losses[1], losses[0]), 1e-5);
}

TEST_F(Vulkan, RefusesTrainingBeforeItStarts) {
    const GptCase model(backend(), tiny_config());
    LossGraph lg(model, Mode::Train, 2, 8);
    EXPECT_MENTIONS(error_of([&] { compile(std::move(lg.graph), backend()); }), "cannot run op");
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
    Graph g(Mode::Infer, 1, 70000);
    const Tensor rows = g.input("rows", {1}, DType::I32), x = g.input("x", {70000, 512}, DType::F32);
    g.output(g.gather(x, rows));
    const vulkan::DeviceInfo device = vulkan::list_devices().devices[static_cast<size_t>(device_)];
    if (device.max_buffer_range >= 70000 * 512 * 4) return;
    EXPECT_MENTIONS(error_of([&] { compile(std::move(g), backend()); }), "choose a smaller batch");
}

}  // namespace
}  // namespace nib
