// The loss in chunks, and with a head that is the embedding.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "numbers.h"
#include "plan_checks.h"

namespace nib {
namespace {

using namespace test;

struct LossResult {
    std::vector<float> losses, dx, dw;
};

enum class Kind { CrossEntropy, Smoothed, Policy };

// The loss of random x (R,C) and head (V,C), recorded with loss() or as one chunk by hand.
LossResult run_loss(int64_t B, int64_t T, int64_t C, int64_t V, bool by_hand, Kind kind) {
    CpuBackend backend(kernel_table("auto"), 2);
    const int64_t R = B * T;
    Random random(4);
    const auto numbers = [&](int64_t n) {
        std::vector<float> v(static_cast<size_t>(n));
        for (float& x : v) x = random.uniform();
        return v;
    };
    const int values = backend.allocate(static_cast<size_t>(V * C * 4)),
              gradients = backend.allocate(static_cast<size_t>(V * C * 4));
    const std::vector<float> head_values = numbers(V * C), x_values = numbers(R * C);
    std::vector<int32_t> target_values = random_tokens(R, V, 5);
    for (size_t r = 0; r < target_values.size(); r += 7) target_values[r] = kIgnore;
    backend.upload({values, 0}, std::as_bytes(std::span(head_values)));
    const Weight head{
        "head", {V,         C},
         DType::F32, {values,    0},
         {gradients, 0}
    };
    Graph graph(Mode::Train);
    const Tensor x = graph.input("x", {B, T, C}, DType::F32), targets = graph.input("targets", {B, T}, DType::I32);
    graph.want_gradient(x);
    const Tensor advantages = graph.input("advantages", {B, T}, DType::F32);
    const float smoothing = kind == Kind::Smoothed ? 0.1f : 0, of_entropy = 0.25f;
    Tensor logp, dx;
    if (by_hand) {
        const Tensor w = graph.weight(head), logits = graph.make({B, T, V});
        logp = graph.make({B, T}), dx = graph.make({B, T, C});
        graph.add(Op::Linear, {}, {x, w}, {logits});
        if (kind == Kind::Policy) {
            const Tensor of_targets = graph.make({B, T}), entropy = graph.make({B, T}), dlogp = graph.make({B, T}),
                         dentropy = graph.make({B, T});
            graph.add(Op::CrossEntropy, {}, {logits, targets}, {of_targets, {}, {}, entropy});
            graph.add(Op::PolicyLoss, {.entropy_weight = of_entropy}, {of_targets, {}, {}, advantages, advantages, entropy},
                      {logp, dlogp, dentropy});
            graph.add(Op::LogProbBackward, {}, {logits, targets, dlogp, entropy, dentropy}, {logits});
        } else {
            graph.add(Op::CrossEntropy, {.smoothing = smoothing}, {logits, targets}, {logp, logits});
        }
        graph.add(Op::LinearBackward, {}, {logits, w}, {dx});
        graph.add(Op::LinearBackwardWeight, {}, {logits, x}, {graph.gradient(w).tensor});
    } else {
        if (kind == Kind::Policy)
            logp = graph.policy_loss(graph.log_probs(x, {head, {}}, targets, true), {advantages, advantages},
                                     {.entropy = of_entropy});
        else
            logp = graph.cross_entropy(x, {head, {}}, targets, {}, smoothing).logp;
        graph.record_backward();
        dx = graph.gradient(x).tensor;
    }
    graph.output(logp);
    graph.output(dx);
    const Plan plan = compile(graph, backend);
    check_schedule(plan);
    plan.set(x, std::span<const float>(x_values));
    plan.set(targets, std::span<const int32_t>(target_values));
    if (kind == Kind::Policy) plan.set<float>(advantages, numbers(R));
    plan.run(training_step(R));
    LossResult result{std::vector<float>(static_cast<size_t>(R)), std::vector<float>(static_cast<size_t>(R * C)),
                      std::vector<float>(static_cast<size_t>(V * C))};
    plan.get(logp, std::span(result.losses));
    for (float& x_loss : result.losses) x_loss = 0.0f - x_loss;
    plan.get(dx, std::span(result.dx));
    backend.download({gradients, 0}, std::as_writable_bytes(std::span(result.dw)));
    for (size_t r = 0; r < target_values.size(); ++r) {
        const bool ignored = target_values[r] == kIgnore;
        EXPECT_EQ(result.losses[r] == 0, ignored) << r;
        for (int64_t c = 0; c < C; ++c)
            EXPECT_EQ(result.dx[r * static_cast<size_t>(C) + static_cast<size_t>(c)] == 0, ignored);
    }
    return result;
}

TEST(Loss, ChunksGiveWhatOneChunkGives) {
    // About 240 rows of 70000 logits are a chunk: whole sequences of 32, or parts of one of 300.
    for (const auto& [B, T] : {
             std::pair<int64_t, int64_t>{16, 32 },
              {2,  300}
    }) {
        for (const Kind kind : {T == 300 ? Kind::Smoothed : Kind::CrossEntropy, Kind::Policy}) {
            const LossResult chunks = run_loss(B, T, 3, 70000, false, kind), whole = run_loss(B, T, 3, 70000, true, kind);
            EXPECT_LE(relative_error(chunks.losses, whole.losses), 1e-6);
            EXPECT_LE(relative_error(chunks.dx, whole.dx), 1e-6);
            EXPECT_LE(relative_error(chunks.dw, whole.dw), 1e-6);
        }
    }
}

TEST(Loss, TiedHeadsAddTheirGradients) {
    CpuBackend backend(kernel_table("auto"), 2);
    constexpr int64_t B = 3, T = 8, R = B * T;
    const GptCase tied(backend, tiny_config(true)), untied(backend, tiny_config(false));
    randomize(tied, 1);
    ASSERT_EQ(untied.specs.size(), tied.specs.size() + 1);
    ASSERT_EQ(untied.specs.back().name, "output.weight");
    ASSERT_EQ(tied.specs[0].name, "token_embd.weight");
    for (size_t i = 0; i < tied.specs.size(); ++i) untied.set_value(i, std::span<const float>(tied.value(i)));
    untied.set_value(tied.specs.size(), std::span<const float>(tied.value(0)));
    std::vector<float> losses[2];
    for (const GptCase* model : {&tied, &untied}) {
        const LossGraph graph(*model, Mode::Train, B, T);
        const Plan plan = compile(graph.graph, backend);
        graph.set(plan, random_tokens(R, 17, 2), random_tokens(R, 17, 3));
        plan.run(training_step(R));
        losses[model == &untied] = graph.losses(plan);
    }
    EXPECT_TRUE(same_bits(losses[0], losses[1]));
    std::vector<float> sum = untied.gradient(0);
    const std::vector<float> head = untied.gradient(tied.specs.size());
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += head[i];
    EXPECT_LE(relative_error(tied.gradient(0), sum), 1e-6);
    for (size_t i = 1; i < tied.specs.size(); ++i) EXPECT_TRUE(same_bits(tied.gradient(i), untied.gradient(i)));
}

}  // namespace
}  // namespace nib
