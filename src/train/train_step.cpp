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

// Elements [4 * block, 4 * block + 4) of parameter `parameter`: Box-Muller on one block of random numbers.
std::array<float, 4> normals(uint64_t seed, uint32_t parameter, uint64_t block) {
    const auto words =
        philox({static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), kInitStream, parameter}, seed);
    std::array<float, 4> values;
    for (size_t i = 0; i < 4; i += 2) {
        const double radius = std::sqrt(-2 * std::log((words[i] + 0.5) * 0x1p-32));
        const double angle = 2 * std::numbers::pi * (words[i + 1] * 0x1p-32);
        values[i] = static_cast<float>(radius * std::cos(angle));
        values[i + 1] = static_cast<float>(radius * std::sin(angle));
    }
    return values;
}

// Puts the initial values of elements [begin, begin + out.size()) of a parameter into `out`; begin is a multiple of 4.
void initial_values(const ParameterSpec& spec, uint64_t seed, uint32_t parameter, uint64_t begin, std::span<float> out) {
    if (spec.init != ParameterSpec::Init::Normal) {
        std::fill(out.begin(), out.end(), spec.init == ParameterSpec::Init::One ? 1.0f : 0.0f);
        return;
    }
    for (size_t i = 0; i < out.size(); i += 4) {
        const auto four = normals(seed, parameter, (begin + i) / 4);
        for (size_t j = i; j < std::min(i + 4, out.size()); ++j) out[j] = spec.std * four[j - i];
    }
}

}  // namespace

TrainStep::TrainStep(Backend& backend, const GptConfig& config, const TrainShape& shape)
    : backend_(backend),
      config_(config),
      shape_(shape),
      layout_(config, backend.segment()),
      runs_(shape.low_memory ? layout_.one_by_one() : layout_.runs),
      first_block_(sum_blocks()),
      partials_(backend, static_cast<size_t>(first_block_.back()) * sizeof(double)),
      stats_(backend, kStatsBytes) {
    CHECK(shape.time <= config.context);
    const size_t bytes = static_cast<size_t>(layout_.total) * sizeof(float);
    if (!shape.low_memory) gradients_ = std::make_unique<Arena>(backend, bytes);
    for (int part = 0; part < parts(); ++part) parts_.push_back(std::make_unique<Arena>(backend, bytes));
    size_t i = 0;
    weights_ = gpt_weights(config, [&](const ParameterSpec& spec) {
        const size_t parameter = i++;
        return Weight{spec.name, spec.shape, DType::F32, locate(parameter, 0), gradient(parameter)};
    });
    compile_plans();
    const auto count = static_cast<size_t>(rows());
    for (size_t r = 0; r < count; ++r) positions_.push_back(static_cast<int32_t>(r % static_cast<size_t>(shape.time)));
    ids_.resize(count);
    targets_.resize(count);
    losses_.resize(count);
}

std::vector<int64_t> TrainStep::sum_blocks() const {
    std::vector<int64_t> first = {0};
    for (const ParameterLayout::Run& run : runs_)
        first.push_back(first.back() + (run.elements + kSumBlock - 1) / kSumBlock);
    return first;
}

// Forward, and in training backward; `use` is told of each gradient as soon as it is complete.
TrainStep::Recorded TrainStep::record(Mode mode, const std::function<void(Graph&, size_t, Tensor)>& use) {
    Recorded made{training_graph(mode, shape_), {}, {}};
    const auto on_gradient = [&](Tensor weight, Tensor gradient) {
        const size_t offset = made.graph.info(weight).where.offset;
        const auto found = std::find(layout_.offsets.begin(), layout_.offsets.end(), offset);
        if (use) use(made.graph, static_cast<size_t>(found - layout_.offsets.begin()), gradient);
    };
    made.loss = record_training(made.graph, config_, weights_, shape_.dropout, made.inputs, on_gradient);
    return made;
}

// All plans share one arena: none needs what another left there.
void TrainStep::compile_plans() {
    const auto sum = [this](Graph& g, size_t run, Tensor gradient) { add_sum_squares(g, run, gradient); };
    const auto update = [this](Graph& g, size_t run, Tensor gradient) { add_update(g, run, gradient); };
    Recorded evaluate_graph = record(Mode::Infer, {});
    Recorded train_graph = record(Mode::Train, {}), update_graph{Graph(Mode::Train, 1, 1), {}, {}};
    Graph norm_graph(Mode::Train, 1, 1);
    if (shape_.low_memory) {
        train_graph = record(Mode::Train, sum);
        update_graph = record(Mode::Train, update);
    } else {
        const auto gradient = [this](Graph& g, size_t run) {
            return g.fixed("gradients", {runs_[run].elements}, DType::F32, {gradients_->buffer(), runs_[run].offset});
        };
        for (size_t run = 0; run < runs_.size(); ++run) {
            sum(norm_graph, run, gradient(norm_graph, run));
            update(update_graph.graph, run, gradient(update_graph.graph, run));
        }
    }
    Params p;
    p.N = first_block_.back();
    norm_graph.add(Op::ClipFactor, p, {norm_graph.fixed("partials", {p.N}, DType::F64, {partials_.buffer(), 0})},
                   {norm_graph.fixed("stats", {2}, DType::F32, {stats_.buffer(), 0})});

    size_t bytes = 0;
    for (const Graph* graph : {&evaluate_graph.graph, &train_graph.graph, &update_graph.graph, &norm_graph})
        bytes = std::max(bytes, arena_bytes(*graph, backend_.workers(), backend_.segment()));
    const auto arena = std::make_shared<const Arena>(backend_, bytes);
    const auto finish = [&](Recorded& recorded) {
        return LossPlan{compile(std::move(recorded.graph), backend_, arena), recorded.inputs, recorded.loss};
    };
    evaluate_ = finish(evaluate_graph);
    train_ = finish(train_graph);
    update_ = finish(update_graph);
    norm_ = compile(std::move(norm_graph), backend_, arena);
}

void TrainStep::add_sum_squares(Graph& g, size_t run, Tensor gradient) const {
    const int64_t first = first_block_[run], blocks = first_block_[run + 1] - first;
    Params p;
    p.C = runs_[run].elements;
    const Tensor all = g.fixed("partials", {first_block_.back()}, DType::F64, {partials_.buffer(), 0});
    g.add(Op::SumSquares, p, {gradient}, {g.view(all, {blocks}, static_cast<size_t>(first) * sizeof(double))});
}

void TrainStep::add_update(Graph& g, size_t run, Tensor gradient) const {
    const Shape shape = g.info(gradient).shape;
    const auto part = [&](int i) {
        return i < parts()
                   ? g.fixed("updated", shape, DType::F32, {parts_[static_cast<size_t>(i)]->buffer(), runs_[run].offset})
                   : Tensor{};
    };
    Params p;
    p.C = runs_[run].elements;
    p.decay = runs_[run].decay;
    const Op op = shape_.optimizer == Optimizer::AdamW ? Op::AdamW : Op::Sgd;
    g.add(op, p, {gradient, g.fixed("stats", {2}, DType::F32, {stats_.buffer(), 0})}, {part(0), part(1), part(2)});
}

void TrainStep::initialise(uint64_t seed) {
    constexpr int64_t kChunk = 1 << 14;
    std::vector<float> chunk(kChunk);
    for (size_t i = 0; i < parameters().size(); ++i) {
        const int64_t elements = parameters()[i].shape.elements();
        for (int64_t begin = 0; begin < elements; begin += kChunk) {
            const auto values = std::span(chunk).first(static_cast<size_t>(std::min(kChunk, elements - begin)));
            const auto upload = [&](int part) {
                Location to = locate(i, part);
                to.offset += static_cast<size_t>(begin) * 4;
                backend_.upload(to, std::as_bytes(values));
            };
            initial_values(parameters()[i], seed, static_cast<uint32_t>(i), static_cast<uint64_t>(begin), values);
            upload(0);
            std::fill(values.begin(), values.end(), 0.0f);
            for (int part = 1; part < parts(); ++part) upload(part);
        }
    }
}

void TrainStep::begin_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const Micro& micro) {
    CHECK(!shape_.low_memory || micro.of == 1);
    step_ = {};
    step_.seed = micro.seed;
    step_.index = micro.index;
    step_.accumulate = micro.first ? 0 : 1;
    step_.loss_scale = static_cast<float>(1.0 / (static_cast<double>(rows()) * static_cast<double>(micro.of)));
    std::copy(ids.begin(), ids.end(), ids_.begin());
    std::copy(targets.begin(), targets.end(), targets_.begin());
    set_inputs(train_, ids, targets);
}

double TrainStep::micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const Micro& micro) {
    begin_micro_step(ids, targets, micro);
    train_.plan.run(step_);
    return loss_sum(train_) / static_cast<double>(rows());
}

TrainStep::Outcome TrainStep::last_micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets,
                                              const Micro& micro, double clip, const Update& u) {
    if (shape_.low_memory) {  // the update's own forward pass takes the place of the losses
        const double loss = micro_step(ids, targets, micro), norm = gradient_norm(clip);
        update(u);
        return {loss, norm};
    }
    begin_micro_step(ids, targets, micro);
    step_.clip = static_cast<float>(clip);
    put(u);
    backend_.run_in_turn(std::array<const Plan*, 3>{&train_.plan, &norm_, &update_.plan}, step_);
    return {loss_sum(train_) / static_cast<double>(rows()), norm()};
}

TrainStep::LossSum TrainStep::evaluate(std::span<const int32_t> ids, std::span<const int32_t> targets) {
    const auto ignored = std::count(targets.begin(), targets.end(), kIgnore);
    set_inputs(evaluate_, ids, targets);
    evaluate_.plan.run({});
    return {loss_sum(evaluate_), rows() - static_cast<int64_t>(ignored)};
}

void TrainStep::set_inputs(const LossPlan& what, std::span<const int32_t> ids, std::span<const int32_t> targets) const {
    what.plan.set(what.inputs.ids, ids);
    what.plan.set(what.inputs.positions, std::span<const int32_t>(positions_));
    what.plan.set(what.inputs.targets, targets);
}

double TrainStep::loss_sum(const LossPlan& what) {
    what.plan.get(what.loss.losses, std::span<float>(losses_));
    double sum = 0;
    for (const float loss : losses_) sum += loss;
    return sum;
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

void TrainStep::put(const Update& u) {
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
    put(u);
    if (shape_.low_memory) set_inputs(update_, ids_, targets_);
    update_.plan.run(step_);
}

Location TrainStep::locate(size_t parameter, int part) const {
    return {parts_[static_cast<size_t>(part)]->buffer(), layout_.offsets[parameter]};
}

Location TrainStep::gradient(size_t parameter) const {
    return gradients_ ? Location{gradients_->buffer(), layout_.offsets[parameter]} : Location{};
}

}  // namespace nib
