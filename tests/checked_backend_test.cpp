// --check: a checked run is the run itself, finds nothing in it, and finds every kernel that is wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "check/checked_backend.h"
#include "core/op_table.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/engine.h"
#include "ref/kernels.h"
#include "train/train_step.h"

namespace nib {
namespace {

ModelConfig tiny_config() {
    ModelConfig c;
    c.layers = 1, c.heads = 2, c.embd = 12, c.context = 20, c.vocab = 17;
    return c;
}

// Two steps of two micro-batches, an evaluation, and some tokens of inference: all bits that come out of it.
std::vector<float> results(Backend& backend, Optimizer optimizer, bool recompute) {
    TrainShape shape;
    shape.batch = 8, shape.time = 18;
    shape.dropout = 0.1f;
    shape.optimizer = optimizer;
    shape.recompute = recompute;
    TrainStep train(backend, tiny_config(), shape);
    train.initialise(1);
    std::vector<int32_t> ids(static_cast<size_t>(train.rows())), targets(ids.size());
    for (size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<int32_t>(i * i % 17), targets[i] = static_cast<int32_t>(i % 5);
    std::vector<float> out;
    const int64_t micro_steps = recompute ? 1 : 2;
    for (int64_t step = 0; step < 2; ++step) {
        for (int64_t i = 0; i < micro_steps; ++i)
            out.push_back(static_cast<float>(train.micro_step(
                ids, targets,
                {.seed = 1, .index = static_cast<uint32_t>(i), .counted = micro_steps * train.rows(), .first = i == 0})));
        out.push_back(static_cast<float>(train.gradient_norm(0.5)));
        train.update(
            {.step = step, .lr = 0.01, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .momentum = 0.5});
    }
    out.push_back(static_cast<float>(train.evaluate(ids, targets).sum));
    Engine engine(backend, train.config(), train.weights());
    const std::span<const float> after = engine.append(0, std::span(ids).first(7));
    out.insert(out.end(), after.begin(), after.end());
    const std::span<const float> next = engine.append(0, std::span(ids).first(1));
    out.insert(out.end(), next.begin(), next.end());
    return out;
}

// A layer with what GPT-2 lacks, forward and backward on ragged rows of which not all are in use: rotary positions in place
// in a fused qkv, grouped heads that see spans, gates, an adapter, gathered rows, losses of numbers, ends, texts, a policy
// and preferences. All bits of its results.
class RaggedLayer {
public:
    explicit RaggedLayer(Backend& backend) : backend_(backend) {}
    ~RaggedLayer() {
        for (const int buffer : buffers_) backend_.release(buffer);
    }
    RaggedLayer(const RaggedLayer&) = delete;
    RaggedLayer& operator=(const RaggedLayer&) = delete;

    std::vector<float> results() {
        constexpr int64_t C = 16, D = 4, H = 4, G = 2, F = 24, V = 19, R = 14, N = 6;
        Graph g(Mode::Train);
        const RowCount rows = g.add_row_count();
        const Tensor ids = g.input("ids", {1, R}, DType::I32, rows), spans = g.input("spans", {1, R, 2}, DType::I32, rows);
        const Tensor rotation = g.input("rotation", {1, R, D}, DType::F32, rows);
        const Tensor which = g.input("which", {N}, DType::I32);
        const Tensor targets = g.input("targets", {1, N}, DType::I32);
        const Tensor old = g.input("old", {1, N}, DType::F32), reference = g.input("reference", {1, N}, DType::F32),
                     advantages = g.input("advantages", {1, N}, DType::F32);
        const auto norm = [&] { return NormWeights{weight({C}), {}, 1e-5f, true}; };
        const auto linear = [&](int64_t out, int64_t in) { return LinearWeights{weight({out, in}), {}}; };
        Tensor x = g.embed({ids}, {weight({V, C})});
        const Tensor qkv = g.linear(g.norm(x, norm()), linear((H + 2 * G) * D, C));
        const Qkv parts = g.split_qkv(g.rope(qkv, rotation, {.heads = H + G, .head_size = D}), H, G);
        const Tensor y = g.attention(parts, {.heads = H, .kv_heads = G, .spans = spans});
        x = g.linear(y, linear(C, H * D), {.residual = x});
        const Tensor n = g.norm(x, norm());
        LinearWeights adapted = linear(F, C);
        adapted.adapters.push_back({weight({2, C}), weight({F, 2}), 0.5f});
        const Tensor up = g.linear(n, adapted, {.act = Act::GeluTanh});
        const Tensor gated = g.glu(g.linear(n, linear(F, C)), up, Act::Silu);
        const Tensor h = g.linear(gated, linear(C, F), {.residual = x});
        x = g.gather(h, which);
        const Tensor texts = g.input("texts", {3, 2}, DType::I32), ends = g.input("ends", {3, 2}, DType::I32);
        const Tensor own = g.input("own", {1, 3}, DType::I32), numbers = g.input("numbers", {1, N, 2}, DType::F32);
        const Tensor vectors = g.normalize(g.mean_rows(h, texts));
        g.contrastive_loss(vectors, g.normalize(g.linear(vectors, linear(C, C))), 5, own);
        g.span_loss(h, linear(2, C), texts, ends);
        g.value_loss(x, linear(2, C), numbers, {}, false);
        g.value_loss(x, linear(2, C), numbers, advantages, false, numbers, 0.5f);
        g.preference_loss(g.linear(x, linear(2, C)), numbers, numbers, {.smoothing = 0.1f});
        const Graph::LogProbs scores = g.log_probs(g.normalize(x), linear(V, C), targets, true);
        const Tensor logp = g.output(scores.logp);
        g.policy_loss(scores, {.advantages = advantages, .weights = reference, .old = old, .reference = reference},
                      {.kl = 0.5f, .entropy = 0.25f});
        g.record_backward();

        const Plan plan = compile(std::move(g), backend_);
        const auto set = [&]<class T>(Tensor t, std::vector<T> values) { plan.set<T>(t, values); };
        set(ids, std::vector<int32_t>{3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 0, 0, 0});
        set(spans, std::vector<int32_t>{0, 4,  0, 4,  0, 4,  0, 4,  4,  5,  5,  11, 5,  11,
                                        5, 11, 5, 11, 5, 11, 5, 11, 11, 11, 11, 11, 11, 11});
        set(rotation, random(R * D));
        set(which, std::vector<int32_t>{7, 0, 7, 10, 3, 9});
        set(targets, std::vector<int32_t>{1, 18, kIgnore, 0, 4, 0});
        set(old, random(N)), set(reference, random(N)), set(advantages, random(N));
        set(texts, std::vector<int32_t>{0, 4, 4, 5, 5, 11});
        set(ends, std::vector<int32_t>{1, 3, 4, 4, 5, 10});
        set(own, std::vector<int32_t>{2, 1, 0});
        set(numbers, random(2 * N));
        Step step;
        step.loss_scale = 0.5f;
        step.rows[rows] = 11;
        plan.run(step);
        std::vector<float> out(N);
        plan.get(logp, std::span(out));
        for (const auto& [gradient, size] : gradients_) {
            std::vector<float> values(size);
            backend_.download(gradient, std::as_writable_bytes(std::span(values)));
            out.insert(out.end(), values.begin(), values.end());
        }
        return out;
    }

private:
    std::vector<float> random(int64_t count) {
        std::vector<float> values(static_cast<size_t>(count));
        for (float& value : values) value = random_.uniform();
        return values;
    }
    Weight weight(Shape shape) {
        const std::vector<float> values = random(shape.elements());
        const auto buffer = [&] { return buffers_.emplace_back(backend_.allocate(values.size() * sizeof(float))); };
        Weight w;
        w.name = "weight " + std::to_string(buffers_.size());
        w.shape = shape;
        w.value.buffer = buffer(), w.gradient.buffer = buffer();
        backend_.upload(w.value, std::as_bytes(std::span(values)));
        gradients_.emplace_back(w.gradient, values.size());
        return w;
    }

    Backend& backend_;
    check::Random random_{3};
    std::vector<int> buffers_;
    std::vector<std::pair<Location, size_t>> gradients_;
};

void expect_same_bits(const std::vector<float>& got, const std::vector<float>& expected) {
    ASSERT_EQ(got.size(), expected.size());
    EXPECT_EQ(std::memcmp(got.data(), expected.data(), got.size() * sizeof(float)), 0);
    for (const float value : got) ASSERT_TRUE(std::isfinite(value));
}

TEST(CheckedBackend, FindsNothingInARaggedLayer) {
    for (const KernelTable* kernels : kernel_tables()) {
        CpuBackend plain(*kernels, 2), inner(*kernels, 2);
        check::CheckedBackend checked(inner, [&](const std::string& line) { ADD_FAILURE() << line; });
        expect_same_bits(RaggedLayer(checked).results(), RaggedLayer(plain).results());
        EXPECT_GT(checked.summary().nodes, 30);
        EXPECT_LT(checked.summary().error, 1e-5);
    }
}

TEST(CheckedBackend, FindsNothingAndChangesNothing) {
    for (const KernelTable* kernels : kernel_tables())
        for (const int threads : {1, 3})
            for (const bool recompute : {false, true}) {
                const Optimizer optimizer = recompute ? Optimizer::SgdMomentum : Optimizer::AdamW;
                CpuBackend plain(*kernels, threads), inner(*kernels, threads);
                check::CheckedBackend checked(inner, [&](const std::string& line) { ADD_FAILURE() << line; });
                const std::vector<float> got = results(checked, optimizer, recompute);
                const std::vector<float> expected = results(plain, optimizer, recompute);
                expect_same_bits(got, expected);
                EXPECT_EQ(checked.summary().failures, 0);
                EXPECT_GT(checked.summary().nodes, 100);
            }
}

// A kernel that does its work, but for what `damage` does to it.
Kernel right_kernel = nullptr;

void off_by_little(const Call& call, Range units, void* scratch) {
    right_kernel(call, units, scratch);
    int out = kMaxIn;
    while (!call.has(out)) ++out;
    if (call.op == Op::SumSquares)
        *call.output<double>(out) *= 1.01;
    else
        *call.output<float>(out) += 0.02f * (1 + std::abs(*call.output<float>(out)));
}

void leaves_out_the_last_unit(const Call& call, Range units, void* scratch) {
    --units.end;
    if (units.begin < units.end) right_kernel(call, units, scratch);
}

TEST(CheckedBackend, FindsAWrongKernel) {
    for (const Kernel damaged : {off_by_little, leaves_out_the_last_unit})
        for (int op = 0; op < kOpCount; ++op) {
            const Optimizer optimizer = static_cast<Op>(op) == Op::Sgd       ? Optimizer::Sgd
                                        : static_cast<Op>(op) == Op::Adagrad ? Optimizer::Adagrad
                                                                             : Optimizer::AdamW;
            KernelTable kernels = kernel_table("auto");
            right_kernel = kernels.run[op];
            kernels.run[op] = damaged;
            CpuBackend inner(kernels, 1);
            std::vector<std::string> reports;
            check::CheckedBackend checked(inner, [&](const std::string& line) { reports.push_back(line); });
            results(checked, optimizer, false);
            RaggedLayer(checked).results();
            const std::string name = std::string(": ") + op_name(static_cast<Op>(op)) + " ";
            ASSERT_FALSE(reports.empty()) << name;
            EXPECT_EQ(checked.summary().op, static_cast<Op>(op));
            // The first report is of the kernel itself; what follows it may choke on NaN, but not on a wrong number. Only
            // attention's gradient, a difference of nearly equal terms, shows its rounding beside one that is far too
            // large.
            EXPECT_NE(reports[0].find(name), std::string::npos) << name << reports[0];
            for (const std::string& line : reports)
                if (damaged == off_by_little && line.find(": attention_backward ") == std::string::npos) {
                    EXPECT_NE(line.find(name), std::string::npos) << name << line;
                }
        }
}

TEST(OpCheck, FindsAWrongKernel) {
    constexpr int kCases = 50;  // of each op
    for (const Kernel damaged : {off_by_little, leaves_out_the_last_unit})
        for (int op = 0; op < kOpCount; ++op) {
            KernelTable kernels = ref::table;
            int cases = 0, found = 0;
            right_kernel = kernels.run[op];
            kernels.run[op] = damaged;
            check::for_each_case(static_cast<Op>(op), {}, [&](const check::OpCase& c) {
                // Nothing is to be done for a gradient in place without activation and dropout.
                if (c.in_place && c.op == Op::LinearBackwardEpilogue && c.p.act == Act::None && c.p.dropout == 0) return;
                // Of one channel all gradients are 0, and beside those of short rows others are too small to be seen.
                if (c.op == Op::NormalizeBackward && (c.p.C == 1 || c.seed % 2 == 0)) return;
                if (++cases > kCases) return;
                found += !check::check_op(c, kernels).mismatch.empty();
            });
            EXPECT_EQ(found, std::min(cases, kCases)) << op_name(static_cast<Op>(op));
        }
}

}  // namespace
}  // namespace nib
