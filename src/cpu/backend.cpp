#include "cpu/backend.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>

#include "core/ops.h"
#include "core/plan.h"

namespace nib {
namespace {

constexpr int64_t kPiecesPerThread = 4;  // small enough pieces that a thread which is held up does not hold up the others
constexpr size_t kAlign = 64;

struct alignas(64) Counter {
    std::atomic<int64_t> next{0};
};

// A range of a call's units that one thread takes at a time.
struct Piece {
    int call;
    Range units;
};

struct Packing {
    int call;
    int64_t units;
};

struct CompiledStage {
    std::vector<Packing> packs;  // done by all threads together, before
    std::vector<int> calls;      // by sequence
    int64_t sequences = 0;
    std::vector<Piece> pieces;  // shared out
};

struct CpuPlan : Executable {
    std::vector<Call> calls;
    std::vector<int64_t> units_per_sequence;  // by call
    std::vector<CompiledStage> stages;
    std::unique_ptr<Counter[]> counters;  // one per stage
    size_t scratch_bytes = 0;             // per thread
    int scratch = -1, packed = -1;        // buffers
    CpuBackend* backend = nullptr;
    Step step;
    ~CpuPlan() override {
        if (scratch >= 0) backend->release(scratch);
        if (packed >= 0) backend->release(packed);
    }
};

size_t align_up(size_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

Call resolve(const CpuBackend& backend, const Plan& plan, const Node& node) {
    Call call;
    call.op = node.op;
    call.p = node.p;
    call.accumulate = node.accumulate;
    for (size_t i = 0; i < node.in.size(); ++i)
        if (node.in[i]) call.in[i] = backend.address(plan.locate(node.in[i]));
    for (size_t i = 0; i < node.out.size(); ++i)
        if (node.out[i]) call.out[i] = backend.address(plan.locate(node.out[i]));
    return call;
}

std::vector<Piece> cut(const KernelTable& kernels, const std::vector<Call>& calls, const std::vector<int>& nodes,
                       int threads) {
    std::vector<Piece> pieces;
    for (const int index : nodes) {
        const Call& call = calls[static_cast<size_t>(index)];
        const int64_t units = op_units(call.op, call.p), grain = kernels.grain ? kernels.grain(call) : 1;
        const int64_t grains = (units + grain - 1) / grain;
        // A piece of a weight gradient reads all activations: as few as possible.
        const int64_t wanted = threads == 1 || op_is_weight_gradient(call.op) ? threads : threads * kPiecesPerThread;
        const int64_t count = std::min(grains, wanted);
        for (int64_t i = 0; i < count; ++i)
            pieces.push_back({
                index, {grains * i / count * grain, std::min(units, grains * (i + 1) / count * grain)}
            });
    }
    return pieces;
}

}  // namespace

CpuBackend::CpuBackend(const KernelTable& kernels, int threads) : kernels_(kernels), pool_(threads) {}

CpuBackend::~CpuBackend() {
    for (size_t i = 0; i < buffers_.size(); ++i) release(static_cast<int>(i));
}

std::string CpuBackend::name() const {
    return strprintf("cpu %s, %d thread%s", kernels_.name, pool_.size(), pool_.size() == 1 ? "" : "s");
}

bool CpuBackend::supports(const Node& node) const { return kernels_.run[static_cast<size_t>(node.op)] != nullptr; }

int CpuBackend::map_weights(std::span<const std::byte> bytes, std::span<const size_t>) {
    buffers_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size(), false});  // no plan writes to weights it maps
    return static_cast<int>(buffers_.size()) - 1;
}

int CpuBackend::allocate(size_t bytes) {
    // Anonymous pages: zeroed by the system, touched only when used, and large ones where it offers them.
    void* data = mmap(nullptr, std::max<size_t>(bytes, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        fail("not enough memory for a buffer of %s; choose a smaller model, batch or context",
             human_bytes(static_cast<double>(bytes)).c_str());
    madvise(data, bytes, MADV_HUGEPAGE);
    buffers_.push_back({static_cast<std::byte*>(data), bytes, true});
    return static_cast<int>(buffers_.size()) - 1;
}

void CpuBackend::release(int buffer) {
    Memory& memory = buffers_[static_cast<size_t>(buffer)];
    if (memory.owned) munmap(memory.data, std::max<size_t>(memory.bytes, 1));
    memory = {};
}

std::byte* CpuBackend::address(Location where) const {
    const Memory& memory = buffers_[static_cast<size_t>(where.buffer)];
    CHECK(where.offset <= memory.bytes);
    return memory.data + where.offset;
}

void CpuBackend::upload(Location to, std::span<const std::byte> bytes) {
    if (!bytes.empty()) std::memcpy(address(to), bytes.data(), bytes.size());
}

void CpuBackend::download(Location from, std::span<std::byte> bytes) const {
    if (!bytes.empty()) std::memcpy(bytes.data(), address(from), bytes.size());
}

void CpuBackend::prepare(Plan& plan) {
    auto made = std::make_unique<CpuPlan>();
    made->backend = this;
    for (const Node& node : plan.nodes) {
        Call call = resolve(*this, plan, node);
        call.step = &made->step;
        made->units_per_sequence.push_back(op_units_per_sequence(call.op, call.p));
        if (kernels_.scratch_bytes)
            made->scratch_bytes = std::max(made->scratch_bytes, align_up(kernels_.scratch_bytes(call)));
        made->calls.push_back(call);
    }
    size_t packed_bytes = 0;
    std::vector<size_t> packed_at(made->calls.size(), SIZE_MAX);
    for (const Stage& stage : plan.stages) {
        CompiledStage compiled;
        size_t at = 0;
        for (const int index : stage.nodes) {
            const Call& call = made->calls[static_cast<size_t>(index)];
            const size_t bytes = kernels_.packed_bytes ? kernels_.packed_bytes(call) : 0;
            if (bytes == 0) continue;
            packed_at[static_cast<size_t>(index)] = at;
            at += align_up(bytes);
            compiled.packs.push_back({index, kernels_.pack_units(call)});
        }
        packed_bytes = std::max(packed_bytes, at);
        compiled.sequences = stage.sequences;
        if (stage.sequences > 0)
            compiled.calls = stage.nodes;
        else
            compiled.pieces = cut(kernels_, made->calls, stage.nodes, pool_.size());
        made->stages.push_back(std::move(compiled));
    }
    if (packed_bytes > 0) made->packed = allocate(packed_bytes);
    for (size_t i = 0; i < packed_at.size(); ++i)
        if (packed_at[i] != SIZE_MAX) made->calls[i].packed = address({made->packed, packed_at[i]});
    made->counters = std::make_unique<Counter[]>(made->stages.size());
    if (made->scratch_bytes > 0) made->scratch = allocate(made->scratch_bytes * static_cast<size_t>(pool_.size()));
    plan.executable = std::move(made);
}

void CpuBackend::run(const Plan& plan, const Step& step) {
    auto& compiled = static_cast<CpuPlan&>(*plan.executable);
    compiled.step = step;
    for (size_t i = 0; i < compiled.stages.size(); ++i) compiled.counters[i].next.store(0, std::memory_order_relaxed);
    const int threads = pool_.size();
    const auto kernel = [&](const Call& call, Range units, void* scratch) {
        units.end = std::min(units.end, op_units(call));
        if (units.begin < units.end) kernels_.run[static_cast<size_t>(call.op)](call, units, scratch);
    };
    const auto work = [&](int thread) {
        void* scratch = compiled.scratch < 0
                            ? nullptr
                            : address({compiled.scratch, compiled.scratch_bytes * static_cast<size_t>(thread)});
        for (size_t s = 0; s < compiled.stages.size(); ++s) {
            const CompiledStage& stage = compiled.stages[s];
            for (const Packing& pack : stage.packs) {
                const Call& call = compiled.calls[static_cast<size_t>(pack.call)];
                const Range part{pack.units * thread / threads, pack.units * (thread + 1) / threads};
                if (part.begin < part.end) kernels_.pack(call, part, const_cast<void*>(call.packed));
            }
            if (!stage.packs.empty()) pool_.barrier().wait();
            std::atomic<int64_t>& next = compiled.counters[s].next;
            if (stage.sequences > 0) {
                for (int64_t b; (b = next.fetch_add(1, std::memory_order_relaxed)) < stage.sequences;)
                    for (const int index : stage.calls) {
                        const int64_t units = compiled.units_per_sequence[static_cast<size_t>(index)];
                        kernel(compiled.calls[static_cast<size_t>(index)], {b * units, (b + 1) * units}, scratch);
                    }
            } else {
                const auto pieces = static_cast<int64_t>(stage.pieces.size());
                for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < pieces;) {
                    const Piece& piece = stage.pieces[static_cast<size_t>(i)];
                    kernel(compiled.calls[static_cast<size_t>(piece.call)], piece.units, scratch);
                }
            }
            pool_.barrier().wait();
        }
    };
    pool_.run(std::cref(work));  // by reference: a copy of this closure would be allocated
}

}  // namespace nib
