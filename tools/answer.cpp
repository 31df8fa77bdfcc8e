// nib answer: answers to questions about a text.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "input.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "task/answering.h"
#include "text/text_encoding.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "A model that was trained for it (`nib train --task qa`, or BertForQuestionAnswering) points at pieces of the text. A "
    "text longer than fits is read in windows. Prints the answer to each question on a line, and with --top more than one "
    "of them: probability, tab, answer, the best first; `(none)` says that the text has no answer. Probabilities are among "
    "the 20 best answers of all windows. With --json a line for each question: {\"question\":..., \"answer\":..., "
    "\"probability\":..., \"begin\":..., \"end\":..., \"answers\":[...]}, where begin and end are characters of the text; "
    "no answer is null.\n\n"
    "A language model writes its answer, by its most probable tokens, after the text, `Q:`, the question and `A:`.\n\n"
    "Examples:\n"
    "  nib answer qa.gguf --context page.txt \"Who wrote it?\"\n"
    "  nib answer qa.gguf --context - \"Who wrote it?\" \"When?\" --json < page.txt";

struct Options {
    ModelOptions model;
    std::vector<std::string> questions;
    std::string context, file;
    int64_t top = 1, longest = AnswerSearch::kLongest, stride = 0;
    bool may_be_none = false, json = false;
    BackendOptions backend;
};

std::vector<std::string> questions_of(const Options& o) {
    std::vector<std::string> all = o.questions;
    if (!o.file.empty())
        for (std::string& line : lines_of(read_input(o.file)))
            if (!line.empty()) all.push_back(std::move(line));
    if (all.empty()) fail_usage("there is no question; give one, or --file with one on each line");
    for (size_t i = 0; i < all.size(); ++i) check_text(all[i], strprintf("question %zu", i + 1), 0);
    return all;
}

std::string context_of(const Options& o) {
    if (o.context == "-" && o.file == "-") fail_usage("--context and --file cannot both be standard input");
    std::string text = read_input(o.context);
    const std::string name = o.context == "-" ? "standard input" : o.context;
    check_text(text, name, 0);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) fail("%s: there is no text", printable(name).c_str());
    return text;
}

// Characters in the first `bytes` of a text.
size_t characters(const std::string& text, size_t bytes) {
    return static_cast<size_t>(std::count_if(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bytes),
                                             [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

// A piece of the text, or that there is none.
struct Shown {
    const FoundAnswer* answer;  // null: none
    double probability;
};

// The best first.
std::vector<Shown> ranked(const AnswerSearch::Answers& answers, bool may_be_none) {
    const std::vector<double> probabilities = answers.probabilities(may_be_none);
    std::vector<Shown> all;
    for (size_t i = 0; i < answers.best.size(); ++i) all.push_back({&answers.best[i], probabilities[i]});
    if (may_be_none) {
        const auto better = [&](const Shown& shown) { return shown.answer->score < answers.none; };
        all.insert(std::find_if(all.begin(), all.end(), better), {nullptr, probabilities.back()});
    }
    if (all.empty()) all.push_back({nullptr, 1});
    return all;
}

nlohmann::ordered_json json_of(const Shown& shown, const std::string& text) {
    const auto place = [&](size_t byte) {
        return shown.answer != nullptr ? nlohmann::ordered_json(characters(text, byte)) : nlohmann::ordered_json();
    };
    const FoundAnswer at = shown.answer != nullptr ? *shown.answer : FoundAnswer{};
    nlohmann::ordered_json json;
    json["answer"] = shown.answer != nullptr ? nlohmann::ordered_json(text.substr(at.begin, at.end - at.begin))
                                             : nlohmann::ordered_json();
    json["probability"] = shown.probability;
    json["begin"] = place(at.begin);
    json["end"] = place(at.end);
    return json;
}

void print_answers(const Options& o, const std::string& question, const std::string& text, std::vector<Shown> shown) {
    shown.resize(std::min(shown.size(), static_cast<size_t>(o.top)));
    if (o.json) {
        nlohmann::ordered_json json = {
            {"question", question}
        };
        json.update(json_of(shown.front(), text));
        for (size_t i = 0; i < shown.size() && o.top > 1; ++i) json["answers"].push_back(json_of(shown[i], text));
        return print_json(json);
    }
    for (const auto& [answer, probability] : shown) {
        std::string line = answer != nullptr ? text.substr(answer->begin, answer->end - answer->begin) : "(none)";
        std::replace_if(
            line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
        print((o.top > 1 ? strprintf("%.4f\t", probability) : "") + line + "\n");
    }
}

void point_out(const Options& o, Backend& backend, const LoadedModel& model) {
    const std::string context = context_of(o);
    const auto shared = std::make_shared<const std::string>(context);
    std::vector<Question> questions;
    for (const std::string& question : questions_of(o)) questions.push_back({"", "", question, shared, {}, ""});
    SequenceEncoder encoder(backend, model.config(), model.weights());
    encoder.model().head("span");  // there is one
    const QuestionText text(questions, model.tokenizer(), {std::min(model.config().context, kAnswerWindow), o.stride});
    AnswerSearch search(text, o.longest);
    search_answers(encoder, text, search);
    const HeadConfig* const head = model.config().find_head("span");
    const bool may_be_none = o.may_be_none || head->may_be_none;
    for (size_t i = 0; i < questions.size(); ++i)
        print_answers(o, questions[i].question, context, ranked(search.answers().at(static_cast<int64_t>(i)), may_be_none));
}

void write_out(const Options& o, Backend& backend, const LoadedModel& model) {
    if (o.top > 1 || o.may_be_none || o.stride > 0)
        fail_usage(
            "a language model writes one answer; it has no others, no windows, and does not tell that there is none");
    const std::string context = context_of(o);
    Engine engine(backend, model.config(), model.weights(), {});
    for (const std::string& question : questions_of(o)) {
        const std::string answer = write_answer(engine, model.tokenizer(), context, question);
        if (o.json)
            print_json({
                {"question", question},
                {"answer",   answer  },
            });
        else
            print(answer + "\n");
    }
}

void answer(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    refuse_encoder_decoder(model);
    const auto whole = make_model(model.config());
    const bool writes = std::any_of(whole->heads().begin(), whole->heads().end(),
                                    [](const Head& head) { return head.name == std::string_view("lm"); });
    (writes ? write_out : point_out)(o, backend, model);
}

}  // namespace

void answer_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    app.add_option("QUESTION", o->questions, "questions");
    app.add_option("--context", o->context, "the text that is asked about; - for standard input")
        ->required()
        ->type_name("FILE");
    app.add_option("--file", o->file, "a file with a question on each line, - for standard input")->type_name("FILE");
    app.add_option("--top", o->top, "answers to each question, the best first, at most 20")
        ->transform(whole_number(1, static_cast<int64_t>(AnswerSearch::kCompared)))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--max-answer", o->longest, "tokens of an answer at most")
        ->transform(whole_number(1, 1 << 20))
        ->type_name("N")
        ->capture_default_str();
    app.add_option("--stride", o->stride, "tokens from one window of the text to the next (default: 128)")
        ->transform(whole_number(1, 1 << 20))
        ->type_name("N");
    app.add_flag("--no-answer", o->may_be_none,
                 "the text may have no answer, which is said then (default: if the model has learned that)");
    app.add_flag("--json", o->json, "print a line of JSON for each question");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { on_device(o->backend, [&](std::unique_ptr<Backend> backend) { answer(*o, *backend); }); });
}

}  // namespace nib
