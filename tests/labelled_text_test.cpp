// Texts with labels, and training on them.
#include "task/labelled_text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "model/loaded_model.h"
#include "text/char_tokenizer.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

// Letters, and marks around texts as BERT has them.
CharTokenizer letters() {
    CharModel model;
    for (char c = 'a'; c <= 'z'; ++c) model.tokens.push_back({std::string(1, c), TokenType::Normal});
    model.tokens.push_back({"[CLS]", TokenType::Control});
    model.tokens.push_back({"[SEP]", TokenType::Control});
    model.specials = {.begin = 26, .end = 27, .add_begin = true, .add_end = true, .pairs = kBertPairs};
    return CharTokenizer(std::move(model));
}

TEST(LabelledText, LongTextsAreShortenedBetweenTheirMarks) {
    const CharTokenizer tokenizer = letters();
    const auto shortened = [&](MarkedText text, int64_t tokens) {
        shorten(text, tokenizer, tokens);
        EXPECT_EQ(text.ids.size(), text.types.size());
        std::string shown;
        for (size_t t = 0; t < text.ids.size(); ++t)
            shown += text.ids[t] == 26 ? "<" : text.ids[t] == 27 ? ">" : tokenizer.decode(text.ids[t]);
        for (const int32_t type : text.types) shown += static_cast<char>('0' + type);
        return shown;
    };
    EXPECT_EQ(shortened(tokenizer.encode_marked("abcdef"), 8), "<abcdef>00000000");
    EXPECT_EQ(shortened(tokenizer.encode_marked("abcdef"), 5), "<abc>00000");
    EXPECT_EQ(shortened(tokenizer.encode_marked("abcdef", "xy"), 9), "<abcd>xy>000000111");
    EXPECT_EQ(shortened(tokenizer.encode_marked("abcdef", "xyz"), 7), "<ab>xy>0000111");
    EXPECT_EQ(shortened(tokenizer.encode_marked("ab", "vwxyz"), 7), "<ab>vw>0000111");
    EXPECT_MENTIONS(error_of([&] { shortened(tokenizer.encode_marked("ab"), 1); }), "do not fit into 1 tokens");
}

TEST(LabelledText, KeepsWhatItIsGiven) {
    const std::vector<LabelledExample> examples = {
        {{{1, 2, 3}, {0, 0, 1}}, 1},
        {{{4}, {0}},             0}
    };
    const LabelledText text(examples, {"no", "yes"});
    ASSERT_EQ(text.documents(), 2);
    EXPECT_EQ(text.document(0), (Span{0, 3}));
    EXPECT_EQ(text.document(1), (Span{3, 4}));
    EXPECT_EQ(text.label(0), 1);
    EXPECT_EQ(text.segments(0)[2], 1);
    std::vector<int32_t> ids(2);
    text.read(2, ids);
    EXPECT_EQ(ids, (std::vector<int32_t>{3, 4}));
    auto other = examples;
    other[1].label = 1;
    EXPECT_NE(LabelledText(other, {"no", "yes"}).beside_tokens(), text.beside_tokens());
    EXPECT_NE(LabelledText(examples, {"no", "oui"}).beside_tokens(), text.beside_tokens());
    other[1].label = 2;
    EXPECT_MENTIONS(error_of([&] { LabelledText(other, {"no", "yes"}); }), "label 2 of 2");
    EXPECT_MENTIONS(error_of([&] { LabelledText({}, {"no", "yes"}); }), "no examples");
    EXPECT_MENTIONS(error_of([&] { text.document(2); }), "no example 2");
}

TEST(LabelledText, WordsGetTheirTagsAtTheirFirstToken) {
    const CharTokenizer tokenizer = [] {
        CharModel model = letters().model();
        model.tokens.push_back({" ", TokenType::Normal});  // 28
        return CharTokenizer(std::move(model));
    }();
    const std::vector<std::string> words = {"ab", "c", "de"};
    const std::vector<int32_t> tags = {5, 6, 7};
    std::vector<size_t> places;
    const LabelledExample all = encode_words(tokenizer, words, tags, 100, &places);
    EXPECT_EQ(all.text.ids, (std::vector<int32_t>{26, 0, 1, 28, 2, 28, 3, 4, 27}));
    EXPECT_EQ(all.tags, (std::vector<int32_t>{-1, 5, -1, 6, -1, 7, -1, -1, -1}));
    EXPECT_EQ(all.text.types.size(), 9U);
    EXPECT_EQ(places, (std::vector<size_t>{1, 3, 5}));
    places.clear();
    const LabelledExample some = encode_words(tokenizer, words, {}, 8, &places);
    EXPECT_EQ(some.text.ids, (std::vector<int32_t>{26, 0, 1, 28, 2, 27}));
    EXPECT_EQ(places, (std::vector<size_t>{1, 3}));
    EXPECT_EQ(some.tags, std::vector<int32_t>(6, kIgnore));
}

// What a text is about, told by models that have read others.
struct ClassifyTest : TinyTraining {
    ClassifyTest() {
        std::string lines;
        for (int i = 0; i < 60; ++i) {
            const std::string number = std::to_string(i);
            lines += "the fox " + number + (i % 2 == 0 ? " and the crow\tbird\n" : " and the fox\tbeast\n");
        }
        put("animals.tsv", lines);
    }
    TrainRequest classify(const std::string& from, const std::string& name) const {
        TrainRequest r = request(name);
        r.inputs = {(folder_ / "animals.tsv").string()};
        r.options = {};
        r.from = (folder_ / (from + ".gguf")).string();
        r.options.task = "classify";
        r.options.context = 24;
        r.options.iters = 40;
        r.options.lr = 5e-3;
        r.options.eval_every = 10;
        r.given = {"task", "context", "iters", "lr", "eval-every"};
        return r;
    }
    void make_base(const std::string& arch) {
        TrainRequest base = request(arch);
        base.options.arch = arch;
        base.options.context = 24;
        base.options.iters = 10;
        run(base);
    }
};

TEST_F(ClassifyTest, EveryFamilyLearnsWhatTextsAreAbout) {
    for (const char* arch : {"bert", "openai-gpt", "gpt2", "llama"}) {
        make_base(arch);
        const TrainResult result = run(classify(arch, "animals"));
        ASSERT_EQ(result.scores.front().name, "accuracy") << arch;
        EXPECT_EQ(result.scores.front().value, 1) << arch;
        EXPECT_EQ(result.best, 1) << arch;
        CpuBackend backend(kernel_table("auto"), 1);
        const LoadedModel model((folder_ / "animals.gguf").string(), backend);
        EXPECT_EQ(model.config().find_head("class")->labels, (std::vector<std::string>{"beast", "bird"})) << arch;
        for (const char* name : {"animals.gguf", "animals.state.gguf", "animals.best.gguf"}) fs::remove(folder_ / name);
    }
}

// GPT-1's auxiliary objective: what is read is learned, too.
TEST_F(ClassifyTest, NextTokensAreLearnedBesideLabels) {
    make_base("gpt2");
    TrainRequest r = classify("gpt2", "both");
    r.options.lm_weight = 0.5;
    r.options.iters = 60;
    const TrainResult result = run(r);
    EXPECT_EQ(result.scores.front().value, 1);
    std::map<std::string, double> scores;
    for (const Score& score : result.scores) scores[score.name] = score.value;
    EXPECT_LT(scores.at("lm_loss"), 1);
    EXPECT_NEAR(*result.val_loss, scores.at("class_loss") + 0.5 * scores.at("lm_loss"), 1e-9);
    r = classify("gpt2", "alone");
    r.options.lm_weight = -1;
    EXPECT_MENTIONS(error_of(r), "lm-weight");
    make_base("bert");
    r = classify("bert", "none");
    r.options.lm_weight = 0.5;
    EXPECT_MENTIONS(error_of(r), "lm-weight");
}

TEST_F(ClassifyTest, AnInterruptedRunGoesOnTheSame) {
    make_base("bert");
    TrainRequest whole = classify("bert", "whole"), half = classify("bert", "half");
    half.options.iters = 20;
    half.options.decay_iters = 40;
    half.options.warmup = 4;
    half.given.insert({"decay-iters", "warmup"});
    run(whole);
    run(half);
    TrainRequest resumed = classify("bert", "half");
    resumed.from = "";
    resumed.options = {};
    resumed.options.iters = 40;
    resumed.given = {"iters"};
    resumed.resume = true;
    put("animals.tsv", get("animals.tsv") + "the fox\tfish\n");
    EXPECT_MENTIONS(error_of(resumed), "the label `fish` is not one that was trained with");
    std::string lines = get("animals.tsv");
    lines.erase(lines.rfind("the fox"));
    put("animals.tsv", lines);
    run(resumed, {}, 1);
    EXPECT_EQ(get("half.gguf"), get("whole.gguf"));
}

TEST_F(ClassifyTest, AHeadOfTheSameLabelsIsTrainedOn) {
    make_base("bert");
    run(classify("bert", "first"));
    TrainRequest next = classify("first", "next");
    next.options.lr = 1e-9;
    next.options.iters = 1;
    EXPECT_EQ(run(next).scores.front().value, 1);
    std::string lines = get("animals.tsv");
    for (size_t at = 0; (at = lines.find("bird", at)) != std::string::npos;) lines.replace(at, 4, "crow");
    put("animals.tsv", lines);
    next.output = (folder_ / "other").string();
    run(next);
    const auto weight = [&](const char* name) {
        const GgufFile file = GgufFile::open((folder_ / name).string());
        return *reinterpret_cast<const float*>(file.tensor("cls.output.weight").data.data());
    };
    EXPECT_NEAR(weight("next.gguf"), weight("first.gguf"), 1e-6);
    EXPECT_GT(std::abs(weight("other.gguf") - weight("first.gguf")), 1e-4);  // of others a new one
}

TEST_F(ClassifyTest, WordsAreTagged) {
    make_base("bert");
    std::string lines;
    for (int i = 0; i < 40; ++i)
        lines +=
            "the O\n" + std::string(i % 2 == 0 ? "fox B-BEAST\n" : "crow B-BIRD\n") + std::to_string(i) + " O\nand O\n\n";
    put("animals.conll", lines);
    TrainRequest r = classify("bert", "tags");
    r.inputs = {(folder_ / "animals.conll").string()};
    r.options.task = "tag";
    r.options.iters = 60;
    const TrainResult result = run(r);
    EXPECT_EQ(result.scores.front().name, "f1");
    EXPECT_EQ(result.scores.front().value, 1);
    CpuBackend backend(kernel_table("auto"), 1);
    const LoadedModel model((folder_ / "tags.gguf").string(), backend);
    EXPECT_EQ(model.config().find_head("tag")->labels, (std::vector<std::string>{"B-BEAST", "B-BIRD", "O"}));
    make_base("gpt2");
    r.from = (folder_ / "gpt2.gguf").string();
    r.overwrite = true;
    EXPECT_MENTIONS(error_of(r), "task is `tag`; a GPT-2 learns lm, dialogue, classify, regress");
}

TEST_F(ClassifyTest, NumbersAreLearned) {
    std::string lines;
    for (int i = 0; i < 60; ++i)
        lines += "the fox " + std::to_string(i % 10) + (i % 2 == 0 ? " and the crow\t0.5\n" : " and the fox\t-1.5\n");
    put("animals.tsv", lines);
    for (const char* arch : {"bert", "llama"}) {
        make_base(arch);
        TrainRequest r = classify(arch, arch + std::string("-numbers"));
        r.options.task = "regress";
        r.options.iters = 60;
        const TrainResult result = run(r);
        EXPECT_EQ(result.scores.front().name, "spearman") << arch;
        EXPECT_GT(result.scores.front().value, 0.5) << arch;  // equal numbers share a rank
        EXPECT_LT(*result.val_loss, 0.1) << arch;
    }
    put("animals.tsv", lines + "the fox\tmuch\n");
    TrainRequest r = classify("bert", "much");
    r.options.task = "regress";
    EXPECT_MENTIONS(error_of(r), "animals.tsv: line 61: ");
}

// Rows with none, one or two labels; the same bits on any threads, and when a run goes on.
TEST_F(ClassifyTest, AnyNumberOfLabelsIsLearned) {
    std::string lines;
    for (int i = 0; i < 80; ++i) {
        const std::string fox = i % 2 == 0 ? "fox" : "crow", wet = i % 4 < 2 ? "rain" : "sun";
        lines += wet + " and " + fox + "\t" + (i % 2 == 0 ? "beast" : "") + (i % 4 < 2 ? ", wet" : "") + "\n";
    }
    put("animals.tsv", lines);
    put("text.txt", get("text.txt") + " rain sun and the rain in the sun;");
    make_base("gpt2");
    const auto learn = [&](const std::string& name) {
        TrainRequest r = classify("gpt2", name);
        r.options.multi_label = r.options.no_header = true;
        r.options.iters = 200;
        r.given.insert({"multi-label", "no-header"});
        return r;
    };
    const TrainResult result = run(learn("both"));
    ASSERT_EQ(result.scores.front().name, "micro_f1");
    EXPECT_EQ(result.scores.front().value, 1);
    EXPECT_EQ(result.scores.back().name, "exact_match");
    CpuBackend backend(kernel_table("auto"), 1);
    const LoadedModel model((folder_ / "both.gguf").string(), backend);
    EXPECT_EQ(model.config().find_head("class")->labels, (std::vector<std::string>{"beast", "wet"}));
    EXPECT_TRUE(model.config().find_head("class")->multi_label);

    TrainRequest r = learn("none");
    put("animals.tsv", "a\t\nb\t\n");
    EXPECT_MENTIONS(error_of(r), "animals.tsv: no row has a label");
    put("animals.tsv", "the\tx,y\nfox\ty,x\n");
    EXPECT_MENTIONS(error_of(r), "all rows have the same labels");
    r.options.metric = "accuracy";
    EXPECT_MENTIONS(error_of(r), "choose micro_f1, macro_f1, exact_match");
}

// Rare labels count for more; batches that are accumulated are as one.
TEST_F(ClassifyTest, ClassesHaveWeights) {
    std::string lines;
    for (int i = 0; i < 60; ++i)
        lines += "the fox " + std::to_string(i % 10) + (i % 6 == 0 ? " and the crow\tbird\n" : " and the fox\tbeast\n");
    put("animals.tsv", lines);
    make_base("bert");
    const auto learn = [&](const std::string& name, const std::string& weights, int64_t accumulate) {
        TrainRequest r = classify("bert", name);
        r.options.class_weights = weights;
        r.options.batch = 12 / accumulate, r.options.accumulate = accumulate;
        r.options.iters = 8;
        r.given.insert({"class-weights", "batch", "accumulate", "no-header"});
        r.options.no_header = true;
        return run(r);
    };
    const double balanced = *learn("a", "balanced", 1).val_loss;
    EXPECT_NEAR(*learn("b", "balanced", 3).val_loss, balanced, 1e-5);
    EXPECT_GT(std::abs(*learn("c", "", 1).val_loss - balanced), 1e-3);
    TrainRequest r = classify("bert", "d");
    r.options.class_weights = "fish=2";
    EXPECT_MENTIONS(error_of(r), "names `fish`; the labels are beast, bird");
    EXPECT_FALSE(has("d.gguf"));
}

}  // namespace
}  // namespace nib
