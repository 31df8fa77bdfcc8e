// The training loop: learning, determinism, accumulation, early stopping, divergence, the log and what it refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "core/wrapped_backend.h"
#include "io/memory_limit.h"
#include "ref/kernels.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

class Train : public TinyTraining {
protected:
    TrainRequest request(const std::string& name) const {
        TrainRequest r = TinyTraining::request(name);
        TrainOptions& o = r.options;
        o.batch = 4;
        o.iters = o.decay_iters = 12;
        o.eval_every = 5;
        o.min_lr = 1e-4;
        o.warmup = 2;
        o.save_every = 4;
        r.given = {"decay-iters", "min-lr", "warmup", "save-every"};
        return r;
    }

    TrainLog read_log() const {
        TrainLog log((folder_ / "m.log.jsonl").string());
        log.resume(1000);
        return log;
    }

    // Files of the folder beside the text.
    size_t files() const {
        const fs::directory_iterator all(folder_.path());
        return static_cast<size_t>(std::distance(begin(all), end(all))) - 1;
    }
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
    EXPECT_NE(get("m.svg").find("</svg>"), std::string::npos);
    for (const char* name : {"m.gguf", "m.state.gguf", "m.best.gguf"}) EXPECT_FALSE(get(name).empty()) << name;
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
                EXPECT_EQ(get("m.gguf"), model) << table->name << ", " << threads << " threads";
                EXPECT_EQ(get("m.state.gguf"), state) << table->name << ", " << threads << " threads";
            }
            model = get("m.gguf");
            state = get("m.state.gguf");
        }
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
    r.given.insert("patience");
    const TrainResult again = run(r);
    EXPECT_EQ(again.end, TrainEnd::StoppedEarly);
    EXPECT_EQ(again.step, result.step);
}

TEST_F(Train, DivergenceKeepsTheLastGoodCheckpoint) {
    TrainRequest r = request("m");
    r.options.iters = 4;
    r.options.val_fraction = 0;
    run(r);
    const std::string model = get("m.gguf"), state = get("m.state.gguf");
    // The learning rate cannot be changed at a resume, so the checkpoint's is.
    std::string broken = state;
    const double lr = 0.003, absurd = 1e38;
    const std::string key = "nib.train.lr";
    const size_t at = broken.find(key) + key.size() + 4;
    ASSERT_EQ(broken.compare(at, 8, reinterpret_cast<const char*>(&lr), 8), 0);
    broken.replace(at, 8, reinterpret_cast<const char*>(&absurd), 8);
    put("m.state.gguf", broken);
    r.resume = true;
    r.options.iters = 100;
    r.options.save_every = 1;
    r.given = {"iters", "save-every"};
    const std::string error = error_of(r);
    EXPECT_NE(error.find("a lower learning rate"), std::string::npos) << error;
    EXPECT_NE(error.find("the checkpoint of step 4"), std::string::npos) << error;
    EXPECT_EQ(get("m.gguf"), model);
    EXPECT_EQ(get("m.state.gguf"), broken);
}

TEST_F(Train, DivergenceWithoutCheckpointLeavesNothing) {
    TrainRequest r = request("m");
    r.options.lr = 1e38;
    r.options.clip = 0;
    r.options.warmup = 0;
    EXPECT_NE(error_of(r).find("nothing was saved"), std::string::npos);
    EXPECT_EQ(files(), 0u);
}

// A device that is lost after some runs of plans.
struct LosingBackend : WrappedBackend {
    int runs_left;
    LosingBackend(Backend& inner, int runs) : WrappedBackend(inner), runs_left(runs) {}
    void run(const Plan& plan, const Step& step) override {
        if (runs_left-- == 0) fail("the device is lost");
        WrappedBackend::run(plan, step);
    }
};

TEST_F(Train, ALostDeviceLeavesTheLastCheckpoint) {
    run(request("whole"));
    CpuBackend cpu(kernel_table("auto"), 2);
    for (const int runs : {2, 20, 24}) {  // a step has three, a validation one for each batch
        TrainRequest r = request("m");
        r.overwrite = true;
        LosingBackend losing(cpu, runs);
        const std::string error = test::error_of([&] { run(losing, r); });
        EXPECT_EQ(has("m.gguf"), runs > 2);
        EXPECT_TRUE(error.starts_with("the device is lost; ")) << error;
        EXPECT_TRUE(error.ends_with(has("m.gguf") ? "m.gguf is kept and can be resumed" : "nothing was saved")) << error;
        if (!has("m.gguf")) continue;
        r.overwrite = false;
        r.resume = true;
        r.given = {};
        EXPECT_EQ(run(r).step, 12);
        EXPECT_EQ(get("m.gguf"), get("whole.gguf"));
    }
}

TEST_F(Train, LogIsCutAtTheResumedStep) {
    TrainRequest r = request("m");
    run(r);
    const std::string whole = get("m.log.jsonl");
    // As after a kill: lines of steps that no checkpoint has, and half a line.
    std::ofstream(folder_ / "m.log.jsonl", std::ios::app) << "{\"step\": 13, \"loss\": 1.0}\n{\"step\": 14, \"lo";
    r.resume = true;
    r.options.iters = 14;
    r.given = {"iters"};
    run(r);
    const std::string log = get("m.log.jsonl");
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
    refused([this](TrainRequest& r) { r.output = folder_.path().string(); }, "is a folder");
    refused([](TrainRequest& r) { r.output = "/dev/null"; }, "not a regular file");
    refused([](TrainRequest& r) { r.options.heads = 3; }, "3 heads");
    refused([](TrainRequest& r) { r.options.layers = 0; }, "layers");
    refused([](TrainRequest& r) { r.options.embd = int64_t{1} << 40; }, "memory");
    refused([](TrainRequest& r) { r.options.context = int64_t{1} << 40; }, "memory");
    refused([](TrainRequest& r) { r.options.batch = int64_t{1} << 60; }, "memory");
    refused([](TrainRequest& r) { r.options.context = 4000; }, "too short");
    refused([](TrainRequest& r) { r.options.lr = std::nan(""); }, "lr is nan");
    refused([](TrainRequest& r) { r.options.sample_prompt = "fox?"; }, "\"?\"");
    refused([](TrainRequest& r) { r.resume = true; }, "no such file to resume");
    refused([](TrainRequest& r) { r.options.val_fraction = 0, r.options.patience = 1; }, "patience");
}

TEST_F(Train, AnExistingModelIsNotReplacedByAccident) {
    run(request("m"));
    const std::string model = get("m.gguf");
    const std::string error = error_of(request("m.gguf"));
    EXPECT_NE(error.find("already exists"), std::string::npos) << error;
    EXPECT_EQ(get("m.gguf"), model);
    TrainRequest r = request("m");
    r.overwrite = true;
    r.options.seed = 2;
    run(r);
    EXPECT_NE(get("m.gguf"), model);
}

TEST_F(Train, LowMemoryWritesTheSameModel) {
    TrainRequest r = request("m");
    r.options.dropout = 0.1;
    run(r);
    r.output = (folder_ / "low").string();
    r.options.recompute = true;
    run(r);
    EXPECT_EQ(get("m.gguf"), get("low.gguf"));
    // Resumed the other way: the option says nothing about the weights.
    r.options.iters = 15;
    r.options.recompute = false;
    r.resume = true;
    r.given = {"iters", "recompute"};
    run(r);
    r.output = (folder_ / "m").string();
    run(r);
    EXPECT_EQ(get("m.gguf"), get("low.gguf"));
    EXPECT_EQ(get("m.state.gguf"), get("low.state.gguf"));
}

TEST_F(Train, ANameIsTakenWhileItsTrainingRuns) {
    TrainRequest r = request("m");
    r.options.sample_every = 6;
    std::string error;
    TrainHooks hooks;
    hooks.sample = [&](const TrainStep&, const Tokenizer&, const Tokenizer&, int64_t) {
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
    EXPECT_EQ(std::ranges::count(get("m.log.jsonl"), '\n'), 12);
    r.overwrite = true;
    run(r);
}

TEST_F(Train, ANameIsTakenFromThePreparationOn) {
    CpuBackend backend(kernel_table("auto"), 1);
    const TrainSetup first = prepare_training(request("m"), backend);
    std::ofstream(folder_ / "m.state.gguf.tmp") << "being written";
    for (const bool resume : {false, true}) {
        TrainRequest second = request("m");
        second.resume = resume;
        EXPECT_NE(error_of(second).find("m.gguf: another process is training under this name"), std::string::npos);
    }
    EXPECT_EQ(get("m.state.gguf.tmp"), "being written");
}

// What is there of the earlier run stays until the first checkpoint replaces it, and nothing of it after that.
TEST_F(Train, ReplacingATrainingIsAllOrNothing) {
    const std::vector<std::string> names = {"m.gguf", "m.state.gguf", "m.best.gguf", "m.log.jsonl", "m.svg"};
    const TrainResult earlier = run(request("m"));
    std::vector<std::string> before;
    for (const std::string& name : names) before.push_back(get(name));
    TrainRequest r = request("m");
    r.overwrite = true;
    r.options.seed = 2;
    r.options.lr = 1e-2;  // a better model than the first one, at the first validation already
    r.options.sample_every = 7;
    r.options.save_every = 8;
    TrainHooks hooks;
    hooks.sample = [](const TrainStep&, const Tokenizer&, const Tokenizer&, int64_t) { fail("the end"); };
    EXPECT_THROW(run(r, hooks), Error);
    for (size_t i = 0; i < names.size(); ++i) EXPECT_TRUE(get(names[i]) == before[i]) << names[i];
    EXPECT_EQ(files(), names.size());

    r.options.lr = r.options.min_lr = 1e-5;  // a worse one, whose best loss is nevertheless its own
    const TrainResult later = run(r);
    EXPECT_GT(*later.best, *earlier.best);
    EXPECT_EQ(*read_best(RunFiles(r.output)), *later.best);
    EXPECT_EQ(std::ranges::count(get("m.log.jsonl"), '\n'), 12);

    r.options.val_fraction = 0;
    run(r);
    EXPECT_FALSE(fs::exists(folder_ / "m.best.gguf"));
    EXPECT_EQ(files(), names.size() - 1);
}

TEST_F(Train, ABestModelOrATextIsNotReplacedByAccident) {
    put("m.best.gguf", "weights");
    EXPECT_NE(error_of(request("m")).find("m.best.gguf: already exists"), std::string::npos);
    fs::rename(folder_ / "text.txt", folder_ / "n.svg");
    TrainRequest r = request("n");
    r.inputs = {(folder_ / "n.svg").string()};
    r.overwrite = true;
    EXPECT_NE(error_of(r).find("is a file to read and one to write"), std::string::npos);
    EXPECT_EQ(files(), 1u);
}

TEST_F(Train, ASeparateTextValidates) {
    put("val.txt", "the crow and the fox, XYZ");
    TrainRequest r = request("m");
    r.validation = (folder_ / "val.txt").string();
    EXPECT_TRUE(run(r).val_loss.has_value());
    r.resume = true;
    r.options.iters = 13;
    r.given = {"iters"};
    EXPECT_EQ(run(r).step, 13);
    r.validation.clear();
    EXPECT_NE(error_of(r).find("give it again"), std::string::npos) << error_of(r);
}

TEST_F(Train, AsksForSamplesAndStops) {
    TrainRequest r = request("m");
    r.options.sample_every = 3;
    std::vector<int64_t> sampled;
    TrainHooks hooks;
    hooks.sample = [&](const TrainStep&, const Tokenizer&, const Tokenizer&, int64_t step) { sampled.push_back(step); };
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

TEST(LossCurve, OneScoreIsDrawnAndAllAreTold) {
    const std::vector<LossPoint> losses = {
        {1, 3},
        {2, 2}
    };
    const std::vector<ScoreCurve> scores = {
        {"mlm_loss", {{2, 1.5}} },
        {"<f1>",     {{2, 0.25}}},
        {"mcc",      {{2, 0.5}} }
    };
    const std::string svg = loss_curve_svg("m", losses, losses, scores);
    for (const char* part :
         {"mlm_loss 1.500", "&lt;f1&gt; 0.250", "mcc 0.500", "rotate(-90)\" text-anchor=\"middle\" fill"})
        EXPECT_NE(svg.find(part), std::string::npos) << part;
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(drawn_score(std::vector<std::string>{"mlm_loss", "f1"}), 1u);
    EXPECT_EQ(drawn_score(std::vector<std::string>{"mlm_loss"}), 1u);
}

TEST_F(Train, MemoryIsLimitedByTheMachineAndItsControlGroups) {
    const auto put = [&](const std::string& name, const std::string& text) {
        fs::create_directories((folder_ / name).parent_path());
        std::ofstream(folder_ / name) << text << '\n';
    };
    const auto limit = [&] { return memory_limit(folder_.path().string()) / 1024; };
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

}  // namespace
}  // namespace nib
