#include "core/op_table.h"

#include <algorithm>

#include "core/error.h"
#include "core/gradients.h"

namespace nib {
namespace {

constexpr void (*no_gradient)(Graph&, const Node&) = nullptr;

template <size_t kIn, size_t kOut>
constexpr OpInfo row(Op op, const char* name, const Operand (&in)[kIn], const Operand (&out)[kOut], Units units,
                     int products, std::string_view options, void (*gradient)(Graph&, const Node&)) {
    static_assert(kIn <= kMaxIn && kOut <= kMaxOut);
    OpInfo info{op, name, {}, units, products, options, gradient};
    for (size_t i = 0; i < kIn; ++i) info.operands[i] = in[i];
    for (size_t i = 0; i < kOut; ++i) info.operands[kMaxIn + i] = out[i];
    return info;
}

constexpr OpInfo kTable[kOpCount] = {
#define OP(Name, name, inputs, outputs, units, products, options, gradient) \
    row(Op::Name, #name, {inputs}, {outputs}, Units::units, products, options, gradient),
#define IN(name, dims, types) Operand{#name, dims, Types::types},
#define OPTIONAL_IN(name, dims, types) Operand{#name, dims, Types::types, true},
#define SLICE(name, dims, types) Operand{#name, dims, Types::types, false, Writes::Overwrites, true},
#define OUT(name, dims, types, writes, ...) Operand{#name, dims, Types::types, false, Writes::writes, false, #__VA_ARGS__},
#define OPTIONAL_OUT(name, dims, types, writes, ...) \
    Operand{#name, dims, Types::types, true, Writes::writes, false, #__VA_ARGS__},
#define SLICE_OUT(name, dims, types, writes) Operand{#name, dims, Types::types, false, Writes::writes, true},
#include "core/op_table.inc"
};

}  // namespace

char Operand::counts() const {
    const size_t at = dims.find('<');
    return at == dims.npos ? '\0' : dims[at + 1];
}

bool OpInfo::has_option(std::string_view option) const {
    for (size_t at = options.find(option); at != options.npos; at = options.find(option, at + 1)) {
        const size_t end = at + option.size();
        if ((at == 0 || options[at - 1] == ' ') && (end == options.size() || options[end] == ' ')) return true;
    }
    return false;
}

int OpInfo::find(std::string_view operand) const {
    for (int i = 0; i < kMaxOperands; ++i)
        if (operands[i] && operands[i].name == operand) return i;
    return -1;
}

const OpInfo& op_info(Op op) { return kTable[static_cast<size_t>(op)]; }

int64_t dimension(const Params& p, char letter) {
    switch (letter) {
        case 'B': return p.B;
        case 'T': return p.T;
        case 'R': return p.B * p.T;
        case 'C': return p.C;
        case 'N': return p.N;
        case 'H': return p.H;
        case 'G': return p.G;
        case 'S': return p.S;
        case 'L': return p.L;
        case 'K': return p.K;
        case 'D': return p.D;
        default: CHECK(letter >= '1' && letter <= '9'); return letter - '0';
    }
}

int64_t operand_elements(const Params& p, const Operand& operand) {
    int64_t elements = 1;
    for (const char letter : operand.shape())
        if (letter != ',') elements *= dimension(p, letter);
    return elements;
}

namespace {

bool by_rows(Op op, const Params& p) {
    const Units units = op_info(op).units;
    return units == Units::Rows || ((units == Units::RowsOrOutputs || units == Units::RowsOrColumns) && !p.by_columns);
}

}  // namespace

int64_t op_units(Op op, const Params& p) {
    switch (op_info(op).units) {
        case Units::Rows: return p.B * p.T;
        case Units::Columns: return p.C;
        case Units::Outputs: return p.N;
        case Units::RowsOrOutputs: return p.by_columns ? p.N : p.B * p.T;
        case Units::RowsOrColumns: return p.by_columns ? p.C : p.B * p.T;
        case Units::Heads: return p.B * p.H;
        case Units::KeyHeads: return p.B * p.G;
        case Units::RowsByKeyHeads: return p.G * p.B * p.T;
        case Units::SumBlocks: return (p.C + kSumBlock - 1) / kSumBlock;
        case Units::One: return 1;
    }
    return 0;
}

int64_t op_units(const Call& call) { return by_rows(call.op, call.p) ? call.rows() : op_units(call.op, call.p); }

int64_t op_units_per_sequence(Op op, const Params& p) {
    if (by_rows(op, p)) return p.T;
    const Units units = op_info(op).units;
    return units == Units::Heads ? p.H : units == Units::KeyHeads ? p.G : 0;
}

double op_flops(Op op, const Params& p) {
    const int products = op_info(op).products;
    const auto real = [](int64_t n) { return static_cast<double>(n); };
    const double rows = real(p.B) * real(p.T);
    if (p.H == 0) return 2 * products * rows * real(p.C) * real(p.N);
    double keys = real(p.S);  // that a query sees, on average
    if (p.causal && p.S == p.T) keys = (keys + 1) / 2;
    if (p.window > 0) keys = std::min(keys, real(p.window));
    return 2 * products * rows * keys * real(p.H) * real(p.D);
}

bool op_is_cheap(Op op) {
    const OpInfo& about = op_info(op);
    return about.units == Units::Rows && about.products == 0 && about.gradient != nullptr &&
           !is_index(about.operands[0].types) && about.operands[kMaxIn].in_place_of.empty();
}

bool op_is_weight_gradient(Op op) {
    for (const Operand& out : op_info(op).outputs())
        if (out && out.writes != Writes::AddsWeight) return false;
    return true;
}

bool op_reads_output(const Call& call, int operand) {
    switch (op_info(call.op).operands[operand].writes) {
        case Writes::Overwrites: return false;
        case Writes::Adds: return call.adds(operand);
        case Writes::AddsWeight: return call.adds_weight(operand);
        case Writes::Updates: return true;
    }
    return false;
}

}  // namespace nib
