// How nodes are cut into launches: each must end before a driver loses its patience with a small GPU.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "check/node_check.h"
#include "core/plan.h"
#include "op_cases.h"
#include "vulkan/dispatch.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

constexpr double kMost = 1e10;

// Whether it computes on C numbers rather than on rows.
bool is_flat(Op op) { return op == Op::SumSquares || op == Op::AdamW || op == Op::Sgd || op == Op::Adagrad; }

// A node with all tensors, larger than any that fits a device.
Node large(Op op) {
    Node node;
    node.op = op;
    node.p = {.B = 8, .T = 65536, .C = 4096, .N = 50257, .H = 64, .G = 64, .S = 65536, .L = 2, .K = 4096, .D = 64};
    if (is_flat(op)) node.p.B = node.p.T = 1, node.p.C = int64_t{1} << 32;
    for (int i = 0; i < kMaxOperands; ++i)
        if (op_info(op).operands[i]) node.operands[static_cast<size_t>(i)].id = 0;
    return node;
}

// Multiply-adds and searches of a large node, half of what is counted where a half is skipped; 0: few.
double least(const Node& node) {
    const Params& p = node.p;
    const double R = static_cast<double>(p.B * p.T), C = static_cast<double>(p.C), T = static_cast<double>(p.T);
    switch (node.op) {
        case Op::Linear:
        case Op::LinearBackward:
        case Op::LinearBackwardWeight: return R * C * static_cast<double>(p.N);
        case Op::Attention: return R * C * T;
        case Op::AttentionBackward: return 2.5 * R * C * T;
        case Op::AttentionCached: return 2 * R * C * static_cast<double>(p.S);
        case Op::EmbedBackward: return 2 * R * R;  // a search
        case Op::CrossEntropy: return 4 * R * static_cast<double>(p.N);
        case Op::PolicyLoss:
        case Op::PreferenceLoss: return 2 * R;
        case Op::ClipFactor: return 0;
        default: return 2 * R * C;
    }
}

class VulkanLaunches : public testing::TestWithParam<Op> {};

TEST_P(VulkanLaunches, AreCut) {
    const Node node = large(GetParam());
    double work = 0;
    int64_t launches = 0, next = 0;
    const vulkan::Dispatch* before = nullptr;
    const auto list = vulkan::dispatches(node, {uint64_t{1} << 30});
    for (const vulkan::Dispatch& d : list) {
        EXPECT_LE(d.work, kMost);
        work += d.work;
        const int64_t groups = int64_t{d.groups_x} * d.groups_y;
        if (d.push.first > 0) {
            ASSERT_NE(before, nullptr);
            EXPECT_EQ(d.push.first, next) << "no workgroup is computed twice or not at all";
            EXPECT_EQ(d.shader, before->shader);
        }
        next = d.push.first + groups;
        before = &d;
        ++launches;
    }
    EXPECT_GE(work, least(node));
    EXPECT_GE(static_cast<double>(launches), least(node) / kMost);
}

std::vector<Op> all_ops() {
    std::vector<Op> ops(kOpCount);
    for (int i = 0; i < kOpCount; ++i) ops[static_cast<size_t>(i)] = static_cast<Op>(i);
    return ops;
}

INSTANTIATE_TEST_SUITE_P(Ops, VulkanLaunches, testing::ValuesIn(all_ops()),
                         [](const auto& info) { return op_name(info.param); });

TEST(VulkanProducts, AreCutBetweenRows) {
    Node node;
    node.p.B = 8, node.p.T = 1024, node.p.C = 768, node.p.N = 50257;
    for (const Op op : {Op::Linear, Op::LinearBackward, Op::LinearBackwardWeight}) {
        node.op = op;
        uint32_t end = 0;
        for (const vulkan::Dispatch& d : vulkan::dispatches(node, {uint64_t{1} << 30})) {
            EXPECT_EQ(d.push.begin, end);
            end = d.push.end;
            EXPECT_LE(8192.0 * 768 * (d.push.end - d.push.begin), kMost);
        }
        EXPECT_EQ(end, 50257u) << op_name(op);
    }
}

// On a device each of whose launches has a few workgroups only.
TEST_F(Vulkan, LaunchesMayBeCut) {
    const std::unique_ptr<Backend> device = open({.max_launch = 3e4});
    Random random(5);
    for (const Op op : all_ops())
        for (int i = 0; i < 4; ++i) {
            Params p{.B = 2, .T = i % 2 ? 67 : 131, .C = 96, .N = 70, .H = 3, .G = 3, .S = 150, .L = 5, .K = 96, .D = 32};
            if (is_flat(op)) p = {.B = 1, .T = 1, .C = 20'003, .N = 1};
            const OpCase c = make_case(op, p, random.bits());
            const std::optional<check::Comparison> result = check::check_op(c, *device);
            ASSERT_TRUE(result) << c.text();
            ASSERT_EQ(result->mismatch, "") << c.text();
        }
}

TEST_F(Vulkan, RefusesScratchThatIsTooLarge) {
    const std::unique_ptr<Backend> small = open({.max_buffer_range = 6000});
    const OpCase c =
        make_case(Op::EmbedBackward, {.B = 1, .T = 2000, .C = 1, .N = 10, .S = 10, .L = 1}, 0);  // 8000 bytes of links
    const std::string error = error_of([&] { check::check_op(c, *small); });
    EXPECT_MENTIONS(error, "op `embed_backward` needs 7.8 KiB");
    EXPECT_MENTIONS(error, "at most 5.9 KiB");
}

TEST_F(Vulkan, RefusesHeadsThatAreTooLarge) {
    for (const int64_t size : {256, 512}) {
        Graph g(Mode::Infer);
        const Tensor qkv = g.input("qkv", {1, 4, 3 * 2 * size}, DType::F32);
        g.output(g.attention(g.split_qkv(qkv, 2, 2), {.heads = 2}));
        const std::string error = error_of([&] { compile(std::move(g), backend()); });
        EXPECT_EQ(error.find("cannot run op `attention` of 2 heads of size 512") != std::string::npos, size > 256) << error;
    }
}

}  // namespace
}  // namespace nib
