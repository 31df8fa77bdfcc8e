// What each type of weights costs a trained model: perplexity on a text against f32.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "infer/evaluate.h"
#include "model/convert.h"
#include "model/loaded_model.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

// The largest ratio of perplexities.
struct Cost {
    DType type;
    double ratio;
};
constexpr Cost kCosts[] = {
    {DType::F16,  1.001},
    {DType::BF16, 1.001},
    {DType::Q8_0, 1.001},
    {DType::Q6_K, 1.002},
    {DType::Q5_K, 1.005},
    {DType::Q5_1, 1.005},
    {DType::Q5_0, 1.005},
    {DType::Q4_K, 1.01 },
    {DType::Q4_1, 1.01 },
    {DType::Q4_0, 1.02 },
};

struct QuantizedQuality : TinyTraining {
    double loss(const std::string& name) const {
        CpuBackend backend(kernel_table("auto"), 2);
        const LoadedModel model((folder_ / name).string(), backend);
        const std::vector<int32_t> ids = model.tokenizer().encode(read_file("tools/demo/fables.txt").substr(0, 12000));
        Evaluator evaluator(backend, model.config(), model.weights(), {static_cast<int64_t>(ids.size())});
        const auto read = [&](int64_t begin, std::span<int32_t> out) {
            std::copy_n(ids.begin() + begin, out.size(), out.begin());
        };
        return evaluator.run(read).loss();
    }
};

TEST_F(QuantizedQuality, PerplexityOfFables) {
    TrainRequest r = request("m.gguf");
    r.inputs = {"tools/demo/fables.txt"};
    r.options.layers = 1, r.options.heads = 4, r.options.embd = 256;  // rows of one block of the K formats
    r.options.context = 32;
    r.options.iters = 60;
    r.options.eval_tokens = 0;
    run(r);
    const double f32 = loss("m.gguf");
    EXPECT_LT(f32, 2.5);  // it has learned something
    const ConvertReports silent = {[](const Note&) {}, [](double) {}};
    for (const Cost& cost : kCosts) {
        const char* name = dtype_info(cost.type)->name;
        ConvertRequest q;
        q.input = (folder_ / "m.gguf").string(), q.output = (folder_ / name).string();
        q.type = cost.type;
        quantize_file(q, silent);
        const double ratio = std::exp(loss(name) - f32);
        EXPECT_LT(ratio, cost.ratio) << name;
        EXPECT_GT(ratio, 2 - cost.ratio) << name;
        EXPECT_NE(ratio, 1) << name;
    }
}

}  // namespace
}  // namespace nib
