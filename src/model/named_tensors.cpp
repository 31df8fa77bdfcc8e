#include "model/named_tensors.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

// Components that wrappers put anywhere into a name: torch.compile, DistributedDataParallel, FSDP, Fabric, PEFT.
constexpr std::string_view kWrappers[] = {
    "_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "base_layer"};
// Heads of other tasks, beside whatever ends in "_head".
constexpr std::string_view kOtherHeads[] = {"score", "classifier", "qa_outputs"};
constexpr std::string_view kAdapters[] = {"lora_", "modules_to_save", "ia3_l", "prompt_encoder"};

constexpr const char* kEmbedding = "token_embd.weight";
constexpr const char* kPositions = "position_embd.weight";
constexpr const char* kHead = "output.weight";
constexpr const char* kQkv = "blk.0.attn_qkv.weight";

// Takes the first component from `name`: "a" of "a.b.c".
std::string_view take_component(std::string_view& name) {
    const std::string_view component = name.substr(0, name.find('.'));
    name.remove_prefix(std::min(name.size(), component.size() + 1));
    return component;
}

std::string without_wrappers(std::string_view name) {
    std::string result;
    while (!name.empty()) {
        const std::string_view component = take_component(name);
        if (std::find(std::begin(kWrappers), std::end(kWrappers), component) != std::end(kWrappers)) continue;
        result.append(result.empty() ? "" : ".").append(component);
    }
    return result;
}

// Without the components that `name` and `prefix` ("policy.transformer.") begin with.
std::string_view without_prefix(std::string_view name, std::string_view prefix) {
    const auto [end, rest] = std::mismatch(prefix.begin(), prefix.end(), name.begin(), name.end());
    const std::string_view common(prefix.begin(), end);
    return name.substr(common.rfind('.') + 1);  // npos + 1 is 0
}

bool is_other_head(std::string_view name) {
    const std::string_view head = take_component(name);
    return head.ends_with("_head") || head.ends_with("_heads") ||
           std::find(std::begin(kOtherHeads), std::end(kOtherHeads), head) != std::end(kOtherHeads);
}

void refuse_adapter(const CheckpointSource& source) {
    for (const SourceTensor& tensor : source.tensors()) {
        std::string_view rest = tensor.name;
        while (!rest.empty()) {
            const std::string_view component = take_component(rest);
            if (std::none_of(std::begin(kAdapters), std::end(kAdapters),
                             [&](std::string_view adapter) { return component.starts_with(adapter); }))
                continue;
            fail(
                "%s: tensor `%s` belongs to an adapter (LoRA): merge it into its model with PEFT's merge_and_unload(), "
                "save that, and convert it",
                tensor.file.c_str(), printable(tensor.name).c_str());
        }
    }
}

[[noreturn]] void wrong_shape(const SourceTensor& tensor, const std::string& expected) {
    if (!tensor.readable()) tensor.read(0, {});  // says why
    fail("%s: tensor `%s` has shape %s, expected %s", tensor.file.c_str(), printable(tensor.name).c_str(),
         shape_text(tensor.shape).c_str(), expected.c_str());
}

[[noreturn]] void refuse_unknown(const std::string& path, const std::vector<std::string>& names) {
    for (const std::string& name : names)
        if (const char* model = foreign_model("." + name))
            fail("%s: tensor `%s` is one of %s, which nib does not convert", path.c_str(), printable(name).c_str(), model);
    const std::string like = names.empty() ? "" : ", such as `" + printable(names.front()) + "`,";
    fail("%s: its tensors%s have the names of no model that nib converts: this is no GPT-2", path.c_str(), like.c_str());
}

// A view without leading dimensions of 1 beyond `rank`: minGPT's (1,T,C).
SourceTensor squeezed(SourceTensor tensor, size_t rank) {
    while (tensor.shape.size() > rank && tensor.shape.front() == 1) {
        tensor.shape.erase(tensor.shape.begin());
        tensor.strides.erase(tensor.strides.begin());
    }
    return tensor;
}

std::string embedding_name(const Layout& layout) {
    return stored_name(layout, rows_of(layout, kEmbedding)[0], kEmbedding, 0, 0);
}

}  // namespace

std::string shape_text(const std::vector<int64_t>& shape) {
    std::string text;
    for (const int64_t d : shape) text += (text.empty() ? "(" : ",") + std::to_string(d);
    return text.empty() ? "()" : text + ")";
}

NamedTensors::NamedTensors(const CheckpointSource& source) : path_(printable(source.path(), 400)) {
    refuse_adapter(source);
    std::vector<std::string> names;
    for (const SourceTensor& tensor : source.tensors()) names.push_back(without_wrappers(tensor.name));
    find_layout(names);
    for (size_t i = 0; i < names.size(); ++i) {
        const SourceTensor& tensor = source.tensors()[i];
        const std::string name(without_prefix(names[i], prefix_));
        if (layout_->has_buffer(name)) continue;
        if (is_other_head(name) && !layout_->has_parameter(name)) {
            other_heads_.push_back(&tensor);
            continue;
        }
        const auto [other, added] = by_name_.emplace(name, &tensor);
        if (!added)
            fail("%s: tensors `%s` and `%s` are the same parameter", path_.c_str(), printable(other->second->name).c_str(),
                 printable(tensor.name).c_str());
    }
    count_heads();
}

// The layout and the prefix under which most names are those of parameters.
void NamedTensors::find_layout(const std::vector<std::string>& names) {
    struct Votes {
        size_t all = 0;
        bool body = false;  // blocks or the embedding: a head alone may be anybody's
        bool embedding = false;
    };
    std::map<std::pair<size_t, std::string_view>, Votes> candidates;
    for (size_t l = 0; l < layouts().size(); ++l) {
        const Layout& layout = layouts()[l];
        const std::string embedding = embedding_name(layout);
        for (const std::string& name : names) {
            for (std::string_view rest = name; !rest.empty(); take_component(rest)) {
                if (!layout.has_parameter(rest)) continue;
                Votes& votes = candidates[{l, std::string_view(name).substr(0, name.size() - rest.size())}];
                std::string_view inside = rest;
                ++votes.all;
                votes.embedding |= rest == embedding;
                votes.body |= votes.embedding || take_number(inside, layout.block) >= 0;
                break;
            }
        }
    }
    const auto best = std::max_element(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) {
        return std::pair(a.second.body, a.second.all) < std::pair(b.second.body, b.second.all);
    });
    if (best == candidates.end() || !best->second.body) refuse_unknown(path_, names);
    layout_ = &layouts()[best->first.first];
    prefix_ = best->first.second;
    const std::string embedding = embedding_name(*layout_);
    for (const auto& [where, votes] : candidates)
        if (where.first == best->first.first && where.second != prefix_ && votes.embedding && best->second.embedding)
            fail("%s: holds two models, with the embeddings `%s` and `%s`; save the state dict of one alone", path_.c_str(),
                 printable(prefix_ + embedding).c_str(), printable(std::string(where.second) + embedding).c_str());
}

// Where each head has tensors of its own.
void NamedTensors::count_heads() {
    const std::string_view pattern = rows_of(*layout_, kQkv)[0].parts[0];
    const size_t star = pattern.find('*');
    if (star == pattern.npos) return;
    for (const auto& [name, tensor] : by_name_) {
        std::string_view rest = name;
        if (take_number(rest, layout_->block) < 0) continue;
        heads_ = std::max(heads_, int64_t{take_number(rest, pattern.substr(0, star))} + 1);
    }
}

ModelConfig NamedTensors::sizes() const {
    ModelConfig c;
    const auto embedding = matrix_shape(has(kEmbedding) ? kEmbedding : has(kHead) ? kHead : kEmbedding);
    c.vocab = embedding[0];
    c.embd = embedding[1];
    c.context = matrix_shape(kPositions)[0];
    c.ffn = matrix_shape("blk.0.ffn_up.weight")[conv1d() ? 1 : 0];
    c.heads = heads_;
    c.layers = 0;
    for (const auto& [name, tensor] : by_name_) {
        std::string_view rest = name;
        if (layout_->has_parameter(name)) c.layers = std::max(c.layers, int64_t{take_number(rest, layout_->block)} + 1);
    }
    return c;
}

// Of the rows of the layout for this parameter that whose tensor is there, else the first.
const StoredAs& NamedTensors::row_of(std::string_view gguf_name) const {
    const auto rows = rows_of(*layout_, gguf_name);
    CHECK(!rows.empty());
    const auto found = std::find_if(rows.begin(), rows.end(), [&](const StoredAs& row) {
        return by_name_.contains(stored_name(*layout_, row, gguf_name, 0, 0));
    });
    return found != rows.end() ? *found : rows.front();
}

bool NamedTensors::has(std::string_view gguf_name) const {
    return by_name_.contains(stored_name(*layout_, row_of(gguf_name), gguf_name, 0, 0));
}

// Of all parts, in the order of their rows: the heads of the queries, of the keys, of the values.
std::vector<std::string> NamedTensors::part_names(std::string_view gguf_name) const {
    const StoredAs& row = row_of(gguf_name);
    std::vector<std::string> names;
    for (size_t part = 0; part < row.parts.size() && !row.parts[part].empty(); ++part) {
        const int64_t heads = row.parts[part].find('*') == std::string_view::npos ? 1 : std::max<int64_t>(heads_, 1);
        for (int64_t head = 0; head < heads; ++head) {
            names.push_back(stored_name(*layout_, row, gguf_name, part, head));
            tensor(names.back());
        }
    }
    return names;
}

const SourceTensor& NamedTensors::tensor(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return *found->second;
    fail("%s: tensor `%s` is missing: the names are those of %s, but the file is incomplete", path_.c_str(), name.c_str(),
         layout_->name);
}

std::vector<int64_t> NamedTensors::matrix_shape(std::string_view gguf_name) const {
    const SourceTensor& first = tensor(part_names(gguf_name).front());
    const SourceTensor view = squeezed(first, 2);
    if (view.shape.size() != 2 || view.elements() == 0) wrong_shape(first, "two dimensions");
    return view.shape;
}

// Hugging Face's Conv1D stores (inputs, outputs), PyTorch's Linear (outputs, inputs).
bool NamedTensors::conv1d() const {
    if (!layout_->conv1d) return false;
    const std::vector<int64_t> qkv = matrix_shape(kQkv);
    return qkv[1] / 3 == qkv[0] && qkv[1] % 3 == 0;
}

std::vector<SourceTensor> NamedTensors::get(std::string_view gguf_name, const std::vector<int64_t>& shape) {
    const std::vector<std::string> names = part_names(gguf_name);
    const auto count = static_cast<int64_t>(names.size());
    std::vector<int64_t> expected = shape;
    expected[0] = shape[0] / count;
    const bool transposed = is_conv1d(gguf_name) && conv1d();
    if (transposed) std::reverse(expected.begin(), expected.end());
    std::vector<SourceTensor> parts;
    for (const std::string& name : names) {
        const SourceTensor& whole = tensor(name);
        const SourceTensor view = squeezed(whole, shape.size());
        if (view.shape != expected || shape[0] % count != 0) wrong_shape(whole, shape_text(expected));
        if (!view.readable()) view.read(0, {});  // says why
        parts.push_back(transposed ? view.transposed() : view);
        used_.insert(name);
    }
    return parts;
}

void NamedTensors::refuse_others(const ModelConfig& config) const {
    std::vector<const SourceTensor*> others;
    for (const auto& [name, tensor] : by_name_)
        if (!used_.contains(name)) others.push_back(tensor);
    for (const SourceTensor* head : other_heads_)  // it may give the next token after all
        if (head->shape == std::vector<int64_t>{config.vocab, config.embd}) others.push_back(head);
    if (others.empty()) return;
    const std::string more = others.size() > 1 ? strprintf(" (and %zu others)", others.size() - 1) : "";
    fail("%s: tensor `%s`%s belongs to no parameter of a GPT-2 of %lld layers", path_.c_str(),
         printable(others.front()->name).c_str(), more.c_str(), static_cast<long long>(config.layers));
}

}  // namespace nib
