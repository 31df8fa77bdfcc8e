#include "eval_questions.h"

#include <algorithm>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "io/atomic_file.h"
#include "io/progress.h"
#include "task/answering.h"

namespace nib {
namespace {

AnswerRules rules_of(const std::string& name, const QuestionText& text) {
    if (name.empty()) return text.usual_rules();
    return name == "cmrc" ? AnswerRules::Cmrc2018 : name == "squad2" ? AnswerRules::Squad2 : AnswerRules::Squad1;
}

const char* name_of(AnswerRules rules) {
    return rules == AnswerRules::Cmrc2018 ? "cmrc" : rules == AnswerRules::Squad2 ? "squad2" : "squad1";
}

void say(const std::string& note) { std::fprintf(stderr, "nib: %s\n", note.c_str()); }

// The answer to each question.
std::vector<std::string> pointed_out(const QuestionText& text, const EvalQuestionsOptions& options, Backend& backend,
                                     const LoadedModel& model) {
    Progress progress(stderr, stderr_is_terminal(), 1);
    SequenceEncoder encoder(backend, model.config(), model.weights());
    AnswerSearch search(text, options.longest > 0 ? options.longest : AnswerSearch::kLongest);
    search_answers(encoder, text, search, [&](int64_t done) {
        progress.status(strprintf("%lld of %zu windows", static_cast<long long>(done), text.windows().size()));
    });
    progress.clear();
    std::vector<std::string> answers;
    for (const auto& [question, found] : search.answers()) answers.push_back(search.text_of(question, text.may_be_none()));
    return answers;
}

std::vector<std::string> written(const std::vector<Question>& questions, Backend& backend, const LoadedModel& model) {
    Progress progress(stderr, stderr_is_terminal(), 1);
    Engine engine(backend, model.config(), model.weights(), {});
    std::vector<std::string> answers;
    for (const Question& question : questions) {
        answers.push_back(write_answer(engine, model.tokenizer(), *question.context, question.question));
        progress.status(strprintf("%zu of %zu questions", answers.size(), questions.size()));
    }
    progress.clear();
    return answers;
}

nlohmann::ordered_json json_of(const AnswerScores::Mean& mean) {
    return {
        {"questions", mean.questions},
        {"f1",        mean.f1       },
        {"em",        mean.exact    },
    };
}

std::string line_of(const char* name, const AnswerScores::Mean& mean) {
    return strprintf("%sf1 %.2f  em %.2f  %s", name, mean.f1, mean.exact, counted(mean.questions, "question").c_str());
}

void print_scores(const AnswerScores& scores, AnswerRules rules, double per_second, bool json) {
    const bool both = scores.answerable().questions > 0 && scores.unanswerable().questions > 0;
    if (json) {
        nlohmann::ordered_json all = json_of(scores.all());
        all["rules"] = name_of(rules);
        if (both) all["has_answer"] = json_of(scores.answerable()), all["no_answer"] = json_of(scores.unanswerable());
        all["questions_per_second"] = per_second;
        return print_json(all);
    }
    print(line_of("", scores.all()) + strprintf("  %.1f/s  by the rules of %s\n", per_second, name_of(rules)));
    if (both)
        print(line_of("has answer  ", scores.answerable()) + "\n" + line_of("no answer   ", scores.unanswerable()) + "\n");
}

}  // namespace

void eval_questions(const std::vector<std::string>& paths, const EvalQuestionsOptions& options, Backend& backend,
                    const LoadedModel& model) {
    const auto whole = make_model(model.config());
    const bool points = model.config().find_head("span") != nullptr;
    if (!points && model.config().has_encoder())
        fail("a model that reads a text before it writes another answers no questions");
    if (!points) whole->head("lm");  // there is one
    const std::vector<Question> questions = read_questions(paths, options.skip_bad, say);
    const QuestionText text(questions, model.tokenizer(),
                            {std::min(model.config().context, kAnswerWindow), options.stride});
    if (const std::string note = misplaced_note(text); !note.empty()) say(note);
    const double start = seconds_since_start();
    const std::vector<std::string> answers =
        points ? pointed_out(text, options, backend, model) : written(questions, backend, model);
    const double per_second = static_cast<double>(questions.size()) / (seconds_since_start() - start);
    const AnswerRules rules = rules_of(options.rules, text);
    AnswerScores scores(rules);
    nlohmann::json predictions = nlohmann::json::object();
    for (size_t i = 0; i < questions.size(); ++i) {
        scores.add(answers[i], text.questions()[i].answers);
        predictions[questions[i].id] = answers[i];
    }
    if (!options.predictions.empty()) write_file_atomically(options.predictions, predictions.dump(1) + "\n");
    print_scores(scores, rules, per_second, options.json);
}

}  // namespace nib
