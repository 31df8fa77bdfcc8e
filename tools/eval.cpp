// nib eval: how well a model predicts a text.
#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numbers>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "beam_options.h"
#include "command.h"
#include "console.h"
#include "core/error.h"
#include "eval_labels.h"
#include "eval_pairs.h"
#include "eval_preferences.h"
#include "eval_prompts.h"
#include "eval_questions.h"
#include "infer/evaluate.h"
#include "input.h"
#include "io/mapped_file.h"
#include "io/memory_limit.h"
#include "io/progress.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "task/preference_file.h"
#include "task/task.h"
#include "text/corpus.h"
#include "text/text_encoding.h"
#include "text/text_source.h"
#include "text/token_numbers.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "The text is cut into windows of the model's context, end to end; in each window every token is predicted from those "
    "before it, so every token but the first counts once. With --stride N windows overlap and tokens are predicted from "
    "more text, in more time: each window begins N tokens after the one before, and what that one has predicted does not "
    "count again (the windows of Hugging Face's guide to perplexity).\n\n"
    "Loss is the mean cross-entropy in nats; perplexity is exp(loss). Bits per character (of character models) or byte are "
    "loss / ln 2 times the tokens per character or byte. Several texts, and the records of .jsonl, follow each other; "
    "where tokens are not "
    "characters, each is encoded by itself.\n\n"
    "With --lines each line is a text of its own, such as a name: it begins after the model's token for the beginning of a "
    "text and is predicted up to its token for the end, which --end-token may name. Empty lines do not count.\n\n"
    "A model with an encoder takes pairs of a source and its translation: tables (.tsv, .csv, .jsonl) of two columns, or a "
    "file of sources and one of --target. It translates the sources, which BLEU and chrF compare with the targets as "
    "sacreBLEU does, and predicts the targets up to their ends.\n\n"
    "A model that names the labels of texts (`nib train --task classify`) takes tables of texts and labels, and is "
    "measured by accuracy, "
    "F1 and Matthews correlation.\n\n"
    "A model that answers questions (`nib train --task qa`) takes files of them in SQuAD's JSON, and is measured by F1 and "
    "exact match; with --task qa a decoder, too, which then writes its answers (`nib answer`). --stride is of the windows "
    "of long texts.\n\n"
    "A reward model (`nib train --task reward`) takes preferences: .jsonl with chosen and rejected, or with --task reward "
    ".tsv, too. It is measured by how often the better answer has the higher score, by the mean margin and by the loss, "
    "-log "
    "sigmoid(margin). With --task dpo and --reference a language model takes them: scores are what its answers gain in "
    "log-probability over those of the model that its training started from.\n\n"
    "With --task a language model is asked without training: each row becomes a prompt, after some examples with their "
    "answers, and the answer that is the most probable counts. --task choice takes .jsonl with question, choices and "
    "answer "
    "(or answerKey; or ctx, endings and label).\n\n"
    "Examples:\n"
    "  nib eval shakespeare.gguf input.txt\n"
    "  nib eval shakespeare.gguf input.txt --val-fraction 0.1     # what nib train keeps for validation\n"
    "  nib eval gpt2.gguf texts/ more.txt --stride 512 --json\n"
    "  nib eval names.gguf names.txt --lines\n"
    "  nib eval mood.gguf test.tsv\n"
    "  nib eval qa.gguf dev.json -o answers.json\n"
    "  nib eval gpt2.gguf dev.json --task qa\n"
    "  nib eval reward.gguf prefs.jsonl\n"
    "  nib eval dpo.gguf prefs.jsonl --task dpo --reference sft.gguf\n"
    "  nib eval de.gguf test.en --target test.de --beam 4\n"
    "  nib eval gpt2.gguf sst2.tsv --task classify --shots 4 --label-names 0=negative,1=positive";

struct Options {
    ModelOptions model;
    std::vector<std::string> paths;
    LabelColumns columns;
    EvalQuestionsOptions questions;
    std::string target;  // of a model with an encoder: a file whose lines belong to those of the text
    BeamOptions beam;
    std::string bleu_tokenize;
    std::string task;  // classify, choice, qa, reward or dpo; empty: what the model was trained for
    PromptOptions prompts;
    PreferenceEvalOptions preferences;
    bool skip_bad = false;
    double val_fraction = 0;
    EvaluationOptions evaluation;
    EncodeOptions encode;
    std::optional<std::string> end_token;
    bool tokens = false, lines = false, json = false;
    BackendOptions backend;
};

// What is measured: tokens, of which the first is given and not predicted; with --lines, the first of each line.
struct Text {
    std::vector<int64_t> ends;  // of its parts, which are measured separately
    Evaluator::Reader read;
    bool characters = false;  // tokens are characters
    double bytes = 0;         // of text that the tokens stand for; 0: not known
    bool given = false;       // the first token of each part stands for none of the bytes

    int64_t size() const { return ends.back(); }
    int64_t predicted() const { return size() - static_cast<int64_t>(ends.size()); }
};

// The part of `size` tokens that is measured.
Span measured(int64_t size, double val_fraction, const char* tokens) {
    const Span span{val_fraction > 0 ? validation_start(size, val_fraction) : 0, size};
    if (span.size() < 2)
        fail("%lld of %lld %s are too few to measure; it takes two to predict the second from the first%s",
             static_cast<long long>(span.size()), static_cast<long long>(size), tokens,
             val_fraction > 0 ? "; use a larger --val-fraction" : "");
    return span;
}

Text open_characters(const Options& o, const CharTokenizer& tokenizer) {
    const auto corpus = std::make_shared<Corpus>(o.paths);
    corpus->require_known(tokenizer);
    const Span span = measured(corpus->size(), o.val_fraction, "characters");
    return {{span.size()},
            [=, &tokenizer](int64_t begin, std::span<int32_t> ids) { corpus->read(span.begin + begin, ids, tokenizer); },
            true};
}

using TextUse = std::function<void(std::string_view text)>;

// Calls `use`, and puts the text's place before its errors.
void use_at(const std::string& where, std::string_view text, const TextUse& use) {
    try {
        use(text);
    } catch (const Error& e) {
        throw e.within(where);
    }
}

// Calls `use` with each document of the texts: whole files, mapped and of any bytes, unless they are packed or records.
void for_each_document(const std::vector<std::string>& paths, const TextUse& use) {
    const TextSource all(paths);
    for (const std::string& path : all.files()) {
        TextSource source({path});
        if (!source.has_records() && source.find_packed().empty()) {
            const MappedFile file(path);
            const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
            use_at(printable(path), without_mark(bytes, path), use);
            continue;
        }
        std::string text;
        for (TextPiece piece; source.next(piece);) {
            text += piece.text;
            if (piece.ends_document) use_at(piece.where, std::exchange(text, ""), use);
        }
    }
}

// Calls `use` with each line that is not empty, without its line end, and puts the line number before its errors.
void for_each_line(std::string_view text, const TextUse& use) {
    int64_t number = 0;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        if (line.ends_with('\r')) line.remove_suffix(1);
        ++number;
        try {
            if (!line.empty()) use(line);
        } catch (const Error& e) {
            throw e.within(strprintf("line %lld", static_cast<long long>(number)));
        }
        at = end + 1;
    }
}

Evaluator::Reader reader_of(std::shared_ptr<const std::vector<int32_t>> ids, int64_t first = 0) {
    return
        [=](int64_t begin, std::span<int32_t> out) { std::copy_n(ids->begin() + first + begin, out.size(), out.begin()); };
}

Text open_tokens(const Options& o, const Tokenizer& tokenizer) {
    const auto all = std::make_shared<std::vector<int32_t>>();
    const auto read = [&](std::string_view text) {
        const std::vector<int32_t> ids =
            o.tokens ? parse_token_numbers(text, tokenizer.vocab_size()) : tokenizer.encode(text, o.encode);
        all->insert(all->end(), ids.begin(), ids.end());
    };
    try {
        for_each_document(o.paths, read);
    } catch (const Error& e) {
        if (e.remedy() != Remedy::SkipUnknown || tokenizer.end_token() < 0) throw;
        fail("%s; remove it or, if lines are texts of their own, use --lines", e.what());
    }
    const Span span = measured(static_cast<int64_t>(all->size()), o.val_fraction, "tokens");
    double bytes = 0;
    const bool known = dynamic_cast<const TokenNumbers*>(&tokenizer) == nullptr;
    for (auto i = static_cast<size_t>(span.begin); known && i < all->size(); ++i)
        bytes += static_cast<double>(tokenizer.decode((*all)[i]).size());
    return {{span.size()}, reader_of(all, span.begin), false, bytes};
}

Text open_lines(const Options& o, const Tokenizer& tokenizer, const std::string& model) {
    if (tokenizer.end_token() < 0)
        fail("%s: the model has no token for the end of a text; name one with --end-token or leave out --lines",
             printable(model).c_str());
    const auto all = std::make_shared<std::vector<int32_t>>();
    Text text;
    text.given = true;
    for_each_document(o.paths, [&](std::string_view file) {
        for_each_line(file, [&](std::string_view line) {
            const std::vector<int32_t> ids = tokenizer.encode(line, o.encode);
            all->push_back(tokenizer.first_token());
            all->insert(all->end(), ids.begin(), ids.end());
            all->push_back(tokenizer.end_token());
            text.ends.push_back(static_cast<int64_t>(all->size()));
            text.bytes += static_cast<double>(line.size() + 1);
        });
    });
    if (text.ends.empty()) fail("there is no line to measure");
    text.read = reader_of(all);
    return text;
}

Text open_text(const Options& o, LoadedModel& model) {
    if (o.end_token) model.set_end_token(*o.end_token);
    const Tokenizer& tokenizer = model.tokenizer();
    if (o.lines) return open_lines(o, tokenizer, model.file().name());
    const auto* characters = o.tokens ? nullptr : dynamic_cast<const CharTokenizer*>(&tokenizer);
    const bool plain = characters != nullptr && characters->only_characters() && characters->end_token() < 0;
    const TextSource source(o.paths);
    if (plain && !source.has_records() && source.find_packed().empty()) return open_characters(o, *characters);
    Text text = open_tokens(o, tokenizer);
    text.characters = plain;
    return text;
}

// Prints the result, in terms of characters or tokens.
void print_result(bool json, const Evaluation& result, const Text& text, double speed) {
    const double loss = result.loss(), bits = loss / std::numbers::ln2;
    const bool characters = text.characters, has_bytes = text.bytes > 0;
    const double bits_per_byte =
        has_bytes ? bits * static_cast<double>(text.given ? text.predicted() : text.size()) / text.bytes : 0;
    if (json) {
        nlohmann::ordered_json object = {
            {"loss",       loss          },
            {"perplexity", std::exp(loss)}
        };
        if (characters) object["bits_per_char"] = bits;
        if (has_bytes) object["bits_per_byte"] = bits_per_byte;
        object["accuracy"] = result.accuracy();
        object[characters ? "characters" : "tokens"] = result.tokens;
        if (has_bytes) object["bytes"] = static_cast<int64_t>(text.bytes);
        object["tok_s"] = speed;
        return print_json(object);
    }
    std::string lines;
    const auto line = [&](const std::string& name, const std::string& value) {
        lines += strprintf("%-25s%s\n", name.c_str(), value.c_str());
    };
    line("loss", strprintf("%.4f", loss));
    line("perplexity", strprintf("%.4f", std::exp(loss)));
    if (characters) line("bits per character", strprintf("%.4f", bits));
    if (has_bytes) line("bits per byte", strprintf("%.4f", bits_per_byte));
    line(characters ? "next-character accuracy" : "next-token accuracy", strprintf("%.2f %%", 100 * result.accuracy()));
    line(characters ? "characters" : "tokens",
         strprintf("%lld (%.0f tok/s)", static_cast<long long>(result.tokens), speed));
    if (has_bytes) line("bytes", strprintf("%.0f", text.bytes));
    print(lines);
}

struct Task {
    std::unique_ptr<Backend> backend;
    std::unique_ptr<LoadedModel> model;
    const Text text;
    Evaluator evaluator;
    Task(const Options& o, std::unique_ptr<Backend> device, std::unique_ptr<LoadedModel> opened)
        : backend(std::move(device)),
          model(std::move(opened)),
          text(open_text(o, *model)),
          evaluator(*backend, model->config(), model->weights(), text.ends, o.evaluation) {}
};

// What a model is measured on.
enum class Measured { Text, Labels, Pairs, Questions, Prompts, Rewards, Dpo };

Measured measured_of(const Options& o, const ModelConfig& config) {
    if (o.task == "qa" || (o.task.empty() && config.find_head("span") != nullptr)) return Measured::Questions;
    if (o.task == kDpo) return Measured::Dpo;
    const HeadConfig* const scores = config.find_head("class");
    const bool one_number = scores != nullptr && scores->outputs == 1 && !scores->multi_label;
    if (o.task == kReward || (o.task.empty() && one_number && hold_preferences(o.paths))) return Measured::Rewards;
    if (!o.task.empty()) return Measured::Prompts;
    if (config.has_encoder()) return Measured::Pairs;
    return config.find_head("class") != nullptr || config.find_head("tag") != nullptr ? Measured::Labels : Measured::Text;
}

// UsageError for options that are for something else.
void check(const Options& o, Measured what, const ModelConfig& config) {
    const EvalQuestionsOptions& q = o.questions;
    const bool windows = o.val_fraction > 0 || o.evaluation.batch > 0 || o.lines || o.tokens;
    const bool preferences = what == Measured::Rewards || what == Measured::Dpo;
    const bool strides = o.evaluation.stride > 0 && what != Measured::Questions;
    const char* const unit = what == Measured::Labels      ? "a model that names labels is measured on all rows of tables"
                             : what == Measured::Pairs     ? "a model with an encoder is measured on all pairs of texts"
                             : what == Measured::Questions ? "answers are measured on all questions of a file"
                             : preferences                 ? "preferences are measured on all pairs of answers"
                                                           : "prompts are made of all rows";
    if (what != Measured::Text && (windows || strides)) fail_usage("%s, each by itself", unit);
    if (what != Measured::Questions && (!q.rules.empty() || !q.predictions.empty() || q.longest > 0))
        fail_usage("--rules, --max-answer and --output are for questions, which this model does not answer");
    if (what != Measured::Prompts && !(o.prompts == PromptOptions{}))
        fail_usage("options of prompts need --task classify or --task choice");
    const bool columns = !(o.columns == LabelColumns{});
    if (what == Measured::Dpo && o.preferences.reference.empty())
        fail_usage("--task dpo needs --reference, the model that the training started from");
    if (what == Measured::Dpo && !(o.preferences.beta > 0 && std::isfinite(o.preferences.beta)))
        fail_usage("--beta is %g; it must be positive", o.preferences.beta);
    if (what != Measured::Dpo && !(o.preferences == PreferenceEvalOptions{}))
        fail_usage("--reference and --beta are for --task dpo");
    if (columns && (what == Measured::Text || what == Measured::Questions || preferences))
        fail_usage("columns are for models that name the labels of texts or translate; this model does neither");
    if (columns && what == Measured::Labels && config.find_head("tag") != nullptr)
        fail_usage("columns are for texts with labels; tags are in the last column of a file of words");
    if (what == Measured::Pairs && !o.columns.label.empty()) fail_usage("--label-column: pairs of texts have no labels");
    if (what != Measured::Pairs && !o.target.empty()) fail_usage("--target is for models that translate");
    if (what == Measured::Text && o.skip_bad)
        fail_usage("--skip-bad is for models that name labels, answer questions, translate or score answers");
}

// Measures what is no text; false: it is one.
bool eval_records(Options& o, Measured what, Backend& backend, const LoadedModel& model) {
    switch (what) {
        case Measured::Text: return false;
        case Measured::Labels: eval_labels(o.paths, o.columns, o.skip_bad, o.json, backend, model); break;
        case Measured::Pairs: {
            const PairFiles files{o.paths, o.target, o.columns, o.skip_bad};
            eval_pairs({files, o.beam, o.bleu_tokenize, o.json}, backend, model);
            break;
        }
        case Measured::Questions:
            o.questions.stride = o.evaluation.stride, o.questions.skip_bad = o.skip_bad, o.questions.json = o.json;
            eval_questions(o.paths, o.questions, backend, model);
            break;
        case Measured::Rewards: eval_rewards({o.paths, o.skip_bad}, o.json, backend, model); break;
        case Measured::Dpo: eval_dpo({o.paths, o.skip_bad}, o.preferences, o.json, backend, model); break;
        case Measured::Prompts:
            o.prompts.task = o.task;
            eval_prompts(o.prompts, {o.paths, o.columns, o.skip_bad}, o.json, backend, model);
    }
    return true;
}

void eval(Options& o) {
    if (!(o.val_fraction >= 0 && o.val_fraction < 1))
        fail_usage("--val-fraction is %g; it must be at least 0 and below 1", o.val_fraction);
    o.evaluation.memory = memory_limit();
    std::unique_ptr<Task> task;
    bool done = false;
    on_device(o.backend, [&](std::unique_ptr<Backend> backend) {
        auto model = std::unique_ptr<LoadedModel>(new LoadedModel(open_model(o.model, *backend)));
        const Measured what = measured_of(o, model->config());
        check(o, what, model->config());
        done = eval_records(o, what, *backend, *model);
        if (!done) task = std::make_unique<Task>(o, std::move(backend), std::move(model));
    });
    if (done) return;
    const Text& text = task->text;
    const double start = seconds_since_start();
    Progress progress(stderr, stderr_is_terminal(), 1);
    const auto speed = [&](const Evaluation& e) { return static_cast<double>(e.tokens) / (seconds_since_start() - start); };
    const Evaluation result = task->evaluator.run(text.read, [&](const Evaluation& e) {
        const auto all = static_cast<double>(text.predicted()), done = static_cast<double>(e.tokens);
        progress.status(strprintf("%.0f %%  loss %.4f  %.0f tok/s  %s left", 100 * done / all, e.loss(), speed(e),
                                  clock_text((all - done) / speed(e)).c_str()));
    });
    progress.clear();
    if (!std::isfinite(result.loss()))
        fail("%s: the loss is not a number; the weights are damaged or the training diverged",
             task->model->file().name().c_str());
    print_result(o.json, result, text, speed(result));
}

}  // namespace

void eval_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    app.add_option("TEXT", o->paths, "texts (UTF-8) in .txt, .md and .jsonl, each also packed (.gz), and folders of them")
        ->required();
    app.add_option("--stride", o->evaluation.stride,
                   "tokens from one window to the next, at most the context; 0: windows end to end")
        ->transform(whole_number(0))
        ->type_name("N")
        ->capture_default_str();
    auto* fraction = app.add_option("--val-fraction", o->val_fraction,
                                    "measure only the last part of the text: 0.1 is its last tenth; 0: all")
                         ->transform(real_number())
                         ->type_name("X")
                         ->capture_default_str();
    app.add_option("--batch", o->evaluation.batch, "windows evaluated together; 0: chosen")
        ->transform(whole_number(0, int64_t{1} << 20))
        ->type_name("N")
        ->capture_default_str();
    auto* tokens = app.add_flag("--tokens", o->tokens, "the files hold token numbers, as in \"1 2 3\", instead of text");
    auto* lines = app.add_flag("--lines", o->lines, "each line is a text of its own")->excludes(tokens, fraction);
    add_end_token_option(app, o->end_token)->needs(lines);
    add_special_option(app, o->encode);
    add_prompt_options(app, o->task, o->prompts);
    add_preference_options(app, o->preferences);
    add_column_options(app, o->columns);
    app.add_option("--label-column", o->columns.label, "column of the labels")->type_name("NAME");
    app.add_option("--label-separator", o->columns.separator,
                   "between the labels of a row that has any number, but in JSON")
        ->type_name("TEXT")
        ->capture_default_str();
    app.add_option("--target", o->target, "of translation, where the text is one file and no table: its translation")
        ->type_name("FILE");
    add_beam_options(app, o->beam);
    app.add_option("--bleu-tokenize", o->bleu_tokenize,
                   "how BLEU tells words apart: 13a, zh, char or none (default: zh where the targets are mostly Chinese, "
                   "else 13a)")
        ->check(one_of({"13a", "zh", "char", "none"}))
        ->type_name("NAME");
    app.add_flag("--skip-bad", o->skip_bad, "pass over rows that are not as they should be, and say how many");
    app.add_option("--rules", o->questions.rules,
                   "of questions: how answers are compared, as by SQuAD 1.1, SQuAD 2.0 or CMRC 2018: squad1, squad2, cmrc "
                   "(default: cmrc where texts are Chinese, else as the questions are)")
        ->check(one_of({"squad1", "squad2", "cmrc"}))
        ->type_name("NAME");
    app.add_option("--max-answer", o->questions.longest, "of questions: tokens of an answer at most (default: 30)")
        ->transform(whole_number(1, 1 << 20))
        ->type_name("N");
    app.add_option("-o,--output", o->questions.predictions, "of questions: a file for the answers, {\"ID\": \"ANSWER\"}")
        ->type_name("FILE");
    app.add_flag("--json", o->json, "print one JSON object");
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] {
        check_options(o->beam);
        eval(*o);
    });
}

}  // namespace nib
