// Whole trainings on text: what a short one must reach.
#include <gtest/gtest.h>

#include <cmath>

#include "core/philox.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "test_files.h"
#include "text/utf8.h"
#include "train/trainer.h"

namespace nib {
namespace {

using namespace test;

class Learning : public ::testing::Test {
protected:
    TrainResult train(const std::string& text, const TrainOptions& options) {
        TrainRequest request;
        request.inputs = {text};
        request.output = (folder_ / "m.gguf").string();
        request.options = options;
        CpuBackend backend(kernel_table("auto"), 2);
        Progress silent(nullptr, false, 1);
        return Trainer(backend, prepare_training(request, backend), silent).run();
    }
    TrainLog log() const {
        TrainLog log((folder_ / "m.log.jsonl").string());
        log.resume(1 << 20);
        return log;
    }

    TempFolder folder_;
};

// The text's entropy of single characters is 3.08; a model that has learned words and spaces is well below.
TEST_F(Learning, BundledFables) {
    TrainOptions options;
    options.layers = 2;
    options.heads = 4;
    options.embd = 64;
    options.context = 32;
    options.iters = 250;
    options.eval_tokens = 0;
    const TrainResult result = train("tools/demo/fables.txt", options);
    EXPECT_NEAR(log().train()[0].loss, std::log(60), 0.2);  // 60 characters
    EXPECT_LT(*result.val_loss, 2.1);
}

// Thousands of different characters of three bytes, as in a Chinese novel, the frequent ones following Zipf's law.
TEST_F(Learning, ManyCharacters) {
    constexpr uint32_t kCharacters = 3000;
    std::string text;
    for (uint32_t c = 0; c < kCharacters; ++c) append_utf8(text, 0x4E00 + c);
    for (uint32_t i = 0; i < 30000; ++i) {
        const double uniform = (philox({i, 0, 0, 0}, 1)[0] + 0.5) * 0x1p-32;
        append_utf8(text, 0x4E00 + static_cast<char32_t>(std::pow(kCharacters, uniform)) - 1);
    }
    write_file(folder_ / "text.txt", text);
    TrainOptions options;
    options.layers = 1;
    options.heads = 2;
    options.embd = 32;
    options.context = 16;
    options.iters = 100;
    const TrainResult result = train((folder_ / "text.txt").string(), options);
    EXPECT_NEAR(log().train()[0].loss, std::log(kCharacters), 0.1);
    EXPECT_LT(*result.val_loss, 6.6);  // the entropy of this law is 6.09
}

}  // namespace
}  // namespace nib
