// A whole small model with weights of one type, on any backend.
#pragma once

#include <map>
#include <span>
#include <utility>
#include <vector>

#include "core/backend.h"
#include "engine_steps.h"
#include "infer/engine.h"
#include "quantize_case.h"

namespace nib::test {

/// A layer, and a head that is the embedding, in rows of one block of 256 and of two.
class TypedCase {
public:
    // The values of one parameter, and as what they are stored.
    struct Packed {
        std::vector<uint8_t> bytes;
        std::vector<float> before, after;
    };

    TypedCase(Backend& backend, DType type) : backend_(backend), type_(type) {
        config_.layers = 1, config_.heads = 4, config_.embd = 256, config_.ffn = 512;
        config_.context = 20, config_.vocab = 101;
        static std::map<DType, std::vector<Packed>> made;  // once for all backends
        std::vector<Packed>& parameters = made[type];
        if (parameters.empty())
            for (const ParameterSpec& spec : model_parameters(config_)) parameters.push_back(make(spec, parameters.size()));
        parameters_ = parameters;
        for (int64_t t = 0; t < config_.context; ++t)
            ids_.push_back(static_cast<int32_t>(word(7, static_cast<uint64_t>(t)) % 101));
        weights_ = place([](const Packed& p) { return std::as_bytes(std::span(p.bytes)); }, type);
    }
    ~TypedCase() {
        for (const int buffer : buffers_) backend_.release(buffer);
    }
    TypedCase(const TypedCase&) = delete;
    TypedCase& operator=(const TypedCase&) = delete;

    const ModelConfig& config() const { return config_; }
    const Weights& weights() const { return weights_; }
    std::span<const int32_t> ids() const { return ids_; }  // a context full

    /// The same in f32: the values as they are stored, or as they were before.
    Weights floats(std::vector<float> Packed::*values) {
        return place([&](const Packed& p) { return std::as_bytes(std::span(p.*values)); }, DType::F32);
    }

    /// Logits (T,V), of all tokens at once or token by token.
    std::vector<float> logits(const Weights& weights, bool at_once, DType cache = DType::F32) {
        Engine engine(backend_, config_, weights, {.cache_type = cache, .logit_rows = 32});
        std::vector<float> all;
        const auto append = [&](std::span<const float> rows) { all.insert(all.end(), rows.begin(), rows.end()); };
        if (at_once)
            append(test::all_logits(engine, ids_));
        else
            for (const int32_t id : ids_) append(engine.append(0, {&id, 1}));
        return all;
    }

private:
    bool typed(const ParameterSpec& spec) const { return spec.shape.rank == 2 && spec.name != "position_embd.weight"; }

    Packed make(const ParameterSpec& spec, uint64_t seed) const {
        const DType type = typed(spec) ? type_ : DType::F32;
        Packed p;
        if (quant::can_pack(type)) {
            p.before = gauss(seed, static_cast<size_t>(spec.shape.elements()));
            for (float& x : p.before)
                x = x * (typed(spec) ? 0.06f : 0.3f) + (spec.init == ParameterSpec::Init::One ? 1.0f : 0.0f);
            p.bytes = packed(type, p.before);
        } else {
            p.bytes = random_blocks(type, seed, spec.shape.elements());
        }
        p.after = unpacked(type, p.bytes);
        return p;
    }

    // Random blocks of a type that nib only reads, with values about 0.06 in size.
    static std::vector<uint8_t> random_blocks(DType type, uint64_t seed, int64_t count) {
        std::vector<uint8_t> bytes = random_bytes(seed, dtype_bytes(type, count));
        const auto size = static_cast<size_t>(dtype_info(type)->block_bytes);
        for (size_t end = size; end <= bytes.size(); end += size) {
            if (type == DType::Q3_K) quant::detail::store_half(&bytes[end - 2], 0.0014f);
            if (type == DType::Q2_K) {
                quant::detail::store_half(&bytes[end - 4], 0.004f);
                quant::detail::store_half(&bytes[end - 2], 0.006f);
            }
        }
        return bytes;
    }

    // A model of some of the parameters' bytes, matrices being of `type`.
    template <class Bytes>
    Weights place(const Bytes& bytes_of, DType type) {
        size_t next = 0;
        return place_weights(config_, [&](const ParameterSpec& spec) {
            const auto bytes = bytes_of(parameters_[next++]);
            Weight w;
            w.name = spec.name, w.shape = spec.shape;
            w.type = typed(spec) ? type : DType::F32;
            w.value.buffer = backend_.allocate(bytes.size());
            buffers_.push_back(w.value.buffer);
            backend_.upload(w.value, bytes);
            return w;
        });
    }

    Backend& backend_;
    const DType type_;
    ModelConfig config_;
    std::span<const Packed> parameters_;  // in file order
    std::vector<int32_t> ids_;
    std::vector<int> buffers_;
    Weights weights_;
};

}  // namespace nib::test
