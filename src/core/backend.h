// The interface of a device. Models, trainer and sampler do not know which backend they run on.
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

/// What a backend prepares before a plan's first run: resolved addresses, recorded command buffers.
class Executable {
public:
    virtual ~Executable() = default;
};

/// Peak rates per second: floating-point operations (a multiply-add is two) and bytes of memory.
struct Peak {
    double flops = 0, bandwidth = 0;
};
/// Returns how many seconds `work` takes.
using Stopwatch = std::function<double(const std::function<void()>& work)>;

/// How a backend divides nodes among its workers; schedule() (core/plan.h) asks this.
class Division {
public:
    virtual ~Division() = default;
    /// Whether each worker takes whole sequences through this node and its neighbours.
    virtual bool by_sequence(const Node&) const { return false; }
    /// For Linear and LinearBackward otherwise: whether the columns are divided instead of the rows.
    virtual bool by_columns(const Node&) const { return true; }
};

/// A copy between two places on the device.
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
    /// Buffers consist of segments of this many bytes; no tensor may cross a boundary between them. SIZE_MAX: no limit.
    virtual size_t segment() const { return SIZE_MAX; }
    /// A buffer of read-only bytes (a mapped file). The CPU uses them in place, so they must outlive the backend; others
    /// upload them once.
    /// `cuts`, in ascending order: where tensors begin. Of a buffer of more than segment() bytes, none may be larger.
    virtual int map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts = {}) = 0;
    /// A new zeroed buffer, 64-byte aligned. Throws Error when there is not enough memory.
    virtual int allocate(size_t bytes) = 0;
    virtual void release(int buffer) = 0;
    /// Copies between the host and a buffer; never called while a plan runs.
    virtual void upload(Location to, std::span<const std::byte> bytes) = 0;
    virtual void download(Location from, std::span<std::byte> bytes) const = 0;
    /// Copies within the device. Sources and destinations do not overlap, and none crosses a multiple of segment().
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
