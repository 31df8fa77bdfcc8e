#include "train/train_step.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numbers>

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

int64_t most_texts(const TrainShape& shape) {
    return shape.objectives.empty() ? 1 : shape.objectives.front().texts_of_row();
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
    if (shape.batch < 1 || shape.time < 1 || shape.time > config.context * most_texts(shape))
        fail("%lld sequences of %lld tokens make no batch for a context of %lld", static_cast<long long>(shape.batch),
             static_cast<long long>(shape.time), static_cast<long long>(config.context));
    for (int part = 0; part < parts(); ++part) parts_.push_back(std::make_unique<Arena>(backend, gradients_.bytes()));
    weights_ = training_weights(config, shape, [&](size_t parameter) {
        const ParameterSpec& spec = parameters()[parameter];
        return Weight{spec.name, spec.shape, DType::F32, locate(parameter, 0), gradient(parameter)};
    });
    compile_plans();
    for (int64_t r = 0; r < rows(); ++r) positions_.push_back(static_cast<int32_t>(r % shape.time));
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
    record_training(train, config_, weights_, shape_, train_.inputs);
    record_training(evaluate, config_, weights_, shape_, evaluate_.inputs);
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

// How many targets an objective's mean is over.
int64_t TrainStep::count(size_t objective, std::span<const int32_t> targets) const {
    if (objective >= shape_.objectives.size() || !shape_.objectives[objective].of_rows) return count_targets(targets);
    const auto T = static_cast<size_t>(shape_.time);
    int64_t rows = 0;
    for (size_t at = 0; at + T <= targets.size(); at += T) rows += count_targets(targets.subspan(at, T)) > 0;
    return rows;
}

// How much they count together.
double TrainStep::weight(size_t objective, std::span<const int32_t> targets, std::span<const float> weights) const {
    if (!shape_.objectives[objective].weighted) return static_cast<double>(count(objective, targets));
    const auto T = static_cast<size_t>(shape_.time);
    if (targets.size() != weights.size() * T) fail("%zu weights are not one for each row", weights.size());
    double sum = 0;
    for (size_t b = 0; b < weights.size(); ++b)
        if (count_targets(targets.subspan(b * T, T)) > 0) sum += static_cast<double>(weights[b]);
    return sum;
}

void TrainStep::begin_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const MicroBatch& micro) {
    const Targets all{targets, micro.second};
    for (size_t i = 0; i < kMostObjectives; ++i)
        counted_[i] = static_cast<double>(std::max<int64_t>(1, micro.counted[i] > 0 ? micro.counted[i] : count(i, all[i])));
    if (shape_.objectives[0].loss == Loss::Policy) counted_[0] = 1;  // its weights say it all
    if (shape_.objectives[0].weighted) counted_[0] = micro.weight > 0 ? micro.weight : weight(0, targets, micro.weights);
    step_ = {};
    step_.seed = micro.seed;
    step_.index = micro.index;
    step_.accumulate = micro.first ? 0 : 1;
    step_.loss_scale = static_cast<float>(1 / counted_[0]);
    set_inputs(train_, ids, all, micro.source,
               {.numbers = micro.numbers, .weights = micro.weights, .policy = micro.policy, .ragged = micro.ragged}, step_);
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

LossSum TrainStep::evaluate(std::span<const int32_t> ids, std::span<const int32_t> targets, const SourceBatch& source,
                            const RaggedRows& ragged) {
    return evaluate_all(ids, targets, {}, source, ragged)[0];
}

std::array<LossSum, kMostObjectives> TrainStep::evaluate_all(std::span<const int32_t> ids, std::span<const int32_t> targets,
                                                             std::span<const int32_t> second, const SourceBatch& source,
                                                             const RaggedRows& ragged, std::span<const float> numbers,
                                                             std::span<const float> weights) {
    Step step;
    const Targets all{targets, second};
    set_inputs(evaluate_, ids, all, source, {.numbers = numbers, .weights = weights, .ragged = ragged}, step);
    evaluate_.plan.run(step);
    std::array<LossSum, kMostObjectives> sums;
    for (size_t i = 0; i < shape_.objectives.size(); ++i) {
        LossInputs& loss = *evaluate_.inputs.losses[i];
        sums[i].sum = loss.sum(evaluate_.plan);
        sums[i].rows = count(i, all[i]);
        sums[i].weight = weight(i, all[i], weights);
        loss.read(evaluate_.plan, sums[i]);
    }
    return sums;
}

void TrainStep::set_inputs(LossPlan& what, std::span<const int32_t> ids, const Targets& targets, const SourceBatch& source,
                           LossBatch batch, Step& step) {
    batch.rows = rows();
    const RaggedRows& ragged = batch.ragged;
    if (config_.has_encoder()) {
        batch.rows = what.inputs.pairs.set(what.plan, ids, targets[0], source, step);
    } else if (shape_.ragged) {
        what.inputs.packed.set(what.plan, ids, ragged, step);
        batch.rows = step.rows[what.inputs.packed.row_count()];
    } else {
        what.inputs.tokens.set(what.plan, ids, positions_);
    }
    for (size_t i = 0; i < shape_.objectives.size(); ++i) {
        batch.targets = batch.packed = targets[i];
        if (shape_.ragged && !config_.has_encoder()) batch.packed = what.inputs.packed.pack(targets[i], ragged.lengths);
        // The step's scale is that of the first objective's mean.
        batch.weight = static_cast<float>(shape_.objectives[i].weight * counted_[0] / counted_[i]);
        what.inputs.losses[i]->set(what.plan, batch, step);
    }
}

double TrainStep::mean_loss() {
    double loss = 0;
    for (size_t i = 0; i < shape_.objectives.size(); ++i)
        loss += shape_.objectives[i].weight * train_.inputs.losses[i]->sum(train_.plan) / counted_[i];
    return loss;
}

std::vector<Figure> TrainStep::figures() const {
    std::vector<Figure> all;
    for (const auto& loss : train_.inputs.losses) loss->figures(train_.plan, all);
    return all;
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
