#include "model/import.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <string_view>

#include "core/error.h"
#include "io/mapped_file.h"
#include "model/gpt.h"
#include "model/hf_config.h"
#include "model/hf_names.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfigFile = "config.json";

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text;
    for (const int64_t d : shape) text += (text.empty() ? "(" : ",") + std::to_string(d);
    return text.empty() ? "()" : text + ")";
}

// The tensors of a checkpoint by Hugging Face's names without prefixes, and what their shapes say.
class NamedTensors {
public:
    explicit NamedTensors(const CheckpointSource& source) : path_(printable(source.path(), 400)) {
        for (const SourceTensor& tensor : source.tensors()) {
            const std::string_view name = without_prefixes(tensor.name);
            if (is_constant_buffer(name)) continue;
            const auto [other, added] = by_name_.emplace(name, &tensor);
            if (!added)
                fail("%s: tensors `%s` and `%s` are the same parameter", path_.c_str(),
                     printable(other->second->name).c_str(), printable(tensor.name).c_str());
        }
    }

    const std::string& path() const { return path_; }

    const SourceTensor* find(std::string_view name) const {
        const auto found = by_name_.find(name);
        return found == by_name_.end() ? nullptr : found->second;
    }
    const SourceTensor& get(std::string_view name) const {
        if (const SourceTensor* found = find(name)) return *found;
        fail("%s: tensor `%s` is missing", path_.c_str(), std::string(name).c_str());
    }
    const SourceTensor& matrix(std::string_view name) const {
        const SourceTensor& tensor = get(name);
        if (tensor.shape.size() != 2 || tensor.elements() == 0) wrong_shape(tensor, "two dimensions");
        return tensor;
    }
    [[noreturn]] static void wrong_shape(const SourceTensor& tensor, const std::string& expected) {
        fail("%s: tensor `%s` has shape %s, expected %s", tensor.file.c_str(), printable(tensor.name).c_str(),
             shape_text(tensor.shape).c_str(), expected.c_str());
    }

    bool has_biases() const {
        return std::any_of(by_name_.begin(), by_name_.end(), [](const auto& t) { return t.first.ends_with(".bias"); });
    }
    // Hugging Face's Conv1D stores (inputs, outputs), PyTorch's Linear (outputs, inputs).
    bool conv1d() const {
        const SourceTensor& qkv = matrix("h.0.attn.c_attn.weight");
        return qkv.shape[1] == 3 * qkv.shape[0];
    }
    GptConfig sizes() const {
        if (find("wte.weight") == nullptr) fail("%s: tensor `wte.weight` is missing: this is no GPT-2", path_.c_str());
        GptConfig c;
        c.vocab = matrix("wte.weight").shape[0];
        c.embd = matrix("wte.weight").shape[1];
        c.context = matrix("wpe.weight").shape[0];
        c.ffn = matrix("h.0.mlp.c_fc.weight").shape[conv1d() ? 1 : 0];
        c.layers = 0;
        for (const auto& [name, tensor] : by_name_) c.layers = std::max(c.layers, int64_t{hf_block(name)} + 1);
        return c;
    }
    // Error when there is a tensor that is none of `names`.
    void refuse_others(const std::vector<std::string>& names, const std::string& sizes_text) const {
        std::map<std::string_view, const SourceTensor*> others = by_name_;
        for (const std::string& name : names) others.erase(name);
        if (others.empty()) return;
        const std::string more = others.size() > 1 ? strprintf(" (and %zu others)", others.size() - 1) : "";
        fail("%s: tensor `%s`%s belongs to no parameter of a GPT-2 of %s", path_.c_str(),
             printable(others.begin()->second->name).c_str(), more.c_str(), sizes_text.c_str());
    }

private:
    std::string path_;
    std::map<std::string_view, const SourceTensor*> by_name_;
};

std::string folder_of(const std::string& path) {
    std::error_code error;
    const fs::path folder = fs::is_directory(path, error) ? fs::path(path) : fs::path(path).parent_path();
    return folder.empty() ? "." : folder.string();
}

std::optional<HfConfig> find_config(const std::string& path) {
    const fs::path file = fs::path(folder_of(path)) / kConfigFile;
    std::error_code error;
    if (fs::exists(file, error)) {
        const MappedFile mapped(file.string());
        return parse_hf_config({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()},
                               file.string());
    }
    if (fs::is_directory(path, error))
        fail("%s: the folder has no %s; for weights alone name their file", printable(path, 400).c_str(), kConfigFile);
    return std::nullopt;
}

void take_config(const HfConfig& from, const std::string& folder, ImportedGpt& gpt) {
    GptConfig& c = gpt.config;
    const auto same = [&](const char* key, const std::optional<int64_t>& said, int64_t found) {
        if (said && *said != found)
            fail("%s/%s: %s is %lld, but the weights say %lld", printable(folder, 400).c_str(), kConfigFile, key,
                 static_cast<long long>(*said), static_cast<long long>(found));
    };
    same("n_layer", from.layers, c.layers);
    same("n_embd", from.embd, c.embd);
    same("n_positions", from.context, c.context);
    same("vocab_size", from.vocab, c.vocab);
    same("n_inner", from.ffn, c.ffn);
    if (from.heads) c.heads = *from.heads;
    if (from.act) c.act = *from.act;
    if (from.eps) c.eps = *from.eps;
    gpt.folder = folder;
    gpt.begin = from.begin;
    gpt.end = from.end;
}

// The number of heads that nanoGPT and others save beside the weights; 0 when it is not there.
int64_t saved_heads(const CheckpointSource& source) {
    for (const char* place : {"model_args", "config", "args"}) {
        const PickleValue* options = source.root() != nullptr ? source.root()->find(place) : nullptr;
        const PickleValue* heads = options != nullptr ? options->find("n_head") : nullptr;
        if (heads != nullptr && heads->integer()) return *heads->integer();
    }
    return 0;
}

// Without a config.json. nanoGPT, known by its model_args, has the exact GELU; minGPT and makemore have GPT-2's.
void take_saved(const CheckpointSource& source, const ImportHints& hints, ImportedGpt& gpt) {
    gpt.config.heads = saved_heads(source);
    const bool nano = source.root() != nullptr && source.root()->find("model_args") != nullptr;
    gpt.config.act = nano ? Act::GeluErf : Act::GeluTanh;
    if (!hints.act)
        gpt.notes.push_back(strprintf("no %s beside the weights: taking the activation for %s; --activation sets it",
                                      kConfigFile, nano ? "gelu, as in nanoGPT" : "gelu_new, as in GPT-2"));
}

bool same_values(const SourceTensor& a, const SourceTensor& b) {
    if (a.shape != b.shape || !a.readable() || !b.readable()) return false;
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

// Whether the head is the embedding: it is missing, equal, or the configuration says so.
bool is_tied(const NamedTensors& tensors, const std::optional<HfConfig>& config, std::vector<std::string>& notes) {
    const SourceTensor* head = tensors.find("lm_head.weight");
    const bool tied = config && config->tied.value_or(false), untied = config && !config->tied.value_or(true);
    if (head == nullptr && untied)
        fail("%s: tensor `lm_head.weight` is missing, and tie_word_embeddings is false", tensors.path().c_str());
    if (head == nullptr || same_values(*head, tensors.get("wte.weight"))) return true;
    if (tied) notes.push_back("tie_word_embeddings is true: left out `lm_head.weight`, which differs from the embedding");
    return tied;
}

// Without a name in the configuration, that of the folder or of the file that stands alone.
std::string model_name(const CheckpointSource& source, const std::optional<HfConfig>& config) {
    std::error_code error;
    fs::path path = config ? config->name : fs::path(source.path()).stem().string();
    if (path.empty()) path = fs::canonical(folder_of(source.path()), error);
    if (path.filename().empty()) path = path.parent_path();
    return printable(path.filename().string());
}

ImportedTensor import_tensor(const ParameterSpec& spec, const NamedTensors& tensors, bool conv1d, bool has_biases) {
    ImportedTensor to{
        spec.name, {spec.shape.dims.begin(), spec.shape.dims.begin() + spec.shape.rank},
         {                       }
    };
    const std::string name = hf_name(spec.name);
    if (!has_biases && name.ends_with(".bias")) return to;
    const SourceTensor& tensor = tensors.get(name);
    const bool transposed = conv1d && is_conv1d(spec.name);
    std::vector<int64_t> expected = to.shape;
    if (transposed) std::reverse(expected.begin(), expected.end());
    if (tensor.shape != expected) NamedTensors::wrong_shape(tensor, shape_text(expected));
    if (!tensor.readable()) tensor.read(0, {});  // says why
    to.from = transposed ? tensor.transposed() : tensor;
    return to;
}

}  // namespace

ImportedGpt import_gpt(const CheckpointSource& source, const ImportHints& hints) {
    const std::optional<HfConfig> config = find_config(source.path());
    const NamedTensors tensors(source);
    ImportedGpt gpt;
    gpt.notes = source.notes();
    GptConfig& c = gpt.config;
    c = tensors.sizes();
    c.heads = 0;
    if (config) {
        take_config(*config, folder_of(source.path()), gpt);
    } else {
        take_saved(source, hints, gpt);
    }
    if (hints.heads && c.heads != 0 && c.heads != *hints.heads)
        fail("%s: --heads %lld contradicts the %lld heads that the files say; leave it out", tensors.path().c_str(),
             static_cast<long long>(*hints.heads), static_cast<long long>(c.heads));
    if (hints.act && config && c.act != *hints.act)
        fail("%s: --activation contradicts what %s says; leave it out", tensors.path().c_str(), kConfigFile);
    if (hints.heads) c.heads = *hints.heads;
    if (hints.act) c.act = *hints.act;
    if (c.heads == 0) fail("%s: no file says how many attention heads the model has; give --heads", tensors.path().c_str());
    c.tied = is_tied(tensors, config, gpt.notes);
    try {
        check_config(c);
    } catch (const Error& error) {
        fail("%s: %s%s", tensors.path().c_str(), error.what(), hints.heads ? "; choose other --heads" : "");
    }
    gpt.name = model_name(source, config);
    const bool conv1d = tensors.conv1d(), has_biases = tensors.has_biases();
    std::vector<std::string> names{"lm_head.weight"};
    for (const ParameterSpec& spec : gpt_parameters(c)) {
        gpt.tensors.push_back(import_tensor(spec, tensors, conv1d, has_biases));
        names.push_back(hf_name(spec.name));
    }
    tensors.refuse_others(names, strprintf("%lld layers", static_cast<long long>(c.layers)));
    if (!has_biases) gpt.notes.push_back("the model has no biases: they are zeros in the file");
    return gpt;
}

}  // namespace nib
