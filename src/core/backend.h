// The only seam between the devices: models, trainer and sampler do not know on which backend they run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "core/op.h"
#include "core/tensor.h"

namespace nib {

struct Node;
struct Plan;

/// What a backend makes of a plan before its first run: resolved addresses, recorded command buffers.
class Executable {
public:
    virtual ~Executable() = default;
};

/// What a device does at most in a second: operations (a multiply-add is two) and bytes of memory.
struct Peak {
    double flops = 0, bandwidth = 0;
};
/// Seconds that `work` takes.
using Stopwatch = std::function<double(const std::function<void()>& work)>;

/// How a backend divides the work of nodes among its workers; what schedule() (core/plan.h) asks.
class Division {
public:
    virtual ~Division() = default;
    /// Whether each worker takes whole sequences through this node and its neighbours.
    virtual bool by_sequence(const Node&) const { return false; }
    /// Linear and its gradient where not: whether its columns are divided, not its rows.
    virtual bool by_columns(const Node&) const { return true; }
};

/// Bytes that go from one place on the device to another.
struct Copy {
    Location from, to;
    size_t bytes = 0;
};

class Backend {
public:
    virtual ~Backend() = default;
    /// For people: "cpu avx512, 2 threads".
    virtual std::string name() const = 0;
    virtual const Division& division() const {
        static const Division none;
        return none;
    }
    /// Whether it has a kernel for this node; asked by compile(), never in a step.
    virtual bool supports(const Node& node) const = 0;
    /// Buffers are contiguous up to multiples of this many bytes, which no tensor may cross. SIZE_MAX: all of a buffer is.
    virtual size_t segment() const { return SIZE_MAX; }
    /// Makes read-only bytes (a mapped file) a buffer. CPU: in place, so they must outlive the backend; others upload once.
    /// `cuts`, in ascending order: where tensors begin. Of a buffer of more than segment() bytes, none may be larger.
    virtual int map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts = {}) = 0;
    /// A new zeroed buffer, 64-byte aligned. Throws Error when there is not enough memory.
    virtual int allocate(size_t bytes) = 0;
    virtual void release(int buffer) = 0;
    /// Copies between the host and a buffer; never called while a plan runs.
    virtual void upload(Location to, std::span<const std::byte> bytes) = 0;
    virtual void download(Location from, std::span<std::byte> bytes) const = 0;
    /// Copies within the device; what is copied and where to do not overlap, nor does any cross a multiple of segment().
    virtual void copy(std::span<const Copy> copies) = 0;
    /// Makes plan.executable.
    virtual void prepare(Plan& plan) = 0;
    /// One step. Allocates nothing.
    virtual void run(const Plan& plan, const Step& step) = 0;
    /// Several plans of one step, in turn; the host need not wait between them.
    virtual void run_in_turn(std::span<const Plan* const> plans, const Step& step) {
        for (const Plan* plan : plans) run(*plan, step);
    }
    /// For benchmarks. Bandwidth is that of reading on a CPU, elsewhere that of copying, both directions counted. Error
    /// when there are no kernels for it.
    virtual Peak measure_peak(const Stopwatch& stopwatch) = 0;
};

/// The lowest offset, `at` or more, where a tensor of `bytes` crosses no multiple of `segment`. Error when it is larger.
size_t fit_segment(size_t at, size_t bytes, size_t segment, const std::string& name);

}  // namespace nib
