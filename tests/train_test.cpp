// The training loop: learning, determinism, accumulation, early stopping, divergence, the log and what it refuses.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "core/error.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "ref/kernels.h"
#include "train/trainer.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

std::string contents(const fs::path& path) {
    std::ostringstream out;
    out << std::ifstream(path, std::ios::binary).rdbuf();
    return out.str();
}

class Train : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = ::testing::TempDir() + "nib_train_XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
        std::string text;
        for (int i = 0; i < 60; ++i) text += "the fox " + std::to_string(i) + " and the crow; ";
        std::ofstream(folder_ / "text.txt", std::ios::binary) << text;
    }
    void TearDown() override { fs::remove_all(folder_); }

    // A tiny training in the test's folder.
    TrainRequest request(const std::string& name) const {
        TrainRequest r;
        r.inputs = {(folder_ / "text.txt").string()};
        r.output = (folder_ / name).string();
        TrainOptions& o = r.options;
        o.layers = 2;
        o.heads = 2;
        o.embd = 16;
        o.context = 8;
        o.batch = 4;
        o.iters = o.decay_iters = 12;
        o.eval_every = 5;
        o.min_lr = 1e-4;
        o.warmup = 2;
        o.save_every = 4;
        r.given = {"--decay-iters", "--min-lr", "--warmup", "--save-every"};
        return r;
    }

    TrainResult run(const TrainRequest& r, TrainHooks hooks = {}, int threads = 2, const char* isa = "auto") const {
        CpuBackend backend(kernel_table(isa), threads);
        Progress silent(nullptr, false, 1);
        return Trainer(backend, prepare_training(r, backend.workers()), silent, std::move(hooks)).run();
    }

    std::string error_of(const TrainRequest& r) const {
        try {
            run(r);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    }

    std::string file(const std::string& name) const { return contents(folder_ / name); }
    TrainLog read_log() const {
        TrainLog log((folder_ / "m.log.jsonl").string());
        log.resume(1000);
        return log;
    }
    // Files of the folder beside the text.
    size_t files() const {
        return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator())) - 1;
    }

    fs::path folder_;
};

TEST_F(Train, LossFallsAndFilesAppear) {
    TrainRequest r = request("m");
    r.options.iters = r.options.decay_iters = 300;
    r.options.lr = 1e-2;
    r.options.eval_every = 100;
    const TrainResult result = run(r);
    EXPECT_EQ(result.end, TrainEnd::Finished);
    EXPECT_EQ(result.step, 300);
    EXPECT_LT(*result.val_loss, 1.0);
    const TrainLog log = read_log();
    ASSERT_EQ(log.train().size(), 300u);
    EXPECT_NEAR(log.train()[0].loss, std::log(22), 0.1);  // 22 characters
    EXPECT_LT(log.train().back().loss, 1.0);
    EXPECT_EQ(log.val().size(), 3u);
    EXPECT_NE(file("m.svg").find("</svg>"), std::string::npos);
    for (const char* name : {"m.gguf", "m.state.gguf", "m.best.gguf"}) EXPECT_FALSE(file(name).empty()) << name;
    EXPECT_EQ(files(), 5u);
}

TEST_F(Train, SameBitsForAnyNumberOfThreads) {
    for (const KernelTable* table : kernel_tables()) {
        std::string model, state;
        for (const int threads : {1, 2, 3}) {
            TrainRequest r = request("m");
            r.overwrite = true;
            r.options.dropout = 0.2;
            r.options.accumulate = 2;
            r.options.batch = 9;
            run(r, {}, threads, table->name);
            if (threads > 1) {
                EXPECT_EQ(file("m.gguf"), model) << table->name << ", " << threads << " threads";
                EXPECT_EQ(file("m.state.gguf"), state) << table->name << ", " << threads << " threads";
            }
            model = file("m.gguf");
            state = file("m.state.gguf");
        }
    }
}

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

GptConfig tiny_config() {
    GptConfig c;
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
    TrainStep::Micro micro;
    const double loss = whole.micro_step(ids, targets, micro);
    micro.of = 2;
    double sum = 0;
    for (size_t half = 0; half < 2; ++half) {
        micro.first = half == 0;
        sum += halves.micro_step(std::span(ids).subspan(half * B * T, B * T),
                                 std::span(targets).subspan(half * B * T, B * T), micro);
    }
    EXPECT_NEAR(sum / 2, loss, 1e-6);
    const std::vector<float> a = gradients(whole), b = gradients(halves);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-6) << i;
    EXPECT_NEAR(whole.gradient_norm(0), halves.gradient_norm(0), 1e-5);
    double squares = 0;
    for (const float g : a) squares += static_cast<double>(g) * g;
    EXPECT_NEAR(whole.gradient_norm(0), std::sqrt(squares), 1e-5);
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
TEST(TrainStep, LowMemoryGivesTheSameBitsWithAChunkedLoss) {
    for (const bool tied : {true, false}) {
        CpuBackend backend(kernel_table("auto"), 2);
        GptConfig config = tiny_config();
        config.layers = config.heads = 1;
        config.embd = 4;
        config.vocab = 300000;
        config.tied = tied;
        TrainShape shape{8, 8, 0, Optimizer::AdamW};
        TrainStep usual(backend, config, shape);
        shape.low_memory = true;
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

TEST(TrainStep, LowMemoryGivesTheSameBits) {
    for (const KernelTable* table : kernel_tables())
        for (const bool tied : {true, false})
            for (const Optimizer optimizer : {Optimizer::AdamW, Optimizer::Sgd, Optimizer::SgdMomentum}) {
                SCOPED_TRACE(
                    strprintf("%s, %s, optimizer %d", table->name, tied ? "tied" : "untied", static_cast<int>(optimizer)));
                CpuBackend backend(*table, table == kernel_tables().front() ? 2 : 1);
                GptConfig config = tiny_config();
                config.tied = tied;
                TrainShape shape{3, 8, 0.2f, optimizer};
                TrainStep usual(backend, config, shape);
                shape.low_memory = true;
                TrainStep low(backend, config, shape);
                usual.initialise(7);
                low.initialise(7);
                std::vector<int32_t> ids(24), targets(24);
                for (uint32_t step = 0; step < 10; ++step) {
                    for (size_t i = 0; i < ids.size(); ++i) {
                        ids[i] = static_cast<int32_t>((i * i + step) % 11);
                        targets[i] = static_cast<int32_t>((i * 3 + step) % 11);
                    }
                    std::vector<double> results;
                    for (TrainStep* train : {&usual, &low}) {
                        results.push_back(train->micro_step(ids, targets, {.seed = 5, .index = step}));
                        results.push_back(train->gradient_norm(0.1));  // clips
                        train->update({step, 0.05, 0.1, 0.9, 0.99, 1e-8, 0.9});
                    }
                    ASSERT_GT(results[1], 0.1);
                    ASSERT_EQ(results[0], results[2]) << "loss of step " << step;
                    ASSERT_EQ(results[1], results[3]) << "norm of step " << step;
                    ASSERT_EQ(weights(usual), weights(low)) << "after step " << step;
                }
            }
}

TEST(TrainStep, InitialWeightsHaveTheirDistribution) {
    GptConfig config = tiny_config();
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

TEST_F(Train, StopsEarlyWithoutNewBest) {
    TrainRequest r = request("m");
    r.options.iters = 10000;
    r.options.lr = r.options.min_lr = 1e-12;  // learns nothing: the losses of a few digits are the same or random
    r.options.weight_decay = 0;
    r.options.eval_every = 2;
    r.options.patience = 3;
    const TrainResult result = run(r);
    EXPECT_EQ(result.end, TrainEnd::StoppedEarly);
    EXPECT_GE(result.step, 8);
    EXPECT_LT(result.step, 10000);
    r.resume = true;
    r.given.insert("--patience");
    const TrainResult again = run(r);
    EXPECT_EQ(again.end, TrainEnd::StoppedEarly);
    EXPECT_EQ(again.step, result.step);
}

TEST_F(Train, DivergenceKeepsTheLastGoodCheckpoint) {
    TrainRequest r = request("m");
    r.options.iters = 4;
    r.options.val_fraction = 0;
    run(r);
    const std::string model = file("m.gguf"), state = file("m.state.gguf");
    // The learning rate cannot be changed at a resume, so the checkpoint's is.
    std::string broken = state;
    const double lr = 0.003, absurd = 1e38;
    const std::string key = "nib.train.lr";
    const size_t at = broken.find(key) + key.size() + 4;
    ASSERT_EQ(broken.compare(at, 8, reinterpret_cast<const char*>(&lr), 8), 0);
    broken.replace(at, 8, reinterpret_cast<const char*>(&absurd), 8);
    std::ofstream(folder_ / "m.state.gguf", std::ios::binary) << broken;
    r.resume = true;
    r.options.iters = 100;
    r.options.save_every = 1;
    r.given = {"--iters", "--save-every"};
    const std::string error = error_of(r);
    EXPECT_NE(error.find("--clip"), std::string::npos) << error;
    EXPECT_NE(error.find("the checkpoint of step 4"), std::string::npos) << error;
    EXPECT_EQ(file("m.gguf"), model);
    EXPECT_EQ(file("m.state.gguf"), broken);
}

TEST_F(Train, DivergenceWithoutCheckpointLeavesNothing) {
    TrainRequest r = request("m");
    r.options.lr = 1e38;
    r.options.clip = 0;
    r.options.warmup = 0;
    EXPECT_NE(error_of(r).find("nothing was saved"), std::string::npos);
    EXPECT_EQ(files(), 0u);
}

TEST_F(Train, LogIsCutAtTheResumedStep) {
    TrainRequest r = request("m");
    run(r);
    const std::string whole = file("m.log.jsonl");
    // As after a kill: lines of steps that no checkpoint has, and half a line.
    std::ofstream(folder_ / "m.log.jsonl", std::ios::app) << "{\"step\": 13, \"loss\": 1.0}\n{\"step\": 14, \"lo";
    r.resume = true;
    r.options.iters = 14;
    r.given = {"--iters"};
    run(r);
    const std::string log = file("m.log.jsonl");
    EXPECT_EQ(log.substr(0, whole.size()), whole);
    EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 14);
    const TrainLog read = read_log();
    for (size_t i = 0; i < read.train().size(); ++i) EXPECT_EQ(read.train()[i].step, static_cast<int64_t>(i + 1));
}

TEST_F(Train, BadRequestsLeaveNoFile) {
    const auto refused = [&](const std::function<void(TrainRequest&)>& change, const char* expected) {
        TrainRequest r = request("m");
        change(r);
        const std::string error = error_of(r);
        EXPECT_NE(error.find(expected), std::string::npos) << error;
        EXPECT_EQ(error.find('\n'), std::string::npos) << error;
        EXPECT_EQ(files(), 0u) << error;
    };
    refused([](TrainRequest& r) { r.inputs = {"/nowhere/a.txt"}; }, "/nowhere/a.txt");
    refused([](TrainRequest& r) { r.output = "/nowhere/m"; }, "/nowhere/m.gguf");
    refused([](TrainRequest& r) { r.output = "m.state.gguf"; }, "m.state.gguf");
    refused([this](TrainRequest& r) { r.output = folder_.string(); }, "is a folder");
    refused([](TrainRequest& r) { r.output = "/dev/null"; }, "not a regular file");
    refused([](TrainRequest& r) { r.options.low_memory = true, r.options.accumulate = 2; }, "--low-memory");
    refused([](TrainRequest& r) { r.options.heads = 3; }, "3 heads");
    refused([](TrainRequest& r) { r.options.layers = 0; }, "--layers");
    refused([](TrainRequest& r) { r.options.embd = int64_t{1} << 40; }, "memory");
    refused([](TrainRequest& r) { r.options.context = int64_t{1} << 40; }, "memory");
    refused([](TrainRequest& r) { r.options.batch = int64_t{1} << 60; }, "memory");
    refused([](TrainRequest& r) { r.options.context = 4000; }, "too short");
    refused([](TrainRequest& r) { r.options.lr = std::nan(""); }, "--lr is nan");
    refused([](TrainRequest& r) { r.options.sample_prompt = "fox?"; }, "\"?\"");
    refused([](TrainRequest& r) { r.resume = true; }, "no such file to resume");
    refused([](TrainRequest& r) { r.options.val_fraction = 0, r.options.patience = 1; }, "--patience");
}

TEST_F(Train, AnExistingModelIsNotReplacedByAccident) {
    run(request("m"));
    const std::string model = file("m.gguf");
    const std::string error = error_of(request("m.gguf"));
    EXPECT_NE(error.find("--resume"), std::string::npos) << error;
    EXPECT_NE(error.find("--overwrite"), std::string::npos) << error;
    EXPECT_EQ(file("m.gguf"), model);
    TrainRequest r = request("m");
    r.overwrite = true;
    r.options.seed = 2;
    run(r);
    EXPECT_NE(file("m.gguf"), model);
}

TEST_F(Train, LowMemoryWritesTheSameModel) {
    TrainRequest r = request("m");
    r.options.dropout = 0.1;
    run(r);
    r.output = (folder_ / "low").string();
    r.options.low_memory = true;
    run(r);
    EXPECT_EQ(file("m.gguf"), file("low.gguf"));
    // Resumed the other way: the option says nothing about the weights.
    r.options.iters = 15;
    r.options.low_memory = false;
    r.resume = true;
    r.given = {"--iters", "--low-memory"};
    run(r);
    r.output = (folder_ / "m").string();
    run(r);
    EXPECT_EQ(file("m.gguf"), file("low.gguf"));
    EXPECT_EQ(file("m.state.gguf"), file("low.state.gguf"));
}

TEST_F(Train, ANameIsTakenWhileItsTrainingRuns) {
    TrainRequest r = request("m");
    r.options.sample_every = 6;
    std::string error;
    TrainHooks hooks;
    hooks.sample = [&](const TrainStep&, const CharTokenizer&, int64_t) {
        for (const bool resume : {false, true}) {
            TrainRequest second = request("m");
            second.resume = resume;
            second.overwrite = !resume;
            error = error_of(second);
            EXPECT_NE(error.find("m.gguf: another process is training under this name"), std::string::npos) << error;
        }
    };
    run(r, hooks);
    EXPECT_FALSE(error.empty());
    EXPECT_EQ(std::ranges::count(file("m.log.jsonl"), '\n'), 12);
    r.overwrite = true;
    run(r);
}

TEST_F(Train, ANameIsTakenFromThePreparationOn) {
    const TrainSetup first = prepare_training(request("m"), 1);
    std::ofstream(folder_ / "m.state.gguf.tmp") << "being written";
    for (const bool resume : {false, true}) {
        TrainRequest second = request("m");
        second.resume = resume;
        EXPECT_NE(error_of(second).find("m.gguf: another process is training under this name"), std::string::npos);
    }
    EXPECT_EQ(file("m.state.gguf.tmp"), "being written");
}

// What is there of the earlier run stays until the first checkpoint replaces it, and nothing of it after that.
TEST_F(Train, ReplacingATrainingIsAllOrNothing) {
    const std::vector<std::string> names = {"m.gguf", "m.state.gguf", "m.best.gguf", "m.log.jsonl", "m.svg"};
    const TrainResult earlier = run(request("m"));
    std::vector<std::string> before;
    for (const std::string& name : names) before.push_back(file(name));
    TrainRequest r = request("m");
    r.overwrite = true;
    r.options.seed = 2;
    r.options.lr = 1e-2;  // a better model than the first one, at the first validation already
    r.options.sample_every = 7;
    r.options.save_every = 8;
    TrainHooks hooks;
    hooks.sample = [](const TrainStep&, const CharTokenizer&, int64_t) { fail("the end"); };
    EXPECT_THROW(run(r, hooks), Error);
    for (size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(file(names[i]) == before[i]) << names[i];
    EXPECT_EQ(files(), names.size());

    r.options.lr = r.options.min_lr = 1e-5;  // a worse one, whose best loss is nevertheless its own
    const TrainResult later = run(r);
    EXPECT_GT(*later.best_loss, *earlier.best_loss);
    EXPECT_EQ(*read_best_loss(RunFiles(r.output)), *later.best_loss);
    EXPECT_EQ(std::ranges::count(file("m.log.jsonl"), '\n'), 12);

    r.options.val_fraction = 0;
    run(r);
    EXPECT_FALSE(fs::exists(folder_ / "m.best.gguf"));
    EXPECT_EQ(files(), names.size() - 1);
}

TEST_F(Train, ABestModelOrATextIsNotReplacedByAccident) {
    std::ofstream(folder_ / "m.best.gguf") << "weights";
    EXPECT_NE(error_of(request("m")).find("m.best.gguf: already exists"), std::string::npos);
    fs::rename(folder_ / "text.txt", folder_ / "n.svg");
    TrainRequest r = request("n");
    r.inputs = {(folder_ / "n.svg").string()};
    r.overwrite = true;
    EXPECT_NE(error_of(r).find("a text to read and a file to write"), std::string::npos);
    EXPECT_EQ(files(), 1u);
}

TEST_F(Train, ASeparateTextValidates) {
    std::ofstream(folder_ / "val.txt", std::ios::binary) << "the crow and the fox, XYZ";
    TrainRequest r = request("m");
    r.validation = (folder_ / "val.txt").string();
    EXPECT_TRUE(run(r).val_loss.has_value());
    r.resume = true;
    r.options.iters = 13;
    r.given = {"--iters"};
    EXPECT_EQ(run(r).step, 13);
    r.validation.clear();
    EXPECT_NE(error_of(r).find("give it again with --val"), std::string::npos) << error_of(r);
}

TEST_F(Train, AsksForSamplesAndStops) {
    TrainRequest r = request("m");
    r.options.sample_every = 3;
    std::vector<int64_t> sampled;
    TrainHooks hooks;
    hooks.sample = [&](const TrainStep&, const CharTokenizer&, int64_t step) { sampled.push_back(step); };
    hooks.stop = [&] { return sampled.size() == 2; };
    const TrainResult result = run(r, hooks);
    EXPECT_EQ(result.end, TrainEnd::Interrupted);
    EXPECT_EQ(sampled, (std::vector<int64_t>{3, 6}));
    EXPECT_EQ(result.step, 7);
}

TEST(LossCurve, IsAnImageOfAnyNumberOfPoints) {
    std::vector<LossPoint> train;
    EXPECT_NE(loss_curve_svg("<a & b>", train, {}).find("&lt;a &amp; b&gt;"), std::string::npos);
    for (int i = 1; i <= 5000; ++i) train.push_back({i, 4.0 / i + 1});
    const std::string svg = loss_curve_svg("m", train,
                                           std::vector<LossPoint>{
                                               {2500, 1.5}
    });
    EXPECT_NE(svg.find("validation 1.500"), std::string::npos);
    EXPECT_LT(svg.size(), 20000u);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(loss_curve_svg("m",
                             std::vector<LossPoint>{
                                 {1, 3}
    },
                             {})
                  .find("nan"),
              std::string::npos);
}

TEST_F(Train, MemoryIsLimitedByTheMachineAndItsControlGroups) {
    const auto put = [&](const std::string& name, const std::string& text) {
        fs::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name) << text << '\n';
    };
    const auto limit = [&] { return memory_limit(folder_.string()) / 1024; };
    EXPECT_GT(limit(), 1000);  // nothing there: the machine's memory
    put("proc/meminfo", "MemTotal:  900000 kB\nMemAvailable:  800 kB\nSwapFree:  100 kB");
    EXPECT_EQ(limit(), 900);
    put("proc/self/cgroup", "0::/user/one");
    put("sys/fs/cgroup/user/one/memory.max", "max");
    EXPECT_EQ(limit(), 900);
    put("sys/fs/cgroup/memory.max", "819200");  // a container's own group is the root that it sees
    EXPECT_EQ(limit(), 800);
    put("sys/fs/cgroup/user/memory.max", "716800");
    EXPECT_EQ(limit(), 700);
    put("sys/fs/cgroup/user/one/memory.max", "614400");
    EXPECT_EQ(limit(), 600);
    put("sys/fs/cgroup/user/two/memory.max", "1024");  // another process's
    put("proc/self/cgroup", "5:cpu,cpuacct:/user\n4:hugetlb,memory:/a:b/c\n0::/");
    EXPECT_EQ(limit(), 800);
    put("sys/fs/cgroup/memory/a:b/memory.limit_in_bytes", "512000");
    EXPECT_EQ(limit(), 500);
}

TEST(TrainingMemory, EstimateIsWhatIsAllocated) {
    const ParameterLayout layout(tiny_config());
    const TrainingMemory memory = training_memory(tiny_config(), {4, 8, 0.1f, Optimizer::AdamW}, 2);
    EXPECT_EQ(memory.parameters, 16.0 * static_cast<double>(layout.total));
    EXPECT_GE(layout.total, parameter_count(tiny_config()));
    EXPECT_GT(memory.activations, 4 * 8 * 16 * 4);
    EXPECT_GT(memory_limit(), 1e6);
    EXPECT_LT(memory_limit(), 1e18);
    EXPECT_THROW(check_memory(tiny_config(), {4, 8, 0.1f, Optimizer::AdamW}, 2, 1e4), Error);
}

}  // namespace
}  // namespace nib
