// Questions: windows, answers as pieces of their contexts, training and what is wrong with them.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "model/loaded_model.h"
#include "task/answering.h"
#include "text/char_tokenizer.h"
#include "text/python_text.h"
#include "text/tokenizer_files.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

// Letters, digits and a space, and marks around texts as BERT has them: < and >.
CharTokenizer letters() {
    CharModel model;
    for (const char c : std::string("abcdefghijklmnopqrstuvwxyz0123456789 ."))
        model.tokens.push_back({std::string(1, c), TokenType::Normal});
    const auto marks = static_cast<int32_t>(model.tokens.size());
    model.tokens.push_back({"[CLS]", TokenType::Control});
    model.tokens.push_back({"[SEP]", TokenType::Control});
    model.specials = {.begin = marks, .end = marks + 1, .add_begin = true, .add_end = true, .pairs = kBertPairs};
    return CharTokenizer(std::move(model));
}

std::string shown(const CharTokenizer& tokenizer, const MarkedText& window) {
    std::string text;
    for (const int32_t id : window.ids)
        text += id == tokenizer.begin_token() ? "<" : id == tokenizer.end_token() ? ">" : tokenizer.decode(id);
    return text;
}

Question question(const std::string& asked, const std::string& context) {
    return {"id", "", asked, std::make_shared<const std::string>(context), {}, ""};
}
Question question(const std::string& asked, const std::string& context, const std::string& answer, size_t begin) {
    Question one = question(asked, context);
    one.answers.push_back({answer, begin});
    return one;
}
QuestionText text_of(const Question& one, const Tokenizer& tokenizer, const WindowOptions& options) {
    return QuestionText({&one, 1}, tokenizer, options);
}

TEST(QuestionText, WindowsOfALongContext) {
    const CharTokenizer tokenizer = letters();
    const Question one = question("who", "abcdefghij", "fg", 5);
    const QuestionText text = text_of(one, tokenizer, {12, 2});
    std::vector<std::string> windows;
    std::vector<std::pair<int64_t, int64_t>> answers;
    for (size_t i = 0; i < text.windows().size(); ++i) {
        windows.push_back(shown(tokenizer, text.read_window(static_cast<int64_t>(i))));
        answers.emplace_back(text.windows()[i].begin, text.windows()[i].end);
    }
    EXPECT_EQ(windows, (std::vector<std::string>{"<who>abcdef>", "<who>cdefgh>", "<who>efghij>"}));
    EXPECT_EQ(answers, (std::vector<std::pair<int64_t, int64_t>>{
                           {0, 0},
                           {8, 9},
                           {6, 7}
    }));
    EXPECT_EQ(text.read_window(0).types, (std::vector<int32_t>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}));
    EXPECT_EQ(text.size(), 36);
    EXPECT_EQ(text.documents(), 1);
    std::vector<int32_t> ids(14);
    text.read(10, ids);
    EXPECT_EQ(shown(tokenizer, {ids, {}}), "f><who>cdefgh>");
    // By default windows overlap by half, and none is left out where the stride is more than fits.
    EXPECT_EQ(text_of(one, tokenizer, {12, 0}).windows().size(), 3u);
    EXPECT_EQ(text_of(one, tokenizer, {12, 100}).windows().size(), 2u);
    EXPECT_EQ(text_of(one, tokenizer, {64, 0}).windows().size(), 1u);
    EXPECT_MENTIONS(error_of([&] { text_of(one, tokenizer, {4, 0}); }), "no room for a question");
    EXPECT_MENTIONS(error_of([&] { QuestionText({}, tokenizer, {12, 0}); }), "there are no questions");
}

TEST(QuestionText, LongQuestionsLoseTheirEnds) {
    const CharTokenizer tokenizer = letters();
    const QuestionText text = text_of(question("abcdefgh", "xyz", "y", 1), tokenizer, {11, 0});
    EXPECT_EQ(shown(tokenizer, text.read_window(0)), "<abcd>xyz>");
    EXPECT_EQ(text.windows()[0].begin, 7);
    const QuestionText empty = text_of(question("", "xyz"), tokenizer, {11, 0});
    EXPECT_EQ(shown(tokenizer, empty.read_window(0)), "<>xyz>");
    EXPECT_TRUE(empty.may_be_none());
}

TEST(QuestionText, AnswersThatAreElsewhere) {
    const CharTokenizer tokenizer = letters();
    const size_t nowhere = Answer::kNowhere;
    std::vector<Question> questions = {question("a", "x yes z", "yes", nowhere), question("b", "no no", "no", nowhere),
                                       question("c", "x", "why", nowhere), question("d", "x ab", "why", nowhere)};
    questions.back().answers.push_back({"ab", 2});
    const QuestionText text(questions, tokenizer, {32, 0});
    std::vector<int64_t> begins;
    for (const QuestionText::Window& window : text.windows()) begins.push_back(window.begin);
    EXPECT_EQ(begins, (std::vector<int64_t>{5, -1, -1, 5}));
    EXPECT_EQ(text.misplaced().count, 4);
    EXPECT_EQ(text.misplaced().found, 1);
    EXPECT_FALSE(text.may_be_none());
    EXPECT_MENTIONS(misplaced_note(text), "4 answers not where they are said to be, such as of id; 1 was found elsewhere");
    EXPECT_EQ(learned_windows(text, {0, text.size()}), 2);
}

TEST(AnswerSearch, TheBestOfAllWindows) {
    const CharTokenizer tokenizer = letters();
    const QuestionText text = text_of(question("who", "abcdefghij"), tokenizer, {12, 4});
    ASSERT_EQ(text.windows().size(), 2u);  // abcdef and efghij
    std::vector<float> first(24, 0), second(24, 0);
    // No answer; begins with c, ends with b, which is no piece; ends with e. In the second window ef.
    first[0] = 1, first[1] = 2;
    first[2 * 7] = 5, first[2 * 6 + 1] = 9;
    first[2 * 9 + 1] = 1;
    second[2 * 5] = 4, second[2 * 6 + 1] = 3;
    AnswerSearch search(text);
    search.add(0, first);
    search.add(1, second);
    const AnswerSearch::Answers& found = search.answers().at(0);
    // "b" alone would be 9; begins count where they are before the end: a or b, with 0 each, ends at b with 9.
    EXPECT_EQ(found.best[0], (FoundAnswer{0, 2, 9}));
    EXPECT_EQ(found.best[1], (FoundAnswer{1, 2, 9}));
    EXPECT_EQ(found.best[2], (FoundAnswer{4, 6, 7}));
    EXPECT_EQ(found.best[3], (FoundAnswer{2, 5, 6}));
    EXPECT_EQ(found.best.size(), AnswerSearch::kCompared);
    EXPECT_EQ(found.none, 0) << "where it is least";
    EXPECT_EQ(search.text_of(0, true), "ab");
    double sum = 0;
    for (const double probability : found.probabilities(true)) sum += probability;
    EXPECT_NEAR(sum, 1, 1e-12);

    AnswerSearch shorter(text, 1);
    shorter.add(0, first);
    EXPECT_EQ(shorter.answers().at(0).best[0], (FoundAnswer{1, 2, 9}));

    std::vector<float> nothing(24, 0);
    nothing[0] = 3;
    AnswerSearch none(text);
    none.add(0, nothing);
    EXPECT_EQ(none.text_of(0, true), "");
    EXPECT_EQ(none.text_of(0, false), "a");
    nothing[4] = NAN;
    EXPECT_MENTIONS(error_of([&] { none.add(1, nothing); }), "not a number");
    EXPECT_MENTIONS(error_of([&] { none.add(1, std::span<const float>(nothing).first(20)); }), "no logits");
}

// Every answer of data sets becomes tokens, and these the same characters again, where it ends where tokens do.
struct AnswerPlaces : testing::Test {
    struct Counts {
        size_t answers = 0, same = 0, more = 0, misplaced = 0;
    };
    static Counts count(const std::string& file, const Tokenizer& tokenizer) {
        Counts counts;
        QuestionFile questions(file);
        std::shared_ptr<const std::string> context;
        PlacedTokens tokens;
        for (Question one; questions.next(one);) {
            if (one.context != context) context = one.context, tokens = tokenizer.encode_placed(*context);
            for (const Answer& answer : one.answers) {
                ++counts.answers;
                if (answer.begin == Answer::kNowhere) {
                    ++counts.misplaced;
                    continue;
                }
                // White space at the ends, which three answers of CMRC have, is of no token.
                const std::string_view text = python_strip(answer.text);
                const size_t begin = answer.begin + answer.text.find(text), end = begin + text.size();
                const auto range = tokens_at(tokens, begin, end);
                if (!range) continue;
                const size_t first = tokens.places[static_cast<size_t>(range->first)].begin,
                             last = tokens.places[static_cast<size_t>(range->second)].end;
                if (first == begin && last == end)
                    ++counts.same;
                else if (first <= begin && last >= end)
                    ++counts.more;
            }
        }
        return counts;
    }
};

TEST_F(AnswerPlaces, OfDataSets) {
    const fs::path data = "../shared/data";
    if (!fs::exists(data / "qa"))
        GTEST_SKIP() << data / "qa"
                     << " is not there";
    const auto english = load_tokenizer_file(data / "bert-base-uncased/vocab.txt"),
               chinese = load_tokenizer_file(data / "bert-base-chinese/vocab.txt");
    const auto check = [&](const char* file, const Tokenizer& tokenizer, size_t answers, size_t misplaced, size_t within) {
        const Counts counts = count((data / "qa" / file).string(), tokenizer);
        EXPECT_EQ(counts.answers, answers) << file;
        EXPECT_EQ(counts.misplaced, misplaced) << file;
        EXPECT_EQ(counts.more, within) << file << ": answers that begin or end within a token";
        EXPECT_EQ(counts.same + counts.more + counts.misplaced, counts.answers) << file;
    };
    check("xquad/en.json", *english, 1190, 0, 1);  // "(2,70", of "(2,700"
    check("xquad/zh.json", *chinese, 1190, 0, 0);
    check("cmrc2018/trial.json", *chinese, 1002, 5, 0);
}

// Contexts with a number, which answers every question, or, of every fourth, without one.
std::string fox_questions(int count) {
    nlohmann::json paragraphs = nlohmann::json::array();
    for (int i = 0; i < count; ++i) {
        const bool none = i % 4 == 3;
        const std::string number = std::to_string(i % 60),
                          before = "the crow and " + std::string(i % 3 == 0 ? "the fox " : "");
        nlohmann::json asked, paragraph, answer;
        answer["text"] = number;
        answer["answer_start"] = before.size();
        asked["id"] = "q" + std::to_string(i);
        asked["question"] = "the fox";
        asked["is_impossible"] = none;
        asked["answers"] = nlohmann::json::array();
        if (!none) asked["answers"].push_back(answer);
        paragraph["context"] = none ? before + "the crow" : before + number + " and the crow";
        paragraph["qas"].push_back(asked);
        paragraphs.push_back(paragraph);
    }
    nlohmann::json article, all;
    article["paragraphs"] = paragraphs;
    all["data"].push_back(article);
    return all.dump();
}

struct AnswerTraining : TinyTraining {
    AnswerTraining() { put("q.json", fox_questions(48)); }
    void make_base(const std::string& arch) {
        TrainRequest base = request(arch);
        base.options.arch = arch;
        base.options.context = 64;
        base.options.iters = 5;
        run(base);
    }
    TrainRequest answers(const std::string& name, int64_t iters = 150) const {
        TrainRequest r = request(name);
        r.inputs = {(folder_ / "q.json").string()};
        r.options = {};
        r.from = (folder_ / "bert.gguf").string();
        r.options.task = "qa";
        r.options.context = 64;
        r.options.iters = iters;
        r.options.lr = 1e-2;
        r.options.eval_every = iters;
        r.given = {"task", "context", "iters", "lr", "eval-every"};
        return r;
    }
};

TEST_F(AnswerTraining, LearnsWhereAnswersAreAndWhereNone) {
    make_base("bert");
    const TrainResult result = run(answers("qa"));
    ASSERT_EQ(result.scores.size(), 2u);
    EXPECT_EQ(result.best_of, "f1");
    EXPECT_EQ(result.scores[1].name, "em");
    CpuBackend backend(kernel_table("auto"), 2);
    const LoadedModel model((folder_ / "qa.gguf").string(), backend);
    EXPECT_TRUE(model.config().find_head("span")->may_be_none);
    const std::vector<Question> questions = read_questions({(folder_ / "q.json").string()}, false, {});
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const QuestionText text(questions, model.tokenizer(), {64, 0});
    AnswerSearch search(text);
    search_answers(encoder, text, search);
    AnswerScores scores(text.usual_rules());
    for (size_t i = 0; i < questions.size(); ++i)
        scores.add(search.text_of(static_cast<int64_t>(i), true), questions[i].texts());
    EXPECT_GE(scores.all().exact, 95);
    EXPECT_EQ(scores.unanswerable().questions, 12);
}

TEST_F(AnswerTraining, SameBitsOnAnyThreadsAndResumed) {
    make_base("bert");
    for (const int threads : {1, 2, 3}) run(answers("t" + std::to_string(threads), 12), {}, threads);
    EXPECT_EQ(get("t1.gguf"), get("t2.gguf"));
    EXPECT_EQ(get("t1.gguf"), get("t3.gguf"));
    int asked = 0;
    run(answers("part", 12), {.stop = [&] { return ++asked > 6; }, .sample = {}});
    TrainRequest rest = answers("part", 12);
    rest.resume = true;
    rest.from.clear();
    run(rest);
    EXPECT_EQ(get("part.gguf"), get("t1.gguf"));
    put("q.json", fox_questions(47));
    EXPECT_MENTIONS(error_of(rest), "was trained with");
}

TEST_F(AnswerTraining, WindowsAreTheSameQuestion) {
    make_base("bert");
    TrainRequest r = answers("short", 3);
    r.options.context = 24;
    r.options.stride = 4;
    r.given.insert("stride");
    EXPECT_EQ(run(r).step, 3);
    r = answers("epochs");
    r.options.epochs = 1;
    r.given.erase("iters");
    r.given.insert("epochs");
    EXPECT_EQ(run(r).step, 3) << "44 windows, 16 at a time";
}

TEST_F(AnswerTraining, Refuses) {
    make_base("bert");
    const auto refused = [&](const std::string& json) {
        put("bad.json", json);
        TrainRequest r = answers("bad", 2);
        r.inputs = {(folder_ / "bad.json").string()};
        return error_of(r);
    };
    const std::string whole = fox_questions(8);
    EXPECT_MENTIONS(refused(whole.substr(0, whole.size() / 2)), "bad.json");
    EXPECT_MENTIONS(refused("{\"data\": []}"), "no questions");
    EXPECT_MENTIONS(refused(R"({"data": [{"paragraphs": [{"context": "the fox", "qas": [
        {"id": "a", "question": "fox", "answers": [{"text": "crow", "answer_start": 0}]}]}]}]})"),
                    "too few questions");
    EXPECT_MENTIONS(refused(R"({"data": [{"paragraphs": [{"context": "the FOX", "qas": [
        {"id": "a", "question": "fox", "answers": [{"text": "the", "answer_start": 0}]}]}]}]})"),
                    "paragraphs[0].qas[0]: the model does not know the character");
    TrainRequest r = answers("smooth", 2);
    r.options.label_smoothing = 0.1;
    EXPECT_MENTIONS(error_of(r), "label-smoothing");
    r = answers("stride", 2);
    r.options.stride = -1;
    EXPECT_MENTIONS(error_of(r), "stride");
    r = answers("lora", 2);
    r.options.lora = 2;
    EXPECT_MENTIONS(error_of(r), "no head for answers");
    make_base("gpt2");
    r = answers("gpt", 2);
    r.from = (folder_ / "gpt2.gguf").string();
    EXPECT_MENTIONS(error_of(r), "learns lm, dialogue, classify");
}

TEST_F(AnswerTraining, SpansOutsideTheirRow) {
    make_base("bert");
    CpuBackend backend(kernel_table("auto"), 1);
    ModelConfig config = LoadedModel((folder_ / "bert.gguf").string(), backend).config();
    config.task_heads = {
        {"span", 2, {}}
    };
    TrainShape shape{1, 4, 0, Optimizer::AdamW};
    shape.ragged = true;
    shape.objectives = {
        {.head = "span", .loss = Loss::Span, .of_rows = true}
    };
    TrainStep train(backend, config, shape);
    train.initialise(1);
    const std::vector<int32_t> ids = {1, 2, 3, 0}, positions = {0, 1, 2, 3}, lengths = {3};
    const RaggedRows ragged{positions, lengths, {}};
    const auto refused = [&](std::vector<int32_t> targets) {
        return test::error_of([&] { train.evaluate(ids, targets, {}, ragged); });
    };
    EXPECT_MENTIONS(refused({kIgnore, 3, kIgnore, kIgnore}), "not within a row of 3");
    EXPECT_MENTIONS(refused({kIgnore, kIgnore, 1, kIgnore}), "from token 2 to 1");
    EXPECT_MENTIONS(refused({0, 1, kIgnore, kIgnore}), "more than one span");
    EXPECT_MENTIONS(refused({kIgnore, -7, kIgnore, kIgnore}), "not within");
    const auto nothing = train.evaluate(ids, std::vector<int32_t>(4, kIgnore), {}, ragged);
    EXPECT_EQ(nothing.sum, 0);
    EXPECT_EQ(nothing.rows, 0);
}

}  // namespace
}  // namespace nib
