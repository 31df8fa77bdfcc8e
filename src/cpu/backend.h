// The CPU backend: runs plans with one kernel table, on the threads of a pool.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/backend.h"
#include "core/parallel.h"

namespace nib {

/// Threads take whole sequences if there are enough of them, else pieces of each node.
class CpuDivision : public Division {
public:
    explicit CpuDivision(int threads) : threads_(threads) {}
    bool by_sequence(const Node& node) const override;
    bool by_columns(const Node& node) const override;

private:
    const int threads_;
};

/// Buffers are host memory. Results have the same bits for any number of threads.
class CpuBackend : public Backend {
public:
    /// `kernels` must outlive the backend. threads: 1 or more.
    CpuBackend(const KernelTable& kernels, int threads);
    ~CpuBackend() override;

    std::string name() const override;
    const Division& division() const override { return division_; }
    int threads() const { return pool_.size(); }
    bool supports(const Node& node) const override;
    int map_weights(std::span<const std::byte> bytes, std::span<const size_t> cuts = {}) override;
    int allocate(size_t bytes) override;
    void release(int buffer) override;
    void upload(Location to, std::span<const std::byte> bytes) override;
    void download(Location from, std::span<std::byte> bytes) const override;
    void copy(std::span<const Copy> copies) override;
    void prepare(Plan& plan) override;
    void run(const Plan& plan, const Step& step) override;
    Peak measure_peak(const Stopwatch& stopwatch) override;

    /// Host address of a place in a buffer.
    std::byte* address(Location where) const;
    ThreadPool& pool() { return pool_; }
    const KernelTable& kernels() const { return kernels_; }

private:
    struct Memory {
        std::byte* data = nullptr;
        size_t bytes = 0;
        bool owned = false;
    };
    const KernelTable& kernels_;
    ThreadPool pool_;
    const CpuDivision division_;
    std::vector<Memory> buffers_;
};

}  // namespace nib
