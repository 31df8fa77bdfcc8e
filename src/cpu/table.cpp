// The kernel table of one instruction set.
#include "cpu/kernels.h"

#define NIB_TEXT_(x) #x
#define NIB_TEXT(x) NIB_TEXT_(x)

namespace nib::cpu::NIB_ISA {
namespace {

using namespace NIB_BASE;

int64_t grain(const Call& call) {
    switch (call.op) {
        case Op::EmbedBackward:
        case Op::GatherBackward:
        case Op::MeanRowsBackward:
        case Op::NormBackwardWeight:
        case Op::Similarity:
        case Op::SimilarityBackward: return 16;  // columns: whole cache lines
        case Op::Linear:
        case Op::LinearBackward: return call.p.by_columns ? 16 : 8;
        case Op::LinearBackwardWeight: return 48;  // so that packing x pays off
        case Op::AdamW:
        case Op::Sgd:
        case Op::Adagrad: return 4096;
        default: return 1;
    }
}

size_t scratch_bytes(const Call& call) {
    switch (call.op) {
        case Op::Linear: {
            const size_t blocks = linear_blocks_scratch_bytes(call);
            return blocks > 0 ? blocks : linear_scratch_bytes(call);
        }
        case Op::LinearBackward:
        case Op::LinearBackwardWeight: return linear_scratch_bytes(call);
        case Op::Attention:
        case Op::AttentionBackward:
        case Op::AttentionCached: return attention_scratch_bytes(call);
        default: return 0;
    }
}

// What is packed are the weights or, with weights in blocks, the rows of x.
size_t packed_bytes(const Call& call) {
    const size_t bytes = linear_blocks_packed_bytes(call);
    return bytes > 0 ? bytes : linear_packed_bytes(call);
}

int64_t pack_units(const Call& call) {
    const int64_t units = linear_blocks_pack_units(call);
    return units > 0 ? units : linear_pack_units(call);
}

void pack(const Call& call, Range units, void* packed) {
    (linear_blocks_pack_units(call) > 0 ? linear_blocks_pack : linear_pack)(call, units, packed);
}

constexpr KernelTable make_table() {
    KernelTable t;
    t.name = NIB_TEXT(NIB_ISA);
#define OP(Name, name, ...) t.run[static_cast<int>(Op::Name)] = name;
#include "core/op_table.inc"
    t.run[static_cast<int>(Op::Linear)] = NIB_ISA::linear;
    t.grain = grain;
    t.scratch_bytes = scratch_bytes;
    t.prepare = linear_blocks_prepare;
    t.packed_bytes = packed_bytes;
    t.pack_units = pack_units;
    t.pack = pack;
    t.same_packing = linear_blocks_same_packing;
    t.peak_flops = peak_flops;
    t.read_memory = read_memory;
    return t;
}

}  // namespace

extern const KernelTable table;
constexpr KernelTable table = make_table();

}  // namespace nib::cpu::NIB_ISA
