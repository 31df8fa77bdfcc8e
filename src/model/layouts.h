// How the programs that save GPT-2s name and store the parameters: one table for each, beside the names of GGUF files.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/op.h"

namespace nib {

struct Endings {
    std::string_view weight = ".weight", bias = ".bias";
};

/// Where one kind of parameter is.
struct StoredAs {
    std::string_view parameter;  // in GGUF, without "blk.N." and ending: "attn_qkv"
    /// Names without ending. Of several tensors the rows come one below the other; `*`: a tensor for each head.
    std::array<std::string_view, 3> parts;
    Endings endings = {};
};

struct Layout {
    const char* name;                            // whose it is, for messages
    std::span<const StoredAs> outside;           // parameters outside the blocks; a second row is a second name
    std::string_view block;                      // before the number of a block: "h."
    std::span<const StoredAs> inside;            // parameters of a block
    std::span<const std::string_view> constant;  // buffers of a block that hold no trained values: masks
    Act act;                                     // in the program that the layout comes from
    bool conv1d = false;                         // matrices of blocks may be transposed, as its Conv1D stores them
    bool tied = false;                           // where the head is the embedding, one of them may be missing
    const char* note = nullptr;                  // what else is taken for granted; null: nothing

    /// Whether this is the name of a parameter, or of a buffer, here.
    bool has_parameter(std::string_view name) const;
    bool has_buffer(std::string_view name) const;
};

/// The first is that of Hugging Face's `transformers`, which nanoGPT, minGPT and makemore have taken over.
std::span<const Layout> layouts();

/// What a model is that has a tensor of this name and none of the layouts, or null.
const char* foreign_model(std::string_view name);

/// The number N in "PREFIX N . REST", and REST in its place; -1, and `name` as it was, if it is no such name.
int32_t take_number(std::string_view& name, std::string_view prefix);

/// Part `part` of the parameter that GGUF calls `gguf_name` ("blk.3.attn_qkv.weight") as `row`, which is its row in
/// `layout`, names it, for head number `head`.
std::string stored_name(const Layout& layout, const StoredAs& row, std::string_view gguf_name, size_t part, int64_t head);

/// The rows of `layout` for a parameter: one, or one for each name that it may have.
std::span<const StoredAs> rows_of(const Layout& layout, std::string_view gguf_name);

/// "blk.3.attn_qkv.weight" is "h.3.attn.c_attn.weight" for Hugging Face, without the prefix "transformer." that all but the
/// head have.
std::string hf_name(std::string_view gguf_name);

/// Whether Hugging Face stores this parameter transposed, inputs by outputs (its Conv1D): the matrices in the blocks.
bool is_conv1d(std::string_view gguf_name);

}  // namespace nib
