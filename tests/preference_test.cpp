// Answers of which one is better: their files, reward models and direct preference optimization.
#include <gtest/gtest.h>

#include <cmath>

#include "task/preference_file.h"
#include "text/char_tokenizer.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

class PreferenceTest : public TinyTraining {
protected:
    std::vector<PreferencePair> read(const std::string& name, const std::string& text, bool skip_bad = false) {
        put(name, text);
        PreferenceFile file((folder_ / name).string(), skip_bad);
        std::vector<PreferencePair> all;
        for (PreferencePair pair; file.next(pair);) all.push_back(pair);
        bad_ = file.bad().count();
        return all;
    }
    std::string refused(const std::string& text) {
        return test::error_of([&] { read("p.jsonl", text); });
    }

    // Pairs of which the better one says "fox" more often.
    std::string pairs() const {
        std::string all;
        for (int i = 0; i < 24; ++i)
            all += "{\"prompt\": \"the \", \"chosen\": \"fox " + std::to_string(i) + "\", \"rejected\": \"crow " +
                   std::to_string(i) + "\"}\n";
        return all;
    }
    void make_base() {
        TrainRequest r = request("base");
        r.options.iters = 30;
        r.options.context = 16;
        r.given = {"iters", "context"};
        run(r);
        put("p.jsonl", pairs());
    }
    TrainRequest task(const std::string& name, const std::string& task) {
        TrainRequest r = request(name);
        r.inputs = {(folder_ / "p.jsonl").string()};
        r.from = (folder_ / "base.gguf").string();
        r.options = {};
        r.options.task = task;
        r.options.iters = 20;
        r.options.batch = 4;
        r.options.lr = 2e-3;
        r.options.val_fraction = 0.25;
        r.options.eval_every = 10;
        r.given = {"task", "iters", "batch", "lr", "val-fraction", "eval-every"};
        return r;
    }

    uint64_t bad_ = 0;
};

TEST_F(PreferenceTest, AllShapesOfRecords) {
    const ChatMessage user{"user", "Hi", false}, system{"system", "Be kind", false}, good{"assistant", "Hello"},
        bad{"assistant", "What?"};
    const auto pair = [&](const std::vector<ChatMessage>& before, bool text) {
        Answered chosen{before, text}, rejected{before, text};
        chosen.messages.push_back(good), rejected.messages.push_back(bad);
        return PreferencePair{chosen, rejected};
    };
    const std::pair<const char*, PreferencePair> cases[] = {
        {R"({"prompt": "Hi", "chosen": "Hello", "rejected": "What?"})",                                             pair({user},         true) },
        {R"({"chosen": "Hello", "rejected": "What?"})",                                                             pair({},             true) },
        {R"({"system": "Be kind", "prompt": "Hi", "chosen": "Hello", "rejected": "What?"})",                        pair({system, user}, false)},
        {R"({"conversations": [{"from": "human", "value": "Hi"}], "chosen": {"from": "gpt", "value": "Hello"},
             "rejected": {"from": "gpt", "value": "What?"}})",
         pair({user},                                                                                                                    false)},
        {R"({"prompt": [{"role": "user", "content": "Hi"}], "chosen": [{"role": "assistant", "content": "Hello"}],
             "rejected": [{"role": "assistant", "content": "What?"}]})",
         pair({user},                                                                                                                    false)},
        {R"({"chosen": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
             "rejected": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What?"}]})",
         pair({user},                                                                                                                    false)},
        {R"({"chosen_messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
             "rejected_messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "What?"}]})",
         pair({user},                                                                                                                    false)},
        {R"({"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "What?"})",                           pair({user},         true) },
    };
    for (const auto& [json, expected] : cases) {
        SCOPED_TRACE(json);
        std::string line(json);
        std::replace(line.begin(), line.end(), '\n', ' ');
        const std::vector<PreferencePair> found = read("p.jsonl", line + "\n");
        ASSERT_EQ(found.size(), 1u);
        EXPECT_EQ(found[0].chosen, expected.chosen);
        EXPECT_EQ(found[0].rejected, expected.rejected);
    }
    const std::vector<PreferencePair> table = read("p.tsv", "Hi\tHello\tWhat?\nHello\tWhat?\n");
    ASSERT_EQ(table.size(), 2u);
    EXPECT_EQ(table[0].chosen, pair({user}, true).chosen);
    EXPECT_EQ(table[1].rejected, pair({}, true).rejected);
}

TEST_F(PreferenceTest, WrongRecordsAreNamed) {
    EXPECT_MENTIONS(refused("{\"chosen\": \"a\"}\n"), "p.jsonl: line 1: has no \"rejected\"");
    EXPECT_MENTIONS(refused("\n{\"text\": \"a\"}\n"), "p.jsonl: line 2: has no \"chosen\"");
    EXPECT_MENTIONS(refused("{\"chosen\": \"a\", \"rejected\": \"a\"}\n"), "are equal");
    EXPECT_MENTIONS(refused("{\"chosen\": \"a\", \"rejected\": \"\"}\n"), "\"rejected\" is empty");
    EXPECT_MENTIONS(refused("{\"chosen\": 3, \"rejected\": \"a\"}\n"), "p.jsonl: line 1");
    EXPECT_MENTIONS(refused("{\"chosen\": [{\"role\": \"user\", \"content\": \"a\"}], \"rejected\": \"b\"}\n"),
                    "\"chosen\" does not end with an answer");
    EXPECT_MENTIONS(refused("{\"chosen\": [], \"rejected\": \"b\"}\n"), "\"chosen\" is empty");
    EXPECT_MENTIONS(refused("{\"chosen\": \"a\", \n"), "p.jsonl: line 1");
    const std::string good = "{\"chosen\": \"a\", \"rejected\": \"b\"}\n";
    EXPECT_EQ(read("p.jsonl", good + "{\"chosen\": 3}\n" + good, true).size(), 2u);
    EXPECT_EQ(bad_, 1u);
    EXPECT_MENTIONS(test::error_of([&] { read("p.tsv", "a\n"); }), "p.tsv: line 1: has 0 tabs");
}

TEST_F(PreferenceTest, ExamplesHoldBothAnswers) {
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(std::vector{U'a', U'b', U'c'});
    put("p.jsonl",
        "{\"prompt\": \"ab\", \"chosen\": \"c\", \"rejected\": \"aa\"}\n{\"chosen\": \"ab\", \"rejected\": \"b\"}\n"
        "{\"prompt\": \"ababab\", \"chosen\": \"c\", \"rejected\": \"aa\"}\n");
    std::vector<std::string> labels, notes;
    LabelledFileOptions options{.columns = {}, .context = 5, .skip_bad = true};
    options.note = [&](const std::string& note) { notes.push_back(note); };
    const auto examples = read_preferences({(folder_ / "p.jsonl").string()}, tokenizer, options, labels);
    ASSERT_EQ(examples.size(), 1u);  // nothing predicts the one token of "b", and the last prompt is too long
    EXPECT_EQ(examples[0].text.ids, (std::vector<int32_t>{0, 1, 2, 0, 1, 0, 0}));
    EXPECT_EQ(examples[0].parts, (std::vector<int32_t>{3, 4}));
    EXPECT_EQ(examples[0].tags, (std::vector<int32_t>{kIgnore, kIgnore, 0, kIgnore, kIgnore, 0, 0}));
    ASSERT_EQ(notes.size(), 2u);
    EXPECT_MENTIONS(notes[0], "no tokens that could be preferred");
    EXPECT_MENTIONS(notes[1], "1 pair with more than 5 tokens");
}

TEST_F(PreferenceTest, RewardModelsTellAnswersApart) {
    make_base();
    const TrainResult result = run(task("reward", "reward"));
    ASSERT_FALSE(result.scores.empty());
    EXPECT_EQ(result.scores[0].name, "accuracy");
    EXPECT_EQ(result.scores[0].value, 1);
    EXPECT_GT(result.scores[1].value, 0.5);  // the margin
    EXPECT_EQ(result.best_of, "accuracy");
}

TEST_F(PreferenceTest, PoliciesComeToPreferTheBetterAnswer) {
    make_base();
    for (const char* const kind : {"sigmoid", "hinge", "ipo"}) {
        SCOPED_TRACE(kind);
        TrainRequest r = task(kind, "dpo");
        r.options.preference_loss = kind;
        r.given.insert("preference-loss");
        const TrainResult result = run(r);
        EXPECT_EQ(result.scores[0].value, 1);
        EXPECT_GT(result.scores[1].value, std::string(kind) == "ipo" ? 0.1 : 1);
    }
}

TEST_F(PreferenceTest, TheReferenceOfAResumedRunIsTheModelItStartedFrom) {
    make_base();
    run(task("whole", "dpo"));
    int steps = 0;
    TrainHooks hooks;
    hooks.stop = [&] { return ++steps > 8; };
    const TrainResult stopped = run(task("parts", "dpo"), hooks);
    ASSERT_EQ(stopped.end, TrainEnd::Interrupted);
    TrainRequest on = task("parts", "dpo");
    on.from.clear();
    on.given.erase("task");
    on.resume = true;
    run(on, {}, 1);
    EXPECT_EQ(get("whole.gguf"), get("parts.gguf"));
    EXPECT_EQ(get("whole.state.gguf"), get("parts.state.gguf"));
}

TEST_F(PreferenceTest, RefusesWhatMakesNoSense) {
    make_base();
    TrainRequest r = task("d", "dpo");
    r.options.beta = 0;
    EXPECT_MENTIONS(error_of(r), "beta");
    r = task("d", "reward");
    r.options.beta = 0.5;
    EXPECT_MENTIONS(error_of(r), "is for the task dpo");
    r = task("d", "dpo");
    r.options.preference_loss = "best";
    EXPECT_MENTIONS(error_of(r), "choose sigmoid, hinge or ipo");
    put("p.jsonl",
        "{\"prompt\": [{\"role\": \"user\", \"content\": \"the\"}], \"chosen\": \"fox\", \"rejected\": \"crow\"}\n");
    EXPECT_MENTIONS(error_of(task("d", "dpo")), "no chat template");
    put("p.jsonl", "{\"chosen\": \"the fox the fox the fox\", \"rejected\": \"crow\"}\n");
    EXPECT_MENTIONS(error_of(task("d", "dpo")), "too long");
    put("p.jsonl", "\n");
    EXPECT_MENTIONS(error_of(task("d", "dpo")), "no preference");
    EXPECT_FALSE(has("d.gguf"));
}

}  // namespace
}  // namespace nib
