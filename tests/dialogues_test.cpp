// Training on dialogues: which tokens count, and in which order they come.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "task/dialogue_text.h"
#include "task/examples.h"
#include "task/task.h"
#include "text/chosen_tokenizer.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_gguf.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

TEST(Shuffle, EachEpochHasEachExampleOnceInAnotherOrder) {
    for (const int64_t count : {1, 2, 3, 4, 5, 100, 1025}) {
        std::vector<int64_t> before;
        for (uint64_t epoch = 0; epoch < 3; ++epoch) {
            std::vector<int64_t> order;
            for (int64_t i = 0; i < count; ++i)
                order.push_back(shuffled(7, epoch * static_cast<uint64_t>(count) + static_cast<uint64_t>(i), count));
            EXPECT_EQ(std::set(order.begin(), order.end()).size(), static_cast<size_t>(count));
            EXPECT_EQ(*std::max_element(order.begin(), order.end()), count - 1);
            EXPECT_TRUE(count < 100 || order != before);
            before = order;
        }
    }
    EXPECT_NE(shuffled(1, 0, 1 << 20), shuffled(2, 0, 1 << 20));
    // A random order has about one fixed point.
    int64_t fixed = 0;
    for (uint64_t i = 0; i < 1000; ++i) fixed += shuffled(3, i, 1000) == static_cast<int64_t>(i);
    EXPECT_LT(fixed, 10);
    EXPECT_MENTIONS(error_of([] { shuffled(1, 0, 0); }), "nothing to shuffle");
}

struct DialoguesTest : TinyTraining {
    DialoguesTest() {
        std::string lines;
        for (int i = 0; i < 30; ++i)
            lines += "{\"messages\":[{\"role\":\"user\",\"content\":\"say " + std::to_string(i % 5) +
                     "\"},{\"role\":\"assistant\",\"content\":\"it is " + std::to_string(i % 5) + "\"}]}\n";
        put("chats.jsonl", lines);
        put("words.txt", "say it is user assistant say it is user assistant");
        tokenizer = choose_tokenizer("bpe:280", {path("words.txt")}, 1, [](const char*, uint64_t, uint64_t) {});
        for (const auto& [name, text] : tokenizer_files(*tokenizer, 0)) put(name, text);
    }
    TrainRequest chats(const std::string& name) const {
        TrainRequest r = request(name);
        r.inputs = {path("chats.jsonl")};
        r.options.tokenizer = path("tokenizer.json");
        r.options.chat_template = "chatml";
        r.options.context = 80;
        r.options.batch = 4;
        r.options.lr = 5e-3;
        r.given = {"tokenizer", "template", "context", "batch", "lr"};
        return r;
    }
    std::string path(const std::string& name) const { return (folder_ / name).string(); }

    std::unique_ptr<Tokenizer> tokenizer;
};

TEST_F(DialoguesTest, AnswersAreTheTargets) {
    const ChatTemplate chatml = ChatTemplate::find("chatml", *tokenizer);
    const auto text = dialogue_text({path("chats.jsonl")}, *tokenizer, chatml, folder_.path().string(), {.longest = 100});
    ASSERT_EQ(text->documents(), 30);
    TaskTexts texts{
        .train = *text,
        .validation = *text,
        .train_span = {0,                          text->document(25).end - 1},
        .validation_span = {text->document(25).end - 1, text->size()              },
        .tokenizer = *tokenizer,
        .context = 99,
        .seed = 1,
        .rows = 2
    };
    const auto task = make_task("dialogue", texts);
    EXPECT_EQ(task_objectives("dialogue").front().head, "lm");
    EXPECT_TRUE(task->ragged());
    EXPECT_EQ(task->extent().train, 26) << "a dialogue belongs to where it begins";
    EXPECT_EQ(task->extent().validation, 4);
    texts.validation_tokens = 250;
    EXPECT_EQ(make_task("dialogue", texts)->validation_rows(), 2);
    EXPECT_EQ(task->validation_rows(), 4);
    std::vector<int32_t> ids(99), targets(99), positions(99);
    std::set<std::string> read;
    for (uint32_t row = 0; row < 26; ++row) {
        TaskRow to{.ids = ids, .targets = targets, .positions = positions, .length = 99};
        task->fill(row / 2, row % 2, to);
        std::vector<int32_t> answer;
        for (size_t t = 0; t < targets.size(); ++t) {
            if (targets[t] == kIgnore) continue;
            answer.push_back(targets[t]);
            ASSERT_LT(t, static_cast<size_t>(to.length));
            EXPECT_TRUE(t + 1 == static_cast<size_t>(to.length) || targets[t] == ids[t + 1]);
        }
        EXPECT_EQ(task->counted(row / 2, row % 2)[0], static_cast<int64_t>(answer.size()));
        const std::string said = tokenizer->decode(answer);
        EXPECT_TRUE(said.starts_with("it is ")) << said;
        EXPECT_TRUE(said.find("<|im_end|>") != std::string::npos) << said;
        read.insert(tokenizer->decode(std::span(ids).first(static_cast<size_t>(to.length))));
    }
    EXPECT_EQ(read.size(), 5U);
    EXPECT_EQ(read.begin()->find("<|im_start|>user\nsay 0<|im_end|>\n<|im_start|>assistant\nit is 0"), 0U) << *read.begin();
}

TEST_F(DialoguesTest, ATrainingLearnsToAnswerAndCanBeResumed) {
    TrainRequest r = chats("chat");
    r.options.epochs = 40;
    r.given.insert("epochs");
    const TrainResult whole = run(r);
    EXPECT_EQ(whole.step, 270);        // 27 dialogues begin in the part that trains
    EXPECT_LT(*whole.val_loss, 0.25);  // the digit of the question is in the answer
    const GgufFile file = GgufFile::open(path("chat.gguf"));
    EXPECT_EQ(ChatTemplate::recognize(file.get<std::string>("tokenizer.chat_template"), *read_tokenizer(file)).name(),
              "chatml");
    TrainRequest half = chats("half");
    half.options.iters = 3;
    half.options.decay_iters = 270;
    half.given.insert({"iters", "decay-iters"});
    run(half);
    TrainRequest resumed = request("half");
    resumed.inputs = half.inputs;
    resumed.options = {};
    resumed.resume = true;
    resumed.options.iters = 6;
    resumed.given = {"iters"};
    EXPECT_EQ(run(resumed, {}, 1).step, 6);
    half.output = path("once");
    half.options.iters = 6;
    run(half);
    EXPECT_EQ(get("half.gguf"), get("once.gguf"));
}

// Cut to its last turn, a dialogue that ends with a question has nothing to learn.
TEST_F(DialoguesTest, LongOnesThatEndWithoutAnAnswerArePassedOver) {
    const std::string question(60, 's');
    put("long.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"" + question +
                          "\"},{\"role\":\"assistant\",\"content\":\"it is\"},{\"role\":\"user\",\"content\":\"" +
                          question + "\"}]}\n");
    TrainRequest r = chats("x");
    r.inputs = {path("chats.jsonl"), path("long.jsonl")};
    r.options.iters = 1;
    r.given.insert("iters");
    std::string note;
    r.note = [&](const std::string& text) { note = text; };
    EXPECT_EQ(run(r).step, 1);
    EXPECT_MENTIONS(note, "passed over: 1 dialogue");
    note.clear();
    r.output = path("y");
    run(r);
    EXPECT_MENTIONS(note, "passed over: 1 dialogue") << "the tokens were there already";
}

TEST_F(DialoguesTest, WhatCannotBe) {
    TrainRequest r = chats("x");
    r.options.chat_template.clear();
    EXPECT_MENTIONS(error_of(r), "the model has no chat template");
    r.options.chat_template = "none";
    EXPECT_MENTIONS(error_of(r), "none");
    r = chats("x");
    r.options.tokenizer = "bpe:300";
    EXPECT_MENTIONS(error_of(r), "cannot be learned from dialogues");
    r.options.tokenizer.clear();
    EXPECT_MENTIONS(error_of(r), "needs a model to start from, or a tokenizer");
    put("chats.jsonl", get("chats.jsonl") + "{\"messages\":[{\"role\":\"user\",\"content\":\"only\"}]}\n");
    r = chats("x");
    EXPECT_MENTIONS(error_of(r), "chats.jsonl: line 31");
    r.options.skip_bad = true;
    std::string note;
    r.note = [&](const std::string& text) { note = text; };
    r.options.iters = 1;
    r.given.insert("iters");
    EXPECT_EQ(run(r).step, 1);
    EXPECT_MENTIONS(note, "passed over 1 record");
    EXPECT_MENTIONS(note, "chats.jsonl: line 31");
    r.output = path("again");
    note.clear();
    EXPECT_EQ(run(r).step, 1);
    EXPECT_EQ(note, "passed over 1 record");
    r = request("y");
    r.options.chat_template = "chatml";
    EXPECT_MENTIONS(error_of(r), "is for dialogues");
}

TEST_F(DialoguesTest, FilesOfDialoguesAreKnownByTheirRecords) {
    const auto hold = [&](const std::vector<std::string>& names) {
        std::vector<std::string> paths;
        for (const std::string& name : names) paths.push_back(path(name));
        return hold_dialogues(paths);
    };
    fs::create_directories(folder_ / "chats/more");
    fs::create_directories(folder_ / "texts");
    put("chats/a.json", "[" + get("chats.jsonl").substr(0, get("chats.jsonl").find('\n')) + "]");
    put("chats/more/b.jsonl", get("chats.jsonl"));
    put("chats/empty.jsonl", "\n");
    put("package.json", "{\"name\":\"chats\"}");
    put("texts/package.json", get("package.json"));
    put("texts/texts.jsonl", "{\"text\":\"x\"}\n");
    put("texts/a.txt", "a text");
    EXPECT_TRUE(hold({"chats.jsonl"}));
    EXPECT_TRUE(hold({"chats"}));
    EXPECT_TRUE(hold({"chats", "chats.jsonl"}));
    EXPECT_FALSE(hold({"texts"}));
    EXPECT_FALSE(hold({"text.txt", "texts/texts.jsonl"}));
    EXPECT_FALSE(hold({"chats/empty.jsonl"}));
    EXPECT_MENTIONS(test::error_of([&] { hold({"none.jsonl"}); }), "none.jsonl: no such file");
    for (const std::vector<std::string>& mixed : {
             std::vector<std::string>{"chats",       "texts"       },
             {"text.txt",    "chats.jsonl" },
             {"chats.jsonl", "package.json"}
    }) {
        const std::string message = test::error_of([&] { hold(mixed); });
        EXPECT_MENTIONS(message, "holds dialogues, but ");
        EXPECT_MENTIONS(message, path(mixed[0]));
        EXPECT_MENTIONS(message, path(mixed[1]));
    }
    TrainRequest r = chats("x");
    r.inputs = {path("chats")};
    r.options.iters = 1;
    r.given.insert("iters");
    EXPECT_EQ(run(r).step, 1);
    r.validation = path("text.txt");
    r.output = path("y");
    EXPECT_MENTIONS(error_of(r), "text.txt does not");
}

}  // namespace
}  // namespace nib
