#include "eval_prompts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "eval_labels.h"
#include "infer/continuations.h"
#include "io/progress.h"
#include "options.h"
#include "task/examples.h"
#include "task/few_shot.h"
#include "task/task.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char *kClasses = "classify", *kChoices = "choice";

void note(const std::string& text) { std::fprintf(stderr, "nib: %s\n", text.c_str()); }

// What there is to answer, and the examples that stand before each question.
struct Questions {
    std::vector<ChoiceQuestion> all, shots;
    std::vector<std::string> labels;  // of classes
    bool two = false;                 // texts of each
    ChoiceLayout layout = ChoiceLayout::Question;
};

// The words for labels: "0=negative,1=positive". Labels without one stand for themselves.
std::vector<std::string> words_of(const std::vector<std::string>& labels, const std::string& names) {
    std::vector<std::string> words = labels;
    for (size_t at = 0; at < names.size();) {
        const size_t end = std::min(names.find(',', at), names.size());
        const std::string part = names.substr(at, end - at);
        const size_t equals = part.find('=');
        const auto label = std::find(labels.begin(), labels.end(), part.substr(0, equals));
        if (equals == part.npos || equals + 1 == part.size() || label == labels.end())
            fail_usage("--label-names has `%s`; it takes the labels of the file and a word for each, as in %s=word",
                       printable(part, 60).c_str(), printable(labels.front(), 40).c_str());
        words[static_cast<size_t>(label - labels.begin())] = part.substr(equals + 1);
        at = end + 1;
    }
    if (std::set<std::string>(words.begin(), words.end()).size() < words.size())
        fail_usage("--label-names gives two labels the same word");
    return words;
}

std::vector<LabelledRow> read_rows(const std::vector<std::string>& paths, const PromptData& data) {
    const std::vector<LabelledRow> rows =
        read_labelled_rows(paths, {.columns = data.columns, .skip_bad = data.skip_bad, .note = note});
    for (const LabelledRow& row : rows)
        if (row.example.texts.size() != rows.front().example.texts.size())
            fail("%s: has another number of texts than the rows before it", row.where.c_str());
    return rows;
}

// Rows of a table as questions with the same choices.
void take_classes(const PromptOptions& o, const PromptData& data, Questions& to) {
    const std::vector<LabelledRow> rows = read_rows(data.paths, data);
    const std::vector<LabelledRow> others = o.train.empty() ? std::vector<LabelledRow>() : read_rows({o.train}, data);
    std::vector<std::string> found;
    for (const auto* all : {&rows, &others})
        for (const LabelledRow& row : *all) found.push_back(row.example.labels.front());
    to.labels = label_names(found);
    if (to.labels.size() < 2)
        fail("%s: all labels are `%s`; there is nothing to tell apart", printable(data.paths.front()).c_str(),
             printable(to.labels.front(), 40).c_str());
    to.two = rows.front().example.texts.size() > 1;
    const std::vector<std::string> words = words_of(to.labels, o.label_names);
    const auto question = [&](const LabelledRow& row) {
        const std::vector<std::string>& texts = row.example.texts;
        if ((texts.size() > 1) != to.two) fail("%s: has not as many texts as those to measure", row.where.c_str());
        const auto label = std::find(to.labels.begin(), to.labels.end(), row.example.labels.front());
        return ChoiceQuestion{texts[0], to.two ? texts[1] : "", words, static_cast<size_t>(label - to.labels.begin()),
                              row.where};
    };
    for (const LabelledRow& row : rows) to.all.push_back(question(row));
    for (const LabelledRow& row : others) to.shots.push_back(question(row));
}

void take_choices(const PromptOptions& o, const PromptData& data, Questions& to) {
    if (!(data.columns == LabelColumns{}) || !o.label_names.empty())
        fail_usage("columns and the names of labels are for --task %s", kClasses);
    to.all = read_choices(data.paths, {data.skip_bad, note}, to.layout);
    ChoiceLayout ignored{};
    if (!o.train.empty()) to.shots = read_choices({o.train}, {data.skip_bad, note}, ignored);
}

// The examples: K of the training file, or of the file itself, which are not measured then.
void draw_shots(const PromptOptions& o, Questions& questions) {
    const bool own = o.train.empty();
    std::vector<ChoiceQuestion>& from = own ? questions.all : questions.shots;
    const auto count = std::ssize(from);
    if (o.shots > count - (own ? 1 : 0))
        fail_usage("--shots is %lld, but there are %s to draw from%s", static_cast<long long>(o.shots),
                   counted(count, "example").c_str(), own ? ", of which one at least is measured" : "");
    std::vector<ChoiceQuestion> drawn;
    std::set<int64_t> taken;
    for (uint64_t n = 0; n < static_cast<uint64_t>(o.shots); ++n) {
        const int64_t i = shuffled(static_cast<uint64_t>(o.seed), n, count);
        taken.insert(i);
        drawn.push_back(from[static_cast<size_t>(i)]);
    }
    if (own) {
        std::vector<ChoiceQuestion> rest;
        for (int64_t i = 0; i < count; ++i)
            if (!taken.contains(i)) rest.push_back(std::move(from[static_cast<size_t>(i)]));
        questions.all = std::move(rest);
    }
    questions.shots = std::move(drawn);
}

std::string form_of(const PromptOptions& o, const Questions& questions) {
    if (o.prompt.empty()) {
        if (o.task == kChoices)
            return questions.layout == ChoiceLayout::Endings ? "{text} {label}" : "Question: {text}\nAnswer: {label}";
        return questions.two ? "Text 1: {text}\nText 2: {second}\nLabel: {label}" : "Text: {text}\nLabel: {label}";
    }
    std::string form = o.prompt;
    for (size_t at = 0; (at = form.find("\\n", at)) != form.npos; ++at) form.replace(at, 2, "\n");
    return form;
}

// Tells answers apart by their log-probabilities.
class Chooser {
public:
    Chooser(const FewShotPrompts& prompts, const std::string& normalize, Backend& backend, const LoadedModel& model,
            size_t context, size_t plain_context)
        : prompts_(prompts),
          by_tokens_(normalize == "tokens"),
          scorer_(backend, model.config(), model.weights(), static_cast<int64_t>(context)) {
        if (normalize == "unconditional")
            plain_.emplace(backend, model.config(), model.weights(), static_cast<int64_t>(plain_context));
    }

    size_t best(const ChoiceQuestion& question, const PromptTokens& tokens) {
        std::vector<double> scores = scorer_.score(tokens.prompt, tokens.choices);
        for (size_t i = 0; i < scores.size(); ++i) {
            if (by_tokens_) scores[i] /= static_cast<double>(tokens.choices[i].size());
            if (plain_) scores[i] -= unconditional(question, i);
        }
        return static_cast<size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
    }

private:
    // Classes are the same for all questions, and computed once.
    double unconditional(const ChoiceQuestion& question, size_t choice) {
        const auto known = known_.find(question.choices[choice]);
        if (known != known_.end()) return known->second;
        const PromptTokens tokens = prompts_.encode_unconditional(question);
        const std::vector<double> scores = plain_->score(tokens.prompt, tokens.choices);
        if (known_.size() > kMostKnown) known_.clear();
        for (size_t i = 0; i < scores.size(); ++i) known_[question.choices[i]] = scores[i];
        return scores[choice];
    }

    static constexpr size_t kMostKnown = 10000;
    const FewShotPrompts& prompts_;
    const bool by_tokens_;
    ContinuationScorer scorer_;
    std::optional<ContinuationScorer> plain_;
    std::map<std::string, double> known_;
};

// The prompts of all questions; those that cannot be made are an error, or are left out with a note.
std::vector<PromptTokens> encode_all(const FewShotPrompts& prompts, Questions& questions, bool skip_bad, size_t& plain) {
    std::vector<PromptTokens> all;
    std::vector<ChoiceQuestion> kept;
    BadRecords bad(skip_bad);
    int64_t fewer = 0;
    for (ChoiceQuestion& question : questions.all) {
        try {
            all.push_back(prompts.encode(question));
            plain = std::max(plain, prompts.encode_unconditional(question).longest());
        } catch (const Error& error) {
            bad.refuse(error.within(question.where));
            continue;
        }
        fewer += all.back().shots < questions.shots.size();
        kept.push_back(std::move(question));
    }
    questions.all = std::move(kept);
    if (bad.count() > 0)
        note(strprintf("%s passed over, such as %s", counted(static_cast<int64_t>(bad.count()), "row").c_str(),
                       bad.reasons().front().c_str()));
    if (fewer > 0)
        note(strprintf("%s with fewer examples before them, since more do not fit into the model's context",
                       counted(fewer, "row").c_str()));
    if (all.empty()) fail("there is nothing to measure");
    return all;
}

}  // namespace

void add_prompt_options(CLI::App& app, std::string& task, PromptOptions& o) {
    constexpr const char* kGroup = "Without training";
    app.add_option(
           "--task", task,
           "of a language model: classify, the label of each text in a table; choice, the answer of questions with "
           "several; the most probable one after a prompt counts; qa, the texts are files of questions, whose answers it "
           "writes; dpo, they are pairs of answers, of which it prefers the better ones more than --reference does; "
           "reward, "
           "of a model that scores texts: they are such pairs")
        ->check(one_of({kClasses, kChoices, "qa", kReward, kDpo}))
        ->type_name("NAME")
        ->group(kGroup);
    app.add_option("--shots", o.shots, "examples with their answers in the prompt")
        ->transform(whole_number(0, 1 << 20))
        ->type_name("K")
        ->capture_default_str()
        ->group(kGroup);
    app.add_option("--train", o.train, "where these come from (default: the file itself, which is measured without them)")
        ->type_name("FILE")
        ->group(kGroup);
    app.add_option("--seed", o.seed, "by which they are drawn")
        ->transform(whole_number(0))
        ->type_name("N")
        ->capture_default_str()
        ->group(kGroup);
    app.add_option("--prompt", o.prompt,
                   "how an example is written, with {text}, {second} and {label}, and \\n for a new line (default: \"Text: "
                   "{text}\\nLabel: {label}\", of choices \"Question: {text}\\nAnswer: {label}\")")
        ->type_name("TEXT")
        ->group(kGroup);
    app.add_option("--label-names", o.label_names, "words for labels: 0=negative,1=positive")
        ->type_name("NAMES")
        ->group(kGroup);
    app.add_option("--normalize", o.normalize,
                   "what the log-probability of an answer is compared by: none, tokens (divided by their number) or "
                   "unconditional (minus that of the answer without the question) (default: none, of choices tokens)")
        ->check(one_of({"none", "tokens", "unconditional"}))
        ->type_name("NAME")
        ->group(kGroup);
}

void eval_prompts(const PromptOptions& o, const PromptData& data, bool json, Backend& backend, const LoadedModel& model) {
    refuse_encoder_decoder(model);
    make_model(model.config())->head("lm");  // or there is no next token
    Questions questions;
    (o.task == kChoices ? take_choices : take_classes)(o, data, questions);
    draw_shots(o, questions);
    const PromptForm form(form_of(o, questions), questions.two);
    const FewShotPrompts prompts(model.tokenizer(), form, questions.shots, model.config().context);
    size_t longest = 0, plain = 0;
    const std::vector<PromptTokens> tokens = encode_all(prompts, questions, data.skip_bad, plain);
    for (const PromptTokens& one : tokens) longest = std::max(longest, one.longest());
    const std::string usual = o.task == kChoices ? "tokens" : "none";
    Chooser chooser(prompts, o.normalize == "usual" ? usual : o.normalize, backend, model, longest, plain);

    std::optional<ConfusionMatrix> matrix;
    if (!questions.labels.empty()) matrix.emplace(std::ssize(questions.labels));
    int64_t right = 0;
    const double start = seconds_since_start();
    Progress progress(stderr, stderr_is_terminal(), 1);
    for (size_t i = 0; i < tokens.size(); ++i) {
        const size_t found = chooser.best(questions.all[i], tokens[i]);
        if (matrix) matrix->add(static_cast<int64_t>(questions.all[i].answer), static_cast<int64_t>(found));
        right += found == questions.all[i].answer;
        progress.status(strprintf("%zu of %zu  accuracy %.4f", i + 1, tokens.size(),
                                  static_cast<double>(right) / static_cast<double>(i + 1)));
    }
    progress.clear();
    const double per_second = static_cast<double>(tokens.size()) / (seconds_since_start() - start);
    if (matrix) return print_classes(*matrix, questions.labels, per_second, json);
    const double accuracy = static_cast<double>(right) / static_cast<double>(tokens.size());
    if (json)
        print_json({
            {"questions",            tokens.size()},
            {"accuracy",             accuracy     },
            {"questions_per_second", per_second   },
        });
    else
        print(strprintf("accuracy %.4f  %s  %.1f/s\n", accuracy, counted(std::ssize(tokens), "question").c_str(),
                        per_second));
}

}  // namespace nib
