#include "model/import.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "io/mapped_file.h"
#include "model/architecture.h"
#include "model/head_bias.h"
#include "model/hf_config.h"
#include "model/named_tensors.h"
#include "model/sentence_transformers.h"
#include "model/tensor_names.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";
constexpr std::string_view kBias = ".bias";

std::string folder_of(const std::string& path) {
    std::error_code error;
    const fs::path folder = fs::is_directory(path, error) ? fs::path(path) : fs::path(path).parent_path();
    return folder.empty() ? "." : folder.string();
}

// Runs `read`. With the number of heads given no config.json is needed: one that is of something else is then passed over,
// but not what it says of a model that nib cannot compute.
template <class T>
std::optional<T> if_usable(const ImportHints& hints, std::vector<Note>& notes, const std::function<T()>& read) {
    try {
        return read();
    } catch (const UnsupportedOption&) {
        throw;
    } catch (const Error& problem) {
        if (!hints.heads) throw;
        notes.push_back(strprintf("%s is not used: %s", kConfigFile, problem.what()));
        return std::nullopt;
    }
}

// The config.json beside the weights, if there is one.
std::optional<ConfigFile> find_config(const std::string& path, const ImportHints& hints, std::vector<Note>& notes) {
    const fs::path file = fs::path(folder_of(path)) / kConfigFile;
    std::error_code error;
    if (!fs::exists(file, error)) return std::nullopt;
    return if_usable<ConfigFile>(hints, notes, [&] {
        const MappedFile mapped(file.string());
        return ConfigFile({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()}, file.string());
    });
}

// What the files say, beside the tensors.
struct Saved {
    std::optional<SavedConfig> file, inside;  // config.json; in the file with the weights

    // The first that says it.
    template <class T>
    const SavedConfig* with(std::optional<T> SavedConfig::*what) const {
        for (const auto* saved : {&file, &inside})
            if (*saved && (**saved).*what) return &**saved;
        return nullptr;
    }
    std::pair<const SavedSize*, const SavedConfig*> with(int64_t ModelConfig::*size) const {
        for (const auto* saved : {&file, &inside})
            if (const SavedSize* found = *saved ? (**saved).find(size) : nullptr) return {found, &**saved};
        return {};
    }
    std::string program() const {
        const std::string named = file ? file->program : "";
        return named.empty() && inside ? inside->program : named;
    }
};

// Sizes that contradict the tensors are an error, or, with what tensors do not say given, passed over.
void check_sizes(const SavedConfig& config, const ModelConfig& found, const ImportHints& hints, std::vector<Note>& notes) {
    for (const SavedSize& said : config.sizes) {
        const int64_t value = found.*said.size;
        if (value == 0 || said.size == &ModelConfig::heads || said.value == value) continue;
        const std::string text = strprintf("%s: %s is %lld, but the weights say %lld", config.where.c_str(), said.key,
                                           static_cast<long long>(said.value), static_cast<long long>(value));
        if (!hints.heads) fail("%s", text.c_str());
        notes.push_back(text);
    }
}

int64_t find_heads(const NamedTensors& tensors, const Saved& saved, const ImportHints& hints, std::vector<Note>& notes) {
    const auto given = static_cast<long long>(hints.heads.value_or(0)), modules = static_cast<long long>(tensors.heads());
    if (modules != 0) {
        if (hints.heads && given != modules)
            fail_option("heads", "%lld contradicts the tensors of %s, which are of %lld heads, one module each", given,
                        tensors.path().c_str(), modules);
        return modules;
    }
    const auto [said, config] = saved.with(&ModelConfig::heads);
    if (hints.heads && said != nullptr && said->value != given)
        notes.push_back(strprintf("taking %lld heads, as given, instead of the %lld of %s", given,
                                  static_cast<long long>(said->value), config->where.c_str()));
    if (hints.heads) return given;
    if (said != nullptr) return said->value;
    fail_with(Remedy::GiveHeads, "%s: no file says how many attention heads the model has", tensors.path().c_str());
}

// Those that the tensors do not tell. Sizes that the family knows what to do without stay 0.
void add_sizes(const NamedTensors& tensors, const Saved& saved, const ImportHints& hints, std::vector<Note>& notes,
               ModelConfig& c) {
    for (const SizeKeys& keys : tensors.architecture().checkpoints->sizes) {
        if (keys.size == &ModelConfig::heads || c.*keys.size != 0) continue;
        const auto said = saved.with(keys.size).first;
        if (said == nullptr && !keys.optional)
            fail("%s: no file says the model's %s; a config.json beside the weights should", tensors.path().c_str(),
                 keys.names[0]);
        c.*keys.size = said != nullptr ? said->value : 0;
    }
    c.heads = find_heads(tensors, saved, hints, notes);
}

Act find_act(const NamedTensors& tensors, const Saved& saved, const ImportHints& hints, std::vector<Note>& notes) {
    const Architecture& family = tensors.architecture();
    const std::span<const Act> acts = family.checkpoints->acts;
    const SavedConfig* config = saved.with(&SavedConfig::activation);
    if (hints.act && std::find(acts.begin(), acts.end(), *hints.act) == acts.end())
        fail_option("activation", "%s does not fit %s: a %s has %s", activation_name(*hints.act), tensors.path().c_str(),
                    family.title, activation_names(acts).c_str());
    if (hints.act && config != nullptr && find_activation(*config->activation) != hints.act)
        notes.push_back(strprintf("taking the activation %s, as given, instead of %s of %s", activation_name(*hints.act),
                                  printable(*config->activation, 60).c_str(), config->where.c_str()));
    if (hints.act) return *hints.act;
    if (config != nullptr) return get_activation(*config->activation, config->where, acts);
    if (acts.size() == 1) return acts[0];
    const std::string program = saved.program();
    const Act act = program == "nanoGPT" ? Act::GeluErf : tensors.layout().act.value_or(acts[0]);
    notes.emplace_back(strprintf("no file says the activation: taking %s, as in %s", activation_name(act),
                                 program.empty() ? tensors.layout().name : program.c_str()),
                       Remedy::GiveActivation);
    return act;
}

void check_model_config(const ModelConfig& c, const NamedTensors& tensors, const ImportHints& hints) {
    try {
        check_config(c);
    } catch (const Error& error) {
        const bool other = tensors.heads() == 0 && c.head_size == 0 && c.embd % std::max<int64_t>(c.heads, 1) != 0;
        const Remedy remedy = !other ? Remedy::None : hints.heads ? Remedy::ChangeHeads : Remedy::GiveHeads;
        fail_with(remedy, "%s: %s", tensors.path().c_str(), error.what());
    }
}

bool same_values(const SourceTensor& a, const SourceTensor& b) {
    constexpr int64_t kPiece = 1 << 14;
    std::vector<float> x(kPiece), y(kPiece);
    for (int64_t at = 0; at < a.elements(); at += kPiece) {
        const auto n = static_cast<size_t>(std::min(kPiece, a.elements() - at));
        a.read(at, std::span(x).first(n));
        b.read(at, std::span(y).first(n));
        if (std::memcmp(x.data(), y.data(), n * sizeof(float)) != 0) return false;
    }
    return true;
}

bool has_parameter(const ModelConfig& config, std::string_view name) {
    const std::vector<ParameterSpec> specs = model_parameters(config);
    return std::any_of(specs.begin(), specs.end(), [&](const ParameterSpec& spec) { return spec.name == name; });
}

bool has_values(const SourceTensor& vector) {
    std::vector<float> values(static_cast<size_t>(vector.elements()));
    vector.read(0, values);
    return std::any_of(values.begin(), values.end(), [](float value) { return value != 0; });
}

// Of a decoder, which gives the next token too, the head of its class; where none is named, one without an output head
// that has a weight alone and is not as large as one.
void choose_decoder_heads(NamedTensors& tensors, const HfClass* said, ModelConfig& c) {
    const auto keep = [&](const HeadConfig& head, const char* tensor) {
        if (said == nullptr) return !tensors.has(kHead) && head.outputs != c.vocab && tensors.is_alone(tensor);
        return std::any_of(said->heads.begin(), said->heads.end(),
                           [&](const char* name) { return name != nullptr && head.name == name; });
    };
    for (const HeadTensor& row : tensors.architecture().heads) {
        const HeadConfig* const head = c.find_head(row.name);
        if (head == nullptr || keep(*head, row.tensor)) continue;
        tensors.leave_out(row.tensor);
        std::erase_if(c.task_heads, [&](const HeadConfig& one) { return one.name == row.name; });
    }
}

// Of heads that are saved under one name the one of the model's class; where no class is named that of the first with as
// much of a pooler.
void choose_heads(NamedTensors& tensors, const HfClass* said, ModelConfig& c) {
    if (!tensors.architecture().encoder_only) return choose_decoder_heads(tensors, said, c);
    const std::span<const HfClass> classes = tensors.architecture().checkpoints->classes;
    const auto lists = [](const HfClass& one, const std::string& head) {
        return std::any_of(one.heads.begin(), one.heads.end(),
                           [&](const char* name) { return name != nullptr && head == name; });
    };
    const auto name_of = [&](const HeadConfig& head) {
        for (const HeadTensor& row : tensors.architecture().heads)
            if (head.name == row.name) return tensors.name_of(row.tensor);
        return std::string();
    };
    std::map<std::string, std::vector<HeadConfig>> by_name;
    for (const HeadConfig& head : c.task_heads) by_name[name_of(head)].push_back(head);
    const auto keep = [&](const HeadConfig& head) {
        const std::vector<HeadConfig>& rivals = by_name[name_of(head)];
        if (rivals.size() == 1) return true;
        const auto decides = [&](const HfClass& one) {
            if (said != nullptr ? &one != said : one.pooler != c.pooler) return false;
            return std::any_of(rivals.begin(), rivals.end(),
                               [&](const HeadConfig& rival) { return lists(one, rival.name); });
        };
        const auto deciding = std::find_if(classes.begin(), classes.end(), decides);
        return deciding != classes.end() && lists(*deciding, head.name);
    };
    std::erase_if(c.task_heads, [&](const HeadConfig& head) { return !keep(head); });
}

// Whether the head is the embedding: one of them is missing, or they are equal. A head that differs counts, whatever the
// configuration says, as in transformers since version 5.
bool is_tied(NamedTensors& tensors, const ModelConfig& c, const Saved& saved, std::vector<Note>& notes) {
    if (tensors.architecture().encoder_only && c.find_head("mlm") == nullptr) return true;  // no head gives tokens
    if (c.find_head("class") != nullptr && !tensors.has(kHead)) return true;  // nor is there one of a classifier
    const SavedConfig* config = saved.with(&SavedConfig::tied);
    const std::vector<int64_t> shape{c.vocab, c.embd};
    const bool says_untied = config != nullptr && !*config->tied, may_be_tied = tensors.layout().tied && !says_untied;
    if (!tensors.has(kHead) && says_untied)
        fail("%s: tensor `%s` is missing, and tie_word_embeddings is false", tensors.path().c_str(),
             tensors.name_of(kHead).c_str());
    if (!tensors.has(kHead) && may_be_tied) return true;
    if (!tensors.has(kEmbedding) && may_be_tied) {
        notes.push_back("there is no token embedding: it is taken to be the head, tied");
        return true;
    }
    const SourceTensor head = tensors.get(kHead, shape, c)[0];
    if (same_values(head, tensors.get(kEmbedding, shape, c)[0])) return true;
    if (config != nullptr && *config->tied)
        notes.push_back(
            strprintf("tie_word_embeddings is true, but `%s` differs from the embedding: it is kept, as "
                      "transformers does since version 5",
                      printable(head.name).c_str()));
    return false;
}

// Whether the encoder has an embedding of its own, and of how many tokens. Files may have the shared one several times.
void find_source_embedding(NamedTensors& tensors, ModelConfig& c) {
    const std::vector<int64_t> shape{c.vocab, c.embd};
    const auto is_shared = [&](const SourceTensor& tensor) {
        return tensor.shape == shape && same_values(tensor, tensors.get(kEmbedding, shape, c)[0]);
    };
    for (const SourceTensor* copy : tensors.copies(kEmbedding))
        if (!is_shared(*copy))
            fail("%s: tensor `%s` should be the same as `%s`", tensors.path().c_str(), printable(copy->name).c_str(),
                 tensors.name_of(kEmbedding).c_str());
    if (!tensors.has(kSourceEmbedding)) return;
    const int64_t tokens = tensors.rows(kSourceEmbedding);
    if (!is_shared(tensors.get(kSourceEmbedding, {tokens, c.embd}, c)[0])) c.source_vocab = tokens;
}

// Without a name in the configuration, that of the folder or of the file that stands alone.
std::string model_name(const CheckpointSource& source, const std::optional<SavedConfig>& config) {
    std::error_code error;
    fs::path path = config ? config->name : fs::path(source.path()).stem().string();
    if (path.empty()) path = fs::canonical(folder_of(source.path()), error);
    if (path.filename().empty()) path = path.parent_path();
    return printable(path.filename().string());
}

// Elements of tensors of one size, one after the other.
void read_parts(const std::vector<SourceTensor>& parts, int64_t first, std::span<float> out) {
    const int64_t each = parts.front().elements();
    while (!out.empty()) {
        const SourceTensor& part = parts[static_cast<size_t>(first / each)];
        const int64_t at = first % each;
        const auto count = std::min(out.size(), static_cast<size_t>(each - at));
        part.read(at, out.first(count));
        out = out.subspan(count), first += static_cast<int64_t>(count);
    }
}

// "blk.3.attn_qkv.bias": "attn_qkv.bias"; the final norm is one of the norms.
std::string_view kind_of(std::string_view name) {
    if (name == "output_norm.bias") return "attn_norm.bias";
    return name.substr(name.rfind('.', name.rfind('.') - 1) + 1);
}

// The parameters' values. A kind of bias that no block has is zeros, where the layout allows it.
void import_tensors(NamedTensors& tensors, ImportedModel& model) {
    const std::vector<ParameterSpec> specs = model_parameters(model.config);
    const bool may_lack = tensors.layout().biases_may_lack;
    std::set<std::string_view> present, absent;
    for (const ParameterSpec& spec : specs)
        if (tensors.has(spec.name)) present.insert(kind_of(spec.name));
    for (const ParameterSpec& spec : specs) {
        ImportedTensor to;
        to.name = spec.name;
        to.shape.assign(spec.shape.dims.begin(), spec.shape.dims.begin() + spec.shape.rank);
        std::string_view name = spec.name;
        if (may_lack && name.ends_with(kBias) && !present.contains(kind_of(name))) {
            absent.insert(kind_of(name));
            to.read = [](int64_t, std::span<float> out) { std::fill(out.begin(), out.end(), 0.0f); };
        } else {
            if (name == kEmbedding && !tensors.has(name) && tensors.has(kHead)) name = kHead;
            if (name == kHead && !tensors.has(name)) name = kEmbedding;
            to.from = tensors.get(name, to.shape, model.config);
            to.read = [parts = to.from](int64_t first, std::span<float> out) { read_parts(parts, first, out); };
        }
        model.tensors.push_back(std::move(to));
    }
    if (absent.empty()) return;
    std::string kinds;
    for (const std::string_view kind : absent) kinds += (kinds.empty() ? "" : ", ") + std::string(kind);
    const bool all = std::none_of(present.begin(), present.end(), [](std::string_view k) { return k.ends_with(kBias); });
    model.notes.push_back(all ? "the model has no biases: they are zeros in the file"
                              : "the model has no " + kinds + ": zeros in the file");
}

void note_other_heads(const NamedTensors& tensors, std::vector<Note>& notes) {
    if (tensors.other_heads().empty()) return;
    constexpr size_t kShown = 4;
    std::string names;
    for (size_t i = 0; i < tensors.other_heads().size(); ++i) {
        if (i == kShown) {
            names += strprintf(" and %zu others", tensors.other_heads().size() - i);
            break;
        }
        names += (i > 0 ? ", `" : "`") + printable(tensors.other_heads()[i]->name) + "`";
    }
    notes.push_back("left out heads for other tasks than the next token: " + names);
}

}  // namespace

ImportedModel import_model(const CheckpointSource& source, const ImportHints& hints) {
    ImportedModel model;
    std::vector<Note>& notes = model.notes;
    notes.assign(source.notes().begin(), source.notes().end());
    std::optional<ConfigFile> file = find_config(source.path(), hints, notes);
    NamedTensors tensors(source, file ? file->architecture() : nullptr);
    const Architecture& family = tensors.architecture();
    if (file && file->architecture() != nullptr && file->architecture() != &family) {
        const std::string text =
            strprintf("%s: its tensors have the names of %s, but %s is of a %s", tensors.path().c_str(),
                      tensors.layout().name, kConfigFile, file->architecture()->title);
        if (!hints.heads) fail("%s", text.c_str());
        notes.push_back(std::string(kConfigFile) + " is not used: " + text);
        file.reset();
    }
    ModelConfig& c = model.config = tensors.sizes();
    choose_heads(tensors, file ? file->model_class(family) : nullptr, c);
    Saved saved;
    if (file) saved.file = if_usable<SavedConfig>(hints, notes, [&] { return file->read(family); });
    if (source.root() != nullptr) saved.inside = pickled_config(*source.root(), *family.checkpoints, c.embd);
    if (!source.header().empty()) saved.inside = header_config(source.header(), *family.checkpoints);
    if (saved.file) {
        if (!saved.file->note.empty()) notes.push_back(saved.file->note);
        check_sizes(*saved.file, c, hints, notes);
        model.begin = saved.file->begin, model.end = saved.file->end;
    }
    std::error_code ignored;
    if (saved.file || fs::is_directory(source.path(), ignored)) model.folder = folder_of(source.path());
    if (!model.folder.empty()) read_sentence_transformers(model.folder, c);
    add_sizes(tensors, saved, hints, notes, c);
    c.act = find_act(tensors, saved, hints, notes);
    if (saved.file) file->read_rest(family, c);
    if (const SavedConfig* with_eps = saved.with(&SavedConfig::eps)) c.eps = *with_eps->eps;
    name_labels(c);
    family.complete(c);
    check_model_config(c, tensors, hints);
    if (tensors.layout().note != nullptr) notes.push_back(tensors.layout().note);
    c.tied = is_tied(tensors, c, saved, notes);
    if (c.has_encoder()) {
        find_source_embedding(tensors, c);
        c.encoder_decoder.head_bias = tensors.has(kHeadBias);
    }
    std::optional<SourceTensor> bias;
    if (tensors.has(kHeadBias) && !has_parameter(c, kHeadBias)) bias = tensors.get(kHeadBias, {c.vocab}, c)[0];
    if (bias && has_values(*bias)) c.tied = false;
    model.name = model_name(source, saved.file);
    import_tensors(tensors, model);
    note_other_heads(tensors, notes);
    tensors.refuse_others(c);
    if (bias && has_values(*bias)) {
        fold_head_bias(model, *bias);
        notes.push_back("the head has a bias: it is put into the head and the final norm, which give the same logits");
    }
    return model;
}

}  // namespace nib
