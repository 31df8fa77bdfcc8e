// Threads: a pool runs a task once on each of its threads, a barrier lets none through before all have come. `make tsan`
// looks at the same runs for races.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/shares.h"

namespace nib {
namespace {

constexpr int kMostThreads = 4;

TEST(Parallel, EveryThreadRunsEveryTaskOnce) {
    for (int threads = 1; threads <= kMostThreads; ++threads) {
        ThreadPool pool(threads);
        ASSERT_EQ(pool.size(), threads);
        std::vector<int> runs(static_cast<size_t>(threads));  // plain ints: what a task wrote is seen after run()
        const std::function<void(int)> task = [&](int thread) { ++runs[static_cast<size_t>(thread)]; };
        for (int i = 1; i <= 1000; ++i) {
            pool.run(task);
            for (const int count : runs) ASSERT_EQ(count, i);
        }
    }
}

TEST(Parallel, TasksMayDiffer) {
    ThreadPool pool(3);
    for (int i = 0; i < 200; ++i) {
        std::atomic<int> sum{0};
        pool.run([&sum, i](int thread) { sum += i * (thread + 1); });
        ASSERT_EQ(sum, 6 * i);
    }
}

TEST(Parallel, SharesGiveEachItemToOneThread) {
    for (const int threads : {1, 2, 3, 4})
        for (const int64_t items : {0, 1, 2, 7, 1000}) {
            std::vector<Share> memory(static_cast<size_t>(threads));
            const Shares shares(memory.data(), threads);
            shares.deal(items);
            std::vector<std::atomic<int>> taken(static_cast<size_t>(items));
            ThreadPool pool(threads);
            pool.run([&](int thread) {
                for (int64_t i; (i = shares.take(thread)) >= 0;) ++taken[static_cast<size_t>(i)];
            });
            for (const auto& times : taken) ASSERT_EQ(times, 1);
            for (int t = 0; t < threads; ++t) ASSERT_EQ(shares.take(t), -1);
        }
}

TEST(Parallel, ASharesOwnerTakesFromTheFrontAndOthersFromTheBack) {
    Share memory[2];
    const Shares shares(memory, 2);
    shares.deal(5);
    EXPECT_EQ(shares.take(0), 0);
    EXPECT_EQ(shares.take(0), 1);
    EXPECT_EQ(shares.take(0), 4);
    EXPECT_EQ(shares.take(1), 2);
    EXPECT_EQ(shares.take(0), 3);
    EXPECT_EQ(shares.take(1), -1);
}

TEST(Parallel, BarriersLetThoseWhoWaitDoSomething) {
    ThreadPool pool(2);
    std::atomic<int> idle{0};
    pool.run([&](int thread) {
        while (thread == 1 && idle < 3) {
        }
        pool.barrier().wait([&] { return ++idle < 3; });
    });
    EXPECT_GE(idle, 3);
}

TEST(Parallel, BarrierKeepsThreadsTogether) {
    for (int threads = 1; threads <= kMostThreads; ++threads) {
        ThreadPool pool(threads);
        constexpr int kRounds = 500;
        std::vector<int> at(static_cast<size_t>(threads));  // plain: the barriers order the accesses
        std::atomic<int> wrong{0};
        pool.run([&](int thread) {
            for (int round = 1; round <= kRounds; ++round) {
                at[static_cast<size_t>(thread)] = round;
                pool.barrier().wait();
                for (const int other : at) wrong += other != round;
                pool.barrier().wait();
            }
        });
        EXPECT_EQ(wrong, 0) << threads << " threads";
    }
}

TEST(Parallel, BarriersOfManyShortRuns) {
    for (int threads = 2; threads <= kMostThreads; ++threads) {
        ThreadPool pool(threads);
        std::vector<int> left(static_cast<size_t>(threads)), right(left);
        for (int i = 1; i <= 300; ++i) {
            pool.run([&](int thread) {
                const auto me = static_cast<size_t>(thread), next = (me + 1) % left.size();
                left[me] = i;
                pool.barrier().wait();
                right[me] = left[next];
            });
            for (const int value : right) ASSERT_EQ(value, i);
        }
    }
}

TEST(Parallel, SlowThreadsAreWaitedFor) {  // longer than the spinning: through the kernel's sleep and wake
    ThreadPool pool(3);
    std::vector<int> done(3);
    for (int i = 0; i < 20; ++i) {
        pool.run([&](int thread) {
            if (thread == i % 3)
                for (int spin = 0; spin < 2000; ++spin) sched_yield();
            pool.barrier().wait();
            if (thread == (i + 1) % 3)
                for (int spin = 0; spin < 2000; ++spin) sched_yield();
            ++done[static_cast<size_t>(thread)];
        });
        for (const int count : done) ASSERT_EQ(count, i + 1);
    }
}

TEST(Parallel, PoolsComeAndGo) {
    for (int i = 0; i < 50; ++i) {
        ThreadPool idle(1 + i % kMostThreads);  // ends without having run
        ThreadPool outer(2), inner(2);          // two pools are independent
        std::atomic<int> count{0};
        outer.run([&](int thread) {
            ++count;
            if (thread == 0) inner.run([&](int) { ++count; });
        });
        ASSERT_EQ(count, 4);
    }
}

// In a child process whose address space has room for some stacks but not for all.
TEST(Parallel, ThreadsThatCannotBeStartedAreAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    GTEST_SKIP() << "a sanitizer needs its address space";
#endif
    rlimit before{};
    getrlimit(RLIMIT_AS, &before);
    const auto start_too_many = [&] {
        size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        const rlimit limit{pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + (size_t{64} << 20), before.rlim_max};
        rlimit now{};
        if (setrlimit(RLIMIT_AS, &limit) != 0 || getrlimit(RLIMIT_AS, &now) != 0 || now.rlim_cur != limit.rlim_cur)
            _exit(2);  // an emulator
        try {
            ThreadPool pool(10000);
        } catch (const Error& error) {
            const ThreadPool few(2);  // the room of those that had been started is free again
            _exit(std::string(error.what()).starts_with("cannot start 10000 threads") ? 0 : 1);
        }
        _exit(1);
    };
    const pid_t child = fork();
    if (child == 0) start_too_many();
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    if (WEXITSTATUS(status) == 2) GTEST_SKIP() << "no limit on the address space here";
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Parallel, DefaultThreads) { EXPECT_GE(default_threads(), 1); }

}  // namespace
}  // namespace nib
