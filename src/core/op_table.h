// What the core knows of each op: the rows of core/op_table.inc.
#pragma once

#include <span>
#include <string_view>

#include "core/op.h"

namespace nib {

class Graph;
struct Node;

/// Element types that an operand may have.
enum class Types : uint8_t {
    F32,
    F64,
    Index,       // I32: places in a dimension
    Target,      // the same, or kIgnore
    Spans,       // I32: the first and the last + 1 place of each row, neither ever decreasing in a sequence
    AnySpans,    // the same in any order
    Texts,       // the same, and none begins before the one before it ends
    Activation,  // F32, or F16 where the backend can
    Weight,      // any that quant/quantize.h unpacks
    Cache,       // F32 or F16
};

constexpr bool is_spans(Types types) { return types == Types::Spans || types == Types::AnySpans || types == Types::Texts; }

/// Whether they are numbers of places: I32.
constexpr bool is_index(Types types) { return types == Types::Index || types == Types::Target || is_spans(types); }

/// What happens to an output. All but Overwrites may read the old values, Adds and AddsWeight only when told to.
enum class Writes : uint8_t {
    Overwrites,
    Adds,        // the gradient of an activation: = or += by node
    AddsWeight,  // the gradient of a weight, which also adds up over micro-batches
    Updates,     // in place, all of it or in part
};

/// How an op's work divides among workers.
enum class Units : uint8_t {
    Rows,            // B*T
    Columns,         // C
    Outputs,         // N
    RowsOrOutputs,   // N by columns
    RowsOrColumns,   // C by columns
    Heads,           // B*H
    KeyHeads,        // B*G
    RowsByKeyHeads,  // G*B*T: unit g * B*T + r is key/value head g of row r
    SumBlocks,       // ceil(C / kSumBlock)
    One,
};

struct Operand {
    const char* name = nullptr;
    std::string_view dims;  // letters, outermost first; of an index the dimension that it counts after `<`
    Types types = Types::F32;
    bool optional = false;
    Writes writes = Writes::Overwrites;  // outputs
    bool slice = false;                  // it may be a slice of the columns of a wider tensor
    std::string_view in_place_of{};      // outputs: the input that it may overwrite
    explicit operator bool() const { return name != nullptr; }
    /// Of an index, the letter of the dimension it is an index into; else 0.
    char counts() const;
    /// The dims without it.
    std::string_view shape() const { return dims.substr(0, dims.find('<')); }
};

struct OpInfo {
    Op op;
    const char* name;
    Operand operands[kMaxOperands];
    Units units;
    int products;                                  // of matrices: (R,C) by (N,C), or of each head's (T,D) by (S,D)
    std::string_view options;                      // names of members of Params, with blanks between them
    void (*gradient)(Graph& g, const Node& node);  // records the backward nodes; null: there are none
    bool has_option(std::string_view option) const;
    /// The number of the operand of that name; -1: none.
    int find(std::string_view operand) const;
    std::span<const Operand> inputs() const { return {operands, kMaxIn}; }
    std::span<const Operand> outputs() const { return {operands + kMaxIn, kMaxOut}; }
};

const OpInfo& op_info(Op op);
inline const char* op_name(Op op) { return op_info(op).name; }

/// The dimension that a letter of core/op_table.inc stands for; 0 while it is not known. A digit is itself.
int64_t dimension(const Params& p, char letter);

/// Elements of an operand.
int64_t operand_elements(const Params& p, const Operand& operand);

/// Units with all rows, and with the rows of this run.
int64_t op_units(Op op, const Params& p);
int64_t op_units(const Call& call);

/// Units of one sequence, if the op computes each sequence of the batch from that sequence alone; else 0.
int64_t op_units_per_sequence(Op op, const Params& p);

/// Floating-point operations of its matrix products; causal attention counts only what is not masked.
double op_flops(Op op, const Params& p);

/// Whether it computes each row of an activation from that row of others, which it leaves as they are, without products of
/// matrices.
bool op_is_cheap(Op op);

/// Whether all its outputs are gradients of weights, which nothing else in the backward pass reads.
bool op_is_weight_gradient(Op op);

/// Whether the call reads the old values of an output.
bool op_reads_output(const Call& call, int operand);

}  // namespace nib
