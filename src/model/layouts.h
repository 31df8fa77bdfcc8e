// How other programs name and store the parameters of models, beside the names of GGUF files: one table for each program.
// Each family has its own (model/checkpoint_format.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/op.h"
#include "io/source_tensor.h"
#include "model/config.h"

namespace nib {

/// Of the names of weights and biases. No `bias`: there is none under this name.
struct Endings {
    std::string_view weight = ".weight", bias = ".bias";
};
inline constexpr Endings kWeightBias, kNoBias{".weight", ""};

/// In which order a program stores the numbers of a parameter, if not as a GGUF file has them.
enum class Order : uint8_t {
    Same,
    Conv1d,  // matrices inputs by outputs, as transformers' Conv1D; programs that took over the names have them as usual
    OneRow,  // vectors as a matrix of one row
    Halves,  // in the rows of each head the first numbers of all rotary pairs, then the second ones ("rotate half")
};

/// Where one kind of parameter is. In names `#` stands for the number of a block, `*` for that of a head.
struct StoredAs {
    std::string_view parameter;  // in GGUF, without ending: "blk.#.attn_qkv"
    /// Names without ending: "h.#.attn.c_attn". Of several tensors the rows come one below the other; `*`: one
    /// for each head.
    std::array<std::string_view, 3> parts;
    Endings endings = {};
    Order order = Order::Same;
};

/// The numbers that stand for `#` and `*` in a name; -1: it has none.
struct NameNumbers {
    int32_t block = -1, head = -1;
    bool encoder = false;  // the block is one of an encoder beside a decoder: "enc.blk.#" in GGUF
};

struct Layout {
    const char* name;                             // whose it is, for messages
    std::span<const StoredAs> body;               // a second row of a parameter, below the first, is a second name
    std::span<const StoredAs> heads;              // the same for parameters that belong to a task, not to the model's body
    std::span<const std::string_view> constants;  // buffers that hold no trained values: masks
    const char* prefix = "";                      // before the body's names where transformers saves a model with its head
    std::optional<Act> act = std::nullopt;        // in that program; none: as is usual in the family
    bool tied = false;                            // where the head is the embedding, one of them may be missing
    bool biases_may_lack = false;                 // a kind of bias that no block has is zeros
    const char* note = nullptr;                   // what else is taken for granted; null: nothing

    /// The numbers in the name of a parameter, none if no parameter has such a name here.
    std::optional<NameNumbers> find_parameter(std::string_view name) const;
    /// Whether this is the name of a buffer.
    bool has_buffer(std::string_view name) const;
};

/// The rows of `layout` for the parameter that GGUF calls `gguf_name` ("blk.3.attn_qkv.weight"): none, one, or one for each
/// name that it may have.
std::span<const StoredAs> rows_of(const Layout& layout, std::string_view gguf_name);

/// Of them the first that has a name for it. It must be there.
const StoredAs& first_row_of(const Layout& layout, std::string_view gguf_name);

/// The parameter of the body that is stored as one tensor under this name, as GGUF calls it; empty: there is none.
std::string parameter_of(const Layout& layout, std::string_view stored);

/// Part `part` of that parameter as `row`, one of its rows, names it, for head number `head`. Empty: `row` has no bias.
std::string stored_name(const StoredAs& row, std::string_view gguf_name, size_t part = 0, int64_t head = 0);

/// What a parameter is called in a file that transformers saves: "transformer.h.3.attn.c_attn.weight". `layout` is its;
/// of a model without a head the names have no prefix.
std::string hf_name(const Layout& layout, std::string_view gguf_name, bool with_head = true);

/// A view of a stored tensor with the numbers in the model's order, and of a parameter in the order in which it is stored.
/// Shapes of views may have more dimensions; one after the other their elements are those of the parameter. Conv1d swaps
/// rows and columns of a matrix.
SourceTensor as_parameter(const SourceTensor& stored, Order order, const ModelConfig& config);
SourceTensor as_stored(const SourceTensor& parameter, Order order, const ModelConfig& config);

/// What a model is that has a tensor of this name and none of the layouts, or null.
const char* foreign_model(std::string_view name);

}  // namespace nib
