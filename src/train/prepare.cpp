#include "train/prepare.h"

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "io/memory_limit.h"
#include "task/pairs.h"
#include "text/utf8.h"

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
    std::vector<std::string> texts = request.inputs;
    texts.push_back(request.validation);
    for (const std::string& text : texts)
        for (const std::string& path : {files.log, files.curve})
            if (fs::equivalent(text, path, error))
                fail("%s: is a text to read and a file to write; give the output another name", printable(path).c_str());
}

// Creates all temporary files and removes them again.
void check_writable(const RunFiles& files) {
    AtomicFile model(files.model), state(files.state), best(files.best), log(files.log), curve(files.curve);
}

void check_together(const TrainOptions& o, const TrainSetup& setup) {
    if (o.patience > 0 && setup.data.val.size() == 0)
        fail_usage_option("patience", "needs a validation text, or a part of the text that validates");
    if (static_cast<double>(o.batch) * static_cast<double>(o.accumulate) > 4294967295.0)
        fail_usage_option("batch", "%lld is too large when %lld are accumulated", static_cast<long long>(o.batch),
                          static_cast<long long>(o.accumulate));
    for (size_t at = 0; at < o.sample_prompt.size();) {
        const Decoded next = decode_utf8(o.sample_prompt, at);
        if (next.length == 0) fail_usage_option("sample-prompt", "is not UTF-8 text: malformed at byte offset %zu", at);
        if (setup.tokenizer->id_of(next.code) < 0)
            fail_option("sample-prompt", "has the character %s (byte offset %zu), which is not in the training text",
                        describe(next.code).c_str(), at);
        at += static_cast<size_t>(next.length);
    }
}

void check_same_characters(const Dataset& data, const CharTokenizer& tokenizer, const RunFiles& files) {
    data.text->require_known(tokenizer);
    if (data.other) data.other->require_known(tokenizer);
    const std::vector<char32_t> characters = data.characters();
    for (const char32_t code : tokenizer.code_points())
        if (!std::binary_search(characters.begin(), characters.end(), code))
            fail(
                "%s: was trained on a text with the character %s, which this text does not have; resuming needs the "
                "same text",
                printable(files.model).c_str(), describe(code).c_str());
}

void check_same_text(const char* what, const TextIdentity& saved, const TextIdentity& now, const RunFiles& files) {
    if (saved == now) return;
    if (saved.characters != now.characters)
        fail("%s: was trained with a %s of %lld characters, but this one has %lld; resuming needs the same text",
             printable(files.state).c_str(), what, static_cast<long long>(saved.characters),
             static_cast<long long>(now.characters));
    fail("%s: was trained with another %s of the same length; resuming needs the same text", printable(files.state).c_str(),
         what);
}

TrainShape shape_of(const TrainOptions& o) {
    TrainShape shape{o.batch, o.context, static_cast<float>(o.dropout), optimizer_of(o), o.recompute};
    shape.head = task_head(o.task);
    shape.label_smoothing = static_cast<float>(o.label_smoothing);
    if (o.task == kMaskedTokens) shape.counted_share = kMaskedShare;
    return shape;
}

// The shortest text that each part needs, less one: pairs are lines, which may be of any length.
int64_t window_of(const TrainOptions& o) { return o.task == kPairs ? 1 : o.context; }

// The vocabulary of a new training: the characters of its texts, and what the task needs beside them.
CharTokenizer make_tokenizer(const Dataset& data, const std::string& task) {
    const CharTokenizer characters = CharTokenizer::from_code_points(data.characters());
    CharModel model = characters.model();
    if (task == kMaskedTokens) model.tokens.push_back({kMaskToken, TokenType::Control});
    if (task == kPairs) {
        if (characters.id_of(kPairTab) < 0 || characters.id_of(kPairEnd) < 0)
            fail("the text has no lines of a source, a tab and a target, as a model with an encoder needs them");
        model.specials.end = characters.id_of(kPairEnd);
        model.specials.add_end = true;
    }
    return CharTokenizer(std::move(model));
}

void prepare_new(TrainSetup& setup, const TrainRequest& request) {
    TrainOptions& o = setup.options;
    if (!request.overwrite) refuse_existing(setup.files);
    o = request.options;
    resolve_defaults(o, request.given);
    check_sizes(o.config(1), shape_of(o), memory_limit());  // before the text: it may be too short for an absurd context
    check_options(o);
    setup.data = open_dataset(request.inputs, request.validation, o.val_fraction, window_of(o));
    setup.tokenizer = std::make_unique<CharTokenizer>(make_tokenizer(setup.data, o.task));
    setup.config = o.config(setup.tokenizer->vocab_size());
    if (o.task == kPairs) setup.config.encoder_decoder.start = setup.tokenizer->id_of(kPairTab);
    setup.state.text = identify(*setup.data.text, *setup.tokenizer);
    if (setup.data.other) setup.state.val_text = identify(*setup.data.other, *setup.tokenizer);
}

void prepare_resumed(TrainSetup& setup, const TrainRequest& request) {
    require_pair(setup.files);
    setup.checkpoint = std::make_unique<Checkpoint>(open_checkpoint(setup.files));
    Checkpoint& checkpoint = *setup.checkpoint;
    setup.options = merge_options(checkpoint.options, request.options, request.given, setup.files.state);
    check_options(setup.options);
    setup.data = open_dataset(request.inputs, request.validation, setup.options.val_fraction, window_of(setup.options));
    setup.tokenizer = std::move(checkpoint.tokenizer);
    setup.config = checkpoint.config;
    setup.state = checkpoint.state;
    if (setup.state.val_text.characters > 0 && !setup.data.other)
        fail("%s: was trained with a validation text; give it again", printable(setup.files.state).c_str());
    if (setup.state.val_text.characters == 0 && setup.data.other)
        fail("%s: was trained without a validation text; give none", printable(setup.files.state).c_str());
    check_same_characters(setup.data, *setup.tokenizer, setup.files);
    check_same_text("text", setup.state.text, identify(*setup.data.text, *setup.tokenizer), setup.files);
    if (setup.data.other)
        check_same_text("validation text", setup.state.val_text, identify(*setup.data.other, *setup.tokenizer),
                        setup.files);
}

}  // namespace

TrainSetup prepare_training(const TrainRequest& request, const Backend& backend) {
    TrainSetup setup{RunFiles(request.output), {}, {}, {}, {}, {}, {}, {}, {}, {}};
    if (request.resume && request.overwrite) fail_usage("a training is either resumed or overwritten");
    check_output(request, setup.files);
    setup.lock =
        std::make_unique<FileLock>(setup.files.lock, setup.files.model, "another process is training under this name");
    complete_pair(setup.files);
    if (request.resume)
        prepare_resumed(setup, request);
    else
        prepare_new(setup, request);
    check_together(setup.options, setup);
    setup.shape = shape_of(setup.options);
    setup.shape.activations = request.activations;
    setup.memory = check_memory(setup.config, setup.shape, backend, memory_limit());
    check_writable(setup.files);
    if (const auto events = make_event_log(setup.files, setup.options)) events->check();
    return setup;
}

std::unique_ptr<EventLog> make_event_log(const RunFiles& files, const TrainOptions& o) {
    if (o.tensorboard.empty()) return nullptr;
    return std::make_unique<EventLog>(o.tensorboard, std::filesystem::path(files.model).stem().string());
}

}  // namespace nib
