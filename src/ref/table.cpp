#include "ref/kernels.h"
#include "ref/ops.h"

namespace nib::ref {
namespace {

template <class Real>
constexpr KernelTable make_table(const char* name) {
    KernelTable t;
    t.name = name;
    const auto set = [&](Op op, Kernel kernel) { t.run[static_cast<int>(op)] = kernel; };
    set(Op::Embed, embed<Real>);
    set(Op::EmbedBackward, embed_backward<Real>);
    set(Op::Norm, norm<Real>);
    set(Op::NormBackward, norm_backward<Real>);
    set(Op::NormBackwardWeight, norm_backward_weight<Real>);
    set(Op::Linear, linear<Real>);
    set(Op::LinearBackwardEpilogue, linear_backward_epilogue<Real>);
    set(Op::LinearBackward, linear_backward<Real>);
    set(Op::LinearBackwardWeight, linear_backward_weight<Real>);
    set(Op::Attention, attention<Real>);
    set(Op::AttentionBackward, attention_backward<Real>);
    set(Op::AttentionCached, attention_cached<Real>);
    set(Op::GatherRows, gather_rows<Real>);
    set(Op::CrossEntropy, cross_entropy<Real>);
    set(Op::SumSquares, sum_squares<Real>);
    set(Op::ClipFactor, clip_factor<Real>);
    set(Op::AdamW, adamw<Real>);
    set(Op::Sgd, sgd<Real>);
    return t;
}

}  // namespace

constexpr KernelTable table = make_table<float>("ref");
constexpr KernelTable table_double = make_table<double>("ref double");

}  // namespace nib::ref
