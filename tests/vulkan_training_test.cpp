// Training on a Vulkan device: the CPU's losses, the same bits each time, checkpoints that go from one to the other.
#include <cmath>
#include <vector>

#include "check/checked_backend.h"
#include "numbers.h"
#include "tiny_training.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

ModelConfig small_config(bool tied) {
    ModelConfig c;
    c.layers = 2, c.heads = 3, c.embd = 24, c.context = 16, c.vocab = 37;
    c.tied = tied;
    return c;
}

struct Trained {
    std::vector<double> losses;  // of each step, and of an evaluation at the end
    std::vector<float> weights;
};

// Steps of two micro-batches, or of one where no gradients are kept, on texts with a rule to learn.
Trained train(Backend& backend, const ModelConfig& config, const TrainShape& shape, int64_t steps) {
    TrainStep train(backend, config, shape);
    train.initialise(1);
    const auto rows = static_cast<size_t>(train.rows());
    std::vector<int32_t> ids(rows), targets(rows);
    Trained result;
    const auto next_text = [&](int64_t number) {
        for (size_t i = 0; i < rows; ++i) {
            ids[i] = i == 0 ? static_cast<int32_t>(number % 37) : targets[i - 1];
            targets[i] = (5 * ids[i] + 1) % 37;
        }
    };
    const int64_t micro_batches = shape.recompute ? 1 : 2;
    for (int64_t step = 0; step < steps; ++step) {
        double loss = 0;
        for (int64_t micro = 0; micro < micro_batches; ++micro) {
            const int64_t number = step * micro_batches + micro;
            const TrainStep::MicroBatch which{5, static_cast<uint32_t>(number), {micro_batches * train.rows()}, micro == 0};
            next_text(number);
            if (micro < micro_batches - 1) {
                loss += train.micro_step(ids, targets, which);
                continue;
            }
            const TrainStep::Outcome last = train.last_micro_step(
                ids, targets, which, 1,
                {.step = step, .lr = 1e-2, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .momentum = 0.9});
            result.losses.push_back(loss + last.loss);
            result.losses.push_back(last.norm);
        }
    }
    targets[1] = kIgnore;
    result.losses.push_back(train.evaluate(ids, targets).sum / static_cast<double>(rows - 1));
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        std::vector<float> values(static_cast<size_t>(train.parameters()[i].shape.elements()));
        backend.download(train.locate(i, 0), std::as_writable_bytes(std::span(values)));
        result.weights.insert(result.weights.end(), values.begin(), values.end());
    }
    return result;
}

struct VulkanTraining : Vulkan, TrainingFolder {
    CpuBackend cpu_{kernel_table("auto"), 2};
};

TEST_F(VulkanTraining, FiftyStepsGiveTheLossesOfTheCpu) {
    for (const bool tied : {true, false}) {
        const TrainShape shape{4, 16, 0.2f, Optimizer::AdamW};
        const Trained expected = train(cpu_, small_config(tied), shape, 50),
                      got = train(backend(), small_config(tied), shape, 50);
        ASSERT_EQ(got.losses.size(), 101u);
        for (size_t i = 0; i < got.losses.size(); ++i) ASSERT_NEAR(got.losses[i], expected.losses[i], 1e-3) << i;
        EXPECT_LT(expected.losses.back(), 3);
        EXPECT_LT(relative_error(got.weights, expected.weights), 1e-3);
    }
}

TEST_F(VulkanTraining, ActivationsOfHalfFloatsTakeLessMemoryAndGiveNearlyTheSameLosses) {
    TrainShape shape{4, 16, 0.2f, Optimizer::AdamW};
    const Trained expected = train(cpu_, small_config(true), shape, 50);
    const double floats = training_memory(small_config(true), shape, backend()).activations;
    shape.activations = DType::F16;
    EXPECT_LT(training_memory(small_config(true), shape, backend()).activations, 0.75 * floats);
    for (const bool recompute : {false, true}) {
        shape.recompute = recompute;
        const Trained got = train(backend(), small_config(true), shape, 50),
                      again = train(backend(), small_config(true), shape, 50);
        EXPECT_EQ(got.weights, again.weights);
        if (recompute) continue;  // other batches
        for (size_t i = 0; i < got.losses.size(); ++i) ASSERT_NEAR(got.losses[i], expected.losses[i], 0.02) << i;
    }
    EXPECT_THROW(train(cpu_, small_config(true), shape, 1), Error);
}

TEST_F(VulkanTraining, EachNodeOnHalfFloatsIsThatOfTheReference) {
    TrainShape shape{2, 16, 0.2f, Optimizer::AdamW};
    shape.activations = DType::F16;
    check::CheckedBackend checked(backend(), [](const std::string& text) { ADD_FAILURE() << text; });
    train(checked, small_config(false), shape, 2);
    EXPECT_GT(checked.summary().nodes, 100);
}

TEST_F(VulkanTraining, GradientsThatAreNotFiniteChangeNothing) {
    for (const Optimizer optimizer : {Optimizer::AdamW, Optimizer::SgdMomentum, Optimizer::Adagrad})
        for (const float bad : {NAN, INFINITY}) {
            TrainStep train(backend(), small_config(true), {1, 16, 0, optimizer});
            train.initialise(1);
            backend().upload(train.locate(0, 0), std::as_bytes(std::span(&bad, 1)));  // of token 0
            const std::vector<int32_t> ids(16, 0), targets(16, 1);
            const TrainStep::Update update{.lr = 1e-2, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8};
            std::vector<float> before(24), after(24);  // of another parameter
            const auto read = [&](std::vector<float>& values) {
                backend().download(train.locate(2, 0), std::as_writable_bytes(std::span(values)));
            };
            read(before);
            EXPECT_FALSE(std::isfinite(train.last_micro_step(ids, targets, {}, 1, update).norm));
            read(after);
            EXPECT_EQ(after, before);
        }
}

TEST_F(VulkanTraining, OtherOptimizers) {
    for (const Optimizer optimizer : {Optimizer::Sgd, Optimizer::SgdMomentum, Optimizer::Adam, Optimizer::Adagrad}) {
        const TrainShape shape{2, 16, 0, optimizer};
        const Trained expected = train(cpu_, small_config(true), shape, 5),
                      got = train(backend(), small_config(true), shape, 5);
        EXPECT_LT(relative_error(got.weights, expected.weights), 1e-5);
    }
}

TEST_F(VulkanTraining, SmoothedLabels) {
    TrainShape shape{2, 16, 0, Optimizer::AdamW};
    const double plain = train(cpu_, small_config(true), shape, 1).losses[0];
    shape.label_smoothing = 0.2f;
    const Trained expected = train(cpu_, small_config(true), shape, 20),
                  got = train(backend(), small_config(true), shape, 20);
    EXPECT_NE(expected.losses[0], plain);
    for (size_t i = 0; i < got.losses.size(); ++i) ASSERT_NEAR(got.losses[i], expected.losses[i], 1e-4) << i;
}

TEST_F(VulkanTraining, TheSameBitsEachTimeAndWithLessMemory) {
    TrainShape shape{3, 16, 0.1f, Optimizer::AdamW};
    const Trained first = train(backend(), small_config(true), shape, 3),
                  again = train(backend(), small_config(true), shape, 3);
    EXPECT_EQ(first.losses, again.losses);
    EXPECT_EQ(first.weights, again.weights);
    shape.recompute = true;
    const Trained low = train(backend(), small_config(true), shape, 3), low_cpu = train(cpu_, small_config(true), shape, 3);
    EXPECT_LT(relative_error(low.weights, low_cpu.weights), 1e-4);
}

TEST_F(VulkanTraining, CheckpointsGoFromOneDeviceToTheOther) {
    const auto of = [&](const char* name) {
        TrainRequest r = request(name);
        r.options.batch = 4;
        r.options.dropout = 0.1;
        r.options.iters = r.options.decay_iters = 8;
        r.options.save_every = 4;
        r.given = {"--decay-iters", "--save-every"};
        return r;
    };
    const TrainResult whole = run(cpu_, of("whole"));
    for (Backend* first : {static_cast<Backend*>(&cpu_), &backend()}) {
        Backend& second = first == &cpu_ ? backend() : cpu_;
        TrainRequest r = of("parts");
        r.overwrite = true;
        TrainHooks hooks;
        hooks.stop = [steps = 0]() mutable { return ++steps > 4; };
        const TrainResult stopped = run(*first, r, hooks);
        EXPECT_EQ(stopped.end, TrainEnd::Interrupted);
        r.overwrite = false;
        r.resume = true;
        r.given = {};
        const TrainResult result = run(second, r);
        EXPECT_EQ(result.step, 8);
        EXPECT_NEAR(*result.val_loss, *whole.val_loss, 1e-3);
    }
}

}  // namespace
}  // namespace nib
