#include "text/piece_workers.h"

#include <exception>
#include <mutex>

#include "core/parallel.h"

namespace nib {
namespace {

using Next = std::function<bool(TextPiece&)>;

class Batches {
public:
    explicit Batches(const Next& next) : next_(next) {}

    // Works with one thread until there is nothing left, or a thread has failed.
    void run(const std::function<void(const PieceBatch&)>& work) {
        PieceBatch batch;
        while (take(batch)) {
            try {
                work(batch);
            } catch (...) {
                const std::lock_guard lock(mutex_);
                keep_error(batch.number);
                return;
            }
        }
    }

    void rethrow() const {
        if (error_) std::rethrow_exception(error_);
    }

private:
    // Short documents are taken together.
    bool take(PieceBatch& batch) {
        const std::lock_guard lock(mutex_);
        if (error_ || ended_) return false;
        batch.number = taken_++;
        size_t used = 0, bytes = 0;
        try {
            while (bytes < TextSource::kPiece && !ended_) {
                if (used == batch.pieces.size()) batch.pieces.emplace_back();
                ended_ = !next_(batch.pieces[used]);
                if (!ended_) bytes += batch.pieces[used++].text.size() + 1;
            }
        } catch (...) {
            keep_error(batch.number);
            return false;
        }
        batch.pieces.resize(used);
        return used > 0;
    }

    // Of several the first in the text counts: what comes before it has been taken, and is still being worked on.
    void keep_error(uint64_t number) {
        if (error_ && failed_ < number) return;
        error_ = std::current_exception();
        failed_ = number;
    }

    const Next& next_;
    std::mutex mutex_;
    uint64_t taken_ = 0;
    bool ended_ = false;
    std::exception_ptr error_;
    uint64_t failed_ = 0;
};

}  // namespace

void for_each_batch(const Next& next, int threads, const std::function<void(int thread, const PieceBatch&)>& work) {
    Batches batches(next);
    ThreadPool pool(threads);
    pool.run([&](int thread) { batches.run([&](const PieceBatch& batch) { work(thread, batch); }); });
    batches.rethrow();
}

}  // namespace nib
