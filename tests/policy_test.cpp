// Policies that learn from rewards: PPO, GRPO and REINFORCE, and the rewards.
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "io/gguf.h"
#include "model/convert.h"
#include "task/rewards/reward.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

class PolicyTest : public TinyTraining {
protected:
    void make_base() {
        TrainRequest r = request("base");
        r.options.iters = 40;
        r.options.context = 24;
        r.options.embd = 32;
        r.given = {"iters", "context", "embd"};
        run(r);
        std::string lines;
        for (const char* const prompt : {"the ", "and", "fox", "cro", "w; ", " fo", "ox ", "nd "})
            lines += std::string("{\"prompt\": \"") + prompt + "\", \"answer\": \"fox\"}\n";
        put("prompts.jsonl", lines);
    }
    TrainRequest task(const std::string& name, const std::string& task) {
        TrainRequest r = request(name);
        r.inputs = {(folder_ / "prompts.jsonl").string()};
        r.from = (folder_ / "base.gguf").string();
        r.options = {};
        r.options.task = task;
        r.options.reward_regex = "x";
        r.options.longest_answer = 6;
        r.options.group = 4;
        r.options.rollouts = 16;
        r.options.rollout_epochs = 2;
        r.options.batch = 8;
        r.options.iters = 40;
        r.options.lr = 2e-3;
        r.options.eval_every = 8;
        r.options.val_fraction = 0.25;
        for (const char* const option : {"task", "reward-regex", "max-new", "group", "rollouts", "rollout-epochs", "batch",
                                         "iters", "lr", "eval-every", "val-fraction"})
            r.given.insert(option);
        return r;
    }
    // The first value of that name in a log.
    static double first_of(const std::string& log, const std::string& key) {
        const size_t at = log.find("\"" + key + "\":");
        return at == std::string::npos ? NAN : std::stod(log.substr(at + key.size() + 3, 24));
    }
    std::vector<double> scored(const RewardOptions& options, const RewardText& text) {
        CpuBackend backend(kernel_table("auto"), 1);
        return make_reward(options, backend)->score({&text, 1});
    }
};

TEST_F(PolicyTest, WritesWhatIsRewarded) {
    make_base();
    for (const char* const name : {"ppo", "grpo", "reinforce"}) {
        SCOPED_TRACE(name);
        TrainRequest r = task(name, name);
        r.options.iters = 120;
        r.options.kl = 0;
        r.given.insert("kl");
        const TrainResult result = run(r);
        ASSERT_FALSE(result.scores.empty());
        EXPECT_EQ(result.scores[0].name, "reward");
        EXPECT_GT(result.scores[0].value, 0.9);
        EXPECT_EQ(result.best_of, "reward");
    }
}

TEST_F(PolicyTest, InterruptedAndResumedIsTheSame) {
    make_base();
    run(task("whole", "grpo"), {}, 1);
    int steps = 0;
    const TrainResult stopped = run(task("parts", "grpo"), {.stop = [&] { return ++steps > 4; }, .sample = {}}, 3);
    ASSERT_EQ(stopped.end, TrainEnd::Interrupted);
    EXPECT_EQ(stopped.step % 4, 0);  // 16 texts, twice, 8 at a time
    TrainRequest on = task("parts", "grpo");
    on.from.clear();
    on.resume = true;
    run(on, {}, 2);
    EXPECT_EQ(get("whole.gguf"), get("parts.gguf"));
    EXPECT_EQ(get("whole.state.gguf"), get("parts.state.gguf"));
}

TEST_F(PolicyTest, TheReferenceIsTheModelItStartedFrom) {
    make_base();
    const auto held = [&](const std::string& name) {
        TrainRequest r = task(name, "grpo");
        r.options.kl = 0.1;
        r.given.insert("kl");
        return r;
    };
    run(held("whole"));
    const std::string log = get("whole.log.jsonl");
    EXPECT_NEAR(first_of(log, "rollout_kl"), 0, 1e-4) << "of a policy and itself";
    int steps = 0;
    ASSERT_EQ(run(held("parts"), {.stop = [&] { return ++steps > 4; }, .sample = {}}).end, TrainEnd::Interrupted);
    TrainRequest on = held("parts");
    on.from.clear();
    on.resume = true;
    run(on);
    EXPECT_EQ(get("whole.gguf"), get("parts.gguf"));
    fs::rename(folder_ / "base.gguf", folder_ / "elsewhere.gguf");
    on.options.iters = 44;
    on.given = {"iters"};
    EXPECT_MENTIONS(error_of(on), "base.gguf");
    on.from = (folder_ / "elsewhere.gguf").string();
    run(on);
    on.from = (folder_ / "whole.gguf").string();
    on.options.iters = 48;
    EXPECT_MENTIONS(error_of(on), "not those that the training started from");
}

// PPO with all that a resumed run has to know: a value function, its moments, a weight that adapts, and what the rewards
// were like in the beginning.
TEST_F(PolicyTest, PpoGoesOnAsIfItHadNotBeenInterrupted) {
    make_base();
    for (const std::string how : {"full", "lora", "freeze"}) {
        SCOPED_TRACE(how);
        const std::string whole = "whole_" + how, parts = "parts_" + how;
        const auto ppo = [&](const std::string& name) {
            TrainRequest r = task(name, "ppo");
            r.options.kl_target = 0.5;
            r.options.scale_rewards = "start";
            r.options.reward_clip = 2;
            r.options.missing_eos_penalty = 0.1;
            if (how == "lora") r.options.lora = 2;
            if (how == "freeze") r.options.freeze = "embeddings,0";
            r.given.insert({"kl-target", "scale-rewards", "reward-clip", "missing-eos-penalty", "lora", "freeze"});
            return r;
        };
        run(ppo(whole), {}, 1);
        int steps = 0;
        ASSERT_EQ(run(ppo(parts), {.stop = [&] { return ++steps > 4; }, .sample = {}}, 3).end, TrainEnd::Interrupted);
        TrainRequest on = ppo(parts);
        on.from.clear();
        on.resume = true;
        run(on, {}, 2);
        EXPECT_EQ(get(whole + ".gguf"), get(parts + ".gguf"));
        EXPECT_EQ(get(whole + ".state.gguf"), get(parts + ".state.gguf"));
        EXPECT_EQ(get(whole + ".samples.md"), get(parts + ".samples.md"));
    }
    const GgufFile model = GgufFile::open((folder_ / "whole_full.gguf").string()),
                   state = GgufFile::open((folder_ / "whole_full.state.gguf").string());
    EXPECT_EQ(model.find("value.weight"), nullptr) << "others could not read the model";
    EXPECT_NE(state.find("value.weight"), nullptr);
    EXPECT_MENTIONS(get("whole_full.samples.md"), "## Step 0");
    EXPECT_MENTIONS(get("whole_full.samples.md"), "## Step 40");
    const std::string log = get("whole_full.log.jsonl");
    for (const char* const key : {"rollout_kl_weight", "rollout_explained_variance", "clip_fraction", "value_loss"})
        EXPECT_MENTIONS(log, key);
    EXPECT_LT(first_of(log, "approx_kl"), 1e-9) << "the first ratio is 1";
}

// Without a reward to gain, what is left is the loss of the text beside.
TEST_F(PolicyTest, GoesOnLearningATextBeside) {
    make_base();
    put("beside.txt", "crow crow crow crow crow crow crow crow crow crow crow crow crow crow crow crow ");
    const auto beside = [&](const std::string& name) {
        TrainRequest r = task(name, "ppo");
        r.options.ptx = (folder_ / "beside.txt").string();
        r.options.reward_regex = ".";
        r.options.reward_match.clear();
        r.given.insert("ptx");
        return r;
    };
    run(beside("whole"), {}, 1);
    int steps = 0;
    ASSERT_EQ(run(beside("parts"), {.stop = [&] { return ++steps > 4; }, .sample = {}}, 3).end, TrainEnd::Interrupted);
    TrainRequest on = beside("parts");
    on.from.clear();
    on.resume = true;
    run(on, {}, 2);
    EXPECT_EQ(get("whole.gguf"), get("parts.gguf"));
    EXPECT_EQ(get("whole.state.gguf"), get("parts.state.gguf"));
    EXPECT_MENTIONS(get("whole.samples.md").substr(get("whole.samples.md").find("## Step 40")), "crow");
    put("beside.txt", "crow fox crow fox crow fox crow fox crow fox crow fox crow fox crow fox crow fox ");
    on.options.iters = 48;
    EXPECT_MENTIONS(error_of(on), "text beside");
}

TEST_F(PolicyTest, EndsWithAnIteration) {
    make_base();
    TrainRequest r = task("p", "ppo");
    r.options.iters = 10;
    EXPECT_EQ(run(r).step, 12);  // of 4 updates each
    r.resume = true;
    r.from.clear();
    r.options.iters = 13;
    r.given = {"iters"};
    EXPECT_EQ(run(r).step, 16);
}

TEST_F(PolicyTest, EqualRewardsSayNothingOfThoseToCome) {
    make_base();
    put("calls", "");
    TrainRequest r = task("p", "ppo");
    r.options.reward_regex.clear();
    const std::string calls = (folder_ / "calls").string();  // first 0.1 for all, and then what is found
    r.options.reward_command =
        "if test -s " + calls + "; then awk '{ print /x/ }'; else echo 1 > " + calls + "; sed 's/.*/0.1/'; fi";
    r.options.scale_rewards = "start";
    r.given.insert({"reward-command", "scale-rewards"});
    run(r);
    std::istringstream lines(get("p.log.jsonl"));
    for (std::string line; std::getline(lines, line);) {
        const double loss = first_of(line, "value_loss");
        EXPECT_FALSE(loss >= 1) << loss;
    }
}

// A judge that fails takes nothing with it of what was learned before.
TEST_F(PolicyTest, WhatWasLearnedBeforeAFailureIsSaved) {
    make_base();
    TrainRequest r = task("p", "ppo");
    const std::string flag = (folder_ / "flag").string();
    r.options.reward_regex.clear();
    r.options.reward_command = "test ! -e " + flag + " && touch " + flag + " && sed 's/.*/1/'";
    r.options.val_fraction = 0;
    r.options.save_every = 4;
    r.given.insert({"reward-command", "save-every"});
    const std::string error = error_of(r);
    EXPECT_MENTIONS(error, "exit code 1");
    EXPECT_MENTIONS(error, "step 4");
    ASSERT_TRUE(has("p.gguf"));
    fs::remove(flag);
    r.options = {};
    r.given.clear();
    r.from.clear();
    r.resume = true;
    EXPECT_MENTIONS(error_of(r), "step 8") << "an iteration later";
}

TEST_F(PolicyTest, SamplesFromBeforeTheFirstStepStay) {
    make_base();
    TrainRequest r = task("p", "ppo");
    ASSERT_EQ(run(r, {.stop = [] { return true; }, .sample = {}}).end, TrainEnd::Interrupted);
    r.from.clear();
    r.resume = true;
    run(r);
    EXPECT_MENTIONS(get("p.samples.md"), "## Step 0");
    EXPECT_MENTIONS(get("p.samples.md"), "## Step 8");
}

TEST_F(PolicyTest, AChangedValueFunctionIsNoticed) {
    make_base();
    run(task("p", "ppo"));
    std::string state = get("p.state.gguf");
    const GgufFile file = GgufFile::open((folder_ / "p.state.gguf").string());
    const auto& values = file.tensor("value.weight").data;
    const std::string bytes(reinterpret_cast<const char*>(values.data()), values.size());
    state[state.find(bytes) + 1] ^= 1;
    put("p.state.gguf", state);
    TrainRequest on = task("p", "ppo");
    on.from.clear();
    on.resume = true;
    on.options.iters = 48;
    EXPECT_MENTIONS(error_of(on), "changed or is damaged");
}

TEST_F(PolicyTest, ADivergenceThatExplodesEndsTheTraining) {
    make_base();
    TrainRequest r = task("p", "ppo");
    r.options.lr = 5e-3;
    r.options.kl_limit = 2;
    r.options.save_every = 4;
    r.given.insert("save-every");
    r.options.kl = 0.001;
    r.given.insert({"kl-limit", "kl"});
    EXPECT_MENTIONS(error_of(r), "the limit is 2");
    EXPECT_TRUE(has("p.gguf")) << "the checkpoint before";
}

// A cache and products of weights in blocks give other roundings than those that training computes.
TEST_F(PolicyTest, AdaptersOfAQuantizedModelKnowTheirOwnProbabilities) {
    make_base();
    ConvertRequest quantize;
    quantize.input = (folder_ / "base.gguf").string();
    quantize.output = (folder_ / "q8.gguf").string();
    quantize.type = DType::Q8_0;
    quantize_file(quantize, {[](const Note&) {}, [](double) {}});
    TrainRequest r = task("p", "ppo");
    r.from = (folder_ / "q8.gguf").string();
    r.options.lora = 2;
    r.given.insert("lora");
    run(r);
    const std::string log = get("p.log.jsonl");
    EXPECT_LT(first_of(log, "approx_kl"), 1e-9);
    EXPECT_GT(first_of(log, "rollout_logp_difference"), 0);
}

TEST_F(PolicyTest, RulesOfRewards) {
    const RewardText text{"the prompt", " the fox ", "the fox", 4};
    EXPECT_EQ(scored({.regex = "f.x"}, text), std::vector{1.0});
    EXPECT_EQ(scored({.regex = "crow"}, text), std::vector{0.0});
    EXPECT_EQ(scored({.length = 8}, text), std::vector{-0.5});
    EXPECT_EQ(scored({.match = "exact"}, text), std::vector{1.0});
    EXPECT_NEAR(scored({.match = "chrf"}, text)[0], 1, 1e-9);
    EXPECT_EQ(scored({.regex = "fox", .length = 8, .weights = "2,4"}, text), std::vector{0.0});
    EXPECT_MENTIONS(test::error_of([&] { scored({}, text); }), "nothing says what a text is worth");
    EXPECT_MENTIONS(test::error_of([&] { scored({.regex = "fox", .weights = "1,2"}, text); }), "2 numbers");
    EXPECT_MENTIONS(test::error_of([&] { scored({.regex = "("}, text); }), "missing closing parenthesis");
    EXPECT_MENTIONS(test::error_of([&] { scored({.match = "exact"}, {"p", "r", "", 1}); }), "has no answer");
}

TEST_F(PolicyTest, CommandsJudge) {
    const RewardText text{"a \"prompt\"", "a\nresponse", "", 4};
    const auto command = [&](const std::string& line, double seconds = 20) {
        return scored({.command = line, .command_timeout = seconds}, text);
    };
    const auto refused = [&](const std::string& line, double seconds = 20) {
        return test::error_of([&] { command(line, seconds); });
    };
    EXPECT_EQ(command("grep -c response"), std::vector{1.0});
    EXPECT_EQ(command("echo ' -2.5e-1 '"), std::vector{-0.25});  // without reading anything
    EXPECT_MENTIONS(refused("echo good"), "wrote `good`, which is no number");
    EXPECT_MENTIONS(refused("echo nan"), "not a number");
    EXPECT_MENTIONS(refused("cat > /dev/null"), "0 numbers for 1 text");
    EXPECT_MENTIONS(refused("echo 1; echo 2"), "2 numbers for 1 text");
    EXPECT_MENTIONS(refused("echo 1; exit 3"), "exit code 3");
    EXPECT_MENTIONS(refused("kill -9 $$"), "signal 9");
    EXPECT_MENTIONS(refused("sleep 30", 0.2), "more than 0.2 seconds");
}

TEST_F(PolicyTest, RefusesWhatMakesNoSense) {
    make_base();
    TrainRequest r = task("g", "grpo");
    r.options.reward_regex.clear();
    EXPECT_MENTIONS(error_of(r), "nothing says what a text is worth");
    r = task("g", "grpo");
    r.options.rollouts = 18;
    EXPECT_MENTIONS(error_of(r), "no whole groups of 4");
    r = task("g", "grpo");
    r.options.longest_answer = 24;
    EXPECT_MENTIONS(error_of(r), "no room for a prompt");
    r = task("g", "grpo");
    r.options.loss_norm = "best";
    EXPECT_MENTIONS(error_of(r), "choose one of: dapo, grpo, dr_grpo, none");
    r = task("g", "grpo");
    r.options.kl_target = 5;
    EXPECT_MENTIONS(error_of(r), "is for the task ppo");
    r = task("g", "ppo");
    r.options.lora = 2, r.options.lora_dropout = 0.5;
    EXPECT_MENTIONS(error_of(r), "is not for policies");
    r = task("g", "ppo");
    r.options.token_dropout = 0.5;
    EXPECT_MENTIONS(error_of(r), "is not for policies");
    r = task("base", "ppo");
    r.overwrite = true;
    r.options.reward = r.from + ":good";
    r.from = (folder_ / "other.gguf").string();
    fs::copy_file(folder_ / "base.gguf", r.from);
    EXPECT_MENTIONS(error_of(r), "is a file to read and one to write");
    r = task("g", "ppo");
    r.options.ptx = (folder_ / "g.samples.md").string();
    put("g.samples.md", "a text");
    EXPECT_MENTIONS(error_of(r), "is a file to read and one to write");
    r = task("g", "ppo");
    r.options.vf_coef = 0;
    EXPECT_MENTIONS(error_of(r), "vf-coef");
    r = task("g", "dpo");
    EXPECT_MENTIONS(error_of(r), "is for policies");
    put("prompts.jsonl", "{\"prompt\": \"the \"}\n{\"text\": \"fox\"}\n");
    EXPECT_MENTIONS(error_of(task("g", "grpo")), "prompts.jsonl: line 2");
    put("prompts.jsonl", "\n");
    EXPECT_MENTIONS(error_of(task("g", "grpo")), "there is no prompt");
    put("prompts.jsonl", "{\"prompt\": \"the \"}\n{\"pro");
    EXPECT_MENTIONS(error_of(task("g", "grpo")), "prompts.jsonl: line 2: not valid JSON");
    put("prompts.jsonl", "\x81");
    const std::string error = error_of(task("g", "grpo"));
    EXPECT_MENTIONS(error, "prompts.jsonl: line 1: not UTF-8");
    EXPECT_EQ(error.find("line 1"), error.rfind("line 1"));
    EXPECT_FALSE(has("g.gguf"));
}

}  // namespace
}  // namespace nib
