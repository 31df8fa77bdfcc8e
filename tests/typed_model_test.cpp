// A whole small model with weights of every type, on every kernel table of this machine. How much a type costs a model in
// perplexity is in quantized_quality_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/session.h"
#include "numbers.h"
#include "quantize_case.h"
#include "ref/kernels.h"

namespace nib {
namespace {

using namespace test;

// By how much logits may differ, |a - b| / |b|: `kept` from those of the same weights unpacked to f32, where activations
// are not rounded to 8 bits; `packed` from those of the weights before they were packed. The weights are random, which
// makes a model more sensitive than training does.
struct TypeBound {
    DType type;
    double kept, packed;
};
constexpr TypeBound kBounds[] = {
    {DType::F32,  1e-5, 1e-5},
    {DType::F16,  1e-5, 1e-3},
    {DType::BF16, 1e-5, 0.01},
    {DType::Q8_0, 0.03, 0.03},
    {DType::Q6_K, 0.03, 0.05},
    {DType::Q5_K, 0.03, 0.1 },
    {DType::Q5_1, 0.03, 0.1 },
    {DType::Q5_0, 0.03, 0.12},
    {DType::Q4_K, 0.03, 0.2 },
    {DType::Q4_1, 0.03, 0.2 },
    {DType::Q4_0, 0.03, 0.25},
    {DType::Q3_K, 0.03, 0   }, // nib does not pack these two
    {DType::Q2_K, 0.03, 0   },
};

// The values of one parameter, and as what they are stored.
struct Packed {
    std::vector<uint8_t> bytes;
    std::vector<float> before, after;
};

// Random blocks of a type that nib only reads, with values about 0.06 in size.
std::vector<uint8_t> random_blocks(DType type, uint64_t seed, int64_t count) {
    std::vector<uint8_t> bytes = random_bytes(seed, dtype_bytes(type, count));
    const auto size = static_cast<size_t>(dtype_info(type)->block_bytes);
    for (size_t end = size; end <= bytes.size(); end += size) {
        if (type == DType::Q3_K) ref::detail::store_half(&bytes[end - 2], 0.0014f);
        if (type == DType::Q2_K) {
            ref::detail::store_half(&bytes[end - 4], 0.004f);
            ref::detail::store_half(&bytes[end - 2], 0.006f);
        }
    }
    return bytes;
}

// A layer, and a head that is the embedding, in rows of one block of 256 and of two.
class TypedModel : public testing::TestWithParam<std::tuple<const KernelTable*, TypeBound>> {
protected:
    TypedModel() {
        config_.layers = 1, config_.heads = 4, config_.embd = 256, config_.ffn = 512;
        config_.context = 20, config_.vocab = 101;
        static std::map<DType, std::vector<Packed>> made;  // once for all tables
        std::vector<Packed>& parameters = made[bound().type];
        if (parameters.empty())
            for (const ParameterSpec& spec : gpt_parameters(config_)) parameters.push_back(make(spec, parameters.size()));
        parameters_ = parameters;
        for (int64_t t = 0; t < config_.context; ++t)
            ids_.push_back(static_cast<int32_t>(word(7, static_cast<uint64_t>(t)) % 101));
        weights_ = place([](const Packed& p) { return std::as_bytes(std::span(p.bytes)); }, bound().type);
    }

    const TypeBound& bound() const { return std::get<TypeBound>(GetParam()); }

    Packed make(const ParameterSpec& spec, uint64_t seed) const {
        const bool matrix = spec.shape.rank == 2 && spec.name != "position_embd.weight";
        const DType type = matrix ? bound().type : DType::F32;
        Packed p;
        if (ref::can_pack(type)) {
            p.before = gauss(seed, static_cast<size_t>(spec.shape.elements()));
            for (float& x : p.before)
                x = x * (matrix ? 0.06f : 0.3f) + (spec.init == ParameterSpec::Init::One ? 1.0f : 0.0f);
            p.bytes = packed(type, p.before);
        } else {
            p.bytes = random_blocks(type, seed, spec.shape.elements());
        }
        p.after = unpacked(type, p.bytes);
        return p;
    }

    // A model of some of the parameters' bytes, matrices being of `type`.
    template <class Bytes>
    GptWeights place(const Bytes& bytes_of, DType type) {
        size_t next = 0;
        return gpt_weights(config_, [&](const ParameterSpec& spec) {
            const auto bytes = bytes_of(parameters_[next++]);
            Weight w;
            w.name = spec.name, w.shape = spec.shape;
            w.type = spec.shape.rank == 2 && spec.name != "position_embd.weight" ? type : DType::F32;
            w.value.buffer = backend_.allocate(bytes.size());
            backend_.upload(w.value, bytes);
            return w;
        });
    }

    // Logits (T,V), of all tokens at once or token by token.
    std::vector<float> logits(const GptWeights& weights, bool at_once, DType cache = DType::F32) {
        Session session(backend_, config_, weights, 1, cache);
        std::vector<float> all;
        const auto append = [&](std::span<const float> rows) { all.insert(all.end(), rows.begin(), rows.end()); };
        if (at_once)
            session.all_logits(ids_, append);
        else
            for (const int32_t id : ids_) append(session.decode({&id, 1}));
        return all;
    }

    GptConfig config_;
    CpuBackend backend_{*std::get<0>(GetParam()), 2};
    std::span<const Packed> parameters_;  // in file order
    std::vector<int32_t> ids_;            // a context full
    GptWeights weights_;
};

TEST_P(TypedModel, LogitsAreThoseOfTheModelInF32) {
    const auto floats = [](const std::vector<float>& values) { return std::as_bytes(std::span(values)); };
    const GptWeights after = place([&](const Packed& p) { return floats(p.after); }, DType::F32);
    const std::vector<float> at_once = logits(weights_, true), by_token = logits(weights_, false);
    const std::vector<float> kept = logits(after, true);
    EXPECT_LE(relative_error(at_once, kept), bound().kept);
    EXPECT_LE(relative_error(by_token, kept), bound().kept);
    if (ref::can_pack(bound().type)) {
        const GptWeights before = place([&](const Packed& p) { return floats(p.before); }, DType::F32);
        const std::vector<float> original = logits(before, true);
        EXPECT_LE(relative_error(at_once, original), bound().packed);
        EXPECT_LE(relative_error(by_token, original), bound().packed);
    }
    // A cache of halves changes little. Beside blocks the least change of an activation may round another way.
    for (const auto& [with_floats, prefill] : {std::pair(&at_once, true), std::pair(&by_token, false)}) {
        const double change = relative_error(logits(weights_, prefill, DType::F16), *with_floats);
        EXPECT_GT(change, 0);
        EXPECT_LE(change, std::max(1e-3, bound().kept));
    }
}

// To the bit: otherwise rounding would lead samples astray from what a single one writes.
TEST_P(TypedModel, SequencesSideBySideEqualSingleOnes) {
    constexpr size_t kSequences = 3;
    const std::span<const int32_t> prompt = std::span(ids_).first(6);
    Session single(backend_, config_, weights_), several(backend_, config_, weights_, kSequences);
    several.prefill(prompt);
    for (size_t s = 1; s < kSequences; ++s) several.copy_to(static_cast<int64_t>(s));
    for (size_t step = 0; step < 4; ++step) {
        std::vector<int32_t> next;
        for (size_t s = 0; s < kSequences; ++s) next.push_back(ids_[step * kSequences + s]);
        several.decode(next);
    }
    std::vector<int32_t> last(kSequences, 5);
    const std::span<const float> rows = several.decode(last);
    for (size_t s = 0; s < kSequences; ++s) {
        single.reset();
        single.prefill(prompt);
        for (size_t step = 0; step < 4; ++step) single.decode({&ids_[step * kSequences + s], 1});
        const std::span<const float> alone = single.decode({&last[s], 1});
        EXPECT_TRUE(std::equal(alone.begin(), alone.end(), rows.begin() + static_cast<std::ptrdiff_t>(s * alone.size())));
    }
}

std::vector<std::tuple<const KernelTable*, TypeBound>> cases() {
    std::vector<std::tuple<const KernelTable*, TypeBound>> all;
    for (const KernelTable* table : kernel_tables())
        for (const TypeBound& bound : kBounds)
            if (table != &ref::table || (bound.type != DType::F16 && bound.type != DType::BF16))  // seconds
                all.emplace_back(table, bound);
    return all;
}

INSTANTIATE_TEST_SUITE_P(All, TypedModel, testing::ValuesIn(cases()), [](const auto& info) {
    return std::string(std::get<0>(info.param)->name) + "_" + dtype_info(std::get<1>(info.param).type)->name;
});

}  // namespace
}  // namespace nib
