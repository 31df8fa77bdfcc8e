// Learning rates against their formulas, options and their checks, and which parts of a text are chosen.
#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <set>

#include "task/windows.h"
#include "test_errors.h"
#include "train/options.h"

namespace nib {
namespace {

using namespace test;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Schedule make(Schedule::Kind kind) { return {kind, 0.01, 0.001, 10, 110, 20, 0.5}; }

TEST(Schedule, WarmsUpLinearly) {
    for (const auto kind : {Schedule::Kind::Constant, Schedule::Kind::Linear, Schedule::Kind::Step, Schedule::Kind::Cosine,
                            Schedule::Kind::InverseSqrt}) {
        const Schedule s = make(kind);
        for (int64_t k = 0; k < 10; ++k) EXPECT_DOUBLE_EQ(s.at(k), 0.01 * static_cast<double>(k + 1) / 11);
        EXPECT_DOUBLE_EQ(s.at(10), 0.01);
    }
}

TEST(Schedule, FollowsItsFormula) {
    const Schedule constant = make(Schedule::Kind::Constant), linear = make(Schedule::Kind::Linear),
                   step = make(Schedule::Kind::Step), cosine = make(Schedule::Kind::Cosine);
    for (int64_t k = 10; k < 200; ++k) {
        const double done = std::min(1.0, static_cast<double>(k - 10) / 100);
        EXPECT_DOUBLE_EQ(constant.at(k), 0.01);
        EXPECT_NEAR(linear.at(k), 0.01 - 0.009 * done, 1e-15);
        EXPECT_NEAR(step.at(k), 0.01 * std::pow(0.5, static_cast<int>((k - 10) / 20)), 1e-15);
        EXPECT_NEAR(cosine.at(k), 0.001 + 0.009 * (1 + std::cos(std::numbers::pi * done)) / 2, 1e-15);
    }
    EXPECT_EQ(cosine.at(110), 0.001);
    EXPECT_EQ(linear.at(1000000), 0.001);
}

// lr = 1 / sqrt(C W) makes it the paper's: 1 / sqrt(C) min(1 / sqrt(n), n / W^1.5) in step n = 1, 2, ...
TEST(Schedule, InverseSquareRootIsThatOfTheTransformer) {
    const double C = 512, W = 4000;
    Schedule s{Schedule::Kind::InverseSqrt, 1 / std::sqrt(C * W)};
    s.warmup = 3999;
    EXPECT_NEAR(s.lr, 7e-4, 1e-5);
    for (const int64_t n : {1, 2, 100, 3999, 4000, 4001, 16000, 100000}) {
        const auto step = static_cast<double>(n);
        const double rate = std::pow(C, -0.5) * std::min(std::pow(step, -0.5), step * std::pow(W, -1.5));
        EXPECT_NEAR(s.at(n - 1), rate, 1e-15);
    }
    s.warmup = 0;
    EXPECT_DOUBLE_EQ(s.at(0), s.lr);
    EXPECT_DOUBLE_EQ(s.at(3), s.lr / 2);
}

TEST(Schedule, WarmupMayReachBeyondTheHorizon) {
    Schedule s = make(Schedule::Kind::Cosine);
    s.warmup = 500;
    EXPECT_DOUBLE_EQ(s.at(499), 0.01 * 500 / 501);
    EXPECT_EQ(s.at(500), 0.001);
}

TEST(Schedule, RefusesImpossibleValues) {
    const auto refused = [](auto change) {
        Schedule s = make(Schedule::Kind::Cosine);
        change(s);
        return error_of([&] { check_schedule(s); });
    };
    EXPECT_EQ(refused([](Schedule&) {}), "");
    EXPECT_NE(refused([](Schedule& s) { s.lr = kNan; }).find("lr is nan"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.lr = -1; }).find("lr"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.lr = INFINITY; }).find("lr"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.min_lr = 1; }).find("min-lr"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.min_lr = kNan; }).find("min-lr"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.warmup = -1; }).find("warmup"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.step_size = 0; }).find("step-size"), std::string::npos);
    EXPECT_NE(refused([](Schedule& s) { s.gamma = 0; }).find("gamma"), std::string::npos);
    EXPECT_NE(error_of([] { schedule_kind("sine"); }).find("sine"), std::string::npos);
}

TEST(TrainOptions, DefaultsArePossible) {
    TrainOptions o;
    resolve_defaults(o, {});
    EXPECT_NO_THROW(check_options(o));
    EXPECT_EQ(o.decay_iters, o.iters);
    EXPECT_EQ(o.save_every, o.eval_every);
    EXPECT_DOUBLE_EQ(o.min_lr, o.lr / 10);
    EXPECT_EQ(o.warmup, 100);
    TrainOptions given;
    given.min_lr = 0;
    resolve_defaults(given, {"min-lr"});
    EXPECT_EQ(given.min_lr, 0);
}

TEST(TrainOptions, DefaultsOfOptimizers) {
    const auto resolved = [](const char* optimizer, const GivenOptions& given) {
        TrainOptions o;
        o.optimizer = optimizer;
        resolve_defaults(o, given);
        EXPECT_NO_THROW(check_options(o));
        return std::pair(o.weight_decay, o.adam_eps);
    };
    EXPECT_EQ(resolved("adamw", {}), std::pair(0.1, 1e-8));
    EXPECT_EQ(resolved("adam", {}), std::pair(0.0, 1e-8));
    EXPECT_EQ(resolved("sgd", {}), std::pair(0.0, 1e-8));
    EXPECT_EQ(resolved("adagrad", {}), std::pair(0.0, 1e-10));
    EXPECT_EQ(resolved("adagrad", {"adam-eps", "weight-decay"}), std::pair(0.1, 1e-8));
}

TEST(TrainOptions, WideModelsAndNormsAfterSumsHaveSmallerRates) {
    const auto rate = [](const char* arch, int64_t embd) {
        TrainOptions o;
        o.arch = arch, o.embd = embd;
        resolve_defaults(o, {});
        return o.lr;
    };
    EXPECT_DOUBLE_EQ(rate("gpt2", 64), 0.003);
    EXPECT_DOUBLE_EQ(rate("gpt2", 400), 0.001);
    for (const char* arch : {"openai-gpt", "bert", "transformer"}) {
        EXPECT_DOUBLE_EQ(rate(arch, 64), 0.001);
        EXPECT_DOUBLE_EQ(rate(arch, 400), 0.001 / 3);
    }
    TrainOptions given;
    given.arch = "bert", given.lr = 0.002;
    resolve_defaults(given, {"lr"});
    EXPECT_EQ(given.lr, 0.002);
}

TEST(TrainOptions, EachBadValueIsNamed) {
    const auto refused = [](auto change) {
        TrainOptions o;
        resolve_defaults(o, {});
        change(o);
        return error_of([&] { check_options(o); });
    };
    EXPECT_NE(refused([](TrainOptions& o) { o.dropout = 1; }).find("dropout"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.dropout = kNan; }).find("dropout"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.label_smoothing = 1; }).find("label-smoothing"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.label_smoothing = kNan; }).find("label-smoothing"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.batch = 0; }).find("batch"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.iters = 0; }).find("iters"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.beta2 = 1; }).find("beta2"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.adam_eps = 0; }).find("adam-eps"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.clip = kNan; }).find("clip"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.weight_decay = INFINITY; }).find("weight-decay"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.optimizer = "rmsprop"; }).find("adagrad"), std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.iters = o.accumulate = int64_t{1} << 31; }).find("accumulate"),
              std::string::npos);
    EXPECT_NE(refused([](TrainOptions& o) { o.val_fraction = 1; }).find("val-fraction"), std::string::npos);
}

TEST(TrainOptions, ResumeKeepsWhatMatters) {
    TrainOptions saved;
    resolve_defaults(saved, {});
    TrainOptions now = saved;
    now.iters = 5000;
    now.log_every = 7;
    now.lr = 0.5;  // not given: a default of the command line
    const TrainOptions merged = merge_options(saved, now, {"iters", "log-every"}, "m.state.gguf");
    EXPECT_EQ(merged.iters, 5000);
    EXPECT_EQ(merged.log_every, 7);
    EXPECT_EQ(merged.lr, saved.lr);
    EXPECT_EQ(merged.decay_iters, saved.decay_iters);
    const std::string error = error_of([&] { merge_options(saved, now, {"lr"}, "m.state.gguf"); });
    for (const char* part : {"m.state.gguf", "lr 0.003", "0.5"}) EXPECT_NE(error.find(part), std::string::npos) << error;
    now.layers = 9;
    EXPECT_NE(error_of([&] { merge_options(saved, now, {"layers"}, "m"); }).find("layers 4, but 9"), std::string::npos);
}

TEST(Batches, WindowsAreUniformAndInside) {
    const Span span{100, 120};
    std::vector<int> counts(10);
    for (uint32_t step = 0; step < 1000; ++step)
        for (uint32_t row = 0; row < 10; ++row) {
            const int64_t start = window_start(7, step, row, span, 10);
            ASSERT_GE(start, 100);
            ASSERT_LE(start + 10 + 1, 120);
            ++counts[static_cast<size_t>(start - 100)];
        }
    for (const int count : counts) EXPECT_NEAR(count, 1000, 150);  // 5 sigma
    EXPECT_NE(window_start(7, 0, 0, {0, 1 << 20}, 10), window_start(8, 0, 0, {0, 1 << 20}, 10));
    EXPECT_EQ(window_start(7, 3, 4, {5, 16}, 10), 5);  // only one window fits
}

TEST(Batches, EvaluationPredictsEachCharacterOnce) {
    for (const int64_t size : {11, 20, 21, 22, 30, 31, 1000}) {
        const EvalWindows windows({50, 50 + size}, 10, 0);
        std::set<int64_t> predicted;
        for (int64_t i = 0; i < windows.count(); ++i)
            for (int64_t t = 1; t <= windows.length(i); ++t) EXPECT_TRUE(predicted.insert(windows.start(i) + t).second);
        EXPECT_EQ(static_cast<int64_t>(predicted.size()), size - 1);
        EXPECT_EQ(*predicted.begin(), 51);
        EXPECT_EQ(*predicted.rbegin(), 50 + size - 1);
    }
}

TEST(Batches, EvaluationSpreadsOverTheSpan) {
    const EvalWindows windows({0, 1001}, 10, 100);
    ASSERT_EQ(windows.count(), 10);
    EXPECT_EQ(windows.start(0), 0);
    EXPECT_EQ(windows.start(9), 990);
    for (int64_t i = 0; i < 10; ++i) {
        EXPECT_EQ(windows.length(i), 10);
    }
    for (int64_t i = 1; i < 10; ++i) EXPECT_NEAR(static_cast<double>(windows.start(i) - windows.start(i - 1)), 110, 1);
    EXPECT_EQ(EvalWindows({0, 1001}, 10, 3).count(), 1);
}

TEST(Batches, WrongSpansAreRefused) {
    EXPECT_THROW(window_start(7, 0, 0, {5, 15}, 10), Error);
    EXPECT_THROW(window_start(7, 0, 0, {5, 15}, 0), Error);
    EXPECT_THROW(EvalWindows({0, 100}, 0, 0), Error);
    EXPECT_THROW(EvalWindows({0, 100}, 10, -1), Error);
    EXPECT_THROW(EvalWindows({7, 8}, 10, 0), Error);
    EXPECT_THROW(EvalWindows({0, 9}, 10, 3), Error);
}

}  // namespace
}  // namespace nib
