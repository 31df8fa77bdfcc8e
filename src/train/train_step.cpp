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
      layout_(config),
      gradients_(backend, static_cast<size_t>(layout_.total) * 4),
      stats_(backend, kStatsBytes) {
    CHECK(shape.time <= config.context);
    for (int part = 0; part < parts(); ++part)
        parts_.push_back(std::make_unique<Buffer>(backend, static_cast<size_t>(layout_.total) * 4));
    size_t i = 0;
    weights_ = gpt_weights(config, [&](const ParameterSpec& spec) {
        const size_t parameter = i++;
        return Weight{spec.name, spec.shape, DType::F32, locate(parameter, 0), gradient(parameter)};
    });
    train_ = compile_loss(Mode::Train);
    evaluate_ = compile_loss(Mode::Infer);
    norm_ = compile_norm();
    update_ = compile_update();
    losses_.resize(static_cast<size_t>(rows()));
}

TrainStep::LossPlan TrainStep::compile_loss(Mode mode) {
    LossPlan made;
    Graph graph(mode, shape_.batch, shape_.time);
    made.loss = record_training(graph, config_, weights_, shape_.dropout, made.inputs);
    made.plan = compile(std::move(graph), backend_);
    std::vector<int32_t> positions(static_cast<size_t>(rows()));
    for (size_t r = 0; r < positions.size(); ++r) positions[r] = static_cast<int32_t>(r % static_cast<size_t>(shape_.time));
    made.plan.set(made.inputs.positions, std::span<const int32_t>(positions));
    return made;
}

Plan TrainStep::compile_norm() {
    Graph g(Mode::Train, 1, 1);
    Params p;
    p.C = layout_.total;
    p.N = (layout_.total + kSumBlock - 1) / kSumBlock;
    const Tensor gradients = g.fixed("gradients", {layout_.total}, DType::F32, {gradients_.id(), 0});
    const Tensor partial = g.make({p.N}, DType::F64);
    g.add(Op::SumSquares, p, {gradients}, {partial});
    g.add(Op::ClipFactor, p, {partial}, {g.fixed("stats", {2}, DType::F32, {stats_.id(), 0})});
    return compile(std::move(g), backend_);
}

// One node for the parameters with weight decay, one for the others.
Plan TrainStep::compile_update() {
    Graph g(Mode::Train, 1, 1);
    const auto flat = [&](const char* name, const Buffer& buffer) {
        return g.fixed(name, {layout_.total}, DType::F32, {buffer.id(), 0});
    };
    const Tensor gradients = flat("gradients", gradients_), weights = flat("weights", *parts_[0]);
    const Tensor m = parts() > 1 ? flat("m", *parts_[1]) : Tensor{}, v = parts() > 2 ? flat("v", *parts_[2]) : Tensor{};
    const Tensor stats = g.fixed("stats", {2}, DType::F32, {stats_.id(), 0});
    for (const bool decay : {true, false}) {
        const int64_t begin = decay ? 0 : layout_.decayed, end = decay ? layout_.decayed : layout_.total;
        const auto part = [&](Tensor t) { return t ? g.view(t, {end - begin}, static_cast<size_t>(begin) * 4) : t; };
        Params p;
        p.C = end - begin;
        p.decay = decay;
        const Op op = shape_.optimizer == Optimizer::AdamW ? Op::AdamW : Op::Sgd;
        g.add(op, p, {part(gradients), stats}, {part(weights), part(m), part(v)});
    }
    return compile(std::move(g), backend_);
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

double TrainStep::micro_step(std::span<const int32_t> ids, std::span<const int32_t> targets, const Micro& micro) {
    Step step;
    step.seed = micro.seed;
    step.index = micro.index;
    step.accumulate = micro.first ? 0 : 1;
    step.loss_scale = static_cast<float>(1.0 / (static_cast<double>(rows()) * static_cast<double>(micro.of)));
    return run(train_, ids, targets, step) / static_cast<double>(rows());
}

TrainStep::LossSum TrainStep::evaluate(std::span<const int32_t> ids, std::span<const int32_t> targets) {
    const auto ignored = std::count(targets.begin(), targets.end(), kIgnore);
    return {run(evaluate_, ids, targets, Step{}), rows() - static_cast<int64_t>(ignored)};
}

double TrainStep::run(const LossPlan& what, std::span<const int32_t> ids, std::span<const int32_t> targets,
                      const Step& step) {
    what.plan.set(what.inputs.ids, ids);
    what.plan.set(what.inputs.targets, targets);
    what.plan.run(step);
    what.plan.get(what.loss.losses, std::span<float>(losses_));
    double sum = 0;
    for (const float loss : losses_) sum += loss;
    return sum;
}

double TrainStep::gradient_norm(double clip) {
    Step step;
    step.clip = static_cast<float>(clip);
    norm_.run(step);
    float stats[2] = {};
    backend_.download({stats_.id(), 0}, std::as_writable_bytes(std::span(stats)));
    return stats[0];
}

void TrainStep::update(const Update& u) {
    Step step;
    step.lr = static_cast<float>(u.lr);
    step.weight_decay = static_cast<float>(u.weight_decay);
    step.beta1 = static_cast<float>(u.beta1);
    step.beta2 = static_cast<float>(u.beta2);
    step.eps = static_cast<float>(u.eps);
    step.momentum = static_cast<float>(u.momentum);
    const auto t = static_cast<double>(u.step + 1);
    step.correction1 = static_cast<float>(1 - std::pow(static_cast<double>(step.beta1), t));
    step.correction2 = static_cast<float>(1 - std::pow(static_cast<double>(step.beta2), t));
    update_.run(step);
}

Location TrainStep::locate(size_t parameter, int part) const {
    return {parts_[static_cast<size_t>(part)]->id(), layout_.offsets[parameter]};
}

}  // namespace nib
