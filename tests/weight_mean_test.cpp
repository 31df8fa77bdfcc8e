// NAME.mean.gguf: the mean of the weights at the last checkpoints of a training.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

struct WeightMean : TinyTraining {
    // 12 steps with a checkpoint every second one, and the mean of the last three: of steps 8, 10 and 12.
    TrainRequest training(const std::string& name) const {
        TrainRequest r = request(name);
        r.options.iters = r.options.decay_iters = 12;
        r.options.save_every = 2, r.options.average = 3, r.options.eval_every = 5;
        r.options.dropout = 0.1;
        r.given = {"save-every", "decay-iters"};
        return r;
    }
    std::vector<float> weights(const std::string& name) const {
        const GgufFile file = GgufFile::open((folder_ / name).string());
        std::vector<float> all;
        for (const GgufTensor& tensor : file.tensors()) {
            const size_t at = all.size();
            all.resize(at + tensor.data.size() / sizeof(float));
            std::memcpy(&all[at], tensor.data.data(), tensor.data.size());
        }
        return all;
    }
};

TEST_F(WeightMean, IsThatOfTheLastCheckpoints) {
    const TrainRequest whole = training("whole");
    run(whole);
    std::vector<float> sum;
    for (const int64_t steps : {8, 10, 12}) {
        TrainRequest r = training("to" + std::to_string(steps));
        r.options.iters = steps, r.options.average = 0;
        run(r);
        const std::vector<float> at = weights("to" + std::to_string(steps) + ".gguf");
        sum.resize(at.size());
        for (size_t i = 0; i < at.size(); ++i) sum[i] += at[i];
    }
    for (float& value : sum) value /= 3;
    EXPECT_EQ(weights("whole.mean.gguf"), sum);
    EXPECT_EQ(get("whole.gguf"), get("to12.gguf")) << "what is trained is the same";
    EXPECT_FALSE(has("to12.mean.gguf"));
    EXPECT_EQ(GgufFile::open((folder_ / "whole.mean.gguf").string()).get<int64_t>("nib.mean_of"), 3);
}

TEST_F(WeightMean, IsTheSameAfterInterruptions) {
    run(training("whole"));
    for (int stops = 1; stops <= 13; ++stops) {
        TrainRequest part = training("part");
        part.overwrite = true;
        int asked = 0;
        run(part, {.stop = [&] { return ++asked >= stops; }, .sample = {}}, 1 + stops % 3);
        part.overwrite = false, part.resume = true, part.given = {};
        run(part);
        for (const char* ending : {".gguf", ".state.gguf", ".mean.gguf"})
            EXPECT_EQ(get(std::string("part") + ending), get(std::string("whole") + ending)) << ending << " " << stops;
    }
}

// Steps beyond the end make a series of their own; where it is not complete, the mean is of what there is.
TEST_F(WeightMean, OfMoreSteps) {
    run(training("whole"));
    TrainRequest more = training("whole");
    more.resume = true, more.options.iters = 13, more.given = {"iters"};
    run(more);
    EXPECT_EQ(weights("whole.mean.gguf"), weights("whole.gguf"));
    more.options.iters = 20;
    run(more);
    EXPECT_EQ(GgufFile::open((folder_ / "whole.mean.gguf").string()).get<int64_t>("nib.mean_of"), 3);
    EXPECT_NE(weights("whole.mean.gguf"), weights("whole.gguf"));
}

TEST_F(WeightMean, OfAdaptersAndOfWhatIsNotFrozen) {
    run(training("base"));
    for (const bool lora : {true, false}) {
        TrainRequest tuned = training(lora ? "lora" : "frozen");
        tuned.from = (folder_ / "base.gguf").string();
        const TrainOptions asked = tuned.options;
        tuned.options = {};
        tuned.options.iters = 12, tuned.options.save_every = 2, tuned.options.average = 3, tuned.options.context = 8;
        if (lora) tuned.options.lora = 2;
        if (!lora) tuned.options.freeze = "embeddings,0";
        tuned.given = {"save-every", "context"};
        run(tuned);
        const std::string name = lora ? "lora" : "frozen";
        EXPECT_EQ(weights(name + ".mean.gguf").size(), weights(name + ".gguf").size());
        EXPECT_NE(weights(name + ".mean.gguf"), weights(name + ".gguf"));
    }
}

TEST_F(WeightMean, WhatMakesNoSense) {
    TrainRequest r = training("m");
    r.options.average = 7;
    EXPECT_MENTIONS(error_of(r), "is 7, but in 12 steps there are not so many checkpoints 2 steps apart");
    r.options.average = 6, r.options.patience = 1;
    EXPECT_MENTIONS(error_of(r), "needs a training that ends at a given step");
    r.options.average = -1, r.options.patience = 0;
    EXPECT_MENTIONS(error_of(r), "average is -1");
    run(training("damaged"));
    std::string state = get("damaged.state.gguf");
    state[state.size() - 40] ^= 1;  // of the last sums
    put("damaged.state.gguf", state);
    TrainRequest resumed = training("damaged");
    resumed.resume = true, resumed.given = {};
    EXPECT_MENTIONS(error_of(resumed), "its sum of weights is not the one that was saved");
    EXPECT_MENTIONS(error_of(training("x.mean.gguf")), "are those that nib gives itself");
}

}  // namespace
}  // namespace nib
