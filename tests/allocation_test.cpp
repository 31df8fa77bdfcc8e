// After the first token nothing is allocated: operator new is counted while engines run.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/engine.h"
#include "infer/generate.h"
#include "infer/sampler.h"
#include "model/families.h"
#include "ref/kernels.h"
#include "text/char_tokenizer.h"
#include "train/train_step.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NIB_COUNTS_ALLOCATIONS 0  // they have an operator new of their own
#else
#define NIB_COUNTS_ALLOCATIONS 1
#endif

namespace {

std::atomic<int64_t> allocations{0};  // of all threads

}  // namespace

#if NIB_COUNTS_ALLOCATIONS
// The forms for arrays and without exceptions call these. Not inlined, or GCC takes new and free for a mismatch.
[[gnu::noinline]] void* operator new(size_t bytes) {
    ++allocations;
    if (void* p = std::malloc(bytes > 0 ? bytes : 1)) return p;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }
#endif

namespace nib {
namespace {

// A model of zeros on each kernel table, by the type of its matrices and of its cache.
struct Allocation : testing::TestWithParam<std::tuple<const KernelTable*, DType, DType>> {
    void SetUp() override {
        if (!NIB_COUNTS_ALLOCATIONS) GTEST_SKIP() << "a sanitizer allocates";
        config.layers = 1, config.heads = 4, config.embd = 256, config.ffn = 256, config.context = 64, config.vocab = 40;
        place();
        sampling.top_k = 10, sampling.top_p = 0.9, sampling.repeat_penalty = 1.1;
    }
    void place() {
        weights = place_weights(config, [&](const ParameterSpec& spec) {
            Weight w;
            w.name = spec.name, w.shape = spec.shape;
            w.type = spec.shape.rank == 2 && spec.name != "position_embd.weight" ? std::get<1>(GetParam()) : DType::F32;
            w.value.buffer = backend.allocate(dtype_bytes(w.type, spec.shape.elements()));
            return w;
        });
    }

    CpuBackend backend{*std::get<0>(GetParam()), 2};
    const DType cache = std::get<2>(GetParam());
    ModelConfig config;
    Weights weights;
    SamplerOptions sampling;
};

TEST_P(Allocation, NoneAfterTheFirstToken) {
    Engine engine(backend, config, weights, {.slots = 2, .cache_type = cache});
    Sampler sampler(sampling, config.vocab);
    const std::vector<int32_t> prompt(20, 3), history(5, 1);
    std::vector<int32_t> next(2, 1);
    std::vector<EngineRow> rows(2);
    const auto generate = [&](int tokens) {
        engine.reset();
        engine.append(0, prompt);
        engine.copy(0, 1, engine.length(0));
        for (int i = 0; i < tokens; ++i) {
            for (size_t s = 0; s < 2; ++s)
                rows[s] = {next[s], static_cast<int32_t>(s), engine.length(static_cast<int64_t>(s)), true};
            const std::span<const float> logits = engine.step(rows);
            for (uint32_t s = 0; s < 2; ++s)
                next[s] = sampler.sample(logits.subspan(s * 40, 40), history, s, static_cast<uint64_t>(i));
        }
    };
    const int64_t before = allocations;
    generate(1);
    EXPECT_GT(allocations, before);  // plans are compiled: it counts
    const int64_t first = allocations;
    generate(20);
    EXPECT_EQ(allocations, first);
}

// Also past the context: what was a short prompt is then a long one.
TEST_P(Allocation, NoneInGenerateAfterTheFirstToken) {
    std::vector<char32_t> characters;
    for (char32_t c = U'a'; characters.size() < static_cast<size_t>(config.vocab); ++c) characters.push_back(c);
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(characters);
    GenerateOptions options;
    options.sampler = sampling;
    options.count = config.context + 10;
    for (const int64_t samples : {1, 2}) {
        Engine engine(backend, config, weights, {.slots = samples, .cache_type = cache});
        const std::vector<int32_t> prompt(5, 3);
        const int64_t before = allocations;
        int64_t first = 0, last = 0;
        const GenerateResult result = generate(engine, tokenizer, prompt, options, [&](size_t, std::string_view) {
            last = allocations;
            if (first == 0) first = last;
        });
        EXPECT_GT(first, before);
        EXPECT_EQ(last, first);
        EXPECT_EQ(result.samples[0].ids.size(), static_cast<size_t>(options.count));
    }
}

// Reading sources and writing from them; and a step of training on pairs.
TEST_P(Allocation, NoneWithAnEncoderAfterTheFirstToken) {
    config.arch = "transformer";
    kTransformer.defaults(config), kTransformer.complete(config);
    place();
    Engine engine(backend, config, weights, {.slots = 2, .cache_type = cache});
    const std::vector<int32_t> one(20, 3), other(7, 5);
    const std::vector<EngineSource> sources{
        {0, one  },
        {1, other}
    };
    const auto write = [&] {
        engine.encode(sources);
        for (int64_t t = 0; t < 5; ++t) {
            const EngineRow rows[] = {
                {1, 0, t, true},
                {2, 1, t, true}
            };
            engine.step(rows);
        }
        engine.encode(1, one);
    };
    const int64_t before = allocations;
    write();
    EXPECT_GT(allocations, before);
    const int64_t first = allocations;
    write();
    EXPECT_EQ(allocations, first);

    TrainShape shape;
    shape.batch = 2, shape.time = 8;
    TrainStep train(backend, config, shape);
    const std::vector<int32_t> ids(16, 4), lengths{8, 3};
    const auto step = [&] {
        train.micro_step(ids, ids,
                         {
                             .source = {ids, lengths}
        });
    };
    step();
    const int64_t trained = allocations;
    step();
    EXPECT_EQ(allocations, trained);
}

// The reference kernels are for reading and may allocate.
std::vector<const KernelTable*> simd_tables() {
    std::vector<const KernelTable*> tables = kernel_tables();
    std::erase(tables, &ref::table);
    return tables;
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Allocation);
INSTANTIATE_TEST_SUITE_P(All, Allocation,
                         testing::Combine(testing::ValuesIn(simd_tables()),
                                          testing::Values(DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0,
                                                          DType::Q4_K, DType::Q6_K),
                                          testing::Values(DType::F32, DType::F16)),
                         [](const auto& info) {
                             return std::string(std::get<0>(info.param)->name) + "_" +
                                    dtype_info(std::get<1>(info.param))->name + "_cache_" +
                                    dtype_info(std::get<2>(info.param))->name;
                         });

}  // namespace
}  // namespace nib
