#include "core/parallel.h"

#include <sched.h>

#include <exception>

#include "core/error.h"

namespace nib {
namespace {

constexpr int kSpins = 4000;  // some microseconds, longer than the usual wait inside a step

void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Returns when `value` is no longer `old`.
template <class T>
void wait_while(const std::atomic<T>& value, T old) {
    for (int i = 0; i < kSpins; ++i) {
        if (value.load(std::memory_order_acquire) != old) return;
        pause_briefly();
    }
    value.wait(old, std::memory_order_acquire);
}

}  // namespace

void Barrier::open(uint32_t phase) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    phase_.notify_all();
}

void Barrier::wait_for_others(uint32_t phase) {
    while (phase_.load(std::memory_order_acquire) == phase) wait_while(phase_, phase);
}

ThreadPool::ThreadPool(int threads) : threads_(threads), barrier_(threads) {
    if (threads < 1) fail("%d threads are too few; one is the least", threads);
    try {
        for (int i = 1; i < threads; ++i) others_.emplace_back([this, i] { work(i); });
    } catch (const std::exception& error) {
        end();
        fail("cannot start %d threads (%s); choose fewer", threads, error.what());
    }
}

ThreadPool::~ThreadPool() { end(); }

// Lets the other threads leave and waits for them.
void ThreadPool::end() {
    task_ = nullptr;
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& t : others_) t.join();
}

void ThreadPool::run(const std::function<void(int)>& task) {
    task_ = &task;
    running_.store(threads_ - 1, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    task(0);
    for (int left = running_.load(std::memory_order_acquire); left != 0; left = running_.load(std::memory_order_acquire))
        wait_while(running_, left);
}

void ThreadPool::work(int thread) {
    for (uint32_t seen = 0;; ++seen) {
        while (generation_.load(std::memory_order_acquire) == seen) wait_while(generation_, seen);
        if (task_ == nullptr) return;
        (*task_)(thread);
        if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) running_.notify_all();
    }
}

int default_threads() {
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set) > 0 ? CPU_COUNT(&set) : 1;
    const unsigned n = std::thread::hardware_concurrency();
    return n > 0 ? static_cast<int>(n) : 1;
}

}  // namespace nib
