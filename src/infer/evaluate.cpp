#include "infer/evaluate.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

constexpr int64_t kRows = 4096, kMaxBatch = 64;  // of a batch, when the caller leaves it to us

}  // namespace

Evaluator::Evaluator(Backend& backend, const GptConfig& config, const GptWeights& weights, int64_t tokens,
                     const EvaluationOptions& options)
    : tokens_(tokens) {
    CHECK(tokens >= 2 && options.batch >= 0);
    const int64_t stride = options.stride;
    if (stride < 0 || stride > config.context || (stride > 0 && config.context < 2))
        fail("--stride is %lld; it must be at least 1 and at most the model's context of %lld",
             static_cast<long long>(stride), static_cast<long long>(config.context));
    time_ = std::min(config.context - (stride > 0), tokens - 1);
    step_ = stride > 0 ? stride : time_;
    batch_ = std::min(windows(), options.batch > 0 ? options.batch : std::clamp<int64_t>(kRows / time_, 1, kMaxBatch));
    const int64_t R = batch_ * time_;
    Graph g(Mode::Infer, batch_, time_);
    ids_ = g.input("ids", {R}, DType::I32);
    positions_ = g.input("positions", {R}, DType::I32);
    targets_ = g.input("targets", {R}, DType::I32);
    loss_ = g.loss(gpt(g, config, weights, {.ids = ids_, .positions = positions_}), weights.output, targets_);
    g.output(loss_.losses);
    g.output(loss_.predicted);
    if (const auto bytes = static_cast<double>(arena_bytes(g, backend.workers(), backend.segment()));
        bytes > options.memory)
        fail("--batch %lld needs %s of memory, but this machine has %s; choose a smaller one",
             static_cast<long long>(batch_), human_bytes(bytes).c_str(), human_bytes(options.memory).c_str());
    plan_ = compile(std::move(g), backend);
    std::vector<int32_t> positions(static_cast<size_t>(R));
    for (size_t r = 0; r < positions.size(); ++r) positions[r] = static_cast<int32_t>(r % static_cast<size_t>(time_));
    plan_.set<int32_t>(positions_, positions);
}

// How many windows it takes until the last token is predicted, or would be with one more token in the window.
int64_t Evaluator::windows() const {
    const int64_t predicted = tokens_ - 1;
    return 1 + (predicted > time_ ? (predicted - time_ + step_ - 1) / step_ : 0);
}

// Rows of window `w` and which tokens they predict; those that an earlier window has predicted are ignored.
void Evaluator::read_window(const Reader& read, int64_t w, std::span<int32_t> ids, std::span<int32_t> targets) const {
    const int64_t begin = w * step_, size = std::min(time_ + 1, tokens_ - begin);  // tokens of the window
    std::vector<int32_t> text(static_cast<size_t>(size));
    read(begin, text);
    const int64_t known = w == 0 ? 0 : time_ - step_;  // rows whose targets were predicted before
    for (int64_t r = 0; r < time_; ++r) {
        const auto i = static_cast<size_t>(r);
        ids[i] = r < size ? text[i] : 0;
        targets[i] = r >= known && r + 1 < size ? text[i + 1] : kIgnore;
    }
}

Evaluation Evaluator::run(const Reader& read, const Progress& progress) {
    Evaluation sums;
    const auto T = static_cast<size_t>(time_), R = static_cast<size_t>(batch_) * T;
    std::vector<int32_t> ids(R), targets(R), predicted(R);
    std::vector<float> losses(R);
    const int64_t count = windows();
    for (int64_t first = 0; first < count; first += batch_) {
        std::fill(ids.begin(), ids.end(), 0);
        std::fill(targets.begin(), targets.end(), kIgnore);
        for (int64_t w = first; w < std::min(first + batch_, count); ++w) {
            const size_t row = static_cast<size_t>(w - first) * T;
            read_window(read, w, std::span(ids).subspan(row, T), std::span(targets).subspan(row, T));
        }
        plan_.set<int32_t>(ids_, ids);
        plan_.set<int32_t>(targets_, targets);
        plan_.run({});
        plan_.get(loss_.losses, std::span(losses));
        plan_.get(loss_.predicted, std::span(predicted));
        for (size_t r = 0; r < R; ++r) {
            if (targets[r] == kIgnore) continue;
            sums.loss_sum += static_cast<double>(losses[r]);
            sums.correct += predicted[r] == targets[r];
            ++sums.tokens;
        }
        if (progress) progress(sums);
    }
    return sums;
}

}  // namespace nib
