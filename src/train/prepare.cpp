#include "train/prepare.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/error.h"
#include "io/memory_limit.h"
#include "task/policy_answers.h"
#include "text/chosen_tokenizer.h"
#include "text/extended_tokenizer.h"
#include "text/text_files.h"
#include "text/tokenizer_gguf.h"
#include "text/utf8.h"
#include "train/base_model.h"
#include "train/task_data.h"
#include "train/task_texts.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

void refuse_existing(const RunFiles& files) {
    std::error_code error;
    for (const std::string& path : {files.model, files.state})
        if (fs::exists(path, error)) fail_with(Remedy::ResumeOrReplace, "%s: already exists", printable(path).c_str());
    if (fs::exists(files.best, error))
        fail_with(Remedy::ReplaceOutput, "%s: already exists, without the training that it came from",
                  printable(files.best).c_str());
}

std::vector<std::string> all_texts(const TrainRequest& request) {
    std::vector<std::string> all = request.inputs;
    for (const std::string* text : {&request.validation, &request.target, &request.validation_target})
        if (!text->empty()) all.push_back(*text);
    return all;
}

// Error when the output is there but no run can have left it.
void check_output(const TrainRequest& request, const RunFiles& files) {
    std::error_code error;
    for (const std::string& path : {request.output, files.model}) {
        const fs::file_status status = fs::status(path, error);
        if (fs::is_directory(status))
            fail("%s: is a folder; the output is a model file, for example %s", printable(path).c_str(),
                 printable((fs::path(path) / "model.gguf").string()).c_str());
        if (fs::exists(status) && !fs::is_regular_file(status))
            fail("%s: is not a regular file; the output is a model file", printable(path).c_str());
    }
    std::vector<std::string> read = all_texts(request);
    read.push_back(request.from);
    read.push_back(request.options.ptx);
    read.push_back(reward_file(task_choices(request.options).policy.reward));
    for (const std::string& text : read)
        for (const std::string& path : files.written())
            if (fs::equivalent(text, path, error))
                fail("%s: is a file to read and one to write; give the output another name", printable(path).c_str());
}

// Creates all temporary files and removes them again.
void check_writable(const RunFiles& files) {
    std::vector<std::unique_ptr<AtomicFile>> all;
    for (const std::string& path : files.written()) all.push_back(std::make_unique<AtomicFile>(path));
}

void check_together(const TrainOptions& o, const TrainSetup& setup) {
    if (o.patience > 0 && setup.data.val.size() == 0)
        fail_usage_option("patience", "needs a validation text, or a part of the text that validates");
    if (o.average > 0 && (o.average - 1) > (o.iters - 1) / o.save_every)
        fail_usage_option("average", "is %lld, but in %lld steps there are not so many checkpoints %lld steps apart",
                          static_cast<long long>(o.average), static_cast<long long>(o.iters),
                          static_cast<long long>(o.save_every));
    if (static_cast<double>(o.batch) * static_cast<double>(o.accumulate) > 4294967295.0)
        fail_usage_option("batch", "%lld is too large when %lld are accumulated", static_cast<long long>(o.batch),
                          static_cast<long long>(o.accumulate));
    try {
        setup.tokenizer->encode(o.sample_prompt);
    } catch (const Error& error) {
        fail_option("sample-prompt", "cannot be read: %s", error.what());
    }
}

void check_same_text(const char* what, const TextIdentity& saved, const TokenText& text, const RunFiles& files) {
    const TextIdentity now = identify(text);
    const char* const unit = text.unit();
    if (saved == now) return;
    if (saved.tokens != now.tokens)
        fail("%s: was trained with a %s of %s, but this one has %lld; resuming needs the same text",
             printable(files.state).c_str(), what, counted(saved.tokens, unit).c_str(), static_cast<long long>(now.tokens));
    fail("%s: was trained with another %s of the same length; resuming needs the same text", printable(files.state).c_str(),
         what);
}

constexpr double kExampleEpochs = 3;  // of dialogues and texts with labels

TrainShape shape_of(const TrainOptions& o) {
    TrainShape shape{o.batch, o.context, static_cast<float>(o.dropout), optimizer_of(o), o.recompute};
    shape.objectives = task_objectives(o.task, task_choices(o));
    shape.time *= shape.objectives.front().texts_of_row();
    shape.lora = lora_of(o);
    shape.layer_decay = o.layer_decay;
    shape.label_smoothing = static_cast<float>(o.label_smoothing);
    shape.ragged = o.isolate || task_is_ragged(o.task, task_choices(o));
    return shape;
}

// Whether files are records, each of which is an example.
bool reads_records(const std::string& task) { return task_reads(task) != TaskReads::Text; }

// The vocabulary of a new training: the characters of its texts, and what the task needs beside them.
std::unique_ptr<CharTokenizer> make_tokenizer(const CharTokenizer& characters, const std::string& task) {
    CharModel model = characters.model();
    if (task == kMaskedTokens) {
        model.specials.mask = static_cast<int32_t>(model.tokens.size());
        model.tokens.push_back({kMaskToken, TokenType::Control});
    }
    return std::make_unique<CharTokenizer>(std::move(model));
}

// What TrainOptions::tokenizer says of a model's own tokenizer, unless texts are read by their characters.
constexpr const char* kOwnTokenizer = "the model's";

// Whether a text's tokens are its characters, but for marks that no text has.
bool is_plain(const Tokenizer& tokenizer) {
    const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer);
    return characters != nullptr && characters->only_characters_and_marks() && tokenizer.begin_token() < 0;
}

DatasetOptions dataset_options(const TrainOptions& o, const TrainRequest& request, const RunFiles& files) {
    DatasetOptions options{o.val_fraction, o.context, document_ends(o), request.threads, {}, {}, o.skip_bad, request.note};
    options.folder = fs::path(files.model).parent_path().string();
    options.progress = [&request](uint64_t done, uint64_t total) { request.progress("tokenizing", done, total); };
    return options;
}

// The model to start from gets the tokens that the options add.
void add_tokens(TrainSetup& setup) {
    const TrainOptions& o = setup.options;
    if (o.add_tokens.empty()) return;
    if (setup.info.target_tokenizer)
        fail_usage_option("add-tokens", "cannot be chosen for a model that reads and writes by different tokenizers");
    setup.tokenizer = with_marks(std::move(setup.tokenizer), parse_marks(o.add_tokens));
    const int64_t before = setup.config.vocab, vocab = setup.tokenizer->vocab_size();
    for (HeadConfig& head : setup.config.task_heads)
        if (head.name == kMaskedTokens) head.outputs = vocab;
    setup.config.vocab = vocab;
    const std::vector<ParameterSpec> specs = model_parameters(setup.config);
    const std::vector<bool> frozen = frozen_parameters(o, setup.config);
    for (size_t i = 0; i < specs.size(); ++i)
        if (vocab > before && frozen[i] && setup.base->weights().all()[i].shape != specs[i].shape)
            fail_usage_option("add-tokens", "needs embeddings that learn, but they are frozen%s",
                              o.lora > 0 ? ", as all but adapters is" : "");
}

// A head of BERT's pre-training, which a model to start from may lack.
void add_head(ModelConfig& config, const std::string& name) {
    if (config.find_head(name) != nullptr) return;
    config.task_heads.push_back({name, name == kNextSentence ? 2 : config.vocab, {}});
    config.pooler = config.pooler || name == kNextSentence;
}

// Options, sizes and vocabulary of the model to start from.
void open_base(TrainSetup& setup, const TrainRequest& request, Backend& backend) {
    setup.base = std::make_unique<LoadedModel>(request.from, backend);
    const GgufFile& file = setup.base->file();
    setup.config = setup.base->config();
    setup.info = read_info(file);
    setup.tokenizer = read_tokenizer(file);
    if (!setup.tokenizer) file.wrong("the model has no tokenizer, by which texts become tokens");
    start_from(setup.config, setup.options, request.given);
    resolve_defaults(setup.options, request.given);
    if (setup.options.context > setup.config.context)
        fail_usage_option("context", "is %lld, but the model sees %lld tokens at most",
                          static_cast<long long>(setup.options.context), static_cast<long long>(setup.config.context));
    if (reads_records(setup.options.task) || !is_plain(*setup.tokenizer)) setup.options.tokenizer = kOwnTokenizer;
    add_tokens(setup);
    for (const Objective& objective : task_objectives(setup.options.task, task_choices(setup.options)))
        if (objective.head == kMaskedTokens || objective.head == kNextSentence) add_head(setup.config, objective.head);
}

// Error for parallel files that nothing will read.
void check_parallel(const TrainRequest& request, const TrainOptions& o) {
    if (request.target.empty() && request.validation_target.empty()) return;
    if (o.task != kTranslate)
        fail_usage_option(request.target.empty() ? "val-target" : "target", "is for the task %s; this is %s", kTranslate,
                          printable(o.task, 40).c_str());
    if (!request.validation_target.empty() && request.validation.empty())
        fail_usage_option("val-target", "needs the file that its lines are translations of");
}

// Where the characters of texts are to be told apart by document or text, they become tokens as sub-words do.
void choose_documents(TrainSetup& setup, const TrainRequest& request) {
    TrainOptions& o = setup.options;
    const bool parts = document_ends(o) != DocumentEnds::Files;
    if (parts && (o.task == kTranslate || o.task == kDialogues))
        fail_usage_option("documents", "is for texts; this is the task %s", o.task.c_str());
    if (!o.tokenizer.empty()) return;
    if (o.task == kTranslate || parts || TextSource(all_texts(request)).has_records())
        o.tokenizer = setup.base ? kOwnTokenizer : kCharacters;
}

// Error for texts within a file, if nothing will tell where they end.
void check_ends(const TrainOptions& o, const Tokenizer& tokenizer) {
    if (document_ends(o) != DocumentEnds::Files && tokenizer.end_token() < 0 && !o.isolate)
        fail_usage_option("documents", "is `%s`, but the vocabulary has no token that ends a text", o.documents.c_str());
}

// The tokenizer of pairs, one for sources and targets, which it ends.
std::unique_ptr<Tokenizer> pair_tokenizer(const TrainOptions& o, const TrainRequest& request) {
    std::vector<PairFiles> files = {training_pairs(request, o)};
    if (o.tokenizer == kCharacters) files.push_back(validation_pairs(request, o));
    PairDocuments texts(files);
    std::unique_ptr<Tokenizer> tokenizer = learned_tokenizer(o.tokenizer)
                                               ? learn_tokenizer(o.tokenizer, texts, request.threads, request.progress)
                                               : open_tokenizer(o.tokenizer);
    tokenizer->end_texts();
    return tokenizer;
}

// The tokenizer of a new training whose texts become tokens.
std::unique_ptr<Tokenizer> new_tokenizer(const TrainOptions& o, const TrainRequest& request) {
    const bool characters = o.tokenizer == kCharacters;
    if (o.task == kTranslate) return pair_tokenizer(o, request);
    auto chosen =
        choose_tokenizer(o.tokenizer, characters ? all_texts(request) : request.inputs, request.threads, request.progress);
    return characters ? make_tokenizer(dynamic_cast<const CharTokenizer&>(*chosen), o.task) : std::move(chosen);
}

// Texts of characters: mapped where they stand, but tokens in a file if they have to be unpacked. Makes the tokenizer of
// a new training.
Dataset characters_of(TrainSetup& setup, const TrainRequest& request, const DatasetOptions& options) {
    const auto take = [&](const std::vector<char32_t>& characters) {
        if (!setup.tokenizer)
            setup.tokenizer = make_tokenizer(CharTokenizer::from_code_points(characters), setup.options.task);
    };
    TextSource source(all_texts(request));
    if (const std::string packed = source.find_packed(); !packed.empty()) {
        if (!setup.tokenizer) take(distinct_characters(source, request.progress));
        return token_dataset(request.inputs, request.validation, *setup.tokenizer, options);
    }
    Corpora corpora(request.inputs, request.validation);
    take(corpora.characters());
    return character_dataset(std::move(corpora), dynamic_cast<const CharTokenizer&>(*setup.tokenizer), options);
}

// Those that train.
int64_t documents_of(const Dataset& data) {
    return data.train.size() > 0 ? data.text->document_of(data.train.end - 1) + 1 : 0;
}

bool is_policy(const TrainOptions& o) { return task_reads(o.task) == TaskReads::Prompts; }

// The updates of an iteration of a policy.
int64_t updates_of(const TrainOptions& o) { return task_choices(o).policy.updates(o.batch * o.accumulate); }

// A policy takes the steps of whole iterations.
void end_with_iteration(TrainOptions& o) {
    if (!is_policy(o)) return;
    const int64_t updates = updates_of(o);
    o.iters = (o.iters + updates - 1) / updates * updates;
}

// The steps that `epochs` asks for.
int64_t steps_of(const TrainOptions& o, const Dataset& data) {
    if (is_policy(o)) {  // each answer is one of a group to its prompt
        const double answers = o.epochs * static_cast<double>(documents_of(data) * o.group);
        return static_cast<int64_t>(std::ceil(answers / static_cast<double>(o.rollouts))) * updates_of(o);
    }
    int64_t examples = data.train.size() / o.context;
    if (o.task == kAnswer)
        examples = learned_windows(*data.text, data.train);
    else if (reads_records(o.task))
        examples = documents_of(data);
    const double steps = o.epochs * static_cast<double>(examples) / static_cast<double>(o.batch * o.accumulate);
    return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(steps)));
}

// The sizes and the name of a model that is not there yet, once its vocabulary is known.
void take_options(TrainSetup& setup) {
    const TrainOptions& o = setup.options;
    const bool characters = o.tokenizer.empty() || o.tokenizer == kCharacters;
    setup.info.name = characters ? "nib character model" : "nib model";
    setup.config = o.config(setup.tokenizer->vocab_size());
    if (o.task == kTranslate) setup.config.encoder_decoder.start = setup.tokenizer->first_token();
}

void prepare_new(TrainSetup& setup, const TrainRequest& request, Backend& backend) {
    TrainOptions& o = setup.options;
    if (!request.overwrite) refuse_existing(setup.files);
    o = request.options;
    if (o.task.empty() && hold_dialogues(all_texts(request))) o.task = kDialogues;
    if (o.epochs > 0 && request.given.contains("iters")) fail_usage_option("epochs", "and iters cannot both be chosen");
    const bool examples = !o.task.empty() && o.task != kTranslate && reads_records(o.task);
    if (examples && !request.given.contains("iters") && o.epochs == 0) o.epochs = kExampleEpochs;
    if (examples && task_has_labels(o.task) && !request.given.contains("eval-tokens")) o.eval_tokens = 0;
    if (!request.from.empty()) {
        open_base(setup, request, backend);
    } else {
        const char* const needs = o.lora > 0              ? "lora"
                                  : !o.freeze.empty()     ? "freeze"
                                  : !o.add_tokens.empty() ? "add-tokens"
                                  : o.layer_decay != 1    ? "layer-decay"
                                                          : nullptr;
        if (needs != nullptr) fail_usage_option(needs, "needs a model to start from");
        if (examples && o.tokenizer.empty())
            fail_usage_option("task", "is %s, which needs a model to start from, or a tokenizer", o.task.c_str());
        if (examples && learned_tokenizer(o.tokenizer))
            fail_usage_option("tokenizer", "cannot be learned from %s; learn one from texts before",
                              o.task == kDialogues ? "dialogues" : "texts with labels");
        resolve_defaults(o, request.given);
        check_sizes(o.config(1), shape_of(o),
                    memory_limit());  // before the text: it may be too short for an absurd context
    }
    check_options(o);
    check_parallel(request, o);
    choose_documents(setup, request);
    const DatasetOptions options = dataset_options(o, request, setup.files);
    if (o.tokenizer.empty()) {
        setup.data = characters_of(setup, request, options);
        if (!setup.base) take_options(setup);
    } else {
        if (!setup.base) setup.tokenizer = new_tokenizer(o, request);
        if (!setup.base) take_options(setup);
        check_ends(o, *setup.tokenizer);
        setup.data = tokens_of(setup, request, options);
    }
    if (o.lora > 0) setup.info.adapter = adapter_keys(setup.config, lora_of(o), setup.base->file());
    if (o.lora > 0 || o.kl > 0) {
        if (!setup.base) fail_usage_option("kl", "needs a model to start from, to which a policy is to stay near");
        setup.state.base = request.from;
        setup.state.base_weights = weights_checksum(setup.base->file());
    }
    if (o.epochs > 0) o.iters = steps_of(o, setup.data);
    end_with_iteration(o);
    resolve_defaults(o, request.given);
    check_options(o);
    setup.state.text = identify(*setup.data.text);
    if (setup.data.other) setup.state.val_text = identify(*setup.data.other);
    if (setup.data.beside) setup.state.beside = identify(*setup.data.beside);
}

void prepare_resumed(TrainSetup& setup, const TrainRequest& request, Backend& backend) {
    require_pair(setup.files);
    setup.checkpoint = std::make_unique<Checkpoint>(open_checkpoint(setup.files, request.from, backend));
    Checkpoint& checkpoint = *setup.checkpoint;
    const bool compares = checkpoint.options.kl > 0;  // with the model it started from
    if (!request.from.empty() && !checkpoint.info.adapter && !compares)
        fail_usage_option("from", "cannot be given when a training is resumed: it has its own weights");
    if (compares && !checkpoint.info.adapter) {  // frozen weights are the same in both
        const std::string path = request.from.empty() ? checkpoint.state.base : request.from;
        checkpoint.base = std::make_unique<LoadedModel>(path, backend);
        if (weights_checksum(checkpoint.base->file()) != checkpoint.state.base_weights)
            fail("%s: its weights are not those that the training started from", printable(path).c_str());
    }
    setup.options = merge_options(checkpoint.options, request.options, request.given, setup.files.state);
    end_with_iteration(setup.options);
    if (setup.options.ptx.empty() != checkpoint.options.ptx.empty())
        fail_usage_option("ptx", "cannot be chosen when a training is resumed that had none");
    check_options(setup.options);
    check_parallel(request, setup.options);
    setup.tokenizer = std::move(checkpoint.tokenizer);
    setup.config = checkpoint.config;
    setup.info = checkpoint.info;
    setup.base = std::move(checkpoint.base);
    setup.state = checkpoint.state;
    if (setup.state.val_text.tokens > 0 && request.validation.empty())
        fail("%s: was trained with a validation text; give it again", printable(setup.files.state).c_str());
    if (setup.state.val_text.tokens == 0 && !request.validation.empty())
        fail("%s: was trained without a validation text; give none", printable(setup.files.state).c_str());
    const DatasetOptions options = dataset_options(setup.options, request, setup.files);
    if (setup.options.tokenizer.empty()) {
        if (dynamic_cast<const CharTokenizer*>(setup.tokenizer.get()) == nullptr)
            fail("%s: has no character vocabulary, which it was trained with; it was changed or is damaged",
                 printable(setup.files.model).c_str());
        setup.data = characters_of(setup, request, options);
    } else {
        setup.data = tokens_of(setup, request, options);
    }
    check_same_text("text", setup.state.text, *setup.data.text, setup.files);
    if (setup.data.other) check_same_text("validation text", setup.state.val_text, *setup.data.other, setup.files);
    if (setup.data.beside) check_same_text("text beside", setup.state.beside, *setup.data.beside, setup.files);
}

}  // namespace

TrainSetup prepare_training(const TrainRequest& request, Backend& backend) {
    TrainSetup setup{RunFiles(request.output), {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}};
    if (request.resume && request.overwrite) fail_usage("a training is either resumed or overwritten");
    for (const std::string& text : all_texts(request)) require_regular(text);
    check_output(request, setup.files);
    setup.lock =
        std::make_unique<FileLock>(setup.files.lock, setup.files.model, "another process is training under this name");
    complete_pair(setup.files);
    if (request.resume)
        prepare_resumed(setup, request, backend);
    else
        prepare_new(setup, request, backend);
    check_together(setup.options, setup);
    setup.shape = shape_of(setup.options);
    setup.shape.activations = request.activations;
    if (setup.base)
        setup.shape.frozen = frozen_weights(model_parameters(setup.config), frozen_parameters(setup.options, setup.config),
                                            setup.base->weights());
    const double cache =
        is_policy(setup.options) ? Engine::cache_bytes(setup.config, answer_engine(setup.config, texts_of(setup))) : 0;
    setup.memory = check_memory(setup.config, setup.shape, backend, memory_limit(), cache);
    check_writable(setup.files);
    if (const auto events = make_event_log(setup.files, setup.options)) events->check();
    return setup;
}

std::unique_ptr<EventLog> make_event_log(const RunFiles& files, const TrainOptions& o) {
    if (o.tensorboard.empty()) return nullptr;
    return std::make_unique<EventLog>(o.tensorboard, std::filesystem::path(files.model).stem().string());
}

}  // namespace nib
