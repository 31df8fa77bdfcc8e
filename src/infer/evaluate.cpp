#include "infer/evaluate.h"

#include <algorithm>

#include "core/error.h"

namespace nib {
namespace {

constexpr int64_t kRows = 4096, kMaxBatch = 64;  // of a batch, when the caller leaves it to us

}  // namespace

Evaluator::Evaluator(Backend& backend, const GptConfig& config, const GptWeights& weights, int64_t tokens, int64_t batch,
                     double memory)
    : tokens_(tokens), time_(std::min(config.context, tokens - 1)) {
    CHECK(tokens >= 2 && batch >= 0);
    const int64_t windows = (tokens - 2) / time_ + 1;
    batch_ = std::min(windows, batch > 0 ? batch : std::clamp<int64_t>(kRows / time_, 1, kMaxBatch));
    const int64_t R = batch_ * time_;
    Graph g(Mode::Infer, batch_, time_);
    ids_ = g.input("ids", {R}, DType::I32);
    positions_ = g.input("positions", {R}, DType::I32);
    targets_ = g.input("targets", {R}, DType::I32);
    loss_ = g.loss(gpt(g, config, weights, {.ids = ids_, .positions = positions_}), weights.output, targets_);
    g.output(loss_.losses);
    g.output(loss_.predicted);
    if (const auto bytes = static_cast<double>(arena_bytes(g, backend.workers())); bytes > memory)
        fail("--batch %lld needs %s of memory, but this machine has %s; choose a smaller one",
             static_cast<long long>(batch_), human_bytes(bytes).c_str(), human_bytes(memory).c_str());
    plan_ = compile(std::move(g), backend);
    std::vector<int32_t> positions(static_cast<size_t>(R));
    for (size_t r = 0; r < positions.size(); ++r) positions[r] = static_cast<int32_t>(r % static_cast<size_t>(time_));
    plan_.set<int32_t>(positions_, positions);
}

Evaluation Evaluator::run(const Reader& read, const Progress& progress) {
    Evaluation sums;
    const auto R = static_cast<size_t>(batch_ * time_);
    std::vector<int32_t> text(R + 1), targets(R), predicted(R);
    std::vector<float> losses(R);
    for (int64_t begin = 0; begin < tokens_ - 1; begin += batch_ * time_) {
        // Windows of a batch follow each other in the text, and so do its rows.
        const auto counted = std::min(R, static_cast<size_t>(tokens_ - 1 - begin));
        read(begin, std::span(text).first(counted + 1));
        std::fill(text.begin() + static_cast<std::ptrdiff_t>(counted) + 1, text.end(), 0);
        std::fill(targets.begin(), targets.end(), kIgnore);
        std::copy_n(text.begin() + 1, counted, targets.begin());
        plan_.set<int32_t>(ids_, std::span(text).first(R));
        plan_.set<int32_t>(targets_, targets);
        plan_.run({});
        plan_.get(loss_.losses, std::span(losses));
        plan_.get(loss_.predicted, std::span(predicted));
        for (size_t r = 0; r < counted; ++r) {
            sums.loss_sum += static_cast<double>(losses[r]);
            sums.correct += predicted[r] == targets[r];
        }
        sums.tokens += static_cast<int64_t>(counted);
        if (progress) progress(sums);
    }
    return sums;
}

}  // namespace nib
