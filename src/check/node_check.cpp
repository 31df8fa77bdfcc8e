#include "check/node_check.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/plan.h"
#include "ref/kernels.h"
#include "quant/quantize.h"

namespace nib::check {
namespace {

constexpr size_t kGuard = 256;
constexpr std::byte kPattern{0xFF};

// A plan of one node on the tensors of a case, which lie in one buffer between guards as they do on the host.
class OneNode {
public:
    OneNode(Operands<float>& operands, Backend& backend) : operands_(operands), backend_(backend) {
        const OpCase& c = operands.description();
        node_.op = c.op;
        node_.p = c.p;
        node_.accumulate = c.accumulate;
        node_.halves = c.halves;
        const Shape matrix{c.p.N, c.p.C};
        for (size_t i = 0; i < kMaxIn; ++i) {
            const bool is_matrix = (c.op == Op::Embed && i == 2) || (c.op == Op::Linear && i == 1);
            const GuardedTensor& t = operands.in[i];
            node_.in[i] = add(t, is_matrix ? matrix : Shape{static_cast<int64_t>(t.count())}, c.halves >> i & 1);
        }
        for (size_t i = 0; i < kMaxOut; ++i)
            node_.out[i] =
                add(operands.out[i], {static_cast<int64_t>(operands.out[i].count())}, c.halves >> (kMaxIn + i) & 1);
        if (c.in_place && c.op == Op::LinearBackwardEpilogue) node_.in[0] = node_.out[0];
        if (c.in_place && c.op == Op::CrossEntropy) node_.in[0] = node_.out[1];
        image_.resize(image_.size() + kGuard, kPattern);
    }
    bool supported() const { return backend_.supports(node_); }

    // Computes the operands' outputs. Returns whether nothing else has changed.
    bool run() {
        plan_.backend = &backend_;
        plan_.nodes = {node_};
        plan_.stages = {
            {0, {0}}
        };
        const Arena arena(backend_, image_.size());
        for (TensorInfo& t : plan_.tensors) t.where.buffer = arena.buffer();
        backend_.upload({arena.buffer(), 0}, image_);
        backend_.prepare(plan_);
        plan_.run(operands_.description().step);
        std::vector<std::byte> after(image_.size());
        backend_.download({arena.buffer(), 0}, after);
        for (size_t i = 0; i < kMaxOut; ++i) {
            if (!node_.out[i]) continue;
            GuardedTensor& out = operands_.out[i];
            const TensorInfo& info = plan_.tensors[static_cast<size_t>(node_.out[i].id)];
            std::byte* const got = after.data() + info.where.offset;
            if (info.type == out.type())
                std::memcpy(out.data(), got, out.bytes());
            else
                unpack(info.type, got, static_cast<int64_t>(out.count()), out.as<float>());
            std::copy_n(image_.data() + info.where.offset, info.bytes(), got);
        }
        plan_.executable.reset();
        return after == image_;
    }

private:
    Tensor add(const GuardedTensor& t, const Shape& shape, bool halves) {
        if (!t.present()) return {};
        image_.resize((image_.size() + 2 * kGuard - 1) / kGuard * kGuard, kPattern);
        if (operands_.description().misaligned)
            image_.resize(image_.size() + static_cast<size_t>(dtype_info(t.type())->block_bytes), kPattern);
        TensorInfo info;
        info.shape = shape;
        info.type = halves ? DType::F16 : t.type();
        info.where.offset = image_.size();
        image_.resize(image_.size() + info.bytes());
        if (halves)
            pack(info.type, t.as<float>(), static_cast<int64_t>(t.count()), image_.data() + info.where.offset);
        else
            std::memcpy(image_.data() + info.where.offset, t.data(), t.bytes());
        plan_.tensors.push_back(info);
        return {static_cast<int>(plan_.tensors.size()) - 1};
    }

    Operands<float>& operands_;
    Backend& backend_;
    Node node_;
    Plan plan_;
    std::vector<std::byte> image_;
};

}  // namespace

std::optional<Comparison> check_op(const OpCase& c, Backend& backend) {
    Operands<float> got(c);
    OneNode node(got, backend);
    if (!node.supported()) return {};
    Operands<float> expected(c);
    expected.run(table);
    const bool clean = node.run();
    Comparison result = compare(got, expected, op_tolerance(c));
    if (!clean && result.mismatch.empty()) result.mismatch = "written outside of its outputs: " + c.text();
    return result;
}

}  // namespace nib::check
