// A thread pool whose threads enter a step together and meet at barriers inside it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace nib {

/// Meeting point of a fixed number of threads: spins briefly, then sleeps in the kernel.
class Barrier {
public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait() {
        wait([] { return false; });
    }
    /// While waiting, calls idle(), optional work, until it returns false.
    template <class Idle>
    void wait(Idle idle) {
        if (threads_ == 1) return;
        const uint32_t phase = phase_.load(std::memory_order_acquire);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) return open(phase);
        while (phase_.load(std::memory_order_acquire) == phase)
            if (!idle()) return wait_for_others(phase);
    }

private:
    void open(uint32_t phase);
    void wait_for_others(uint32_t phase);

    const int threads_;
    std::atomic<int> arrived_{0};
    std::atomic<uint32_t> phase_{0};
};

/// A fixed set of threads; the caller of run() is thread 0.
class ThreadPool {
public:
    /// Error for less than one, and when the system does not start so many.
    explicit ThreadPool(int threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int size() const { return threads_; }
    /// Calls task(thread) on every thread and returns when all are done. The task must not throw.
    void run(const std::function<void(int)>& task);
    Barrier& barrier() { return barrier_; }

private:
    void work(int thread);
    void end();

    const int threads_;
    Barrier barrier_;
    std::atomic<uint32_t> generation_{0};
    std::atomic<int> running_{0};
    const std::function<void(int)>* task_ = nullptr;  // null in a new generation: leave
    std::vector<std::thread> others_;
};

/// Threads to use when the user does not say: the processors that this process may run on.
int default_threads();

}  // namespace nib
