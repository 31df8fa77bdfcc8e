#include "model/layouts.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

constexpr std::string_view kWildcards = "#*", kBias = ".bias", kEncoder = "enc.";

// Parts of names that only these have.
constexpr std::pair<std::string_view, const char*> kForeign[] = {
    {".attn.q_proj.",                   "GPT-J"                       },
    {".attn.qkv_proj.",                 "CodeGen"                     },
    {"gpt_neox.",                       "GPT-NeoX"                    },
    {".self_attention.query_key_value", "BLOOM, Falcon or Megatron"   },
    {".self_attn.out_proj.",            "OPT, fairseq or their kin"   },
    {".self_attn.qkv_proj.",            "Phi-3 or its kin"            },
    {".self_attn.in_proj_weight",       "PyTorch's own nn.Transformer"},
    {".SelfAttention.",                 "T5"                          },
    {".attention.q_lin.",               "DistilBERT"                  },
    {".attn.W_Q",                       "TransformerLens"             },
};

// Takes digits from the front of `text`; -1 if there are none or the number is too large.
int32_t take_number(std::string_view& text) {
    int32_t number = -1;
    if (text.empty() || text[0] < '0' || text[0] > '9') return -1;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc()) return -1;
    text.remove_prefix(static_cast<size_t>(rest - text.data()));
    return number;
}

std::string with_numbers(std::string_view pattern, int64_t block, int64_t head) {
    std::string name;
    for (const char c : pattern)
        if (c == '#' || c == '*')
            name += std::to_string(c == '#' ? block : head);
        else
            name += c;
    return name;
}

std::string_view without_ending(std::string_view gguf_name) { return gguf_name.substr(0, gguf_name.rfind('.')); }

// None when `name` is not as the pattern says.
std::optional<NameNumbers> match_name(std::string_view pattern, std::string_view name) {
    NameNumbers numbers;
    for (;;) {
        const std::string_view literal = pattern.substr(0, pattern.find_first_of(kWildcards));
        if (!name.starts_with(literal)) return std::nullopt;
        name.remove_prefix(literal.size());
        pattern.remove_prefix(literal.size());
        if (pattern.empty()) break;
        const int32_t number = take_number(name);
        if (number < 0) return std::nullopt;
        (pattern[0] == '#' ? numbers.block : numbers.head) = number;
        pattern.remove_prefix(1);
    }
    return name.empty() ? std::optional(numbers) : std::nullopt;
}

std::optional<NameNumbers> find_in(const StoredAs& row, std::string_view name) {
    const auto find = [&](std::string_view ending) -> std::optional<NameNumbers> {
        if (!name.ends_with(ending)) return std::nullopt;
        const std::string_view stem = name.substr(0, name.size() - ending.size());
        for (const std::string_view part : row.parts) {
            auto numbers = part.empty() ? std::nullopt : match_name(part, stem);
            if (!numbers) continue;
            numbers->encoder = row.parameter.starts_with(kEncoder);
            return numbers;
        }
        return std::nullopt;
    };
    const auto weight = find(row.endings.weight);
    return weight || row.endings.bias.empty() ? weight : find(row.endings.bias);
}

// The first dimension, rows of heads, as (heads, a, b) with the two inner ones swapped.
SourceTensor swapped_pairs(SourceTensor tensor, int64_t head_size, int64_t inner) {
    const int64_t rows = tensor.shape[0], stride = tensor.strides[0], outer = head_size / inner;
    CHECK(rows % head_size == 0 && head_size % inner == 0);
    tensor.shape[0] = rows / head_size, tensor.strides[0] = head_size * stride;
    const int64_t shape[] = {inner, outer}, strides[] = {stride, inner * stride};
    tensor.shape.insert(tensor.shape.begin() + 1, std::begin(shape), std::end(shape));
    tensor.strides.insert(tensor.strides.begin() + 1, std::begin(strides), std::end(strides));
    return tensor;
}

}  // namespace

std::optional<NameNumbers> Layout::find_parameter(std::string_view parameter) const {
    for (const auto rows : {body, heads})
        for (const StoredAs& row : rows)
            if (const auto numbers = find_in(row, parameter)) return numbers;
    return std::nullopt;
}

bool Layout::has_buffer(std::string_view buffer) const {
    return std::any_of(constants.begin(), constants.end(),
                       [&](std::string_view pattern) { return match_name(pattern, buffer).has_value(); });
}

std::span<const StoredAs> rows_of(const Layout& layout, std::string_view name) {
    const std::string_view parameter = without_ending(name);
    const auto is_it = [&](const StoredAs& row) { return match_name(row.parameter, parameter).has_value(); };
    for (const auto rows : {layout.body, layout.heads}) {
        const auto first = std::find_if(rows.begin(), rows.end(), is_it);
        if (first != rows.end()) return {first, std::find_if_not(first, rows.end(), is_it)};
    }
    return {};
}

const StoredAs& first_row_of(const Layout& layout, std::string_view name) {
    const auto rows = rows_of(layout, name);
    const auto named =
        std::find_if(rows.begin(), rows.end(), [&](const StoredAs& row) { return !stored_name(row, name).empty(); });
    CHECK(named != rows.end());
    return *named;
}

std::string stored_name(const StoredAs& row, std::string_view name, size_t part, int64_t head) {
    const std::string_view ending = name.ends_with(kBias) ? row.endings.bias : row.endings.weight;
    if (name.ends_with(kBias) && ending.empty()) return "";
    const auto numbers = match_name(row.parameter, without_ending(name));
    CHECK(numbers.has_value());
    return with_numbers(row.parts[part], numbers->block, head) + std::string(ending);
}

std::string parameter_of(const Layout& layout, std::string_view stored) {
    for (const StoredAs& row : layout.body) {
        if (!row.parts[1].empty() || !stored.ends_with(row.endings.weight)) continue;
        const auto numbers = match_name(row.parts[0], stored.substr(0, stored.size() - row.endings.weight.size()));
        if (numbers && numbers->head < 0) return with_numbers(row.parameter, numbers->block, 0) + ".weight";
    }
    return "";
}

std::string hf_name(const Layout& layout, std::string_view name, bool with_head) {
    const StoredAs* const row = &first_row_of(layout, name);
    const bool in_body = row >= layout.body.data() && row < layout.body.data() + layout.body.size();
    return (in_body && with_head ? layout.prefix : "") + stored_name(*row, name);
}

SourceTensor as_parameter(const SourceTensor& stored, Order order, const ModelConfig& c) {
    if (order == Order::Conv1d && stored.shape.size() == 2) return stored.transposed();
    if (order == Order::Halves && c.rope.interleaved) return swapped_pairs(stored, c.head_dim(), c.head_dim() / 2);
    return stored;
}

SourceTensor as_stored(const SourceTensor& parameter, Order order, const ModelConfig& c) {
    if (order == Order::Conv1d && parameter.shape.size() == 2) return parameter.transposed();
    if (order == Order::Halves && c.rope.interleaved) return swapped_pairs(parameter, c.head_dim(), 2);
    return parameter;
}

const char* foreign_model(std::string_view name) {
    for (const auto& [part, model] : kForeign)
        if (name.find(part) != name.npos) return model;
    return nullptr;
}

}  // namespace nib
