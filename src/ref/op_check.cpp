#include "ref/op_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>
#include <random>

#include "core/error.h"
#include "core/ops.h"
#include "ref/kernels.h"

namespace nib::ref {
namespace {

constexpr size_t kAlign = 64, kGuard = 256;  // bytes
constexpr int64_t kPieces = 3;

enum class Kind { Float, Double, Positive, Index, Target, Position };

// A tensor of a call: how many elements, and what they are.
struct Slot {
    int64_t elements = 0;
    Kind kind = Kind::Float;
    int64_t limit = 0;  // of an Index: its values are below
    size_t bytes() const { return static_cast<size_t>(elements) * (kind == Kind::Double ? 8 : 4); }
};

struct Layout {
    std::vector<Slot> in, out;
};

// The table in core/op.h.
Layout layout(const OpCase& c) {
    const Params& p = c.p;
    const int64_t R = p.B * p.T, C = p.C, N = p.N, S = p.S;
    const int64_t lse = p.B * p.H * p.T, cache = p.B * S * C, blocks = (C + kSumBlock - 1) / kSumBlock;
    const Slot ids{R, Kind::Index, N}, positions{R, Kind::Index, S}, RC{R * C}, RN{R * N}, NC{N * C}, SC{S * C};
    const Slot rows{R}, columns{C}, outputs{N}, qkv{3 * R * C}, rstd{R, Kind::Positive}, two{2, Kind::Positive};
    switch (c.op) {
        case Op::Embed:
            return {
                .in = {ids, positions, NC, SC},
                  .out = {RC}
            };
        case Op::EmbedBackward:
            return {
                .in = {RC, ids, positions},
                  .out = {NC,  SC   }
            };
        case Op::Norm:
            return {
                .in = {RC, columns, columns},
                  .out = {RC, rows,    rows   }
            };
        case Op::NormBackward:
            return {
                .in = {RC,       RC, columns, rows, rstd},
                  .out = {RC}
            };
        case Op::NormBackwardWeight:
            return {
                .in = {RC,    RC, rows, rstd},
                  .out = {columns, columns  }
            };
        case Op::Linear:
            return {
                .in = {RC,  NC, outputs, RN},
                  .out = {RN, RN  }
            };
        case Op::LinearBackwardEpilogue:
            return {
                .in = {RN, RN},
                  .out = {RN }
            };
        case Op::LinearBackward:
            return {
                .in = {RN, NC},
                  .out = {RC }
            };
        case Op::LinearBackwardWeight:
            return {
                .in = {RN, RC     },
                  .out = {NC, outputs}
            };
        case Op::Attention:
            return {
                .in = {qkv   },
                  .out = { RC, {lse}}
            };
        case Op::AttentionBackward:
            return {
                .in = {RC,  qkv, RC, {lse}},
                  .out = {qkv}
            };
        case Op::AttentionCached:
            return {
                .in = {qkv,      {R, Kind::Position}},
                  .out = { RC, {cache},             {cache}}
            };
        case Op::GatherRows:
            return {
                .in = {RC, {N, Kind::Index, R}},
                  .out = {NC }
            };
        case Op::CrossEntropy:
            return {
                .in = {RN,  {R, Kind::Target, N}},
                  .out = { rows, RN,  {R, Kind::Index, N}}
            };
        case Op::SumSquares: return {.in = {columns}, .out = {{blocks, Kind::Double}}};
        case Op::ClipFactor: return {.in = {{N, Kind::Double}}, .out = {two}};
        case Op::AdamW:
            return {
                .in = {columns,  two                },
                  .out = { columns, columns, {C, Kind::Positive}}
            };
        case Op::Sgd:
            return {
                .in = {columns, two    },
                  .out = {columns, columns}
            };
        case Op::Count: break;
    }
    CHECK(!"no such op");
    return {};
}

struct FreeAligned {
    void operator()(std::byte* p) const { ::operator delete (p, std::align_val_t{kAlign}); }
};
using Memory = std::unique_ptr<std::byte, FreeAligned>;

Memory aligned(size_t bytes) {
    Memory memory(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{kAlign})));
    std::memset(memory.get(), 0xFF, bytes);  // as numbers: NaN
    return memory;
}

// Memory of a tensor between guards of NaN.
class Data {
public:
    Data() = default;
    Data(const Slot& slot, int64_t offset)
        : slot_(slot), begin_(kGuard + static_cast<size_t>(offset) * (slot.kind == Kind::Double ? 8 : 4)) {
        memory_ = aligned(total());
    }
    Data copy() const {
        Data made;
        made.slot_ = slot_;
        made.begin_ = begin_;
        made.memory_ = aligned(total());
        std::memcpy(made.memory_.get(), memory_.get(), total());
        return made;
    }
    template <class T>
    T* as() const {
        return reinterpret_cast<T*>(memory_.get() + begin_);
    }
    const Slot& slot() const { return slot_; }
    bool guards_hold() const {
        const auto untouched = [&](size_t from, size_t to) {
            return std::all_of(memory_.get() + from, memory_.get() + to, [](std::byte b) { return b == std::byte{0xFF}; });
        };
        return untouched(0, begin_) && untouched(begin_ + slot_.bytes(), total());
    }
    double value(int64_t i) const {
        if (slot_.kind == Kind::Double) return as<double>()[i];
        return slot_.kind == Kind::Index ? as<int32_t>()[i] : static_cast<double>(as<float>()[i]);
    }

private:
    size_t total() const { return begin_ + slot_.bytes() + kGuard; }
    Slot slot_;
    size_t begin_ = 0;
    Memory memory_;
};

Data random_data(const OpCase& c, const Slot& slot, std::mt19937& random) {
    Data data(slot, c.offset);
    std::normal_distribution<float> normal;
    const auto index = [&](int64_t limit) { return static_cast<int32_t>(random() % static_cast<uint64_t>(limit)); };
    for (int64_t i = 0; i < slot.elements; ++i) switch (slot.kind) {
            case Kind::Float: data.as<float>()[i] = normal(random); break;
            case Kind::Double: data.as<double>()[i] = 1 + normal(random) * 0.1; break;
            case Kind::Positive: data.as<float>()[i] = 0.1f + std::abs(normal(random)); break;
            case Kind::Index: data.as<int32_t>()[i] = index(slot.limit); break;
            case Kind::Target: data.as<int32_t>()[i] = i % 5 == 2 ? kIgnore : index(slot.limit); break;
            // Rows of a sequence stand one after the other, the last at the end of the cache.
            case Kind::Position: data.as<int32_t>()[i] = static_cast<int32_t>(c.p.S - c.p.T + i % c.p.T); break;
        }
    return data;
}

// As the executor does it: packed, cut at multiples of the grain, rows beyond those of the run left out.
void run(const KernelTable& kernels, Call call) {
    Memory packed;
    if (const size_t bytes = kernels.packed_bytes ? kernels.packed_bytes(call) : 0; bytes > 0) {
        packed = aligned(bytes);
        const int64_t units = kernels.pack_units(call);
        kernels.pack(call, {0, units / 2}, packed.get());
        kernels.pack(call, {units / 2, units}, packed.get());
        call.packed = packed.get();
    }
    const Memory scratch = aligned(kernels.scratch_bytes ? kernels.scratch_bytes(call) : 0);
    const int64_t grain = kernels.grain ? kernels.grain(call) : 1;
    int64_t units = op_units(call.op, call.p);
    const int64_t grains = (units + grain - 1) / grain, pieces = std::min(grains, kPieces);
    if (op_by_rows(call.op, call.p)) units = std::min(units, call.rows());
    for (int64_t i = 0; i < pieces; ++i) {
        const Range range{grains * i / pieces * grain, std::min(units, grains * (i + 1) / pieces * grain)};
        if (range.begin < range.end) kernels.run[static_cast<int>(call.op)](call, range, scratch.get());
    }
}

double difference(const Data& expected, const Data& actual) {
    if (!actual.guards_hold()) return INFINITY;
    double largest = 1e-6, error = 0;
    for (int64_t i = 0; i < expected.slot().elements; ++i) {
        const double e = expected.value(i), d = std::abs(actual.value(i) - e);
        if (!std::isfinite(d) || (d > 0 && expected.slot().kind == Kind::Index)) return INFINITY;
        largest = std::max(largest, std::abs(e));
        error = std::max(error, d);
    }
    return error / largest;
}

}  // namespace

double op_error(const OpCase& c, const KernelTable& kernels, unsigned seed) {
    std::mt19937 random(seed);
    Step step;
    step.seed = 42;
    step.index = 3;
    step.rows = c.rows;
    step.loss_scale = 0.01f;
    step.clip = 1;
    step.lr = 0.01f, step.beta1 = 0.9f, step.beta2 = 0.99f, step.eps = 1e-8f, step.weight_decay = 0.1f;
    step.momentum = 0.5f;
    step.correction1 = 0.5f, step.correction2 = 0.25f;
    const Layout tensors = layout(c);
    std::vector<Data> in, expected, actual;
    for (const Slot& slot : tensors.in) in.push_back(random_data(c, slot, random));
    for (const Slot& slot : tensors.out) {
        expected.push_back(random_data(c, slot, random));
        actual.push_back(expected.back().copy());
    }
    Call call;
    call.op = c.op;
    call.p = c.p;
    call.accumulate = c.accumulate;
    call.step = &step;
    for (size_t i = 0; i < in.size(); ++i)
        if (!(c.absent_in >> i & 1)) call.in[i] = in[i].as<void>();
    if (c.op == Op::AttentionBackward) {  // y and lse belong to qkv
        Call forward = call;
        forward.op = Op::Attention;
        forward.in[0] = call.in[1];
        forward.out[0] = in[2].as<void>();
        forward.out[1] = in[3].as<void>();
        run(table, forward);
    }
    const auto run_into = [&](const KernelTable& kernel_table, std::vector<Data>& out) {
        for (size_t i = 0; i < out.size(); ++i) call.out[i] = c.absent_out >> i & 1 ? nullptr : out[i].as<void>();
        run(kernel_table, call);
    };
    run_into(table, expected);
    run_into(kernels, actual);
    double error = 0;
    for (size_t i = 0; i < expected.size(); ++i) error = std::max(error, difference(expected[i], actual[i]));
    return error;
}

std::vector<OpCase> op_cases() {
    constexpr uint32_t kDropout = 65536 / 10;
    std::vector<OpCase> cases;
    const auto add = [&](Op op, Params p, OpCase options = {}) {
        options.op = op;
        options.p = p;
        if (op == Op::Linear && p.act == Act::None) options.absent_out |= 2;  // no pre-activation without an activation
        cases.push_back(options);
    };
    const Params small{.B = 2, .T = 5, .C = 24, .N = 19, .H = 3, .S = 7, .eps = 1e-5f};
    const Params large{.B = 3, .T = 37, .C = 192, .N = 131, .H = 6, .S = 64, .eps = 1e-5f};
    for (Params p : {small, large}) {
        const OpCase adds{.accumulate = 7, .offset = 1};
        for (const Op op : {Op::Embed, Op::Norm, Op::NormBackward, Op::Linear, Op::LinearBackwardEpilogue,
                            Op::LinearBackward, Op::Attention, Op::AttentionBackward, Op::AttentionCached, Op::GatherRows,
                            Op::CrossEntropy, Op::EmbedBackward, Op::NormBackwardWeight, Op::LinearBackwardWeight})
            add(op, p);
        for (const Op op :
             {Op::NormBackward, Op::LinearBackward, Op::EmbedBackward, Op::NormBackwardWeight, Op::LinearBackwardWeight})
            add(op, p, adds);
        add(Op::Norm, p, {.absent_in = 4, .absent_out = 6, .offset = 3});
        add(Op::CrossEntropy, p, {.absent_out = 6, .offset = 1});
        add(Op::Sgd, p, {.absent_out = 2});
        for (const Act act : {Act::GeluTanh, Act::GeluErf, Act::Relu}) {
            p.act = act;
            p.by_columns = !p.by_columns;
            add(Op::Linear, p, {.absent_in = 8, .offset = 1});
            add(Op::LinearBackwardEpilogue, p, {.offset = 1});
            add(Op::LinearBackward, p);
        }
        p.dropout = kDropout;
        p.stream = 2;
        for (const Op op :
             {Op::Embed, Op::EmbedBackward, Op::Linear, Op::LinearBackwardEpilogue, Op::Attention, Op::AttentionBackward})
            add(op, p, {.offset = 1});
    }
    // Inference: one row, and the first rows of a chunk.
    for (const bool by_columns : {false, true}) {
        Params p = large;
        p.B = p.T = 1;
        p.by_columns = by_columns;
        add(Op::Linear, p);
        p.T = 16;
        add(Op::Linear, p, {.rows = 5});
        add(Op::AttentionCached, p, {.rows = 5});
        add(Op::Norm, p, {.absent_out = 6, .rows = 5});
    }
    for (const int64_t C : {int64_t{1000}, kSumBlock + 13}) {
        const Params p{.C = C, .N = 5, .decay = C < kSumBlock};
        for (const Op op : {Op::SumSquares, Op::ClipFactor, Op::AdamW, Op::Sgd}) add(op, p, {.offset = C % 2});
    }
    return cases;
}

}  // namespace nib::ref
