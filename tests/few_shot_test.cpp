// Prompts with examples, and what a model makes of their continuations.
#include "task/few_shot.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/continuations.h"
#include "infer/evaluate.h"
#include "model/convert.h"
#include "model/loaded_model.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/char_tokenizer.h"

namespace nib {
namespace {

using namespace test;

CharTokenizer characters() {
    std::vector<char32_t> codes = {U'\n', U' ', U':', U'?'};
    for (char32_t c = U'A'; c <= U'z'; ++c) codes.push_back(c);
    return CharTokenizer::from_code_points(codes);
}

std::string text_of(const Tokenizer& tokenizer, const std::vector<int32_t>& ids) { return tokenizer.decode(ids); }

const ChoiceQuestion kCat = {
    "a cat",
    "",
    {"no", "yes"},
    1,
    "t.tsv: line 1"
};
const ChoiceQuestion kDog = {
    "a dog",
    "",
    {"no", "yes"},
    0,
    "t.tsv: line 2"
};

TEST(PromptForm, PutsAnExampleTogether) {
    const PromptForm form("Q: {text}\nA:  {label}?", false);
    EXPECT_EQ(form.before(kCat), "Q: a cat\nA:");
    EXPECT_EQ(form.answer("no"), "  no");
    EXPECT_EQ(form.whole(kCat), "Q: a cat\nA:  yes?");
    EXPECT_EQ(form.lead(), "A:");
    const ChoiceQuestion two = {
        "{second}", "{text}", {"x", "y"},
          0, ""
    };
    EXPECT_EQ(PromptForm("{text}+{second}={label}", true).whole(two), "{second}+{text}=x");
    EXPECT_EQ(PromptForm("{second}+{text}={label}", true).whole(two), "{text}+{second}=x");
    EXPECT_EQ(PromptForm("{text} {label}", false).lead(), "");
}

TEST(PromptForm, RefusesWhatIsNone) {
    const auto error = [](const char* form, bool two) { return error_of([&] { PromptForm(form, two); }); };
    EXPECT_MENTIONS(error("{text}", false), "{label} is to be once");
    EXPECT_MENTIONS(error("{text}{text}{label}", false), "{text} is to be once");
    EXPECT_MENTIONS(error("{label}{text}", false), "{label} is to stand behind the text");
    EXPECT_MENTIONS(error("{text}{label}{second}", true), "{label} is to stand behind the text");
    EXPECT_MENTIONS(error("{text}{label}", true), "{second} is to be once");
    EXPECT_MENTIONS(error("{text}{second}{label}", false), "examples have no second text");
}

TEST(FewShotPrompts, HaveAsManyExamplesAsFitIn) {
    const CharTokenizer tokenizer = characters();
    const auto encoded = [&](int64_t context) {
        const FewShotPrompts prompts(tokenizer, PromptForm("{text}: {label}", false), {kCat, kDog}, context);
        return prompts.encode(kCat);
    };
    const PromptTokens all = encoded(100);
    EXPECT_EQ(all.shots, 2u);
    EXPECT_EQ(text_of(tokenizer, all.prompt), "a cat: yes\n\na dog: no\n\na cat:");
    EXPECT_EQ(text_of(tokenizer, all.choices[1]), " yes");
    EXPECT_EQ(all.longest(), 33u);
    EXPECT_EQ(encoded(33).shots, 2u);
    EXPECT_EQ(text_of(tokenizer, encoded(32).prompt), "a dog: no\n\na cat:");
    EXPECT_EQ(encoded(10).shots, 0u);
    EXPECT_MENTIONS(error_of([&] { encoded(9); }), "the question does not fit into 9 tokens");
}

struct Scorer : testing::Test {
    Scorer() {
        ConvertRequest request;
        request.input = golden("transformers/long"), request.output = (folder / "m.gguf").string();
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
        model.emplace(request.output, backend);
    }
    // The sum of the log-probabilities of all tokens but the first.
    double logp(const std::vector<int32_t>& ids) {
        if (ids.size() < 2) return 0;
        Evaluator evaluator(backend, model->config(), model->weights(), {std::ssize(ids)});
        return -evaluator
                    .run([&](int64_t begin, std::span<int32_t> out) {
                        std::copy_n(&ids[static_cast<size_t>(begin)], out.size(), out.begin());
                    })
                    .loss_sum;
    }

    TempFolder folder;
    CpuBackend backend{*kernel_tables().back(), 2};
    std::optional<LoadedModel> model;
};

template <class... Ids>
std::vector<int32_t> ids(Ids... all) {
    return {all...};
}

// Whatever is kept of the prompt before.
TEST_F(Scorer, GivesTheLogProbabilitiesOfWholeTexts) {
    ContinuationScorer scorer(backend, model->config(), model->weights(), 40);
    const std::vector choices = {ids(5), ids(6, 7), ids(1, 2, 3, 4), ids(9, 9), ids(8, 0), ids(3, 1, 4), ids(2, 2, 2)};
    for (const std::vector<int32_t>& prompt :
         {ids(1, 2, 3, 4, 5), ids(1, 2, 3, 9), ids(1, 2, 3, 9), ids(1), ids(7, 2, 3, 9, 4, 4, 4, 4)}) {
        const std::vector<double> found = scorer.score(prompt, choices);
        for (size_t i = 0; i < choices.size(); ++i) {
            std::vector<int32_t> whole = prompt;
            whole.insert(whole.end(), choices[i].begin(), choices[i].end());
            EXPECT_NEAR(found[i], logp(whole) - logp(prompt), 2e-4) << i;
        }
    }
}

TEST_F(Scorer, RefusesWhatIsEmptyOrTooLong) {
    ContinuationScorer scorer(backend, model->config(), model->weights(), 4);
    const std::vector<std::vector<int32_t>> one(1, ids(5)), none(1), odd(1, ids(1000)), several(1, ids(1, 2, 3, 4));
    const std::vector<int32_t> prompt = {1, 2};
    EXPECT_MENTIONS(error_of([&] { scorer.score({}, one); }), "no prompt");
    EXPECT_MENTIONS(error_of([&] { scorer.score(prompt, none); }), "has no tokens");
    EXPECT_NE(error_of([&] { scorer.score(prompt, odd); }), "");
    EXPECT_NE(error_of([&] { scorer.score(prompt, several); }), "");
    EXPECT_EQ(scorer.score(prompt, one).size(), 1u);
}

struct Choices : testing::Test {
    std::vector<ChoiceQuestion> read(const std::string& text, bool skip_bad = false) {
        write_file(folder / "q.jsonl", text);
        return read_choices({(folder / "q.jsonl").string()}, {skip_bad, {}}, layout);
    }
    std::string error(const std::string& text) {
        return error_of([&] { read(text); });
    }
    TempFolder folder;
    ChoiceLayout layout = ChoiceLayout::Question;
};

TEST_F(Choices, LayoutsOfDataSets) {
    for (const char* answer : {"1", "\"B\"", "\"y\"", "\"1\""}) {
        const auto all = read(std::string(R"({"question":"q","choices":["x","y"],"answer":)") + answer + "}");
        ASSERT_EQ(all.size(), 1u);
        EXPECT_EQ(all[0].answer, 1u) << answer;
        EXPECT_EQ(all[0].choices, (std::vector<std::string>{"x", "y"}));
    }
    EXPECT_EQ(read(R"({"question":"q","choices":{"text":["x","y"],"label":["1","2"]},"answerKey":"2"})")[0].answer, 1u);
    EXPECT_EQ(layout, ChoiceLayout::Question);
    EXPECT_EQ(read(R"({"ctx":"c","endings":["x","y","z"],"label":"2"})")[0].answer, 2u);
    EXPECT_EQ(layout, ChoiceLayout::Endings);
}

TEST_F(Choices, RefusesWhatIsNoQuestion) {
    EXPECT_MENTIONS(error(R"({"question":"q","choices":["x"],"answer":0})"), "q.jsonl: line 1: choices: has 1 choice");
    EXPECT_MENTIONS(error(R"({"question":"q","choices":["x","y"],"answer":2})"), "is none of the 2 choices");
    EXPECT_MENTIONS(error(R"({"question":"q","choices":["x",""],"answer":0})"), "choices[1]: is empty");
    EXPECT_MENTIONS(error(R"({"question":"q","choices":["x","y"]})"), "has no \"answer\"");
    EXPECT_MENTIONS(error(R"({"question":"","choices":["x","y"],"answer":0})"), "has no text");
    EXPECT_MENTIONS(error(R"({"question":"q","choices":{"text":["x","y"],"label":["a","b","c"]},"answerKey":"a"})"),
                    "3 labels for 2 texts");
    EXPECT_MENTIONS(error("\n"), "has no questions");
    EXPECT_EQ(read("{}\n"
                   R"({"question":"q","choices":["x","y"],"answer":0})",
                   true)
                  .size(),
              1u);
}

}  // namespace
}  // namespace nib
