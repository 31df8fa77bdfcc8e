#include "check/node_check.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/plan.h"
#include "quant/quantize.h"
#include "ref/kernels.h"

namespace nib::check {
namespace {

constexpr size_t kGuard = 256;
constexpr std::byte kPattern{0xFF};

// A plan with one node, on copies of a case's tensors with their guards in one buffer of the backend.
class OneNode {
public:
    OneNode(Operands<float>& operands, Backend& backend) : operands_(operands), backend_(backend) {
        const OpCase& c = operands.description();
        node_.op = c.op;
        node_.p = c.p;
        node_.accumulate = c.accumulate;
        node_.row_count = c.row_count, node_.key_row_count = c.key_row_count;
        for (int i = 0; i < kMaxOperands; ++i)
            if (c.has(i)) add(i);
        if (const OpCase::Replaced replaced = c.replaced(); replaced.output >= 0)
            node_.operands[static_cast<size_t>(replaced.input)] = node_[replaced.output];
        image_.resize(image_.size() + kGuard, kPattern);
    }
    bool supported() const { return backend_.supports(node_); }

    // Computes the outputs. Returns whether nothing else has changed.
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
        for (int i = kMaxIn; i < kMaxOperands; ++i)
            if (node_[i]) take(i, after);
        plan_.executable.reset();
        return after == image_;
    }

private:
    void add(int operand) {
        const OpCase& c = operands_.description();
        const GuardedTensor& t = operands_[operand];
        image_.resize((image_.size() + 2 * kGuard - 1) / kGuard * kGuard, kPattern);
        TensorInfo info;
        for (const char letter : op_info(c.op).operands[operand].shape())
            if (letter != ',') info.shape.dims[static_cast<size_t>(info.shape.rank++)] = dimension(c.p, letter);
        info.type = c.type(operand);
        info.stride = operands_.call().stride[operand];
        if (c.misaligned) image_.resize(image_.size() + static_cast<size_t>(dtype_info(info.type)->block_bytes), kPattern);
        info.where.offset = image_.size();
        image_.resize(image_.size() + info.bytes());
        std::byte* const to = image_.data() + info.where.offset;
        if (info.type == t.type())
            std::memcpy(to, t.data(), t.bytes());
        else
            quant::pack(info.type, t.as<float>(), static_cast<int64_t>(t.bytes() / sizeof(float)), to);
        node_.types[static_cast<size_t>(operand)] = info.type;
        node_.strides[static_cast<size_t>(operand)] = info.stride;
        node_.operands[static_cast<size_t>(operand)] = {static_cast<int>(plan_.tensors.size())};
        plan_.tensors.push_back(info);
    }

    // Moves an output out of the device's image, which gets the values from before the run back.
    void take(int operand, std::vector<std::byte>& after) {
        GuardedTensor& out = operands_[operand];
        const TensorInfo& info = plan_.tensors[static_cast<size_t>(node_[operand].id)];
        const size_t row = dtype_bytes(info.type, static_cast<int64_t>(out.width()));
        for (size_t r = 0; r < out.count() / out.width(); ++r) {
            const size_t first = r * out.stride(), offset = dtype_bytes(info.type, static_cast<int64_t>(first));
            std::byte* const got = after.data() + info.where.offset + offset;
            if (info.type == out.type())
                std::memcpy(out.data() + offset, got, row);
            else
                quant::unpack(info.type, got, static_cast<int64_t>(out.width()), out.as<float>() + first);
            std::copy_n(image_.data() + info.where.offset + offset, row, got);
        }
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
    expected.run(ref::table);
    const bool clean = node.run();
    Comparison result = compare(got, expected, op_tolerance(c));
    if (!clean && result.mismatch.empty()) result.mismatch = "written outside of its outputs: " + c.text();
    return result;
}

}  // namespace nib::check
