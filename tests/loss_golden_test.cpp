// Losses of numbers, labels, answers and sentence embeddings against PyTorch: tests/goldens/make_loss_goldens.py says what
// the file holds.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/plan.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "numbers.h"
#include "test_files.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

constexpr int64_t kRows = 28, kWidth = 37;
constexpr size_t kBiasAt = 4096;  // bytes behind the weights

// One step of a loss.
struct Outcome {
    double loss = 0;  // mean over what counts
    std::vector<float> dx, dw, db;
};

// The hidden states of the golden file and a head, on a backend. `padded`: with rows and texts that are not in use.
class LossCase {
public:
    LossCase(Backend& backend, Mode mode, bool padded)
        : graph(mode),
          backend_(backend),
          padded_(padded),
          values_(backend.allocate(2 * kBiasAt)),
          gradients_(backend.allocate(2 * kBiasAt)),
          rows_(count(kRows)) {
        x = hidden("x");
        graph.want_gradient(x);
    }
    ~LossCase() {
        backend_.release(values_);
        backend_.release(gradients_);
    }
    LossCase(const LossCase&) = delete;
    LossCase& operator=(const LossCase&) = delete;

    /// A tensor with a row for each hidden state.
    Tensor hidden(const char* name) {
        std::vector<float> values = stored<float>(name);
        const int64_t width = std::ssize(values) / kRows, more = padded_ ? 5 : 0;
        values.resize(values.size() + static_cast<size_t>(more * width), NAN);
        const Shape shape = padded_ ? Shape{1, kRows + more, width} : Shape{2, kRows / 2, width};
        return floats_.emplace_back(graph.input(name, shape, DType::F32, rows_), values).first;
    }
    /// Pairs of rows; of those that are not in use both are `unused`.
    Tensor pairs(const char* name, int32_t unused) {
        std::vector<int32_t> values = stored<int32_t>(name);
        values.resize(values.size() + (padded_ ? 4 : 0), unused);
        return integers_.emplace_back(graph.input(name, {std::ssize(values) / 2, 2}, DType::I32), values).first;
    }
    /// The number of texts of that name that are in use.
    RowCount count_of(const char* name) { return count(std::ssize(stored<int32_t>(name)) / 2); }
    Tensor means(const char* name) {
        const RowCount texts = count_of(name);
        return graph.normalize(graph.mean_rows(x, pairs(name, kRows), texts));
    }
    /// 0, 1, ... for the rows of `a` in use.
    Tensor own_index(Tensor a, int64_t used) {
        std::vector<int32_t> values(static_cast<size_t>(graph.info(a).shape[1]), kIgnore);
        std::iota(values.begin(), values.begin() + used, 0);
        return integers_
            .emplace_back(graph.input("targets", {1, std::ssize(values)}, DType::I32, graph.info(a).row_count), values)
            .first;
    }
    LinearWeights head(const std::string& name, int64_t outputs) {
        const auto weight = [&](const char* part, Shape shape, size_t at) {
            backend_.upload({values_, at}, std::as_bytes(numbers<float>(file_, name + part)));
            return Weight{
                name + part, shape, DType::F32, {values_,    at},
                     {gradients_, at}
            };
        };
        return {weight(".w", {outputs, kWidth}, 0), weight(".b", {outputs}, kBiasAt)};
    }
    template <class T>
    std::vector<T> stored(const std::string& name) const {
        const std::span<const T> all = numbers<T>(file_, name);
        return {all.begin(), all.end()};
    }

    /// Runs the graph. `counted`: the rows or texts that count.
    Plan run(double counted) {
        Plan plan = compile(graph, backend_);
        for (const auto& [tensor, values] : floats_) plan.set<float>(tensor, values);
        for (const auto& [tensor, values] : integers_) plan.set<int32_t>(tensor, values);
        step_.loss_scale = static_cast<float>(1 / counted);
        plan.run(step_);
        return plan;
    }
    /// Its loss, of which `used` rows are in use, and all gradients. `outputs` of the head; 0: none.
    Outcome train(Tensor loss, size_t used, double counted, size_t outputs) {
        graph.record_backward();
        const Tensor dx = graph.gradient(x).tensor;
        graph.output(loss), graph.output(dx);
        const Plan plan = run(counted);
        std::vector<float> losses(used), dw(outputs * kWidth), db(outputs), gradient(kRows * kWidth);
        plan.get(loss, std::span(losses));
        plan.get(dx, std::span(gradient));
        backend_.download({gradients_, 0}, std::as_writable_bytes(std::span(dw)));
        backend_.download({gradients_, kBiasAt}, std::as_writable_bytes(std::span(db)));
        return {std::accumulate(losses.begin(), losses.end(), 0.0) / counted, gradient, dw, db};
    }

    Graph graph;
    Tensor x;

private:
    RowCount count(int64_t used) {
        if (!padded_) return -1;
        const RowCount made = graph.add_row_count();
        step_.rows[made] = used;
        return made;
    }

    Backend& backend_;
    const bool padded_;
    const int values_, gradients_;
    const GgufFile file_ = GgufFile::open(golden("losses.gguf"));
    Step step_;
    RowCount rows_;
    std::vector<std::pair<Tensor, std::vector<float>>> floats_;
    std::vector<std::pair<Tensor, std::vector<int32_t>>> integers_;
};

constexpr double kCounted = kRows - 2;  // rows of values that have targets

Outcome value_loss(Backend& backend, bool padded, bool binary) {
    LossCase c(backend, Mode::Train, padded);
    const Graph::Values got =
        c.graph.value_loss(c.x, c.head("values", 3), c.hidden(binary ? "labels.targets" : "numbers.targets"), {}, binary);
    EXPECT_FALSE(got.values);
    return c.train(got.loss, kRows, kCounted, 3);
}

Outcome span_loss(Backend& backend, bool padded) {
    LossCase c(backend, Mode::Train, padded);
    const Graph::SpanLogProbs got = c.graph.span_loss(c.x, c.head("span", 2), c.pairs("texts", kRows),
                                                      c.pairs("span.targets", kIgnore), c.count_of("texts"));
    EXPECT_FALSE(got.logits);
    Outcome outcome = c.train(got.logp, 4, 2, 2);
    outcome.loss = -outcome.loss;
    return outcome;
}

Outcome contrastive_loss(Backend& backend, bool padded) {
    LossCase c(backend, Mode::Train, padded);
    const Tensor a = c.means("anchors"), b = c.means("others");
    Outcome outcome = c.train(c.graph.contrastive_loss(a, b, 20, c.own_index(a, 3)).logp, 3, 3, 0);
    outcome.loss = -outcome.loss;
    return outcome;
}

struct NamedLoss {
    const char* name;
    Outcome (*run)(Backend&, bool padded);
};
constexpr NamedLoss kLosses[] = {
    {"numbers",                                             [](Backend& b, bool padded) { return value_loss(b, padded, false); }},
    {"labels",                                                     [](Backend& b,                                                           bool padded) { return value_loss(b, padded, true); }},
    {"span", span_loss},
    {"contrast",                                            contrastive_loss                                                                                                     },
};

void expect_golden(const NamedLoss& loss, const Outcome& got) {
    const GgufFile file = GgufFile::open(golden("losses.gguf"));
    const auto expected = [&](const char* what) { return numbers<float>(file, loss.name + std::string(what)); };
    EXPECT_NEAR(got.loss, expected(".loss")[0], 1e-5 * std::abs(expected(".loss")[0]));
    EXPECT_LE(relative_error(got.dx, expected(".grad.x")), 1e-5);
    if (got.dw.empty()) return;
    EXPECT_LE(relative_error(got.dw, expected(".grad.w")), 1e-5);
    EXPECT_LE(gradient_error(got.db, expected(".grad.b")), 1e-5);
}

struct LossGolden : testing::TestWithParam<const KernelTable*> {};

TEST_P(LossGolden, LossesAndGradientsAreThoseOfTorch) {
    for (const NamedLoss& loss : kLosses)
        for (const bool padded : {false, true}) {
            SCOPED_TRACE(testing::Message() << loss.name << (padded ? " padded" : ""));
            CpuBackend one(*GetParam(), 1), three(*GetParam(), 3);
            const Outcome got = loss.run(one, padded), again = loss.run(three, padded);
            expect_golden(loss, got);
            EXPECT_EQ(got.loss, again.loss);
            EXPECT_TRUE(same_bits(got.dx, again.dx));
            EXPECT_TRUE(same_bits(got.dw, again.dw));
            EXPECT_TRUE(same_bits(got.db, again.db));
        }
}

INSTANTIATE_TEST_SUITE_P(PyTorch, LossGolden, testing::ValuesIn(kernel_tables()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_F(Vulkan, LossesAndGradientsAreThoseOfTorch) {
    for (const NamedLoss& loss : kLosses)
        for (const bool padded : {false, true}) {
            SCOPED_TRACE(testing::Message() << loss.name << (padded ? " padded" : ""));
            expect_golden(loss, loss.run(backend(), padded));
        }
}

// Of a tensor that is on both sides, both gradients are added up.
TEST(Losses, SimilarityToItself) {
    CpuBackend backend(kernel_table("auto"), 2);
    const std::vector<float> values = {1, 2, 3, 0.5f, -1, 1, 0, 2, -2, 1, 1, 0.25f};
    const std::vector<int32_t> right = {1, 2, 0};
    const auto gradients = [&](bool same) {
        Graph g(Mode::Train);
        const Tensor a = g.input("a", {1, 3, 4}, DType::F32), targets = g.input("targets", {1, 3}, DType::I32);
        const Tensor b = same ? a : g.input("b", {1, 3, 4}, DType::F32);
        g.want_gradient(a), g.want_gradient(b);
        g.contrastive_loss(a, b, 0.5f, targets);
        g.record_backward();
        const Tensor da = g.output(g.gradient(a).tensor), db = g.output(g.gradient(b).tensor);
        const Plan plan = compile(g, backend);
        plan.set<float>(a, values), plan.set<float>(b, values), plan.set<int32_t>(targets, right);
        Step step;
        step.loss_scale = 1;
        plan.run(step);
        std::vector<float> of_a(12), of_b(12);
        plan.get(da, std::span(of_a)), plan.get(db, std::span(of_b));
        return std::pair(of_a, of_b);
    };
    const auto [both, again] = gradients(true);
    auto [sum, other] = gradients(false);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += other[i];
    EXPECT_EQ(both, again);
    EXPECT_LE(relative_error(both, sum), 1e-6);
}

// What a head says is there to be read, and the losses are the same.
TEST(Losses, InferenceGivesPredictions) {
    CpuBackend backend(kernel_table("auto"), 2);
    {
        LossCase c(backend, Mode::Infer, false);
        const Graph::Values got = c.graph.value_loss(c.x, c.head("values", 3), c.hidden("numbers.targets"), {}, false);
        c.graph.output(got.loss), c.graph.output(got.values);
        const Plan plan = c.run(1);
        std::vector<float> losses(kRows), values(3 * kRows);
        plan.get(got.loss, std::span(losses));
        plan.get(got.values, std::span(values));
        const std::vector<float> targets = c.stored<float>("numbers.targets");
        double sum = 0;
        for (size_t i = 0; i < values.size(); ++i)
            if (!std::isnan(targets[i / 3 * 3])) sum += std::pow(values[i] - targets[i], 2) / 3;
        EXPECT_NEAR(std::accumulate(losses.begin(), losses.end(), 0.0), sum, 1e-4);
        EXPECT_NEAR(sum / kCounted, c.stored<float>("numbers.loss")[0], 1e-4);
    }
    {
        LossCase c(backend, Mode::Infer, false);
        const Graph::SpanLogProbs got =
            c.graph.span_loss(c.x, c.head("span", 2), c.pairs("texts", 0), c.pairs("span.targets", kIgnore));
        c.graph.output(got.logp), c.graph.output(got.logits);
        const Plan plan = c.run(1);
        std::vector<float> logp(4), logits(2 * kRows);
        plan.get(got.logp, std::span(logp));
        plan.get(got.logits, std::span(logits));
        double sums[2] = {};
        for (size_t r = 0; r < 9; ++r) sums[0] += std::exp(logits[2 * r]), sums[1] += std::exp(logits[2 * r + 1]);
        EXPECT_NEAR(logp[0], (logits[6] - std::log(sums[0]) + logits[7] - std::log(sums[1])) / 2, 1e-5);
        EXPECT_EQ(logp[1], 0);
    }
    {
        LossCase c(backend, Mode::Infer, true);
        const Tensor a = c.means("anchors"), b = c.means("others");
        const Tensor s = c.graph.output(c.graph.similarity(a, b, 20));
        const Graph::LogProbs got = c.graph.contrastive_loss(a, b, 20, c.own_index(a, 3));
        c.graph.output(got.logp), c.graph.output(got.predicted);
        const Plan plan = c.run(1);
        std::vector<float> scores(3 * 7), logp(3);
        std::vector<int32_t> predicted(3);
        plan.get(s, std::span(scores));
        plan.get(got.logp, std::span(logp));
        plan.get(got.predicted, std::span(predicted));
        for (size_t r = 0; r < 3; ++r) {
            double sum = 0;
            for (size_t n = 0; n < 5; ++n) sum += std::exp(scores[7 * r + n]);
            EXPECT_EQ(scores[7 * r + 5], -INFINITY);
            EXPECT_EQ(scores[7 * r + 6], -INFINITY);
            EXPECT_NEAR(logp[r], scores[7 * r + r] - std::log(sum), 1e-4);
            EXPECT_EQ(predicted[r], std::max_element(&scores[7 * r], &scores[7 * r] + 5) - &scores[7 * r]);
        }
    }
}

}  // namespace
}  // namespace nib
