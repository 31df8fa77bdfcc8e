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
        case Op::NormBackwardWeight: return 16;  // columns: whole cache lines
        case Op::Linear:
        case Op::LinearBackward: return call.p.by_columns ? 16 : 8;
        case Op::LinearBackwardWeight: return 48;  // so that packing x pays
        case Op::AdamW:
        case Op::Sgd: return 4096;
        default: return 1;
    }
}

size_t scratch_bytes(const Call& call) {
    switch (call.op) {
        case Op::Linear: {
            const size_t few = linear_few_rows_scratch_bytes(call), many = linear_scratch_bytes(call);
            return few > many ? few : many;
        }
        case Op::LinearBackward:
        case Op::LinearBackwardWeight: return linear_scratch_bytes(call);
        case Op::Attention:
        case Op::AttentionBackward:
        case Op::AttentionCached: return attention_scratch_bytes(call);
        default: return 0;
    }
}

constexpr KernelTable make_table() {
    KernelTable t;
    t.name = NIB_TEXT(NIB_ISA);
    const auto set = [&](Op op, Kernel kernel) { t.run[static_cast<int>(op)] = kernel; };
    set(Op::Embed, embed);
    set(Op::EmbedBackward, embed_backward);
    set(Op::Norm, norm);
    set(Op::NormBackward, norm_backward);
    set(Op::NormBackwardWeight, norm_backward_weight);
    set(Op::Linear, linear);
    set(Op::LinearBackwardEpilogue, linear_backward_epilogue);
    set(Op::LinearBackward, linear_backward);
    set(Op::LinearBackwardWeight, linear_backward_weight);
    set(Op::Attention, attention);
    set(Op::AttentionBackward, attention_backward);
    set(Op::AttentionCached, attention_cached);
    set(Op::GatherRows, gather_rows);
    set(Op::CrossEntropy, cross_entropy);
    set(Op::SumSquares, sum_squares);
    set(Op::ClipFactor, clip_factor);
    set(Op::AdamW, adamw);
    set(Op::Sgd, sgd);
    t.grain = grain;
    t.scratch_bytes = scratch_bytes;
    t.packed_bytes = linear_packed_bytes;
    t.pack_units = linear_pack_units;
    t.pack = linear_pack;
    t.peak_flops = peak_flops;
    t.read_memory = read_memory;
    return t;
}

}  // namespace

extern const KernelTable table;
constexpr KernelTable table = make_table();

}  // namespace nib::cpu::NIB_ISA
