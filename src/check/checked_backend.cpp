#include "check/checked_backend.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/ops.h"
#include "ref/kernels.h"
#include "quant/quantize.h"

namespace nib::check {
namespace {

// The largest L2 error of any node was 5e-7 in training steps of small models, and 4e-6 in degenerate ones (one row, a
// vocabulary a thousand times as large as the channels). Numbers have any size here, so errors are relative to the results.
constexpr Tolerance kTolerance{2e-5, 1e-4, 1e-30};
constexpr Tolerance kToleranceOfHalves{6e-4, 2e-3, 1e-30};  // rounded to half floats, to either side
constexpr std::byte kPoison{0xFF};                          // NaN

// A node as a plan of its own, on the tensors of the whole plan.
Plan alone(const Plan& plan, Node node, int64_t sequences) {
    Plan part;
    part.backend = plan.backend;
    part.arena = plan.arena;
    const auto take = [&](Tensor& t) {
        if (!t) return;
        part.tensors.push_back(plan.tensors[static_cast<size_t>(t.id)]);
        part.tensors.back().base = -1;  // a view has its own place
        t.id = static_cast<int>(part.tensors.size()) - 1;
    };
    std::for_each(node.in.begin(), node.in.end(), take);
    std::for_each(node.out.begin(), node.out.end(), take);
    part.nodes = {std::move(node)};
    part.stages = {
        {sequences, {0}}
    };
    return part;
}

// Copies of a node's tensors for the reference, which has floats for activations of half floats. Tensors at the same place
// are one: the node works in place.
class Copies {
public:
    Copies(const Plan& part, const Backend& backend) {
        for (const TensorInfo& t : part.tensors) {
            size_t i = 0;
            while (i < places_.size() && places_[i].where != t.where) ++i;
            if (i == places_.size()) {
                for (const Place& p : places_)
                    CHECK(p.where.buffer != t.where.buffer || p.where.offset + p.bytes.size() <= t.where.offset ||
                          t.where.offset + t.bytes() <= p.where.offset);
                places_.push_back({t.where, std::vector<std::byte>(t.bytes())});
                backend.download(t.where, places_.back().bytes);
            }
            CHECK(places_[i].bytes.size() == t.bytes());
            index_.push_back(i);
        }
    }
    std::vector<std::byte>& of(Tensor t) { return places_[index_[static_cast<size_t>(t.id)]].bytes; }
    // Makes floats of half floats.
    void widen(Tensor t) {
        const std::vector<std::byte> halves = std::move(of(t));
        const size_t count = halves.size() / sizeof(uint16_t);
        of(t).resize(count * sizeof(float));
        unpack(DType::F16, halves.data(), static_cast<int64_t>(count), reinterpret_cast<float*>(of(t).data()));
    }

private:
    struct Place {
        Location where;
        std::vector<std::byte> bytes;
    };
    std::vector<Place> places_;
    std::vector<size_t> index_;  // by tensor
};

}  // namespace

void CheckedBackend::run(const Plan& plan, const Step& step) {
    for (const Stage& stage : plan.stages)
        for (const int index : stage.nodes) check(plan, plan.nodes[static_cast<size_t>(index)], stage.sequences, step);
}

void CheckedBackend::check(const Plan& plan, const Node& whole, int64_t sequences, const Step& step) {
    Plan part = alone(plan, whole, sequences);
    const Node& node = part.nodes[0];
    Copies copies(part, inner_);
    Call call;
    call.op = node.op;
    call.p = node.p;
    call.accumulate = node.accumulate;
    call.step = &step;
    const auto is_half = [&](size_t i) { return (node.halves >> i & 1) != 0; };
    for (size_t i = 0; i < node.in.size(); ++i) {
        if (!node.in[i]) continue;
        if (is_half(i)) copies.widen(node.in[i]);
        call.in[i] = copies.of(node.in[i]).data();
    }
    for (size_t i = 0; i < node.out.size(); ++i) {
        if (!node.out[i]) continue;
        if (is_half(kMaxIn + i)) copies.widen(node.out[i]);
        std::vector<std::byte>& bytes = copies.of(node.out[i]);
        call.out[i] = bytes.data();
        // What the node must write begins as NaN, so that nothing old passes for a result.
        if (op_reads_output(call, static_cast<int>(i)) || std::count(call.in, call.in + kMaxIn, call.out[i]) > 0) continue;
        std::fill(bytes.begin(), bytes.end(), kPoison);
        inner_.upload(part.locate(node.out[i]),
                      std::span(bytes).first(part.tensors[static_cast<size_t>(node.out[i].id)].bytes()));
    }
    inner_.prepare(part);
    inner_.run(part, step);
    table.run[static_cast<size_t>(node.op)](call, {0, op_units(call)}, nullptr);

    ++summary_.nodes;
    bool good = true;
    for (size_t i = 0; i < node.out.size(); ++i) {
        if (!node.out[i]) continue;
        const std::vector<std::byte>& expected = copies.of(node.out[i]);
        const TensorInfo& info = part.tensors[static_cast<size_t>(node.out[i].id)];
        std::vector<std::byte> got(info.bytes());
        inner_.download(info.where, got);
        const bool half = is_half(kMaxIn + i);
        const Tolerance& tolerance = half ? kToleranceOfHalves : kTolerance;
        const auto count = static_cast<size_t>(info.shape.elements());
        const Difference d = difference({got.data(), info.type, count},
                                        {expected.data(), half ? DType::F32 : info.type, count}, tolerance.scale);
        const double error = d.untouched_differ ? INFINITY : d.l2;
        if (error > summary_.error) summary_.error = error, summary_.op = node.op;
        if (d.within(tolerance)) continue;
        good = false;
        report_(strprintf("out[%zu] is ", i) + d.text() + ": " + plan.text(whole));
    }
    summary_.failures += !good;
}

}  // namespace nib::check
