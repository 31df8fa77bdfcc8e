#include "infer/evaluate.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "infer/probabilities.h"

namespace nib {
namespace {

constexpr int64_t kRows = 4096, kMaxBatch = 64;  // of a batch, if the caller does not choose

}  // namespace

Evaluator::Evaluator(Backend& backend, const ModelConfig& config, const Weights& weights, std::vector<int64_t> ends,
                     const EvaluationOptions& options)
    : ends_(std::move(ends)), vocab_(config.vocab) {
    if (ends_.empty() || options.batch < 0) fail("there is no text to evaluate, or the batch is negative");
    int64_t longest = 0;
    for (size_t i = 0; i < ends_.size(); ++i) {
        const int64_t tokens = ends_[i] - (i > 0 ? ends_[i - 1] : 0);
        if (tokens < 2) fail("a text of %s predicts none; it needs two at least", counted(tokens, "token").c_str());
        longest = std::max(longest, tokens);
    }
    const int64_t stride = options.stride;
    if (stride < 0 || stride > config.context || (stride > 0 && config.context < 2))
        fail_option("stride", "is %lld; it must be at least 1 and at most the model's context of %lld",
                    static_cast<long long>(stride), static_cast<long long>(config.context));
    time_ = std::min(config.context - (stride > 0), longest - 1);
    step_ = stride > 0 ? stride : time_;
    batch_ = windows(options.batch > 0 ? options.batch : std::clamp<int64_t>(kRows / time_, 1, kMaxBatch));
    Graph g(Mode::Infer);
    inputs_ = TokenInputs(g, config, batch_, time_);
    targets_ = g.input("targets", {batch_, time_}, DType::I32);
    const auto model = make_model(config);
    scores_ = g.cross_entropy(model->hidden(g, inputs_.inputs(weights)), weights[model->head("lm").output], targets_);
    g.output(scores_.logp);
    g.output(scores_.predicted);
    if (const auto bytes = static_cast<double>(arena_bytes(g, backend)); bytes > options.memory)
        fail_option("batch", "%lld needs %s of memory, but this machine has %s; choose a smaller one",
                    static_cast<long long>(batch_), human_bytes(bytes).c_str(), human_bytes(options.memory).c_str());
    plan_ = compile(std::move(g), backend);
    for (int64_t r = 0; r < batch_ * time_; ++r) positions_.push_back(static_cast<int32_t>(r % time_));
}

// Goes on to the next window: until the last token of a text is predicted, or would be with one more in the window.
bool Evaluator::next(Window& w) const {
    if (w.at + time_ < size(w) - 1) {
        w.at += step_;
        return true;
    }
    w = {w.text + 1, ends_[w.text], 0};
    return w.text < ends_.size();
}

// The number of windows, at most `most`.
int64_t Evaluator::windows(int64_t most) const {
    int64_t count = 1;
    for (Window w; count < most && next(w);) ++count;
    return count;
}

// The rows of a window and their targets; targets that an earlier window has predicted are ignored.
void Evaluator::read_window(const Reader& read, const Window& w, std::span<int32_t> ids, std::span<int32_t> targets) const {
    const int64_t tokens = std::min(time_ + 1, size(w) - w.at);  // of the window
    std::vector<int32_t> text(static_cast<size_t>(tokens));
    read(w.begin + w.at, text);
    const int64_t known = w.at == 0 ? 0 : time_ - step_;  // rows whose targets were predicted before
    for (int64_t r = 0; r < time_; ++r) {
        const auto i = static_cast<size_t>(r);
        ids[i] = r < tokens ? text[i] : 0;
        targets[i] = r >= known && r + 1 < tokens ? text[i + 1] : kIgnore;
    }
}

Evaluation Evaluator::run(const Reader& read, const Progress& progress) {
    Evaluation sums;
    const auto T = static_cast<size_t>(time_), R = static_cast<size_t>(batch_) * T;
    std::vector<int32_t> ids(R), targets(R), predicted(R);
    std::vector<float> logp(R);
    Window window;
    for (bool more = true; more;) {
        std::fill(ids.begin(), ids.end(), 0);
        std::fill(targets.begin(), targets.end(), kIgnore);
        for (size_t row = 0; more && row < R; row += T) {
            read_window(read, window, std::span(ids).subspan(row, T), std::span(targets).subspan(row, T));
            more = next(window);
        }
        inputs_.set(plan_, ids, positions_);
        check_tokens(targets, vocab_, true);
        plan_.set<int32_t>(targets_, targets);
        plan_.run({});
        plan_.get(scores_.logp, std::span(logp));
        plan_.get(scores_.predicted, std::span(predicted));
        for (size_t r = 0; r < R; ++r) {
            if (targets[r] == kIgnore) continue;
            sums.loss_sum -= static_cast<double>(logp[r]);
            sums.correct += predicted[r] == targets[r];
            ++sums.tokens;
        }
        if (progress) progress(sums);
    }
    return sums;
}

Evaluation evaluate_pairs(Engine& engine, std::span<const TokenPair> pairs, int32_t start, std::vector<double>* logp) {
    Evaluation sums;
    const auto V = static_cast<size_t>(engine.vocab());
    std::vector<EngineSource> sources;
    std::vector<EngineRow> rows;
    std::vector<int32_t> targets;  // of the rows
    for (; !pairs.empty(); pairs = pairs.subspan(sources.size())) {
        sources.clear(), rows.clear(), targets.clear();
        for (const TokenPair& pair : pairs.first(std::min(pairs.size(), static_cast<size_t>(engine.slots())))) {
            if (pair.target.empty()) fail("a text without tokens cannot be predicted");
            check_tokens(pair.target, engine.vocab(), false);
            const auto slot = static_cast<int32_t>(sources.size());
            for (size_t t = 0; t < pair.target.size(); ++t)
                rows.push_back({t == 0 ? start : pair.target[t - 1], slot, static_cast<int64_t>(t), true});
            targets.insert(targets.end(), pair.target.begin(), pair.target.end());
            sources.push_back({slot, pair.source});
            engine.attend(slot, slot);
        }
        engine.encode(sources);
        for (size_t first = 0; first < rows.size(); first += kPairRows) {
            const size_t count = std::min(rows.size() - first, size_t{kPairRows});
            const std::span<const float> all = engine.step(std::span(rows).subspan(first, count));
            require_numbers(all);
            for (size_t r = 0; r < count; ++r) {
                const std::span<const float> logits = all.subspan(r * V, V);
                const auto target = static_cast<size_t>(targets[first + r]);
                const double of_target = static_cast<double>(logits[target]) - log_sum_exp(logits);
                sums.loss_sum -= of_target;
                sums.correct +=
                    logits.begin() + static_cast<std::ptrdiff_t>(target) == std::max_element(logits.begin(), logits.end());
                ++sums.tokens;
                if (logp != nullptr) logp->push_back(of_target);
            }
        }
    }
    return sums;
}

}  // namespace nib
