#include "check/checked_backend.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/error.h"
#include "quant/quantize.h"
#include "ref/kernels.h"

namespace nib::check {
namespace {

// The largest L2 error of any node was 5e-7 in training steps of small models, and 4e-6 in degenerate ones (one row, a
// vocabulary a thousand times as large as the channels). Numbers have any size here, so errors are relative to the results.
constexpr Tolerance kTolerance{2e-5, 1e-4, 1e-30};
constexpr Tolerance kToleranceOfF16{6e-4, 2e-3, 1e-30};  // rounded to half floats, to either side
constexpr std::byte kPoison{0xFF};                       // NaN

// A plan with a single node, on the tensors of the whole plan.
Plan single_node_plan(const Plan& plan, Node node, int64_t sequences) {
    Plan part;
    part.backend = plan.backend;
    part.arena = plan.arena;
    for (Tensor& t : node.operands) {
        if (!t) continue;
        part.tensors.push_back(plan.tensors[static_cast<size_t>(t.id)]);
        part.tensors.back().base = -1;  // a view has its own place
        t.id = static_cast<int>(part.tensors.size()) - 1;
    }
    part.nodes = {std::move(node)};
    part.stages = {
        {sequences, {0}}
    };
    return part;
}

// The memory of a node's tensors, as on the device and as the reference takes it, with floats for f16 activations. Tensors
// that overlap, in place or as slices of one tensor, share a region.
class Copies {
public:
    Copies(const Plan& part, Backend& backend) : part_(part), backend_(backend) {
        std::vector<const TensorInfo*> tensors;
        for (const TensorInfo& t : part.tensors) tensors.push_back(&t);
        std::sort(tensors.begin(), tensors.end(), [](auto* a, auto* b) { return a->where < b->where; });
        for (const TensorInfo* t : tensors) {
            if (regions_.empty() || !regions_.back().holds(t->where)) regions_.push_back({t->where, {}, {}, false});
            std::vector<std::byte>& device = regions_.back().device;
            device.resize(std::max(device.size(), t->where.offset - regions_.back().where.offset + t->bytes()));
        }
        for (Region& r : regions_) backend.download(r.where, r.device);
    }
    // Fills an output with NaN, so that old values cannot pass for results.
    void poison(Tensor t) {
        const TensorInfo& info = part_.tensors[static_cast<size_t>(t.id)];
        Region& region = of(info);
        const Numbers all = numbers(info, region.device.data() + (info.where.offset - region.where.offset));
        const size_t row = dtype_bytes(info.type, static_cast<int64_t>(all.width));
        for (size_t i = 0; i < all.count; i += all.width)
            std::fill_n(region.device.data() + (info.where.offset - region.where.offset) +
                            dtype_bytes(info.type, static_cast<int64_t>(i / all.width * all.stride)),
                        row, kPoison);
        backend_.upload(region.where, region.device);
    }
    // Copies the device's memory for the reference, which gets the f16 tensors of `widened` as floats.
    void share(const std::vector<Tensor>& widened) {
        for (const Tensor t : widened) of(part_.tensors[static_cast<size_t>(t.id)]).widened = true;
        for (Region& r : regions_) {
            if (!r.widened) {
                r.host = r.device;
                continue;
            }
            const size_t count = r.device.size() / sizeof(uint16_t);
            r.host.resize(count * sizeof(float));
            quant::unpack(DType::F16, r.device.data(), static_cast<int64_t>(count),
                          reinterpret_cast<float*>(r.host.data()));
        }
    }
    std::byte* host(Tensor t) {
        const TensorInfo& info = part_.tensors[static_cast<size_t>(t.id)];
        Region& region = of(info);
        return region.host.data() + (info.where.offset - region.where.offset) * (region.widened ? 2 : 1);
    }
    // The root mean square of an F32 tensor's first `rows` rows.
    double rms(Tensor t, int64_t rows) {
        const Numbers all = numbers(part_.tensors[static_cast<size_t>(t.id)], host(t));
        const auto width = static_cast<size_t>(part_.tensors[static_cast<size_t>(t.id)].shape[-1]);
        const auto* const values = static_cast<const float*>(all.data);
        double sum = 0;
        for (size_t r = 0; r < static_cast<size_t>(rows); ++r)
            for (size_t c = 0; c < width; ++c) sum += std::pow(static_cast<double>(values[r * width + c]), 2);
        return std::sqrt(sum / std::max(1.0, static_cast<double>(rows) * static_cast<double>(width)));
    }
    // The device's result against the reference's.
    Difference compare(Tensor t, double scale) {
        const TensorInfo& info = part_.tensors[static_cast<size_t>(t.id)];
        std::vector<std::byte> got(info.bytes());
        backend_.download(info.where, got);
        Numbers expected = numbers(info, host(t));
        if (of(info).widened) expected.type = DType::F32;
        return difference(numbers(info, got.data()), expected, scale);
    }

private:
    struct Region {
        Location where;
        std::vector<std::byte> device, host;
        bool widened;
        bool holds(Location at) const {
            return at.buffer == where.buffer && at.offset >= where.offset && at.offset < where.offset + device.size();
        }
    };
    Region& of(const TensorInfo& info) {
        const auto found = std::find_if(regions_.begin(), regions_.end(), [&](auto& r) { return r.holds(info.where); });
        CHECK(found != regions_.end());
        return *found;
    }
    static Numbers numbers(const TensorInfo& info, const void* data) {
        const auto count = static_cast<size_t>(info.shape.elements());
        if (info.stride == 0) return {data, info.type, count, count, count};
        return {data, info.type, count, static_cast<size_t>(info.shape[-1]), static_cast<size_t>(info.stride)};
    }

    const Plan& part_;
    Backend& backend_;
    std::vector<Region> regions_;
};

// How large a result is without luck: a bias's gradient is a sum over rows that may cancel, as that of a key's bias always
// does, and what is left then is rounding.
double usual_size(Copies& copies, const Plan& part, int output, const Step& step) {
    const Node& node = part.nodes[0];
    const TensorInfo &result = part.tensors[static_cast<size_t>(node[output].id)],
                     &first = part.tensors[static_cast<size_t>(node[0].id)];
    const Operand& operand = op_info(node.op).operands[output];
    if (operand.writes != Writes::AddsWeight || result.shape.rank != 1 || first.type != DType::F32) return 0;
    const int64_t all = first.shape.elements() / first.shape[-1];
    const int64_t used = node.row_count < 0 ? 0 : step.rows[static_cast<size_t>(node.row_count)];
    const int64_t rows = used == 0 ? all : used;
    return copies.rms(node[0], rows) * std::sqrt(static_cast<double>(rows));
}

}  // namespace

void CheckedBackend::run(const Plan& plan, const Step& step) {
    for (const Stage& stage : plan.stages)
        for (const int index : stage.nodes) check(plan, plan.nodes[static_cast<size_t>(index)], stage.sequences, step);
}

void CheckedBackend::check(const Plan& plan, const Node& whole, int64_t sequences, const Step& step) {
    Plan part = single_node_plan(plan, whole, sequences);
    const Node& node = part.nodes[0];
    const OpInfo& about = op_info(node.op);
    Call call;
    call.op = node.op;
    call.p = node.p;
    call.accumulate = node.accumulate;
    call.row_count = node.row_count, call.key_row_count = node.key_row_count;
    call.step = &step;
    Copies copies(part, inner_);
    std::vector<Tensor> widened;
    for (int i = 0; i < kMaxOperands; ++i) {
        const Tensor t = node[i];
        if (!t) continue;
        call.type[i] = part.tensors[static_cast<size_t>(t.id)].type;
        call.stride[i] = part.tensors[static_cast<size_t>(t.id)].stride;
        if (about.operands[i].types == Types::Activation && call.type[i] == DType::F16) {
            widened.push_back(t);
            call.type[i] = DType::F32;
        }
        const auto is_same = [&](Tensor input) { return input && part.locate(input) == part.locate(t); };
        const bool in_place = std::any_of(node.inputs().begin(), node.inputs().end(), is_same);
        if (i >= kMaxIn && !in_place && !op_reads_output(call, i)) copies.poison(t);
    }
    copies.share(widened);
    for (int i = 0; i < kMaxOperands; ++i)
        if (node[i]) call.data[i] = copies.host(node[i]);
    inner_.prepare(part);
    inner_.run(part, step);
    ref::table.run[static_cast<size_t>(node.op)](call, {0, op_units(call)}, nullptr);

    ++summary_.nodes;
    bool good = true;
    for (int i = kMaxIn; i < kMaxOperands; ++i) {
        if (!node[i]) continue;
        const bool is_f16 = std::find(widened.begin(), widened.end(), node[i]) != widened.end();
        const Tolerance& tolerance = is_f16 ? kToleranceOfF16 : kTolerance;
        const Difference d = copies.compare(node[i], std::max(tolerance.scale, usual_size(copies, part, i, step)));
        const double error = d.untouched_differ ? INFINITY : d.l2;
        if (error > summary_.error) summary_.error = error, summary_.op = node.op;
        if (d.within(tolerance)) continue;
        good = false;
        report_(std::string(about.operands[i].name) + " is " + d.text() + ": " + plan.text(whole));
    }
    summary_.failures += !good;
}

}  // namespace nib::check
