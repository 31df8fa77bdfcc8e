#include "ref/kernels.h"
#include "ref/ops.h"

namespace nib::ref {
namespace {

template <class Real>
constexpr KernelTable make_table(const char* name) {
    KernelTable t;
    t.name = name;
#define OP(Name, name, ...) t.run[static_cast<int>(Op::Name)] = nib::ref::name<Real>;
#include "core/op_table.inc"
    return t;
}

}  // namespace

constexpr KernelTable table = make_table<float>("ref");
constexpr KernelTable table_double = make_table<double>("ref double");

}  // namespace nib::ref
