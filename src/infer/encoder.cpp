#include "infer/encoder.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "infer/probabilities.h"

namespace nib {
namespace {

// Rows of the largest pass. Weights in blocks are unpacked as fast as they are read, and fewer rows stay in the cache;
// others are read once for as many rows as possible.
constexpr int64_t kRows = 2048, kRowsOnBlocks = 1024;
constexpr int64_t kSmallest = 16;                       // of passes: each has four times the rows of the one before
constexpr int64_t kMostLogits = 1 << 22, kFewest = 16;  // in memory at a time, and at least those of so many rows

std::vector<size_t> longest_first(std::span<const TextTokens> texts) {
    std::vector<size_t> order(texts.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return texts[a].ids.size() > texts[b].ids.size(); });
    return order;
}

int64_t best_rows(const Weights& weights) {
    const auto in_blocks = [](const Weight& w) { return dtype_info(w.type)->block_size > 1; };
    return std::any_of(weights.all().begin(), weights.all().end(), in_blocks) ? kRowsOnBlocks : kRows;
}

void check_text(const TextTokens& text, int64_t context) {
    const auto T = static_cast<int64_t>(text.ids.size());
    if (T == 0) fail("a text without tokens has no hidden states");
    if (T > context)
        fail("a text has %lld tokens, but the model's context has room for %lld", static_cast<long long>(T),
             static_cast<long long>(context));
    if (!text.segments.empty() && text.segments.size() != text.ids.size())
        fail("a text of %lld tokens has segments of %zu", static_cast<long long>(T), text.segments.size());
}

}  // namespace

SequenceEncoder::SequenceEncoder(Backend& backend, const ModelConfig& config, const Weights& weights, int64_t rows)
    : backend_(backend),
      config_(config),
      weights_(weights),
      model_(make_model(config)),
      rows_(rows > 0 ? rows : std::max(best_rows(weights), config.context)) {
    if (rows < 0) fail("a pass of %lld rows makes no sense", static_cast<long long>(rows));
    const auto R = static_cast<size_t>(rows_);
    for (auto* values : {&ids_, &positions_, &segments_}) values->resize(R);
    spans_.resize(2 * R);
}

std::vector<SequenceEncoder::Group> SequenceEncoder::groups(std::span<const TextTokens> texts) const {
    std::vector<Group> all;
    for (const size_t i : longest_first(texts)) {
        check_text(texts[i], std::min(config_.context, rows_));
        const auto T = static_cast<int64_t>(texts[i].ids.size());
        if (all.empty() || all.back().rows + T > rows_) all.emplace_back();
        all.back().texts.push_back(i);
        all.back().begin.push_back(all.back().rows);
        all.back().rows += T;
    }
    return all;
}

// The smallest that has room for so many rows.
SequenceEncoder::Pass& SequenceEncoder::pass_for(const Head* head, bool scores, int64_t rows) {
    int64_t size = std::min(kSmallest, rows_);
    while (size < rows) size = std::min(4 * size, rows_);
    for (const auto& pass : passes_)
        if (pass->head == head && pass->scores == scores && pass->rows == size) return *pass;
    auto pass = std::make_unique<Pass>();
    pass->head = head, pass->scores = scores, pass->rows = size;
    compile_pass(*pass);
    return *passes_.emplace_back(std::move(pass));
}

void SequenceEncoder::compile_pass(Pass& pass) {
    const int64_t R = pass.rows;
    Graph g(Mode::Infer);
    const RowCount rows = g.add_row_count();
    pass.tokens = TokenInputs(g, config_, 1, R, rows);
    pass.spans = g.input("spans", {1, R, 2}, DType::I32, rows);
    ModelInputs inputs = pass.tokens.inputs(weights_);
    inputs.spans = pass.spans;
    const Tensor hidden = model_->hidden(g, inputs);  // (1,R,C)
    if (pass.scores) {                                // the logits are only there in pieces
        pass.wanted = R;
        pass.places = g.input("places", {R}, DType::I32);
        const RowCount count = g.add_row_count();
        pass.targets = g.input("targets", {1, R}, DType::I32, count);
        const Tensor wanted = g.gather(hidden, pass.places, count);
        pass.out = g.output(
            g.cross_entropy(model_->features(g, weights_, *pass.head, wanted), weights_[pass.head->output], pass.targets)
                .logp);
    } else if (pass.head != nullptr) {
        pass.wanted = std::clamp<int64_t>(kMostLogits / pass.head->outputs, std::min(kFewest, R), R);
        pass.places = g.input("places", {pass.wanted}, DType::I32);
        const Tensor wanted = g.gather(hidden, pass.places, g.add_row_count());
        pass.out = g.output(model_->logits(g, weights_, *pass.head, wanted));
    } else {
        pass.out = g.output(hidden);
    }
    pass.plan = compile(std::move(g), backend_);
}

void SequenceEncoder::set(Pass& pass, std::span<const TextTokens> texts, const Group& group) {
    for (size_t i = 0; i < group.texts.size(); ++i) {
        const TextTokens& text = texts[group.texts[i]];
        const int64_t begin = group.begin[i], end = begin + static_cast<int64_t>(text.ids.size());
        for (int64_t r = begin; r < end; ++r) {
            const auto row = static_cast<size_t>(r), t = static_cast<size_t>(r - begin);
            ids_[row] = text.ids[t], positions_[row] = static_cast<int32_t>(t);
            segments_[row] = text.segments.empty() ? 0 : text.segments[t];
            spans_[2 * row] = static_cast<int32_t>(begin), spans_[2 * row + 1] = static_cast<int32_t>(end);
        }
    }
    const auto R = static_cast<size_t>(pass.rows);
    for (auto row = static_cast<size_t>(group.rows); row < R; ++row)  // not in use, but spans must not decrease
        spans_[2 * row] = spans_[2 * row + 1] = static_cast<int32_t>(group.rows);
    const std::span<const int32_t> segments(segments_);
    pass.tokens.set(pass.plan, std::span(ids_).first(R), std::span(positions_).first(R),
                    config_.segments > 0 ? segments.first(R) : segments.first(0));
    pass.plan.set<int32_t>(pass.spans, std::span(spans_).first(2 * R));
}

void SequenceEncoder::run(const Pass& pass, int64_t rows, int64_t wanted) const {
    Step step;
    step.rows[0] = rows, step.rows[1] = wanted;
    pass.plan.run(step);
}

void SequenceEncoder::hidden(std::span<const TextTokens> texts, const Sink& sink) {
    const auto C = static_cast<size_t>(config_.embd);
    std::vector<float> values;
    for (const Group& group : groups(texts)) {
        Pass& pass = pass_for(nullptr, false, group.rows);
        set(pass, texts, group);
        run(pass, group.rows, 0);
        values.resize(static_cast<size_t>(group.rows) * C);
        pass.plan.get(pass.out, std::span(values));
        require_numbers(values);
        for (size_t i = 0; i < group.texts.size(); ++i)
            sink(group.texts[i], std::span<const float>(values).subspan(static_cast<size_t>(group.begin[i]) * C,
                                                                        texts[group.texts[i]].ids.size() * C));
    }
}

std::vector<float> SequenceEncoder::embed(std::span<const TextTokens> texts, Pooling pooling, bool normalize) {
    const auto C = static_cast<size_t>(config_.embd);
    std::vector<float> all(texts.size() * C);
    hidden(texts, [&](size_t i, std::span<const float> rows) {
        pool(rows, pooling, normalize, std::span(all).subspan(i * C, C));
    });
    return all;
}

std::vector<float> SequenceEncoder::logits(std::string_view name, std::span<const TextTokens> texts,
                                           std::span<const TokenPlace> places) {
    return at_places(model_->head(name), false, texts, places);
}

std::vector<float> SequenceEncoder::log_probs(std::span<const TextTokens> texts, std::span<const TokenPlace> places) {
    for (const TokenPlace& place : places)
        if (place.position < 1) fail("nothing predicts the first token of a text");
    return at_places(model_->head("lm"), true, texts, places);
}

// What a head says of places or, with `scores`, in the places before of these.
std::vector<float> SequenceEncoder::at_places(const Head& head, bool scores, std::span<const TextTokens> texts,
                                              std::span<const TokenPlace> places) {
    const size_t N = scores ? 1 : static_cast<size_t>(head.outputs);
    std::vector<std::vector<size_t>> of_text(texts.size());  // numbers of its places
    for (size_t i = 0; i < places.size(); ++i) {
        const TokenPlace& place = places[i];
        if (place.text >= texts.size() || place.position < 0 ||
            place.position >= static_cast<int64_t>(texts[place.text].ids.size()))
            fail("there is no token %lld of text %zu", static_cast<long long>(place.position), place.text);
        of_text[place.text].push_back(i);
    }
    std::vector<float> all(places.size() * N), some;
    std::vector<int32_t> rows, targets;
    for (const Group& group : groups(texts)) {
        Pass& pass = pass_for(&head, scores, group.rows);
        set(pass, texts, group);
        std::vector<std::pair<size_t, int32_t>> wanted;  // place and row
        for (size_t i = 0; i < group.texts.size(); ++i)
            for (const size_t place : of_text[group.texts[i]])
                wanted.emplace_back(place, static_cast<int32_t>(group.begin[i] + places[place].position - scores));
        for (size_t first = 0; first < wanted.size(); first += static_cast<size_t>(pass.wanted)) {
            const size_t count = std::min(wanted.size() - first, static_cast<size_t>(pass.wanted));
            rows.assign(static_cast<size_t>(pass.wanted), 0);
            targets.assign(scores ? rows.size() : 0, kIgnore);
            for (size_t i = 0; i < count; ++i) {
                rows[i] = wanted[first + i].second;
                const TokenPlace& place = places[wanted[first + i].first];
                if (scores) targets[i] = texts[place.text].ids[static_cast<size_t>(place.position)];
            }
            pass.plan.set<int32_t>(pass.places, rows);
            if (scores) pass.plan.set<int32_t>(pass.targets, targets);
            run(pass, group.rows, static_cast<int64_t>(count));
            some.resize(count * N);
            pass.plan.get(pass.out, std::span(some));
            require_numbers(some);
            for (size_t i = 0; i < count; ++i) std::copy_n(&some[i * N], N, &all[wanted[first + i].first * N]);
        }
    }
    return all;
}

std::vector<TokenPlace> SequenceEncoder::places_of(const Head& head, std::span<const TextTokens> texts) {
    std::vector<TokenPlace> places;
    for (size_t i = 0; i < texts.size(); ++i) {
        const auto T = static_cast<int64_t>(texts[i].ids.size());
        if (head.rows == HeadRows::First) places.push_back({i, 0});
        if (head.rows == HeadRows::Last) places.push_back({i, T - 1});
        for (int64_t t = 0; head.rows == HeadRows::Every && t < T; ++t) places.push_back({i, t});
    }
    return places;
}

void pool(std::span<const float> rows, Pooling pooling, bool normalize, std::span<float> out) {
    const size_t C = out.size(), T = C > 0 ? rows.size() / C : 0;
    if (T == 0 || pooling == Pooling::None) fail("there is no pooling of %zu rows", T);
    std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(pooling == Pooling::Last ? (T - 1) * C : 0), C, out.begin());
    for (size_t t = 1; t < T && (pooling == Pooling::Mean || pooling == Pooling::Max); ++t) {
        const float* row = &rows[t * C];
        for (size_t c = 0; c < C; ++c) out[c] = pooling == Pooling::Mean ? out[c] + row[c] : std::max(out[c], row[c]);
    }
    double squares = 0;
    for (float& value : out) {
        if (pooling == Pooling::Mean) value /= static_cast<float>(T);
        squares += static_cast<double>(value) * static_cast<double>(value);
    }
    if (!normalize) return;
    const auto factor = static_cast<float>(1 / std::max(std::sqrt(squares), 1e-12));
    for (float& value : out) value *= factor;
}

}  // namespace nib
