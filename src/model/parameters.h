// The parameters of a model: how training starts them, and where they lie.
#pragma once

#include <cmath>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/graph.h"

namespace nib {

/// A parameter before it has a place: name in the file, shape, and how training starts and regularizes it.
struct ParameterSpec {
    enum class Init { Zero, One, Normal, Uniform };
    std::string name;
    Shape shape;
    Init init = Init::Zero;
    float std = 0;       // of Init::Normal; of Init::Uniform the bound: values are from -std to std
    bool decay = false;  // weight decay: matrices and embeddings only
};

/// The number of a parameter's block, -1 where it is in none: "blk.3.attn_norm.weight", "dec.blk.3...".
int64_t block_of(std::string_view parameter);
/// Whether it is a table of embeddings or their norm.
bool is_embedding(std::string_view parameter);

/// A parameter by its number in file order; -1: the model has no such.
struct Parameter {
    int id = -1;
    explicit operator bool() const { return id >= 0; }
};
struct NormParameters {
    Parameter gain, bias;  // (C)
    float eps = 1e-5f;
    bool rms = false;
};
struct LinearParameters {
    Parameter w, b;  // (N,C), (N)
};

/// What a family's constructor declares its parameters with, in file order.
class ParameterList {
public:
    const std::vector<ParameterSpec>& specs() const { return specs_; }

    /// NAME.weight (rows,columns), normal(0, std).
    Parameter matrix(const std::string& name, int64_t rows, int64_t columns, float std) {
        return add({
            name + ".weight", {rows, columns},
               ParameterSpec::Init::Normal, std, true
        });
    }
    /// NAME.weight and, with a bias, NAME.bias.
    LinearParameters linear(const std::string& name, int64_t rows, int64_t columns, float std, bool bias) {
        const Parameter w = matrix(name, rows, columns, std);
        return {w, bias ? vector(name + ".bias", rows, ParameterSpec::Init::Zero) : Parameter{}};
    }
    NormParameters layer_norm(const std::string& name, int64_t channels, float eps) {
        const Parameter gain = vector(name + ".weight", channels, ParameterSpec::Init::One);
        return {gain, vector(name + ".bias", channels, ParameterSpec::Init::Zero), eps, false};
    }
    NormParameters rms_norm(const std::string& name, int64_t channels, float eps) {
        return {vector(name + ".weight", channels, ParameterSpec::Init::One), {}, eps, true};
    }

    /// NAME.bias alone, of a linear layer whose matrix is another parameter.
    Parameter bias(const std::string& name, int64_t rows) {
        return vector(name + ".bias", rows, ParameterSpec::Init::Zero);
    }

private:
    Parameter vector(std::string name, int64_t size, ParameterSpec::Init init) {
        return add({std::move(name), {size}, init, 0, false});
    }
    Parameter add(ParameterSpec spec) {
        specs_.push_back(std::move(spec));
        return {static_cast<int>(specs_.size()) - 1};
    }

    std::vector<ParameterSpec> specs_;
};

/// The parameters of a model in place, in file order.
class Weights {
public:
    Weights() = default;
    explicit Weights(std::vector<Weight> weights) : weights_(std::move(weights)) {}

    const std::vector<Weight>& all() const { return weights_; }
    /// Absent where the model has no such parameter.
    Weight operator[](Parameter p) const {
        if (p.id >= static_cast<int>(weights_.size())) fail("these are the weights of another model");
        return p ? weights_[static_cast<size_t>(p.id)] : Weight{};
    }
    NormWeights operator[](const NormParameters& p) const { return {(*this)[p.gain], (*this)[p.bias], p.eps, p.rms}; }
    LinearWeights operator[](const LinearParameters& p) const {
        const auto found = adapters_.find(p.w.id);
        return {(*this)[p.w], (*this)[p.b], found != adapters_.end() ? found->second : std::vector<Adapter>()};
    }

    /// In the training of a policy, the head that says of a hidden state what reward is to be expected after it: (1,C),
    /// (1).
    const LinearWeights& value_head() const {
        if (!value_head_.w) fail("these weights have no value function");
        return value_head_;
    }
    void set_value_head(LinearWeights head) { value_head_ = std::move(head); }

    /// Adds an adapter to the linear layer whose matrix is `parameter`.
    void adapt(size_t parameter, Adapter adapter) { adapters_[static_cast<int>(parameter)].push_back(std::move(adapter)); }

private:
    std::vector<Weight> weights_;
    std::map<int, std::vector<Adapter>> adapters_;  // by parameter
    LinearWeights value_head_;
};

}  // namespace nib
