#include "model/named_tensors.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "model/tensor_names.h"

namespace nib {
namespace {

// Components that wrappers put anywhere into a name: torch.compile, DistributedDataParallel, FSDP, Fabric, PEFT.
constexpr std::string_view kWrappers[] = {
    "_orig_mod", "module", "_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_forward_module", "base_layer"};
// Heads of other tasks, beside whatever ends in "_head".
constexpr std::string_view kOtherHeads[] = {"score", "classifier", "qa_outputs"};
constexpr std::string_view kAdapters[] = {"lora_", "modules_to_save", "ia3_l", "prompt_encoder"};

constexpr const char* kPositions = "position_embd.weight";
constexpr const char* kSegments = "token_types.weight";
constexpr const char* kPooler = "cls.weight";
constexpr const char* kQkv = "blk.0.attn_qkv.weight";
constexpr const char* kUp = "blk.0.ffn_up.weight";

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

// Whether `name` is of a head that the layout does not have.
bool is_other_head(std::string_view name, const Layout& layout) {
    const std::string_view head = take_component(name);
    for (const StoredAs& row : layout.heads)
        if (row.parts[0].substr(0, row.parts[0].find('.')) == head) return false;
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

void refuse_foreign(const std::string& path, const std::string& name) {
    if (const char* model = foreign_model("." + name))
        fail("%s: tensor `%s` is one of %s, which nib does not convert", path.c_str(), printable(name).c_str(), model);
}

[[noreturn]] void refuse_unknown(const std::string& path, const std::vector<std::string>& names) {
    for (const std::string& name : names) refuse_foreign(path, name);
    const std::string like = names.empty() ? "" : ", such as `" + printable(names.front()) + "`,";
    std::string titles;
    for (const Architecture* family : architectures())
        if (family->checkpoints != nullptr) titles += (titles.empty() ? "" : ", ") + std::string(family->title);
    fail("%s: its tensors%s have the names of no model that nib converts: %s", path.c_str(), like.c_str(), titles.c_str());
}

// A view without leading dimensions of 1 beyond `rank`: minGPT's (1,T,C).
SourceTensor squeezed(SourceTensor tensor, size_t rank) {
    while (tensor.shape.size() > rank && tensor.shape.front() == 1) {
        tensor.shape.erase(tensor.shape.begin());
        tensor.strides.erase(tensor.strides.begin());
    }
    return tensor;
}

std::string embedding_name(const Layout& layout) { return stored_name(rows_of(layout, kEmbedding)[0], kEmbedding); }

}  // namespace

std::string shape_text(std::span<const int64_t> shape) {
    std::string text;
    for (const int64_t d : shape) text += (text.empty() ? "(" : ",") + std::to_string(d);
    return text.empty() ? "()" : text + ")";
}

// A layout, a prefix, and how many names are those of parameters then.
struct NamedTensors::Candidate {
    const Architecture* family;
    const Layout* layout;
    std::string prefix;
    size_t votes = 0;
    bool body = false;  // blocks or the embedding: a head alone may be anybody's
    bool embedding = false, encoder = false;
};

NamedTensors::NamedTensors(const CheckpointSource& source, const Architecture* said)
    : path_(printable(source.path(), 400)) {
    refuse_adapter(source);
    std::vector<std::string> names;
    for (const SourceTensor& tensor : source.tensors()) names.push_back(without_wrappers(tensor.name));
    take_layout(names, said);
    for (size_t i = 0; i < names.size(); ++i) {
        const SourceTensor& tensor = source.tensors()[i];
        const std::string name(without_prefix(names[i], prefix_));
        if (layout_->has_buffer(name)) continue;
        if (is_other_head(name, *layout_)) {
            other_heads_.push_back(&tensor);
            continue;
        }
        const auto [other, added] = by_name_.emplace(name, &tensor);
        if (!added)
            fail("%s: tensors `%s` and `%s` are the same parameter", path_.c_str(), printable(other->second->name).c_str(),
                 printable(tensor.name).c_str());
        if (const auto numbers = layout_->find_parameter(name)) heads_ = std::max(heads_, int64_t{numbers->head} + 1);
    }
}

// Those of the layout that fits best, the best first; of equal ones the first in the table. None if nothing is a part of a
// model's body.
std::vector<NamedTensors::Candidate> NamedTensors::candidates(const std::vector<std::string>& names,
                                                              std::span<const Architecture* const> families) {
    const auto rank = [](const Candidate& c) { return std::pair(c.body, c.votes); };
    std::vector<Candidate> best;
    for (const Architecture* family : families) {
        if (family->checkpoints == nullptr) continue;
        for (const Layout& layout : family->checkpoints->layouts) {
            std::vector<Candidate> found = candidates(names, *family, layout);
            const auto first = std::max_element(found.begin(), found.end(),
                                                [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
            if (first == found.end() || !first->body || (!best.empty() && rank(best[0]) >= rank(*first))) continue;
            std::rotate(found.begin(), first, first + 1);
            best = std::move(found);
        }
    }
    return best;
}

// By prefix.
std::vector<NamedTensors::Candidate> NamedTensors::candidates(const std::vector<std::string>& names,
                                                              const Architecture& family, const Layout& layout) {
    std::map<std::string_view, Candidate> found;
    const std::string embedding = embedding_name(layout);
    for (const std::string& name : names) {
        for (std::string_view rest = name; !rest.empty(); take_component(rest)) {
            const auto numbers = layout.find_parameter(rest);
            if (!numbers) continue;
            const std::string_view prefix = std::string_view(name).substr(0, name.size() - rest.size());
            Candidate& c = found.try_emplace(prefix, Candidate{&family, &layout, std::string(prefix)}).first->second;
            ++c.votes;
            c.embedding |= rest == embedding;
            c.encoder |= numbers->encoder;
            c.body |= c.embedding || numbers->block >= 0;
            break;
        }
    }
    std::vector<Candidate> all;
    for (auto& [prefix, candidate] : found) {
        if (family.has_encoder && !candidate.encoder) candidate.body = false;  // OPT's decoder has the same names
        all.push_back(std::move(candidate));
    }
    return all;
}

void NamedTensors::take_layout(const std::vector<std::string>& names, const Architecture* said) {
    std::vector<Candidate> found;
    if (said != nullptr) found = candidates(names, {&said, 1});
    if (found.empty()) {
        found = candidates(names, architectures());
        if (found.empty()) refuse_unknown(path_, names);
    }
    architecture_ = found[0].family, layout_ = found[0].layout, prefix_ = found[0].prefix;
    const auto other = std::find_if(found.begin() + 1, found.end(), [](const Candidate& c) { return c.embedding; });
    if (!found[0].embedding || other == found.end()) return;
    const std::string embedding = embedding_name(*layout_);
    fail("%s: holds two models, with the embeddings `%s` and `%s`; save the state dict of one alone", path_.c_str(),
         printable(prefix_ + embedding).c_str(), printable(other->prefix + embedding).c_str());
}

ModelConfig NamedTensors::sizes() const {
    ModelConfig c;
    c.arch = architecture_->name;
    architecture_->defaults(c);
    c.heads = heads_;
    const auto embedding = matrix_shape(has(kEmbedding) || !has(kHead) ? kEmbedding : kHead);
    c.vocab = embedding[0];
    c.embd = embedding[1];
    c.context = rows_of(*layout_, kPositions).empty() ? 0 : matrix_shape(kPositions)[0];
    c.ffn = matrix_shape(kUp)[conv1d(row_of(kUp)) ? 1 : 0];
    const auto there = [&](const char* name) { return !rows_of(*layout_, name).empty() && has(name); };
    if (!rows_of(*layout_, kSegments).empty()) c.segments = matrix_shape(kSegments)[0];
    c.pooler = there(kPooler);
    for (const HeadTensor& head : architecture_->heads)
        if (there(head.tensor)) c.task_heads.push_back({head.name, tensor(name_of(head.tensor)).shape.at(0), {}});
    c.layers = 0;
    for (const auto& [name, tensor] : by_name_)
        if (const auto numbers = layout_->find_parameter(name)) {
            int64_t& layers = numbers->encoder ? c.encoder_layers : c.layers;
            layers = std::max(layers, int64_t{numbers->block} + 1);
        }
    return c;
}

// "score."
std::string NamedTensors::module_of(std::string_view gguf_name) const {
    const std::string name = name_of(gguf_name);
    return name.substr(0, name.rfind('.') + 1);
}

bool NamedTensors::is_alone(std::string_view gguf_name) const {
    const std::string module = module_of(gguf_name);
    return std::count_if(by_name_.begin(), by_name_.end(),
                         [&](const auto& entry) { return entry.first.starts_with(module); }) == 1;
}

// With its bias, which the layout may not have.
void NamedTensors::leave_out(std::string_view gguf_name) {
    const std::string module = module_of(gguf_name);
    for (auto at = by_name_.lower_bound(module); at != by_name_.end() && at->first.starts_with(module);) {
        other_heads_.push_back(at->second);
        at = by_name_.erase(at);
    }
}

// Of the rows of the layout for this parameter that whose tensor is there, else the first.
const StoredAs& NamedTensors::row_of(std::string_view gguf_name) const {
    const auto rows = rows_of(*layout_, gguf_name);
    CHECK(!rows.empty());
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const StoredAs& row) { return by_name_.contains(stored_name(row, gguf_name)); });
    return found != rows.end() ? *found : rows.front();
}

bool NamedTensors::has(std::string_view gguf_name) const {
    const std::string name = name_of(gguf_name);
    return !name.empty() && by_name_.contains(name);
}

std::string NamedTensors::name_of(std::string_view gguf_name) const { return stored_name(row_of(gguf_name), gguf_name); }

// Of all parts, in the order of their rows: the heads of the queries, of the keys, of the values.
std::vector<std::string> NamedTensors::part_names(std::string_view gguf_name) const {
    const StoredAs& row = row_of(gguf_name);
    std::vector<std::string> names;
    for (size_t part = 0; part < row.parts.size() && !row.parts[part].empty(); ++part) {
        const int64_t heads = row.parts[part].find('*') == std::string_view::npos ? 1 : std::max<int64_t>(heads_, 1);
        for (int64_t head = 0; head < heads; ++head) {
            names.push_back(stored_name(row, gguf_name, part, head));
            tensor(names.back());
        }
    }
    return names;
}

const SourceTensor& NamedTensors::tensor(const std::string& name) const {
    const auto found = by_name_.find(name);
    if (found != by_name_.end()) return *found->second;
    for (const auto& [other, tensor] : by_name_)  // some share most of their names with a model that nib knows
        if (!layout_->find_parameter(other)) refuse_foreign(path_, other);
    fail("%s: tensor `%s` is missing: the names are those of %s, but the file is incomplete", path_.c_str(), name.c_str(),
         layout_->name);
}

std::vector<int64_t> NamedTensors::matrix_shape(std::string_view gguf_name) const {
    const SourceTensor& first = tensor(part_names(gguf_name).front());
    const SourceTensor view = squeezed(first, 2);
    if (view.shape.size() != 2 || view.elements() == 0) wrong_shape(first, "two dimensions");
    return view.shape;
}

// transformers' Conv1D stores (inputs, outputs); others have the same names for PyTorch's Linear, (outputs, inputs). The
// matrix for queries, keys and values tells them apart.
bool NamedTensors::conv1d(const StoredAs& row) const {
    if (row.order != Order::Conv1d) return false;
    const std::vector<int64_t> qkv = matrix_shape(kQkv);
    return qkv[1] / 3 == qkv[0] && qkv[1] % 3 == 0;
}

std::vector<SourceTensor> NamedTensors::get(std::string_view gguf_name, const std::vector<int64_t>& shape,
                                            const ModelConfig& config) {
    const StoredAs& row = row_of(gguf_name);
    const std::vector<std::string> names = part_names(gguf_name);
    const auto count = static_cast<int64_t>(names.size());
    std::vector<int64_t> expected = shape;
    expected[0] = shape[0] / count;
    const Order order = row.order == Order::Conv1d && !conv1d(row) ? Order::Same : row.order;
    if (order == Order::Conv1d && shape.size() == 2) std::reverse(expected.begin(), expected.end());
    std::vector<SourceTensor> parts;
    for (const std::string& name : names) {
        const SourceTensor& whole = tensor(name);
        const SourceTensor view = squeezed(whole, shape.size());
        if (view.shape != expected || shape[0] % count != 0) wrong_shape(whole, shape_text(expected));
        if (!view.readable()) view.read(0, {});  // says why
        parts.push_back(as_parameter(view, order, config));
        used_.insert(name);
    }
    return parts;
}

std::vector<const SourceTensor*> NamedTensors::copies(std::string_view gguf_name) {
    const StoredAs& taken = row_of(gguf_name);
    std::vector<const SourceTensor*> found;
    for (const StoredAs& row : rows_of(*layout_, gguf_name)) {
        const auto other = by_name_.find(stored_name(row, gguf_name));
        if (&row == &taken || other == by_name_.end()) continue;
        used_.insert(other->first);
        found.push_back(other->second);
    }
    return found;
}

void NamedTensors::refuse_others(const ModelConfig& config) const {
    std::vector<const SourceTensor*> others;
    for (const auto& [name, tensor] : by_name_)
        if (!used_.contains(name)) others.push_back(tensor);
    for (const SourceTensor* head : other_heads_)  // it may give the next token after all
        if (head->shape == std::vector<int64_t>{config.vocab, config.embd}) others.push_back(head);
    if (others.empty()) return;
    const std::string more = others.size() > 1 ? strprintf(" (and %zu others)", others.size() - 1) : "";
    fail("%s: tensor `%s`%s belongs to no parameter of a %s of %s", path_.c_str(), printable(others.front()->name).c_str(),
         more.c_str(), architecture_->title, counted(config.layers, "layer").c_str());
}

}  // namespace nib
