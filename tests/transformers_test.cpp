// Models as transformers and PyTorch save them, converted and run, against what these compute:
// tests/goldens/make_transformers_goldens.py, make_gpt_goldens.py, make_llama_goldens.py, and make_layout_goldens.py for
// the programs with names of their own.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "engine_steps.h"
#include "infer/engine.h"
#include "infer/evaluate.h"
#include "model/convert.h"
#include "model/loaded_model.h"
#include "numbers.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

struct Case {
    const char *name, *source;
    std::optional<int64_t> heads = {};  // where no file says it
    const char* expected = name;        // the golden
};

struct Transformers : testing::TestWithParam<Case> {
    Transformers() {
        ConvertRequest request;
        request.input = golden(std::string("transformers/") + GetParam().source);
        request.output = (folder / "m.gguf").string();
        request.hints.heads = GetParam().heads;
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
    }

    TempFolder folder;
    const GgufFile expected = GgufFile::open(golden(std::string("transformers/") + GetParam().expected + ".gguf"));
    const std::span<const int32_t> ids = numbers<int32_t>(expected, "ids");
};

TEST_P(Transformers, LogitsLossAndGreedyText) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        const LoadedModel model((folder / "m.gguf").string(), backend);

        Engine engine(backend, model.config(), model.weights());
        const std::span<const float> all = all_logits(engine, ids);
        EXPECT_LE(relative_error({all.begin(), all.end()}, numbers<float>(expected, "logits")), 1e-5);

        Evaluator evaluator(backend, model.config(), model.weights(), {static_cast<int64_t>(ids.size())});
        const Evaluation loss = evaluator.run([&](int64_t begin, std::span<int32_t> out) {
            std::copy_n(&ids[static_cast<size_t>(begin)], out.size(), out.begin());
        });
        EXPECT_NEAR(loss.loss(), numbers<float>(expected, "loss")[0], 1e-5);

        for (const DType cache : {DType::F32, DType::F16}) {
            Engine writer(backend, model.config(), model.weights(), {.cache_type = cache});
            std::span<const float> last = writer.append(0, ids.first(3));
            std::vector<int32_t> greedy;
            for (;;) {
                greedy.push_back(static_cast<int32_t>(std::max_element(last.begin(), last.end()) - last.begin()));
                if (writer.length(0) + 1 >= writer.context()) break;
                last = writer.append(0, {&greedy.back(), 1});
            }
            EXPECT_TRUE(std::ranges::equal(greedy, numbers<int32_t>(expected, "greedy")));
        }
    }
}

// Each name by itself, from the token 0 to the token 0, as makemore measures.
struct Makemore : Transformers {};

TEST_P(Makemore, LossOfNames) {
    std::ifstream file(golden("transformers/names.txt"));
    std::vector<int32_t> all;
    std::vector<int64_t> ends;
    for (std::string name; std::getline(file, name); ends.push_back(static_cast<int64_t>(all.size()))) {
        all.push_back(0);
        for (const char letter : name) all.push_back(letter - 'a' + 1);
        all.push_back(0);
    }
    ASSERT_EQ(ends.size(), 13u);
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        const LoadedModel model((folder / "m.gguf").string(), backend);
        Evaluator evaluator(backend, model.config(), model.weights(), ends);
        const Evaluation result = evaluator.run(
            [&](int64_t begin, std::span<int32_t> out) { std::copy_n(all.begin() + begin, out.size(), out.begin()); });
        EXPECT_NEAR(result.loss(), numbers<float>(expected, "names_loss")[0], 1e-5);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, Transformers,
    testing::Values(Case{"tied", "tied"}, Case{"untied_relu", "untied_relu"}, Case{"gelu", "gelu"}, Case{"long", "long"},
                    Case{"gpt2_scaled", "gpt2_scaled"}, Case{"gpt2_inverse", "gpt2_inverse"}, Case{"gpt1", "gpt1"},
                    Case{"gpt1_untied", "gpt1_untied"}, Case{"gptneo", "gptneo"}, Case{"gptneo_local", "gptneo_local"},
                    Case{"names", "names.pt", 4}, Case{"mingpt2020", "mingpt2020.pt", 3}, Case{"lecture", "lecture.pt"},
                    Case{"book", "book.pt", 3}, Case{"llama", "llama"}, Case{"llama3", "llama3"},
                    Case{"mistral", "mistral"}, Case{"qwen2", "qwen2"}, Case{"llama2c_v0", "llama2c_v0.bin", {}, "llama2c"},
                    Case{"llama2c_v1", "llama2c_v1.bin", {}, "llama2c"}, Case{"llama2c_pt", "llama2c.pt", {}, "llama2c"}),
    [](const auto& info) { return std::string(info.param.name); });
INSTANTIATE_TEST_SUITE_P(All, Makemore, testing::Values(Case{"names", "names.pt", 4}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace nib
