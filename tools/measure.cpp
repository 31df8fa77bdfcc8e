#include "measure.h"

#include <algorithm>
#include <chrono>

#include "core/error.h"

namespace nib {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

// Median seconds of `work`: at least `runs` runs, and half a second.
double time_of(const std::function<void()>& work, int runs) {
    work();
    std::vector<double> times;
    for (const double start = now(); static_cast<int>(times.size()) < runs || now() - start < 0.5;) {
        const double begin = now();
        work();
        times.push_back(now() - begin);
    }
    return median(times);
}

namespace {

const KernelTable& require_vectors(const CpuBackend& backend) {
    const KernelTable& kernels = backend.kernels();
    if (kernels.peak_flops == nullptr) fail("--isa %s has no vector kernels to measure; choose another", kernels.name);
    return kernels;
}

}  // namespace

double measure_bandwidth(CpuBackend& backend) {
    const KernelTable& kernels = require_vectors(backend);
    ThreadPool& pool = backend.pool();
    const auto threads = static_cast<size_t>(pool.size());
    std::vector<float> sinks(threads * 16);        // a cache line for each thread
    constexpr int64_t kFloats = int64_t{1} << 26;  // 256 MiB for each thread: larger than caches
    const int buffer = backend.allocate(static_cast<size_t>(kFloats) * 4 * threads);
    auto* data = reinterpret_cast<float*>(backend.address({buffer, 0}));
    std::fill(data, data + kFloats * pool.size(), 1.0f);
    const auto read = [&](int thread) {
        sinks[static_cast<size_t>(thread) * 16] = kernels.read_memory(data + kFloats * thread, kFloats);
    };
    const double bandwidth = static_cast<double>(kFloats) * 4 * pool.size() / time_of([&] { pool.run(std::cref(read)); });
    backend.release(buffer);
    return bandwidth;
}

Limits measure_limits(CpuBackend& backend) {
    const KernelTable& kernels = require_vectors(backend);
    ThreadPool& pool = backend.pool();
    const auto threads = static_cast<size_t>(pool.size());
    Limits limits;
    std::vector<float> sinks(threads * 16);  // a cache line for each thread
    double operations = 0;
    const auto burst = [&](int thread) {
        const double done = kernels.peak_flops(1000000, &sinks[static_cast<size_t>(thread) * 16]);
        if (thread == 0) operations = done * static_cast<double>(threads);
    };
    const double seconds = time_of([&] { pool.run(std::cref(burst)); });
    limits.flops = operations / seconds;
    limits.bandwidth = measure_bandwidth(backend);
    return limits;
}

}  // namespace nib
