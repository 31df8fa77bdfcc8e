#include "cpu/backend.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "core/align.h"
#include "core/plan.h"
#include "core/shares.h"

namespace nib {
namespace {

constexpr int64_t kPiecesPerThread = 4;  // small pieces, so that a delayed thread does not delay the others
constexpr size_t kCacheLine = 64;
constexpr size_t kPieceBytes = 64 << 10;  // of weights that are read once: small, so that no thread waits long for the last
constexpr size_t kPrefetchBytes = 512 << 10;  // at most; they must stay in the L2 cache

constexpr int64_t kMinSequence = 16;  // shorter sequences are not worth reading all weights for
constexpr int64_t kManyRows = 512;    // for each thread: worth packing all weights first

// Whether it is a linear layer on weights in blocks, which quantizes its input once for all columns.
bool has_blocks(const Node& node) {
    return node.op == Op::Linear && dtype_info(node.types[operand::Linear::w])->block_size > 1;
}

// A range of a call's units that one thread takes at a time.
struct Piece {
    int call;
    Range units;
};

struct Packing {
    int call;
    int64_t units;
};

// Weights that a thread reads next, straight from memory. It prefetches them while it waits at a barrier, so that memory is
// never idle.
struct Prefetcher {
    const std::byte *next = nullptr, *end = nullptr;

    // Prefetches a few cache lines; false if nothing is left.
    bool step() {
        if (next >= end) return false;
        for (int line = 0; line < 4; ++line, next += kCacheLine) __builtin_prefetch(next, 0, 2);
        return true;
    }
};

struct CompiledStage {
    std::vector<Packing> packs;  // done first, by all threads together
    std::vector<int> calls;      // by sequence
    int64_t sequences = 0;
    std::vector<Piece> pieces;             // divided among the threads
    std::vector<Prefetcher> next_weights;  // if it reads weights once: by thread, the first weights of the next such stage
    int64_t items() const { return sequences > 0 ? sequences : static_cast<int64_t>(pieces.size()); }
};

struct CpuPlan : Executable {
    std::vector<Call> calls;
    std::vector<int64_t> units_per_sequence;  // by call
    std::vector<CompiledStage> stages;
    std::vector<Prefetcher> first_weights;  // by thread, of the first stage that reads weights once
    std::unique_ptr<Share[]> shares;        // by stage and thread
    size_t scratch_bytes = 0;               // per thread
    int scratch = -1, packed = -1;          // buffers
    CpuBackend* backend = nullptr;
    Step step;
    ~CpuPlan() override {
        if (scratch >= 0) backend->release(scratch);
        if (packed >= 0) backend->release(packed);
    }
};

Call resolve(const CpuBackend& backend, const Plan& plan, const Node& node) {
    Call call;
    call.op = node.op;
    call.p = node.p;
    call.accumulate = node.accumulate;
    call.row_count = node.row_count;
    call.key_row_count = node.key_row_count;
    for (int i = 0; i < kMaxOperands; ++i) {
        const auto at = static_cast<size_t>(i);
        if (node[i]) call.data[i] = backend.address(plan.locate(node[i]));
        call.type[i] = node.types[at];
        call.stride[i] = node.strides[at];
    }
    return call;
}

// Whether a call reads its weights straight from memory, once.
bool reads_weights_once(const Call& call) { return call.op == Op::Linear && call.p.B * call.p.T <= kFewRows; }

std::vector<Piece> cut(const KernelTable& kernels, const std::vector<Call>& calls, const std::vector<int>& nodes,
                       int threads) {
    std::vector<Piece> pieces;
    for (const int index : nodes) {
        const Call& call = calls[static_cast<size_t>(index)];
        const int64_t units = op_units(call.op, call.p), grain = kernels.grain ? kernels.grain(call) : 1;
        const int64_t grains = (units + grain - 1) / grain;
        // Every piece of a weight gradient reads all activations, so there are as few as possible.
        int64_t wanted = threads == 1 || op_is_weight_gradient(call.op) ? threads : threads * kPiecesPerThread;
        if (reads_weights_once(call))
            wanted = std::max(wanted, static_cast<int64_t>(dtype_bytes(call.type[operand::Linear::w], call.p.C * call.p.N) /
                                                           kPieceBytes));
        const int64_t count = std::min(grains, wanted);
        for (int64_t i = 0; i < count; ++i)
            pieces.push_back({
                index, {grains * i / count * grain, std::min(units, grains * (i + 1) / count * grain)}
            });
    }
    return pieces;
}

// The weights that each thread reads first in a stage of linear layers with few rows; empty for other stages.
std::vector<Prefetcher> first_weights(const CompiledStage& stage, const std::vector<Call>& calls, int threads) {
    std::vector<Prefetcher> weights;
    for (int t = 0; t < threads; ++t) {
        const Range share = share_of(stage.items(), t, threads);
        if (stage.sequences > 0 || share.begin >= share.end) return {};
        const Piece& piece = stage.pieces[static_cast<size_t>(share.begin)];
        const Call& call = calls[static_cast<size_t>(piece.call)];
        if (!reads_weights_once(call)) return {};
        const size_t row = dtype_bytes(call.type[operand::Linear::w], call.p.C),
                     first = row * static_cast<size_t>(piece.units.begin);
        const auto* w = call.input<std::byte>(operand::Linear::w);
        weights.push_back({w + first, w + std::min(first + kPrefetchBytes, row * static_cast<size_t>(call.p.N))});
    }
    return weights;
}

}  // namespace

bool CpuDivision::by_sequence(const Node& node) const {
    // Few sequences would leave threads idle at the end of a stage. Few rows are summed in another order by columns, so the
    // choice for them must not depend on the number of threads.
    const Params& p = node.p;
    return !has_blocks(node) && p.T >= kMinSequence && p.B * p.T > kFewRows && p.B >= 4 * threads_;
}

// With few rows for each thread, columns are divided, so that every weight is read by one thread only.
bool CpuDivision::by_columns(const Node& node) const {
    return has_blocks(node) || node.p.B * node.p.T <= kManyRows * threads_;
}

CpuBackend::CpuBackend(const KernelTable& kernels, int threads) : kernels_(kernels), pool_(threads), division_(threads) {}

CpuBackend::~CpuBackend() {
    for (size_t i = 0; i < buffers_.size(); ++i) release(static_cast<int>(i));
}

std::string CpuBackend::name() const {
    return strprintf("cpu %s, %s", kernels_.name, counted(pool_.size(), "thread").c_str());
}

bool CpuBackend::supports(const Node& node) const {
    return !node.has_f16_activation() && kernels_.run[static_cast<size_t>(node.op)] != nullptr;
}

int CpuBackend::map_weights(std::span<const std::byte> bytes, std::span<const size_t>) {
    buffers_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size(), false});  // no plan writes to weights it maps
    return static_cast<int>(buffers_.size()) - 1;
}

int CpuBackend::allocate(size_t bytes) {
    // Anonymous pages are zeroed by the system and committed on first use; they are large ones where it offers them.
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

void CpuBackend::copy(std::span<const Copy> copies) {
    for (const Copy& c : copies) std::memcpy(address(c.to), address(c.from), c.bytes);
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
            const auto same = std::find_if(compiled.packs.begin(), compiled.packs.end(), [&](const Packing& other) {
                return kernels_.same_packing && kernels_.same_packing(call, made->calls[static_cast<size_t>(other.call)]);
            });
            if (same != compiled.packs.end()) {
                packed_at[static_cast<size_t>(index)] = packed_at[static_cast<size_t>(same->call)];
                continue;
            }
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
    made->first_weights.resize(static_cast<size_t>(pool_.size()));
    for (size_t s = made->stages.size(); s-- > 0;)
        if (auto first = first_weights(made->stages[s], made->calls, pool_.size()); !first.empty())
            made->stages[s].next_weights = std::exchange(made->first_weights, std::move(first));
    if (packed_bytes > 0) made->packed = allocate(packed_bytes);
    for (size_t i = 0; i < packed_at.size(); ++i)
        if (packed_at[i] != SIZE_MAX) made->calls[i].packed = address({made->packed, packed_at[i]});
    made->shares = std::make_unique<Share[]>(made->stages.size() * static_cast<size_t>(pool_.size()));
    if (made->scratch_bytes > 0) made->scratch = allocate(made->scratch_bytes * static_cast<size_t>(pool_.size()));
    plan.executable = std::move(made);
}

void CpuBackend::run(const Plan& plan, const Step& step) {
    auto& compiled = static_cast<CpuPlan&>(*plan.executable);
    compiled.step = step;
    const int threads = pool_.size();
    const auto shares = [&](size_t s) { return Shares(&compiled.shares[s * static_cast<size_t>(threads)], threads); };
    for (size_t s = 0; s < compiled.stages.size(); ++s) shares(s).deal(compiled.stages[s].items());
    const auto kernel = [&](const Call& call, Range units, void* scratch) {
        units.end = std::min(units.end, op_units(call));
        if (units.begin < units.end) kernels_.run[static_cast<size_t>(call.op)](call, units, scratch);
    };
    const auto work = [&](int thread) {
        void* scratch = compiled.scratch < 0
                            ? nullptr
                            : address({compiled.scratch, compiled.scratch_bytes * static_cast<size_t>(thread)});
        Prefetcher prefetch = compiled.first_weights[static_cast<size_t>(thread)];
        const auto wait = [&] { pool_.barrier().wait([&] { return prefetch.step(); }); };
        for (size_t s = 0; s < compiled.stages.size(); ++s) {
            const CompiledStage& stage = compiled.stages[s];
            for (const Packing& pack : stage.packs) {
                const Call& call = compiled.calls[static_cast<size_t>(pack.call)];
                const Range part = share_of(pack.units, thread, threads);
                if (part.begin < part.end) kernels_.pack(call, part, const_cast<void*>(call.packed));
            }
            if (!stage.packs.empty()) wait();
            int prepared = -1;
            for (int64_t i; (i = shares(s).take(thread)) >= 0;) {
                if (stage.sequences > 0) {
                    for (const int index : stage.calls) {
                        const int64_t units = compiled.units_per_sequence[static_cast<size_t>(index)];
                        kernel(compiled.calls[static_cast<size_t>(index)], {i * units, (i + 1) * units}, scratch);
                    }
                } else {
                    const Piece& piece = stage.pieces[static_cast<size_t>(i)];
                    const Call& call = compiled.calls[static_cast<size_t>(piece.call)];
                    if (kernels_.prepare && std::exchange(prepared, piece.call) != piece.call)
                        kernels_.prepare(call, scratch);
                    kernel(call, piece.units, scratch);
                }
            }
            if (!stage.next_weights.empty()) prefetch = stage.next_weights[static_cast<size_t>(thread)];
            wait();
        }
    };
    pool_.run(std::cref(work));  // by reference: a copy of this closure would be allocated
}

Peak CpuBackend::measure_peak(const Stopwatch& stopwatch) {
    if (kernels_.peak_flops == nullptr)
        fail("the %s kernels have no vectors to measure; choose another instruction set", kernels_.name);
    constexpr int64_t kFloats = int64_t{1} << 26;  // 256 MiB for each thread: larger than caches
    constexpr int64_t kRounds = 1000000;
    const int threads = pool_.size();
    struct alignas(64) Line {
        float sink;
        double operations;
    };
    std::vector<Line> lines(static_cast<size_t>(threads));
    const auto multiply_add = [&](int thread) {
        Line& line = lines[static_cast<size_t>(thread)];
        line.operations = kernels_.peak_flops(kRounds, &line.sink);
    };
    const double computing = stopwatch([&] { pool_.run(std::cref(multiply_add)); });

    const int buffer = allocate(static_cast<size_t>(kFloats) * 4 * static_cast<size_t>(threads));
    auto* data = reinterpret_cast<float*>(address({buffer, 0}));
    std::fill(data, data + kFloats * threads, 1.0f);
    const auto read = [&](int thread) {
        lines[static_cast<size_t>(thread)].sink = kernels_.read_memory(data + kFloats * thread, kFloats);
    };
    const double reading = stopwatch([&] { pool_.run(std::cref(read)); });
    release(buffer);
    return {lines[0].operations * threads / computing, static_cast<double>(kFloats) * 4 * threads / reading};
}

}  // namespace nib
