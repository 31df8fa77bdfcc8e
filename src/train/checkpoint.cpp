#include "train/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/hash.h"
#include "text/chat_template_files.h"
#include "text/tokenizer_gguf.h"
#include "train/base_model.h"

namespace nib {
namespace {

constexpr size_t kPiece = size_t{1} << 20;
constexpr const char* kId = "nib.checkpoint";
constexpr const char* kStateChecksum = "nib.state.checksum";
constexpr const char* kNameKey = "general.name";
constexpr const char* kBest = "nib.best";
const std::string kSumPrefix = "sum.";
constexpr const char* kSum = "nib.state.sum_checksum";
constexpr int kVersion = 6;

// Before the names of parameters in the state's file.
std::string part_prefix(int part) { return part == 0 ? "" : part == 1 ? "m." : "v."; }

// Calls take(bytes) with the values of one parameter, front to back in pieces.
template <class Take>
void stream(const TrainStep& train, size_t parameter, int part, const Take& take) {
    const size_t bytes = dtype_bytes(train.type(parameter), train.parameters()[parameter].shape.elements());
    std::vector<std::byte> piece(std::min(bytes, kPiece));
    for (size_t at = 0; at < bytes; at += kPiece) {
        const auto part_of = std::span(piece).first(std::min(kPiece, bytes - at));
        Location from = train.locate(parameter, part);
        from.offset += at;
        train.backend().download(from, part_of);
        take(std::span<const std::byte>(part_of));
    }
}

// Whether the model's file has it: that of adapters leaves the model out.
bool in_model_file(const TrainStep& train, size_t parameter) {
    return train.in_file(parameter) && (train.shape().trains(parameter) || !train.shape().lora);
}

// Whether the state's file has it: frozen weights have no moments.
bool in_state_file(const TrainStep& train, size_t parameter, int part) {
    return part > 0 ? train.shape().trains(parameter) : !train.in_file(parameter);
}

// Blocks of quantized weights may be no whole number of words.
void add_values(Hash64& hash, std::span<const std::byte> values) {
    const size_t whole = values.size() / 4 * 4;
    hash.add(values.first(whole));
    std::array<std::byte, 4> rest{};
    std::copy(values.begin() + static_cast<std::ptrdiff_t>(whole), values.end(), rest.begin());
    if (whole < values.size()) hash.add(rest);
}

uint64_t finish_id(Hash64& hash, int64_t step) {
    hash.add(std::as_bytes(std::span(&step, 1)));
    return hash.value();
}

void add_values(Hash64& hash, const TrainStep& train, size_t parameter, int part) {
    stream(train, parameter, part, [&](std::span<const std::byte> piece) { add_values(hash, piece); });
}

// Calls take(parameter) for those that the model's file has.
template <class Take>
void for_model(const TrainStep& train, const Take& take) {
    for (size_t i = 0; i < train.parameters().size(); ++i)
        if (in_model_file(train, i)) take(i);
}

// Calls take(parameter, part, prefix of its name) for those that the state's file has.
template <class Take>
void for_state(const TrainStep& train, const Take& take) {
    for (int part = 0; part < train.parts(); ++part)
        for (size_t i = 0; i < train.parameters().size(); ++i)
            if (in_state_file(train, i, part)) take(i, part, part_prefix(part));
}

uint64_t pair_id(const TrainStep& train, int64_t step) {
    Hash64 hash;
    for_model(train, [&](size_t i) { add_values(hash, train, i, 0); });
    return finish_id(hash, step);
}

uint64_t state_checksum(const TrainStep& train) {
    Hash64 hash;
    for_state(train, [&](size_t i, int part, const std::string&) { add_values(hash, train, i, part); });
    return hash.value();
}

void add_tensor(GgufWriter& writer, const TrainStep& train, size_t parameter, const std::string& prefix,
                GgufWriter::Producer values) {
    const Shape& shape = train.parameters()[parameter].shape;
    writer.add(prefix + train.parameters()[parameter].name, train.type(parameter),
               std::vector<int64_t>(shape.dims.begin(), shape.dims.begin() + shape.rank), std::move(values));
}

// The values as they are then, not now.
GgufWriter::Producer values_of(const TrainStep& train, size_t parameter, int part) {
    return [&train, parameter, part](const GgufWriter::Sink& sink) { stream(train, parameter, part, sink); };
}

void add_model(GgufWriter& writer, const TrainStep& train) {
    for_model(train, [&](size_t i) { add_tensor(writer, train, i, "", values_of(train, i, 0)); });
}

void add_sums(GgufWriter& writer, const TrainStep& train, const WeightSum& sum) {
    for (size_t i = 0; i < train.parameters().size(); ++i)
        if (train.shape().trains(i))
            add_tensor(writer, train, i, kSumPrefix,
                       [&sum, i](const GgufWriter::Sink& sink) { sink(std::as_bytes(sum.of(i))); });
}

uint64_t sum_checksum(const TrainStep& train, const WeightSum& sum) {
    Hash64 hash;
    for (size_t i = 0; i < train.parameters().size(); ++i)
        if (train.shape().trains(i)) hash.add(std::as_bytes(sum.of(i)));
    return hash.value();
}

// What a model's file says beside its weights; general.name does not depend on the output's name, so that equal runs give
// equal files.
GgufWriter model_writer(const TrainStep& train, const Tokenizer& tokenizer, const ModelInfo& info, int64_t step) {
    GgufWriter writer;
    if (info.adapter) {
        write_adapter_keys(writer, *info.adapter);
    } else {
        write_config(writer, train.config(), info.name);
        write_tokenizer(writer, tokenizer);
        if (info.target_tokenizer) write_target_tokenizer(writer, *info.target_tokenizer);
    }
    if (!info.chat_template.empty()) writer.set(kChatTemplateKey, info.chat_template);
    writer.set("nib.step", step);
    return writer;
}

void write_state(GgufWriter& file, const TrainState& s) {
    file.set("nib.state.version", uint32_t{kVersion});
    file.set("nib.state.step", s.step);
    file.set("nib.state.evaluated", s.evaluated);
    file.set("nib.state.best_step", s.best_step);
    file.set("nib.state.best", s.best);
    file.set("nib.state.worse", s.worse);
    file.set("nib.state.summed", s.summed);
    file.set("nib.state.summed_at", s.summed_at);
    const auto text = [&](const std::string& key, const TextIdentity& identity) {
        file.set("nib.state." + key + ".tokens", identity.tokens);
        file.set("nib.state." + key + ".fingerprint", identity.fingerprint);
    };
    text("text", s.text);
    text("val_text", s.val_text);
    text("beside", s.beside);
    if (!s.task.empty()) file.set("nib.state.task", s.task);
    if (s.base.empty()) return;
    file.set("nib.state.base", s.base);
    file.set("nib.state.base_weights", s.base_weights);
}

TrainState read_state(const GgufFile& file) {
    if (const auto version = file.get<int64_t>("nib.state.version"); version != kVersion)
        fail("%s: is a training state of version %lld; this nib knows version %d", printable(file.name()).c_str(),
             static_cast<long long>(version), kVersion);
    const auto count = [&](const std::string& key) {
        const auto value = file.get<int64_t>("nib.state." + key);
        if (value < 0) fail("%s: key `nib.state.%s` is negative", printable(file.name()).c_str(), key.c_str());
        return value;
    };
    const auto text = [&](const std::string& key) {
        return TextIdentity{count(key + ".tokens"), file.get<uint64_t>("nib.state." + key + ".fingerprint")};
    };
    TrainState s;
    s.step = count("step");
    s.evaluated = count("evaluated");
    s.best_step = count("best_step");
    s.best = file.get<double>("nib.state.best");
    s.worse = count("worse");
    s.summed = count("summed");
    s.summed_at = count("summed_at");
    s.text = text("text");
    s.val_text = text("val_text");
    s.beside = text("beside");
    if (file.value("nib.state.task") != nullptr) s.task = file.array<double>("nib.state.task");
    s.base = file.get_or<std::string>("nib.state.base", "");
    if (!s.base.empty()) s.base_weights = file.get<uint64_t>("nib.state.base_weights");
    return s;
}

// A tensor of a checkpoint as bytes; Error when it is not of this shape and, unless it is frozen, f32.
std::span<const std::byte> checked(const GgufFile& file, const std::string& name, const Shape& shape, bool frozen = false) {
    const GgufTensor& tensor = file.tensor(name);
    const bool same =
        std::equal(tensor.shape.begin(), tensor.shape.end(), shape.dims.begin(), shape.dims.begin() + shape.rank);
    if (!same || (!frozen && tensor.type != DType::F32))
        fail("%s: tensor `%s` is not f32 of shape %s, as the model's sizes ask for", printable(file.name()).c_str(),
             printable(name).c_str(), shape.text().c_str());
    return tensor.data;
}

std::unique_ptr<Tokenizer> tokenizer_of(const GgufFile& model, const ModelConfig& config) {
    std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(model);
    if (!tokenizer || tokenizer->vocab_size() != config.source_tokens())
        fail("%s: has no vocabulary that fits its embedding; it is no training to resume", printable(model.name()).c_str());
    return tokenizer;
}

// Error unless all that a training needs is there.
void check_parameters(const Checkpoint& c) {
    const std::vector<bool> frozen = frozen_parameters(c.options, c.config);
    const auto check_state = [&](const ParameterSpec& spec) {
        for (int part = 1; part <= optimizer_moments(optimizer_of(c.options)); ++part)
            checked(c.state_file, part_prefix(part) + spec.name, spec.shape);
        if (c.state.summed > 0) checked(c.state_file, kSumPrefix + spec.name, spec.shape);
    };
    const auto check = [&](const ParameterSpec& spec, bool is_frozen) {
        checked(c.model, spec.name, spec.shape, is_frozen);
        if (!is_frozen) check_state(spec);
    };
    const LoraConfig lora = lora_of(c.options);
    for (const LoraParameter& pair : lora_parameters(c.config, lora)) check(pair.a, false), check(pair.b, false);
    for (const ParameterSpec& spec :
         training_parameters(c.config, task_objectives(c.options.task, task_choices(c.options))))
        checked(c.state_file, spec.name, spec.shape), check_state(spec);
    if (lora) return;
    size_t i = 0;
    for (const ParameterSpec& spec : model_parameters(c.config)) check(spec, frozen[i++]);
}

}  // namespace

RunFiles::RunFiles(const std::string& output) {
    const std::string ending = ".gguf";
    model = gguf_name(output);
    const std::string stem = model.substr(0, model.size() - ending.size());
    if (stem.ends_with(".state") || stem.ends_with(".best") || stem.ends_with(".mean"))
        fail(
            "%s: names that end in .state.gguf, .best.gguf or .mean.gguf are those that nib gives itself; give the model's "
            "name",
            printable(output).c_str());
    state = stem + ".state" + ending;
    best = stem + ".best" + ending;
    mean = stem + ".mean" + ending;
    log = stem + ".log.jsonl";
    curve = stem + ".svg";
    samples = stem + ".samples.md";
    lock = model + ".lock";
}

uint64_t weights_checksum(const GgufFile& model) {
    Hash64 hash;
    for (const GgufTensor& tensor : model.tensors()) {
        const auto type = static_cast<uint32_t>(tensor.type);
        hash.add(std::as_bytes(std::span(&type, 1)));
        add_values(hash, tensor.data);
    }
    return hash.value();
}

ModelInfo read_info(const GgufFile& model) {
    return {.name = model.get_or<std::string>(kNameKey, ""),
            .chat_template = model.get_or<std::string>(kChatTemplateKey, ""),
            .target_tokenizer = read_target_tokenizer(model)};
}

void save_checkpoint(const RunFiles& files, const TrainStep& train, const Tokenizer& tokenizer, const ModelInfo& info,
                     const TrainOptions& options, const TrainState& state, const WeightSum& sum, bool first) {
    const uint64_t id = pair_id(train, state.step);
    GgufWriter model = model_writer(train, tokenizer, info, state.step);
    model.set(kId, id);
    add_model(model, train);
    GgufWriter rest;
    rest.set("general.architecture", std::string("nib-state"));
    rest.set(kId, id);
    rest.set(kStateChecksum, state_checksum(train));
    write_state(rest, state);
    write_options(rest, options);
    for_state(train, [&](size_t i, int part, const std::string& prefix) {
        add_tensor(rest, train, i, prefix, values_of(train, i, part));
    });
    if (state.summed > 0) {
        rest.set(kSum, sum_checksum(train, sum));
        add_sums(rest, train, sum);
    }

    AtomicFile model_file(files.model), state_file(files.state);
    model.write(model_file);
    rest.write(state_file);
    model_file.finish();
    state_file.finish();
    if (first)
        for (const std::string& other : files.written())
            if (other != files.model && other != files.state) std::remove(other.c_str());
    AtomicFile::publish_pair(model_file, state_file);
}

namespace {

// The file, complete but not published.
std::unique_ptr<AtomicFile> written(const GgufWriter& writer, const std::string& path) {
    auto file = std::make_unique<AtomicFile>(path);
    writer.write(*file);
    file->finish();
    return file;
}

}  // namespace

std::unique_ptr<AtomicFile> write_best(const RunFiles& files, const TrainStep& train, const Tokenizer& tokenizer,
                                       const ModelInfo& info, int64_t step, double best) {
    GgufWriter writer = model_writer(train, tokenizer, info, step);
    writer.set(kBest, best);
    add_model(writer, train);
    return written(writer, files.best);
}

std::unique_ptr<AtomicFile> write_mean(const RunFiles& files, const TrainStep& train, const Tokenizer& tokenizer,
                                       const ModelInfo& info, int64_t step, const WeightSum& sum, int64_t count) {
    GgufWriter writer = model_writer(train, tokenizer, info, step);
    writer.set("nib.mean_of", count);
    for_model(train, [&](size_t i) {
        add_tensor(writer, train, i, "", [&train, &sum, i, count](const GgufWriter::Sink& sink) {
            if (!train.shape().trains(i)) return stream(train, i, 0, sink);
            std::vector<float> mean(sum.of(i).begin(), sum.of(i).end());
            for (float& value : mean) value /= static_cast<float>(count);
            sink(std::as_bytes(std::span<const float>(mean)));
        });
    });
    return written(writer, files.mean);
}

std::optional<double> read_best(const RunFiles& files) {
    try {
        return GgufFile::open(files.best).get<double>(kBest);
    } catch (const Error&) {
        return std::nullopt;
    }
}

Checkpoint open_checkpoint(const RunFiles& files, const std::string& base, Backend& backend) {
    Checkpoint c{GgufFile::open(files.model), GgufFile::open(files.state), {}, {}, {}, {}, {}, {}};
    c.state = read_state(c.state_file);
    const bool adapters = AdapterFile::is_adapter(c.model);
    if (adapters) {
        if (!base.empty()) c.state.base = base;
        c.base = std::make_unique<LoadedModel>(c.state.base, backend);
        const AdapterFile adapter(GgufFile::open(files.model));
        adapter.check_base(c.base->config(), c.base->file());
        if (weights_checksum(c.base->file()) != c.state.base_weights)
            fail("%s: its weights are not those that %s was trained beside", printable(c.state.base).c_str(),
                 printable(files.model).c_str());
        c.info = read_info(c.base->file());
        if (const ModelInfo own = read_info(c.model); !own.chat_template.empty()) c.info.chat_template = own.chat_template;
        c.info.adapter = adapter.keys();
    } else {
        c.info = read_info(c.model);
    }
    const GgufFile& model = adapters ? c.base->file() : c.model;
    c.config = read_config(model);
    c.tokenizer = tokenizer_of(model, c.config);
    c.options = read_options(c.state_file, c.config);
    if (!adapters && !c.options.freeze.empty()) c.base = std::make_unique<LoadedModel>(files.model, backend);
    check_parameters(c);
    return c;
}

void restore(const Checkpoint& checkpoint, TrainStep& train, WeightSum& sum) {
    const auto load = [&](Hash64& hash, const GgufFile& file, size_t i, int part, const std::string& prefix) {
        const ParameterSpec& spec = train.parameters()[i];
        const bool frozen = !train.shape().trains(i);
        const auto values = checked(file, prefix + spec.name, spec.shape, frozen);
        add_values(hash, values);
        if (!frozen) train.backend().upload(train.locate(i, part), values);
    };
    Hash64 weights, state;
    for_model(train, [&](size_t i) { load(weights, checkpoint.model, i, 0, ""); });
    for_state(train,
              [&](size_t i, int part, const std::string& prefix) { load(state, checkpoint.state_file, i, part, prefix); });
    for (size_t i = 0; checkpoint.state.summed > 0 && i < train.parameters().size(); ++i) {
        const ParameterSpec& spec = train.parameters()[i];
        if (!train.shape().trains(i)) continue;
        const auto values = checked(checkpoint.state_file, kSumPrefix + spec.name, spec.shape);
        std::copy(values.begin(), values.end(), std::as_writable_bytes(sum.of(train, i)).begin());
    }
    if (checkpoint.state.summed > 0 && sum_checksum(train, sum) != checkpoint.state_file.get<uint64_t>(kSum))
        fail("%s: its sum of weights is not the one that was saved; the file was changed or is damaged",
             printable(checkpoint.state_file.name()).c_str());
    if (state.value() != checkpoint.state_file.get<uint64_t>(kStateChecksum))
        fail("%s: its values are not those that were saved; the file was changed or is damaged",
             printable(checkpoint.state_file.name()).c_str());
    if (finish_id(weights, checkpoint.state.step) != checkpoint.state_file.get<uint64_t>(kId))
        fail("%s: its weights are not those that %s was saved with; one of the files was changed or is damaged",
             printable(checkpoint.model.name()).c_str(), printable(checkpoint.state_file.name()).c_str());
}

}  // namespace nib
