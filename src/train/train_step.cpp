#include "train/train_step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <numbers>
#include <numeric>

#include "core/philox.h"

namespace nib {
namespace {

constexpr size_t kStatsBytes = 64;

// The random words behind elements [4 * block, 4 * block + 4) of a parameter.
std::array<uint32_t, 4> random_words(uint64_t seed, uint32_t parameter, uint64_t block) {
    return philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), kInitStream, parameter}, seed);
}

// Box-Muller.
std::array<float, 4> normals(const std::array<uint32_t, 4>& words) {
    std::array<float, 4> values;
    for (size_t i = 0; i < 4; i += 2) {
        const double radius = std::sqrt(-2 * std::log((words[i] + 0.5) * 0x1p-32));
        const double angle = 2 * std::numbers::pi * (words[i + 1] * 0x1p-32);
        values[i] = static_cast<float>(radius * std::cos(angle));
        values[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
    return values;
}

// From -1 to 1.
std::array<float, 4> uniforms(const std::array<uint32_t, 4>& words) {
    std::array<float, 4> values;
    std::transform(words.begin(), words.end(), values.begin(),
                   [](uint32_t word) { return static_cast<float>((word + 0.5) * 0x1p-31 - 1); });
    return values;
}

// Initial values of elements [begin, begin + out.size()) of a parameter; `begin` is a multiple of 4.
void initial_values(const ParameterSpec& spec, uint64_t seed, uint32_t parameter, uint64_t begin, std::span<float> out) {
    using enum ParameterSpec::Init;
    if (spec.init == Zero || spec.init == One) {
        std::fill(out.begin(), out.end(), spec.init == One ? 1.0f : 0.0f);
        return;
    }
    for (size_t i = 0; i < out.size(); i += 4) {
        const auto words = random_words(seed, parameter, (begin + i) / 4);
        const auto values = spec.init == Normal ? normals(words) : uniforms(words);
        for (size_t j = i; j < std::min(i + 4, out.size()); ++j) out[j] = spec.std * values[j - i];
    }
}

Op update_op(Optimizer optimizer) {
    switch (optimizer) {
        case Optimizer::Sgd:
        case Optimizer::SgdMomentum: return Op::Sgd;
        case Optimizer::Adagrad: return Op::Adagrad;
        case Optimizer::AdamW:
        case Optimizer::Adam: break;
    }
    return Op::AdamW;
}

int64_t count_targets(std::span<const int32_t> targets) {
    return std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t != kIgnore; });
}

}  // namespace

TrainStep::TrainStep(Backend& backend, const ModelConfig& config, const TrainShape& shape)
    : backend_(backend),
      config_(config),
      shape_(shape),
      layout_(config, shape, backend.segment()),
      first_block_(sum_blocks()),
      gradients_(backend, static_cast<size_t>(layout_.total) * sizeof(float)),
      partials_(backend, static_cast<size_t>(first_block_.back()) * sizeof(double)),
      stats_(backend, kStatsBytes) {
    if (shape.batch < 1 || shape.time < 1 || shape.time > config.context)
        fail("%lld sequences of %lld tokens make no batch for a context of %lld", static_cast<long long>(shape.batch),
             static_cast<long long>(shape.time), static_cast<long long>(config.context));
    for (int part = 0; part < parts(); ++part) parts_.push_back(std::make_unique<Arena>(backend, gradients_.bytes()));
    weights_ = training_weights(config, shape, [&](size_t parameter) {
        const ParameterSpec& spec = parameters()[parameter];
        return Weight{spec.name, spec.shape, DType::F32, locate(parameter, 0), gradient(parameter)};
    });
    compile_plans();
    const auto count = static_cast<size_t>(rows());
    for (size_t r = 0; r < count; ++r) positions_.push_back(static_cast<int32_t>(r % static_cast<size_t>(shape.time)));
    losses_.resize(count);
    counted_rows_.resize(count), counted_targets_.resize(count), target_weights_.resize(count);
    const auto model = make_model(config);
    for (size_t i = 0; i < shape.objectives.size(); ++i) {
        const bool contrast = shape.objectives[i].loss == Loss::Contrast;
        outputs_.push_back(contrast ? 0 : model->head(shape.objectives[i].head).outputs);
        if (contrast) {
            firsts_.resize(static_cast<size_t>(2 * shape.batch)), others_.resize(static_cast<size_t>(4 * shape.batch));
            vectors_.resize(static_cast<size_t>(3 * shape.batch * config.embd));
            numbers_.resize(static_cast<size_t>(shape.batch));
        }
        predicted_[i].resize(elements(evaluate_.inputs.objectives[i]));
        if (shape.objectives[i].loss == Loss::Squared) numbers_.resize(static_cast<size_t>(shape.batch * outputs_.back()));
        if (shape.objectives[i].loss == Loss::Span) {
            firsts_.resize(static_cast<size_t>(2 * shape.batch)), others_.resize(firsts_.size());
            numbers_.resize(2 * count);
        }
    }
}

std::vector<int64_t> TrainStep::sum_blocks() const {
    std::vector<int64_t> first = {0};
    for (const ParameterLayout::Run& run : layout_.runs)
        first.push_back(first.back() + (run.elements + kSumBlock - 1) / kSumBlock);
    return first;
}

// All plans share one arena, since none keeps anything there between runs.
void TrainStep::compile_plans() {
    Graph train = training_graph(Mode::Train, shape_), evaluate = training_graph(Mode::Infer, shape_), norm = norm_graph(),
          update = update_graph();
    train_.scores = record_training(train, config_, weights_, shape_, train_.inputs);
    evaluate_.scores = record_training(evaluate, config_, weights_, shape_, evaluate_.inputs);
    size_t bytes = 0;
    for (const Graph* graph : {&train, &evaluate, &norm, &update}) bytes = std::max(bytes, arena_bytes(*graph, backend_));
    const auto arena = std::make_shared<const Arena>(backend_, bytes);
    train_.plan = compile(std::move(train), backend_, arena);
    evaluate_.plan = compile(std::move(evaluate), backend_, arena);
    norm_ = compile(std::move(norm), backend_, arena);
    update_ = compile(std::move(update), backend_, arena);
}

Tensor TrainStep::gradient_of(Graph& g, const ParameterLayout::Run& run) const {
    return g.fixed("gradients", {run.elements}, DType::F32, {gradients_.buffer(), run.offset});
}

// The global norm of the gradients, and the factor for clipping.
Graph TrainStep::norm_graph() const {
    Graph g(Mode::Train);
    const Tensor partials = g.fixed("partials", {first_block_.back()}, DType::F64, {partials_.buffer(), 0});
    for (size_t i = 0; i < layout_.runs.size(); ++i) {
        const int64_t first = first_block_[i], blocks = first_block_[i + 1] - first;
        g.add(Op::SumSquares, {}, {gradient_of(g, layout_.runs[i])},
              {g.view(partials, {blocks}, static_cast<size_t>(first) * sizeof(double))});
    }
    g.add(Op::ClipFactor, {}, {partials}, {g.fixed("stats", {2}, DType::F32, {stats_.buffer(), 0})});
    return g;
}

Graph TrainStep::update_graph() const {
    Graph g(Mode::Train);
    for (const ParameterLayout::Run& run : layout_.runs) {
        const auto part = [&](int i) {
            return i < parts() ? g.fixed("updated", {run.elements}, DType::F32,
                                         {parts_[static_cast<size_t>(i)]->buffer(), run.offset})
                               : Tensor{};
        };
        Params p;
        p.decay = run.decay;
        p.scale = run.lr_scale;
        p.l2 = shape_.optimizer == Optimizer::Adam;
        const Tensor stats = g.fixed("stats", {2}, DType::F32, {stats_.buffer(), 0});
        g.add(update_op(shape_.optimizer), p, {gradient_of(g, run), stats}, {part(0), part(1), part(2)});
    }
    return g;
}

void TrainStep::initialise(uint64_t seed, const std::vector<bool>& given) {
    constexpr int64_t kChunk = 1 << 14;
    std::vector<float> chunk(kChunk);
    for (size_t i = 0; i < parameters().size(); ++i) {
        if (!shape_.trains(i)) continue;
        const int64_t elements = parameters()[i].shape.elements();
        for (int64_t begin = 0; begin < elements; begin += kChunk) {
            const auto values = std::span(chunk).first(static_cast<size_t>(std::min(kChunk, elements - begin)));
            const auto upload = [&](int part) {
                Location to = locate(i, part);
                to.offset += static_cast<size_t>(begin) * 4;
                backend_.upload(to, std::as_bytes(values));
            };
            if (given.empty() || !given[i]) {
                initial_values(parameters()[i], seed, static_cast<uint32_t>(i), static_cast<uint64_t>(begin), values);
                upload(0);
            }
            std::fill(values.begin(), values.end(), 0.0f);
            for (int part = 1; part < parts(); ++part) upload(part);
        }
    }
}

void TrainStep::begin_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const MicroBatch& micro) {
    const Targets all{targets, micro.second};
    for (size_t i = 0; i < kMostObjectives; ++i)
        counted_[i] = std::max<int64_t>(1, micro.counted[i] > 0 ? micro.counted[i] : count_targets(all[i]));
    step_ = {};
    step_.seed = micro.seed;
    step_.index = micro.index;
    step_.accumulate = micro.first ? 0 : 1;
    step_.loss_scale = static_cast<float>(1.0 / static_cast<double>(counted_[0]));
    set_inputs(train_, ids, all, micro.source, micro.ragged, micro.numbers, step_);
}

double TrainStep::micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const MicroBatch& micro) {
    begin_micro_step(ids, targets, micro);
    train_.plan.run(step_);
    return mean_loss();
}

TrainStep::Outcome TrainStep::last_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets,
                                              const MicroBatch& micro, double clip, const Update& u) {
    begin_micro_step(ids, targets, micro);
    step_.clip = static_cast<float>(clip);
    set_update(u);
    backend_.run_in_turn(std::array<const Plan*, 3>{&train_.plan, &norm_, &update_}, step_);
    return {mean_loss(), norm()};
}

TrainStep::LossSum TrainStep::evaluate(std::span<const int32_t> ids, std::span<const int32_t> targets,
                                       const SourceBatch& source, const RaggedRows& ragged) {
    return evaluate_all(ids, targets, {}, source, ragged)[0];
}

std::array<TrainStep::LossSum, kMostObjectives> TrainStep::evaluate_all(std::span<const int32_t> ids,
                                                                        std::span<const int32_t> targets,
                                                                        std::span<const int32_t> second,
                                                                        const SourceBatch& source, const RaggedRows& ragged,
                                                                        std::span<const float> numbers) {
    Step step;
    const Targets all{targets, second};
    set_inputs(evaluate_, ids, all, source, ragged, numbers, step);
    evaluate_.plan.run(step);
    std::array<LossSum, kMostObjectives> sums;
    for (size_t i = 0; i < shape_.objectives.size(); ++i) {
        sums[i].sum = loss_sum(evaluate_, i);
        sums[i].rows = count_targets(all[i]);
        if (shape_.objectives[i].loss == Loss::Squared) {
            evaluate_.plan.get(evaluate_.scores[i].numbers, std::span<float>(numbers_));
            sums[i].numbers = std::span<const float>(numbers_).first(static_cast<size_t>(sums[i].rows * outputs_[i]));
            continue;
        }
        if (shape_.objectives[i].loss == Loss::Span) {
            evaluate_.plan.get(evaluate_.scores[i].numbers, std::span<float>(numbers_));
            sums[i].numbers = numbers_;
            continue;
        }
        if (shape_.objectives[i].loss == Loss::Contrast) compare_texts(i, sums[i]);
        if (!shape_.objectives[i].sparse() || shape_.objectives[i].loss == Loss::Contrast) continue;
        evaluate_.plan.get(evaluate_.scores[i].predicted, std::span<int32_t>(predicted_[i]));
        sums[i].predicted = std::span<const int32_t>(predicted_[i]).first(static_cast<size_t>(sums[i].rows));
    }
    return sums;
}

void TrainStep::set_inputs(LossPlan& what, std::span<const int32_t> ids, const Targets& targets, const SourceBatch& source,
                           const RaggedRows& ragged, std::span<const float> numbers, Step& step) {
    if (config_.has_encoder()) {
        what.rows[0] = what.inputs.pairs.set(what.plan, ids, targets[0], source, step);
        return;
    }
    if (shape_.ragged)
        what.inputs.packed.set(what.plan, ids, ragged, step);
    else
        what.inputs.tokens.set(what.plan, ids, positions_);
    for (size_t i = 0; i < shape_.objectives.size(); ++i) {
        if (shape_.objectives[i].loss == Loss::Contrast) {
            set_texts(what, i, ragged, step);
            continue;
        }
        if (shape_.objectives[i].loss == Loss::Span) {
            set_spans(what, i, targets[i], ragged, step);
            continue;
        }
        check_tokens(targets[i], outputs_[i], true);
        if (shape_.objectives[i].loss == Loss::Squared) set_numbers(what, i, targets[i], numbers);
        const std::span<const int32_t> packed =
            shape_.ragged ? what.inputs.packed.pack(targets[i], ragged.lengths) : targets[i];
        if (shape_.objectives[i].sparse()) {
            set_sparse_targets(what, i, packed, step);
        } else {
            what.plan.set(what.inputs.objectives[i].targets, packed);
            what.rows[i] = shape_.ragged ? step.rows[what.inputs.packed.row_count()] : rows();
        }
        if (const Tensor weights = what.inputs.objectives[i].weights) {
            // The step's scale is that of the first objective's mean.
            const double weight =
                shape_.objectives[i].weight * static_cast<double>(counted_[0]) / static_cast<double>(counted_[i]);
            std::fill(target_weights_.begin(), target_weights_.end(), static_cast<float>(weight));
            what.plan.set<float>(weights, std::span(target_weights_).first(elements(what.inputs.objectives[i])));
        }
    }
}

// Those of the rows that have a target, in their order.
void TrainStep::set_numbers(LossPlan& what, size_t objective, std::span<const int32_t> targets,
                            std::span<const float> numbers) {
    const auto N = static_cast<size_t>(outputs_[objective]), B = static_cast<size_t>(shape_.batch),
               T = static_cast<size_t>(shape_.time);
    if (numbers.size() != B * N || targets.size() != B * T)
        fail("%zu numbers are not %zu for each of %zu rows", numbers.size(), N, B);
    auto at = numbers_.begin();
    for (size_t b = 0; b < B; ++b) {
        const auto row = targets.subspan(b * T, T);
        if (count_targets(row) > 0) at = std::copy_n(&numbers[b * N], N, at);
    }
    std::fill(at, numbers_.end(), std::numeric_limits<float>::quiet_NaN());
    what.plan.set<float>(what.inputs.objectives[objective].numbers, numbers_);
}

// The texts of rows that have two or three, as rows of hidden states: the packed ones, in the order of their tokens.
void TrainStep::set_texts(LossPlan& what, size_t objective, const RaggedRows& ragged, Step& step) {
    const TrainInputs::OfObjective& of = what.inputs.objectives[objective];
    const auto B = static_cast<size_t>(shape_.batch), T = static_cast<size_t>(shape_.time);
    std::fill(counted_targets_.begin(), counted_targets_.end(), kIgnore);
    size_t pairs = 0, others = 0;
    int32_t row = 0;
    for (size_t b = 0; b < B; ++b) {
        int texts = 0;
        for (size_t t = 0; t < static_cast<size_t>(ragged.lengths[b]); ++t, ++row) {
            if (t == 0 || ragged.positions[b * T + t] == 0) {
                if (++texts > 3) fail("a row has more than three texts");
                if (texts == 2) counted_targets_[pairs] = static_cast<int32_t>(others);
                (texts == 1 ? firsts_[2 * pairs] : others_[2 * others++]) = row;
            }
            (texts == 1 ? firsts_[2 * pairs + 1] : others_[2 * others - 1]) = row + 1;
        }
        if (texts == 1) fail("a row of one text has nothing to be compared with");
        if (texts > 0) ++pairs;
    }
    // Those that are not in use begin where the last one ends.
    const auto rest = [](std::vector<int32_t>& texts, size_t used) {
        std::fill(texts.begin() + static_cast<std::ptrdiff_t>(2 * used), texts.end(), used > 0 ? texts[2 * used - 1] : 0);
    };
    rest(firsts_, pairs), rest(others_, others);
    what.plan.set<int32_t>(of.firsts, firsts_);
    what.plan.set<int32_t>(of.others, others_);
    what.plan.set<int32_t>(of.targets, std::span(counted_targets_).first(B));
    what.rows[objective] = static_cast<int64_t>(std::max<size_t>(pairs, 1));
    step.rows[of.count] = what.rows[objective];
    step.rows[of.others_count] = static_cast<int64_t>(std::max<size_t>(others, 1));
}

// The rows of tokens that have a target, as rows of hidden states: the packed ones.
void TrainStep::set_spans(LossPlan& what, size_t objective, std::span<const int32_t> targets, const RaggedRows& ragged,
                          Step& step) {
    const TrainInputs::OfObjective& of = what.inputs.objectives[objective];
    const auto B = static_cast<size_t>(shape_.batch), T = static_cast<size_t>(shape_.time);
    if (targets.size() != B * T) fail("%zu targets are not %zu for each of %zu rows", targets.size(), T, B);
    std::fill(firsts_.begin(), firsts_.end(), 0), std::fill(others_.begin(), others_.end(), 0);
    size_t texts = 0;
    int32_t row = 0;
    for (size_t b = 0; b < B; row += ragged.lengths[b++]) {
        for (int32_t t = 0; t < static_cast<int32_t>(T); ++t) {
            const int32_t last = targets[b * T + static_cast<size_t>(t)];
            if (last == kIgnore) continue;
            if (last < t || last >= ragged.lengths[b])
                fail("a span from token %d to %d is not within a row of %d", t, last, ragged.lengths[b]);
            if (texts > 0 && firsts_[2 * texts - 2] == row) fail("a row of tokens has more than one span");
            firsts_[2 * texts] = row, firsts_[2 * texts + 1] = row + ragged.lengths[b];
            others_[2 * texts] = row + t, others_[2 * texts + 1] = row + last;
            ++texts;
        }
    }
    // Those that are not in use begin where the last one ends.
    std::fill(firsts_.begin() + static_cast<std::ptrdiff_t>(2 * texts), firsts_.end(),
              texts > 0 ? firsts_[2 * texts - 1] : 0);
    what.plan.set<int32_t>(of.firsts, firsts_);
    what.plan.set<int32_t>(of.targets, others_);
    what.rows[objective] = static_cast<int64_t>(std::max<size_t>(texts, 1));
    step.rows[of.count] = what.rows[objective];
}

// Cosines of the first and second texts, and whether none of the batch's others is nearer; right after set_texts().
void TrainStep::compare_texts(size_t objective, LossSum& to) {
    const ObjectiveScores& scores = evaluate_.scores[objective];
    const auto B = static_cast<size_t>(shape_.batch), C = static_cast<size_t>(config_.embd),
               n = static_cast<size_t>(to.rows);
    const auto firsts = std::span(vectors_).first(B * C), others = std::span(vectors_).subspan(B * C);
    evaluate_.plan.get(scores.firsts, firsts);
    evaluate_.plan.get(scores.others, others);
    evaluate_.plan.get(scores.predicted, std::span<int32_t>(predicted_[objective]));
    for (size_t i = 0; i < n; ++i) {
        const auto own = static_cast<size_t>(counted_targets_[i]);
        numbers_[i] = std::inner_product(&firsts[i * C], &firsts[i * C] + C, &others[own * C], 0.0f);
        predicted_[objective][i] = predicted_[objective][i] == counted_targets_[i];
    }
    to.numbers = std::span<const float>(numbers_).first(n);
    to.predicted = std::span<const int32_t>(predicted_[objective]).first(n);
}

// How many targets an objective has room for.
size_t TrainStep::elements(const TrainInputs::OfObjective& of) const {
    return static_cast<size_t>(of.most > 0 ? of.most : rows());
}

void TrainStep::set_sparse_targets(LossPlan& what, size_t objective, std::span<const int32_t> targets, Step& step) {
    const TrainInputs::OfObjective& of = what.inputs.objectives[objective];
    const size_t room = elements(of);
    std::fill(counted_rows_.begin(), counted_rows_.end(), 0);
    std::fill(counted_targets_.begin(), counted_targets_.end(), kIgnore);
    size_t count = 0;
    for (size_t r = 0; r < targets.size(); ++r) {
        if (targets[r] == kIgnore) continue;
        if (count == room) fail("there are more than %zu targets", room);
        counted_rows_[count] = static_cast<int32_t>(r), counted_targets_[count++] = targets[r];
    }
    what.plan.set<int32_t>(of.rows, std::span(counted_rows_).first(room));
    if (of.targets) what.plan.set<int32_t>(of.targets, std::span(counted_targets_).first(room));
    what.rows[objective] = static_cast<int64_t>(std::max<size_t>(count, 1));  // a plan computes one row at least
    step.rows[of.count] = what.rows[objective];
}

double TrainStep::loss_sum(const LossPlan& what, size_t objective) {
    what.plan.get(what.scores[objective].loss,
                  std::span<float>(losses_).first(elements(what.inputs.objectives[objective])));
    double sum = 0;
    for (const float loss : std::span(losses_).first(static_cast<size_t>(what.rows[objective]))) sum += loss;
    return shape_.objectives[objective].loss == Loss::Squared ? sum : -sum;
}

double TrainStep::mean_loss() {
    double loss = 0;
    for (size_t i = 0; i < shape_.objectives.size(); ++i)
        loss += shape_.objectives[i].weight * loss_sum(train_, i) / static_cast<double>(counted_[i]);
    return loss;
}

double TrainStep::gradient_norm(double clip) {
    step_.clip = static_cast<float>(clip);
    norm_.run(step_);
    return norm();
}

double TrainStep::norm() const {
    float norm = 0;
    backend_.download({stats_.buffer(), 0}, std::as_writable_bytes(std::span(&norm, 1)));
    return norm;
}

void TrainStep::set_update(const Update& u) {
    step_.lr = static_cast<float>(u.lr);
    step_.weight_decay = static_cast<float>(u.weight_decay);
    step_.beta1 = static_cast<float>(u.beta1);
    step_.beta2 = static_cast<float>(u.beta2);
    step_.eps = static_cast<float>(u.eps);
    step_.momentum = static_cast<float>(u.momentum);
    const auto t = static_cast<double>(u.step + 1);
    step_.correction1 = static_cast<float>(1 - std::pow(static_cast<double>(step_.beta1), t));
    step_.correction2 = static_cast<float>(1 - std::pow(static_cast<double>(step_.beta2), t));
}

void TrainStep::update(const Update& u) {
    set_update(u);
    update_.run(step_);
}

Location TrainStep::locate(size_t parameter, int part) const {
    if (parameter >= layout_.offsets.size() || part < 0 || part >= parts())
        fail("there is no part %d of a parameter %zu", part, parameter);
    if (!shape_.trains(parameter)) {
        if (part > 0) fail("a frozen weight has no moments");
        return shape_.frozen.all()[parameter].value;
    }
    return {parts_[static_cast<size_t>(part)]->buffer(), layout_.offsets[parameter]};
}

Location TrainStep::gradient(size_t parameter) const {
    const Location weight = locate(parameter, 0);
    if (!shape_.trains(parameter)) fail("a frozen weight has no gradient");
    return {gradients_.buffer(), weight.offset};
}

}  // namespace nib
