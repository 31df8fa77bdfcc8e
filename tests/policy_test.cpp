// Policies that learn from rewards: GRPO and REINFORCE, and the rewards.
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/backend.h"
#include "cpu/isa.h"
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
        r.given = {"iters", "context"};
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
    std::vector<double> scored(const RewardOptions& options, const RewardText& text) {
        CpuBackend backend(kernel_table("auto"), 1);
        return make_reward(options, backend)->score({&text, 1});
    }
};

TEST_F(PolicyTest, WritesWhatIsRewarded) {
    make_base();
    for (const char* const name : {"grpo", "reinforce"}) {
        SCOPED_TRACE(name);
        TrainRequest r = task(name, name);
        r.options.iters = 120;
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
    const std::string first = log.substr(log.find("\"rollout_kl\":") + 13, 24);
    EXPECT_NEAR(std::stod(first), 0, 1e-4) << "of a policy and itself";
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
    r = task("g", "dpo");
    EXPECT_MENTIONS(error_of(r), "is for policies");
    put("prompts.jsonl", "{\"prompt\": \"the \"}\n{\"text\": \"fox\"}\n");
    EXPECT_MENTIONS(error_of(task("g", "grpo")), "prompts.jsonl: line 2");
    put("prompts.jsonl", "\n");
    EXPECT_MENTIONS(error_of(task("g", "grpo")), "there is no prompt");
    EXPECT_FALSE(has("g.gguf"));
}

}  // namespace
}  // namespace nib
