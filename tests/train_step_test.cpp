// One training step: accumulation, less memory, first weights, the update.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "io/memory_limit.h"
#include "ref/kernels.h"
#include "test_errors.h"
#include "train/trainer.h"

namespace nib {
namespace {

using namespace test;

// Gradients of B sequences, by what TrainStep is given.
std::vector<float> gradients(TrainStep& train) {
    std::vector<float> all;
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        std::vector<float> part(static_cast<size_t>(train.parameters()[i].shape.elements()));
        train.backend().download(train.gradient(i), std::as_writable_bytes(std::span(part)));
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

constexpr Optimizer kOptimizers[] = {Optimizer::AdamW, Optimizer::Adam, Optimizer::Sgd, Optimizer::SgdMomentum,
                                     Optimizer::Adagrad};

ModelConfig tiny_config() {
    ModelConfig c;
    c.layers = 2;
    c.heads = 2;
    c.embd = 16;
    c.context = 8;
    c.vocab = 11;
    return c;
}

TEST(TrainStep, AccumulationEqualsALargerBatch) {
    CpuBackend backend(kernel_table("auto"), 2);
    const int64_t B = 4, T = 8;
    TrainStep whole(backend, tiny_config(), {2 * B, T, 0, Optimizer::AdamW});
    TrainStep halves(backend, tiny_config(), {B, T, 0, Optimizer::AdamW});
    whole.initialise(3);
    halves.initialise(3);
    std::vector<int32_t> ids(2 * B * T), targets(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
        ids[i] = static_cast<int32_t>(i * i % 11);
        targets[i] = static_cast<int32_t>((i * i + 3) % 11);
    }
    TrainStep::MicroBatch micro;
    const double loss = whole.micro_step(ids, targets, micro);
    micro.counted[0] = 2 * B * T;
    double sum = 0;
    for (size_t half = 0; half < 2; ++half) {
        micro.first = half == 0;
        sum += halves.micro_step(std::span(ids).subspan(half * B * T, B * T),
                                 std::span(targets).subspan(half * B * T, B * T), micro);
    }
    EXPECT_NEAR(sum, loss, 1e-6);
    const std::vector<float> a = gradients(whole), b = gradients(halves);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-6) << i;
    EXPECT_NEAR(whole.gradient_norm(0), halves.gradient_norm(0), 1e-5);
    double squares = 0;
    for (const float g : a) squares += static_cast<double>(g) * g;
    EXPECT_NEAR(whole.gradient_norm(0), std::sqrt(squares), 1e-5);
}

// Rows of several texts, and shorter ones, are the texts by themselves, each a sequence of its own.
TEST(TrainStep, RaggedRowsAreTheTextsByThemselves) {
    CpuBackend backend(kernel_table("auto"), 2);
    const int64_t B = 2, T = 8;
    for (const bool sparse : {false, true}) {
        TrainShape shape{B, T, 0, Optimizer::AdamW};
        if (sparse) shape.objectives[0].share = 0.5;
        TrainStep apart(backend, tiny_config(), {4, 4, 0, Optimizer::AdamW});
        shape.ragged = true;
        TrainStep packed(backend, tiny_config(), shape);
        apart.initialise(3);
        packed.initialise(3);
        // Texts of 3, 4, 1 and 4 tokens; "." is padding.
        const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 0, 8, 9, 10, 1, 2, 0, 0, 0};
        const std::vector<int32_t> positions = {0, 1, 2, 0, 1, 2, 3, 7, 0, 0, 1, 2, 3, 4, 5, 6};
        std::vector<int32_t> targets = {2, 3, 4, 5, 6, kIgnore, 7, 1, 8, 9, kIgnore, 10, 1, 1, 1, 1};
        const std::vector<int32_t> lengths = {7, 5};
        const TrainStep::MicroBatch micro{
            .ragged = {positions, lengths}
        };
        TrainStep::MicroBatch counted = micro;
        counted.counted[0] = 10;
        const double loss = packed.micro_step(ids, targets, counted);
        const std::vector<int32_t> ids_apart = {1, 2, 3, 0, 4, 5, 6, 7, 8, 0, 0, 0, 9, 10, 1, 2};
        const std::vector<int32_t> targets_apart = {2, 3,       4,       kIgnore, 5, 6,       kIgnore, 7,
                                                    8, kIgnore, kIgnore, kIgnore, 9, kIgnore, 10,      1};
        EXPECT_NEAR(loss, apart.micro_step(ids_apart, targets_apart, {}), 1e-6);
        const std::vector<float> a = gradients(packed), b = gradients(apart);
        for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-6) << i;
        for (const size_t padding : {7U, 13U, 14U, 15U}) targets[padding] = kIgnore;
        const LossSum sum = packed.evaluate(ids, targets, {}, {positions, lengths});
        EXPECT_EQ(sum.rows, 10);
        EXPECT_NEAR(sum.sum, loss * 10, 1e-5);
        const std::vector<int32_t> none = {0, 0}, long_one = {9, 0};
        EXPECT_EQ(packed.evaluate(ids, std::vector<int32_t>(16, kIgnore), {}, {positions, none}).sum, 0);
        EXPECT_MENTIONS(error_of([&] { packed.evaluate(ids, targets, {}, {positions, long_one}); }), "a row of 9 tokens");
        EXPECT_MENTIONS(error_of([&] { packed.evaluate(ids, targets); }), "0 positions");
    }
}

// Values of all weights.
std::vector<float> weights(const TrainStep& train) {
    std::vector<float> all;
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        std::vector<float> part(static_cast<size_t>(train.parameters()[i].shape.elements()));
        train.backend().download(train.locate(i, 0), std::as_writable_bytes(std::span(part)));
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

// A vocabulary so large that the loss comes in chunks: the head's gradient is then complete at another time.
// The gradient of a sum is the sum of the gradients, in one batch or several.
TEST(TrainStep, ObjectivesAddUp) {
    CpuBackend backend(kernel_table("auto"), 2);
    ModelConfig config = tiny_config();
    config.arch = "bert";
    config.segments = 2;
    config.pooler = true;
    config.task_heads = {
        {"mlm", 11, {}},
        {"nsp", 2,  {}}
    };
    const Objective masked{.head = "mlm", .share = 0.5}, next{.head = "nsp", .of_rows = true};
    TrainShape shape{4, 8, 0, Optimizer::AdamW};
    shape.ragged = true;
    std::vector<int32_t> ids(32), targets(32, kIgnore), follows(32, kIgnore), positions(32), segments(32);
    for (size_t i = 0; i < ids.size(); ++i) {
        ids[i] = static_cast<int32_t>(i * i % 11);
        positions[i] = static_cast<int32_t>(i % 8);
        segments[i] = i % 8 > 3;
        if (i % 8 < 5 && i % 3 == 0) targets[i] = static_cast<int32_t>((i + 3) % 11);
        if (i % 8 == 0) follows[i] = static_cast<int32_t>(i / 8 % 2);
    }
    const std::vector<int32_t> lengths = {8, 5, 7, 6};
    const RaggedRows rows{positions, lengths, segments};
    const auto of = [&](std::vector<Objective> objectives, const std::vector<int32_t>& first, double& loss) {
        shape.objectives = std::move(objectives);
        TrainStep train(backend, config, shape);
        train.initialise(3);
        loss = train.micro_step(ids, first, {.seed = 1, .ragged = rows, .second = follows});
        return gradients(train);
    };
    double loss = 0, of_masked = 0, of_next = 0;
    Objective half = next;
    half.weight = 0.5;
    const std::vector<float> together = of({masked, half}, targets, loss), one = of({masked}, targets, of_masked),
                             other = of({next}, follows, of_next);
    EXPECT_NEAR(loss, of_masked + 0.5 * of_next, 1e-6);
    for (size_t i = 0; i < together.size(); ++i) ASSERT_NEAR(together[i], one[i] + 0.5f * other[i], 1e-6) << i;

    // Two micro-batches of two rows.
    shape.batch = 2;
    shape.objectives = {masked, half};
    TrainStep train(backend, config, shape);
    train.initialise(3);
    TrainStep::MicroBatch micro;
    micro.counted = {std::ssize(targets) - std::count(targets.begin(), targets.end(), kIgnore), 4};
    double sum = 0;
    for (size_t i = 0; i < 2; ++i) {
        const auto part = [&](const std::vector<int32_t>& all) { return std::span(all).subspan(i * 16, 16); };
        micro.ragged = {part(positions), std::span(lengths).subspan(2 * i, 2), part(segments)};
        micro.second = part(follows);
        micro.first = i == 0;
        sum += train.micro_step(part(ids), part(targets), micro);
    }
    EXPECT_NEAR(sum, loss, 1e-6);
    const std::vector<float> parts = gradients(train);
    for (size_t i = 0; i < together.size(); ++i) ASSERT_NEAR(parts[i], together[i], 1e-6) << i;

    const auto found =
        train.evaluate_all(std::span(ids).first(16), std::span(targets).first(16), std::span(follows).first(16), {},
                           {std::span(positions).first(16), std::span(lengths).first(2), {}});
    EXPECT_EQ(found[0].rows, 4);
    EXPECT_EQ(found[0].predicted.size(), 4U);
    EXPECT_EQ(found[1].rows, 2);
    EXPECT_EQ(found[1].predicted.size(), 2U);
    shape.objectives.push_back(next);
    EXPECT_MENTIONS(error_of([&] { TrainStep(backend, config, shape); }), "3 objectives");
}

TEST(TrainStep, RecomputationGivesTheSameBitsWithAChunkedLoss) {
    for (const bool tied : {true, false}) {
        CpuBackend backend(kernel_table("auto"), 2);
        ModelConfig config = tiny_config();
        config.layers = config.heads = 1;
        config.embd = 4;
        config.vocab = 300000;
        config.tied = tied;
        TrainShape shape{8, 8, 0, Optimizer::AdamW};
        TrainStep usual(backend, config, shape);
        shape.recompute = true;
        TrainStep low(backend, config, shape);
        const std::vector<int32_t> ids(64, 7), targets(64, 299999);
        std::vector<double> norms;
        for (TrainStep* step : {&usual, &low}) {
            step->initialise(7);
            step->micro_step(ids, targets, {});
            norms.push_back(step->gradient_norm(1));
            step->update(
                {.step = 0, .lr = 1e-2, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .momentum = 0});
        }
        EXPECT_EQ(norms[0], norms[1]);
        EXPECT_EQ(weights(usual), weights(low)) << (tied ? "tied" : "untied");
    }
}

TEST(TrainStep, AllAtOnceAndRecomputationGiveTheSameBits) {
    for (const KernelTable* table : kernel_tables())
        for (const bool tied : {true, false})
            for (const Optimizer optimizer : kOptimizers) {
                SCOPED_TRACE(
                    strprintf("%s, %s, optimizer %d", table->name, tied ? "tied" : "untied", static_cast<int>(optimizer)));
                CpuBackend backend(*table, table == kernel_tables().front() ? 2 : 1);
                ModelConfig config = tiny_config();
                config.tied = tied;
                TrainShape shape{3, 8, 0.2f, optimizer};
                TrainStep usual(backend, config, shape), once(backend, config, shape);
                shape.recompute = true;
                TrainStep low(backend, config, shape);
                for (TrainStep* train : {&usual, &once, &low}) train->initialise(7);
                std::vector<int32_t> ids(24), targets(24);
                for (uint32_t step = 0; step < 10; ++step) {
                    for (size_t i = 0; i < ids.size(); ++i) {
                        ids[i] = static_cast<int32_t>((i * i + step) % 11);
                        targets[i] = static_cast<int32_t>((i * 3 + step) % 11);
                    }
                    const TrainStep::Update update{step, 0.05, 0.1, 0.9, 0.99, 1e-8, 0.9};
                    std::vector<double> results;
                    for (TrainStep* train : {&usual, &low}) {
                        results.push_back(train->micro_step(ids, targets, {.seed = 5, .index = step}));
                        results.push_back(train->gradient_norm(0.1));  // clips
                        train->update(update);
                    }
                    const auto at_once = once.last_micro_step(ids, targets, {.seed = 5, .index = step}, 0.1, update);
                    ASSERT_GT(results[1], 0.1);
                    ASSERT_EQ(results[0], results[2]) << "loss of step " << step;
                    ASSERT_EQ(results[1], results[3]) << "norm of step " << step;
                    ASSERT_EQ(weights(usual), weights(low)) << "after step " << step;
                    ASSERT_EQ(results[0], at_once.loss) << "loss of step " << step;
                    ASSERT_EQ(results[1], at_once.norm) << "norm of step " << step;
                    ASSERT_EQ(weights(usual), weights(once)) << "after step " << step;
                }
            }
}

// (1 - s) of the loss, and s of that of a target that is any token alike.
TEST(TrainStep, SmoothedLabelsAreInTheTrainingLossOnly) {
    CpuBackend backend(kernel_table("auto"), 2);
    TrainShape shape{1, 8, 0, Optimizer::Sgd};
    const std::vector<int32_t> ids{1, 2, 3, 4, 5, 6, 7, 8}, targets{2, 3, kIgnore, 5, 6, 7, 8, 9};
    TrainStep plain(backend, tiny_config(), shape);
    plain.initialise(3);
    double any = 0;
    for (int32_t token = 0; token < 11; ++token) {
        std::vector<int32_t> all(8, token);
        all[2] = kIgnore;
        any += plain.micro_step(ids, all, {}) / 11;
    }
    const double usual = plain.micro_step(ids, targets, {});
    for (const float smoothing : {0.1f, 0.75f}) {
        shape.label_smoothing = smoothing;
        TrainStep smoothed(backend, tiny_config(), shape);
        smoothed.initialise(3);
        EXPECT_NEAR(smoothed.micro_step(ids, targets, {}), (1 - smoothing) * usual + smoothing * any, 1e-6);
        EXPECT_NE(gradients(smoothed), gradients(plain));
        const auto loss = smoothed.evaluate(ids, targets);
        EXPECT_EQ(loss.rows, 7);
        EXPECT_NEAR(loss.sum / 7, usual, 1e-6);
    }
}

TEST(TrainStep, InitialWeightsHaveTheirDistribution) {
    ModelConfig config = tiny_config();
    config.embd = 64;
    CpuBackend backend(kernel_table("auto"), 1);
    TrainStep train(backend, config, {1, 8, 0, Optimizer::Sgd});
    train.initialise(5);
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        const ParameterSpec& spec = train.parameters()[i];
        std::vector<float> values(static_cast<size_t>(spec.shape.elements()));
        backend.download(train.locate(i, 0), std::as_writable_bytes(std::span(values)));
        double mean = 0, square = 0;
        for (const float v : values) mean += v, square += static_cast<double>(v) * v;
        const auto n = static_cast<double>(values.size());
        mean /= n;
        const double std = std::sqrt(square / n - mean * mean);
        const double expected = spec.init == ParameterSpec::Init::One ? 1 : 0;
        EXPECT_NEAR(mean, expected, 5 * spec.std / std::sqrt(n)) << spec.name;
        EXPECT_NEAR(std, spec.std, 5 * spec.std / std::sqrt(2 * n)) << spec.name;
    }
}

TEST(TrainStep, UpdateIsAdamW) {
    CpuBackend backend(kernel_table("auto"), 2);
    TrainStep train(backend, tiny_config(), {1, 8, 0, Optimizer::AdamW});
    train.initialise(1);
    const std::vector<int32_t> ids{0, 1, 2, 3, 4, 5, 6, 7}, targets{1, 2, 3, 4, 5, 6, 7, 8};
    train.micro_step(ids, targets, {});
    const double norm = train.gradient_norm(0.1);
    const std::vector<float> g = gradients(train);
    const std::vector<float> before = weights(train);
    train.update({0, 0.01, 0.5, 0.9, 0.99, 1e-8, 0});
    const std::vector<float> after = weights(train);
    const double factor = std::min(1.0, 0.1 / (norm + 1e-6));
    size_t at = 0;
    for (const ParameterSpec& spec : train.parameters())
        for (int64_t j = 0; j < spec.shape.elements(); ++j, ++at) {
            const double clipped = g[at] * factor, step = clipped / (std::abs(clipped) + 1e-8);  // m / sqrt(v) at step 1
            ASSERT_NEAR(after[at], before[at] * (1 - (spec.decay ? 0.005 : 0)) - 0.01 * step, 1e-4) << spec.name;
        }
}

// Of two blocks: the embeddings are three layers below what comes after the second.
TEST(TrainStep, LayerDecaySlowsWhatIsBelow) {
    const std::vector<int32_t> ids{0, 1, 2, 3, 4, 5, 6, 7}, targets{1, 2, 3, 4, 5, 6, 7, 8};
    for (const Optimizer optimizer : kOptimizers) {
        CpuBackend backend(kernel_table("auto"), 2);
        TrainShape shape{1, 8, 0, optimizer};
        TrainStep even(backend, tiny_config(), shape);
        shape.layer_decay = 0.5;
        TrainStep train(backend, tiny_config(), shape);
        for (TrainStep* each : {&even, &train}) each->initialise(1);
        const std::vector<float> before = weights(train);
        for (TrainStep* each : {&even, &train}) {
            each->micro_step(ids, targets, {});
            EXPECT_GT(each->gradient_norm(0), 0);
            each->update({0, 0.01, 0.5, 0.9, 0.99, 1e-8, 0.5});
        }
        const std::vector<float> usual = weights(even), slower = weights(train);
        size_t at = 0;
        for (const ParameterSpec& spec : train.parameters()) {
            const double scale = spec.name.find("embd") != std::string::npos ? 0.125
                                 : spec.name.starts_with("blk.0.")           ? 0.25
                                 : spec.name.starts_with("blk.1.")           ? 0.5
                                                                             : 1;
            for (int64_t j = 0; j < spec.shape.elements(); ++j, ++at)
                ASSERT_NEAR(slower[at] - before[at], scale * (usual[at] - before[at]), 1e-6) << spec.name;
        }
    }
}

TEST(TrainStep, GradientsThatAreNotFiniteChangeNothing) {
    for (const KernelTable* table : kernel_tables())
        for (const Optimizer optimizer : kOptimizers)
            for (const float bad : {NAN, INFINITY}) {
                SCOPED_TRACE(strprintf("%s, optimizer %d, %g", table->name, static_cast<int>(optimizer), bad));
                CpuBackend backend(*table, 1);
                TrainStep train(backend, tiny_config(), {1, 8, 0, optimizer});
                train.initialise(1);
                backend.upload(train.locate(0, 0), std::as_bytes(std::span(&bad, 1)));
                const std::vector<float> before = weights(train);
                const std::vector<int32_t> ids{0, 1, 2, 3, 4, 5, 6, 7};
                const TrainStep::Outcome outcome =
                    train.last_micro_step(ids, ids, {}, 1, {0, 0.01, 0.5, 0.9, 0.99, 1e-8, 0.9});
                EXPECT_FALSE(std::isfinite(outcome.norm));
                const std::vector<float> after = weights(train);
                EXPECT_EQ(std::memcmp(after.data(), before.data(), before.size() * sizeof(float)), 0);
            }
}

// All that is frozen lies elsewhere, as f16: it must stay, and the others get the gradients that they get without freezing.
TEST(TrainStep, FrozenWeightsStayAndTakeNoMemory) {
    CpuBackend backend(kernel_table("auto"), 2);
    const std::vector<int32_t> ids = {1, 2, 3, 4, 5, 6, 7, 8, 2, 4, 6, 8, 10, 1, 3, 5}, targets(ids.rbegin(), ids.rend());
    TrainStep all(backend, tiny_config(), {2, 8, 0, Optimizer::AdamW});
    all.initialise(3);
    const auto is_frozen = [](const ParameterSpec& spec) { return !spec.name.starts_with("blk.1."); };
    size_t half_bytes = 0;
    for (const ParameterSpec& spec : all.parameters())
        if (spec.shape.rank == 2) half_bytes += static_cast<size_t>(spec.shape.elements()) * sizeof(_Float16);
    Arena half(backend, half_bytes);
    std::vector<Weight> frozen;
    size_t at = 0, i = 0;
    for (const ParameterSpec& spec : all.parameters()) {
        const size_t parameter = i++;
        std::vector<float> values(static_cast<size_t>(spec.shape.elements()));
        backend.download(all.locate(parameter, 0), std::as_writable_bytes(std::span(values)));
        std::vector<_Float16> rounded(values.begin(), values.end());
        values.assign(rounded.begin(), rounded.end());
        backend.upload(all.locate(parameter, 0), std::as_bytes(std::span(values)));
        Weight w;
        if (is_frozen(spec)) w = {spec.name, spec.shape, DType::F32, all.locate(parameter, 0), {}};
        if (is_frozen(spec) && spec.shape.rank == 2) {
            w.type = DType::F16;
            w.value = {half.buffer(), at};
            backend.upload(w.value, std::as_bytes(std::span(rounded)));
            at += rounded.size() * sizeof(_Float16);
        }
        frozen.push_back(w);
    }
    TrainShape shape{2, 8, 0, Optimizer::AdamW};
    shape.frozen = Weights(frozen);
    TrainStep some(backend, tiny_config(), shape);
    some.initialise(3);
    for (size_t p = 0; p < frozen.size(); ++p)
        if (!frozen[p]) {
            std::vector<float> values(static_cast<size_t>(all.parameters()[p].shape.elements()));
            backend.download(all.locate(p, 0), std::as_writable_bytes(std::span(values)));
            backend.upload(some.locate(p, 0), std::as_bytes(std::span(values)));
        }
    EXPECT_NEAR(some.micro_step(ids, targets, {}), all.micro_step(ids, targets, {}), 1e-6);
    double squares = 0;
    for (size_t p = 0; p < frozen.size(); ++p) {
        std::vector<float> expected(static_cast<size_t>(all.parameters()[p].shape.elements())), given(expected.size());
        if (frozen[p]) {
            EXPECT_MENTIONS(error_of([&] { some.gradient(p); }), "has no gradient");
            EXPECT_MENTIONS(error_of([&] { some.locate(p, 1); }), "has no moments");
            continue;
        }
        backend.download(all.gradient(p), std::as_writable_bytes(std::span(expected)));
        backend.download(some.gradient(p), std::as_writable_bytes(std::span(given)));
        for (size_t e = 0; e < given.size(); ++e) {
            ASSERT_NEAR(given[e], expected[e], 1e-6) << all.parameters()[p].name << " " << e;
            squares += static_cast<double>(given[e]) * given[e];
        }
    }
    EXPECT_NEAR(some.gradient_norm(0), std::sqrt(squares), 1e-6);
    const std::vector<float> before = weights(all);
    some.update({.step = 0, .lr = 1e-2, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .momentum = 0});
    EXPECT_EQ(weights(all), before);  // whose memory frozen f32 weights are in
    const TrainingMemory few = training_memory(tiny_config(), shape, backend),
                         whole = training_memory(tiny_config(), {2, 8, 0, Optimizer::AdamW}, backend);
    EXPECT_LT(few.parameters, 0.5 * whole.parameters);
    EXPECT_LT(few.activations, whole.activations);
    for (size_t p = 0; p < frozen.size(); ++p)
        if (!frozen[p]) frozen[p] = {all.parameters()[p].name, all.parameters()[p].shape, DType::F32, all.locate(p, 0), {}};
    shape.frozen = Weights(frozen);
    EXPECT_MENTIONS(error_of([&] { TrainStep(backend, tiny_config(), shape); }), "there is nothing to train");
}

TEST(ParameterLayout, RunsHoldAllThatIsUpdatedAlike) {
    const ParameterLayout together(tiny_config(), {});
    ASSERT_EQ(together.runs.size(), 2u);
    EXPECT_TRUE(together.runs[0].decay);
    EXPECT_FALSE(together.runs[1].decay);
    for (const size_t segment : {SIZE_MAX, size_t{8192}}) {
        const ParameterLayout layout(tiny_config(), {}, segment);
        EXPECT_EQ(layout.runs.size() > 2, segment == 8192);
        for (size_t i = 0; i < layout.specs.size(); ++i) {
            const size_t begin = layout.offsets[i], end = begin + static_cast<size_t>(layout.specs[i].shape.elements()) * 4;
            const auto holds = [&](const ParameterLayout::Run& run) {
                return run.decay == layout.specs[i].decay && run.offset <= begin &&
                       end <= run.offset + static_cast<size_t>(run.elements) * 4;
            };
            EXPECT_EQ(std::count_if(layout.runs.begin(), layout.runs.end(), holds), 1) << layout.specs[i].name;
        }
        for (const ParameterLayout::Run& run : layout.runs)
            EXPECT_EQ(run.offset / segment, (run.offset + static_cast<size_t>(run.elements) * 4 - 1) / segment);
    }
}

TEST(TrainingMemory, EstimateIsWhatIsAllocated) {
    CpuBackend backend(kernel_table("auto"), 2);
    const ParameterLayout layout(tiny_config(), {});
    const TrainingMemory memory = training_memory(tiny_config(), {4, 8, 0.1f, Optimizer::AdamW}, backend);
    EXPECT_EQ(memory.parameters, 16.0 * static_cast<double>(layout.total));
    for (const auto& [optimizer, copies] : std::initializer_list<std::pair<Optimizer, int>>{
             {Optimizer::Adam,        4},
             {Optimizer::Adagrad,     3},
             {Optimizer::SgdMomentum, 3},
             {Optimizer::Sgd,         2}
    }) {
        const TrainShape shape{4, 8, 0.1f, optimizer};
        EXPECT_EQ(training_memory(tiny_config(), shape, backend).parameters,
                  4.0 * copies * static_cast<double>(layout.total));
        EXPECT_EQ(TrainStep(backend, tiny_config(), shape).parts(), copies - 1);
    }
    EXPECT_GE(layout.total, parameter_count(tiny_config()));
    EXPECT_GT(memory.activations, 4 * 8 * 16 * 4);
    EXPECT_GT(memory_limit(), 1e6);
    EXPECT_THROW(check_memory(tiny_config(), {4, 8, 0.1f, Optimizer::AdamW}, backend, 1e4), Error);
}

TEST(TrainStep, WrongUseIsRefused) {
    CpuBackend backend(kernel_table("auto"), 1);
    EXPECT_MENTIONS(error_of([&] {
                        TrainStep(backend, tiny_config(), {2, 9, 0, Optimizer::AdamW});
                    }),
                    "2 sequences of 9 tokens make no batch for a context of 8");
    EXPECT_MENTIONS(error_of([&] { TrainStep(backend, tiny_config(), {0, 8, 0, Optimizer::AdamW}); }), "0 sequences");
    ModelConfig other = tiny_config();
    other.arch = "abacus";
    EXPECT_MENTIONS(error_of([&] {
                        TrainStep(backend, other, {2, 8, 0, Optimizer::AdamW});
                    }),
                    "there is no architecture `abacus`");
    TrainStep train(backend, tiny_config(), {2, 4, 0, Optimizer::AdamW});
    train.initialise(1);
    std::vector<int32_t> ids(8), targets(8);
    const auto error = [&] { return error_of([&] { train.micro_step(ids, targets, {}); }); };
    EXPECT_EQ(error(), "");
    for (const int32_t wrong : {-1, 11}) {
        ids[3] = wrong;
        EXPECT_MENTIONS(error(), "is not among the 11 of the model");
        EXPECT_MENTIONS(error_of([&] { train.evaluate(ids, targets); }), "is not among the 11 of the model");
    }
    ids[3] = 10, targets[2] = 11;
    EXPECT_MENTIONS(error(), "token 11 is not among the 11 of the model");
    targets[2] = kIgnore;
    EXPECT_EQ(error(), "");
    ids.pop_back();
    EXPECT_MENTIONS(error(), "input `ids` takes 32 bytes, not 28");
    for (const auto& [parameter, part] : {
             std::pair<size_t, int>{0,    3 },
              {0,    -1},
              {1000, 0 }
    })
        EXPECT_MENTIONS(error_of([&, i = parameter, p = part] { train.locate(i, p); }), "there is no part");
}

}  // namespace
}  // namespace nib
