// The models of ../shared/data/cases, beside the project, against the logits that its README states: small files as other
// programs leave them. Without that folder they are skipped.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/engine.h"
#include "model/convert.h"
#include "model/loaded_model.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

fs::path cases() { return fs::path(__FILE__).parent_path() / "../../shared/data/cases"; }

struct Case {
    const char *name, *source;
    std::optional<int64_t> heads;
    std::vector<std::pair<int, float>> best;  // id, logit: after the tokens 5 17 3 60
    const char* says = "";                    // a warning, or the error when there are no logits
};

// GPT-2 and the same weights under other names.
const std::vector<std::pair<int, float>> kPlain{
    {29, 1.5226f},
    {37, 1.4684f},
    {12, 1.3728f}
};

struct ConvertCases : testing::TestWithParam<Case> {};

TEST_P(ConvertCases, LogitsOrRefusal) {
    const Case& c = GetParam();
    const fs::path source = cases() / c.source;
    if (!fs::exists(source)) GTEST_SKIP() << source.string() << " is not there";
    const TempFolder folder;
    std::string warnings;
    ConvertRequest request;
    request.input = source.string();
    request.output = (folder / "m.gguf").string();
    request.hints.heads = c.heads;
    const auto convert = [&] {
        convert_checkpoint(request, {[&](const Note& note) { warnings += note.text + "\n"; }, [](double) {}});
    };
    if (c.best.empty()) {
        EXPECT_MENTIONS(error_of(convert), c.says);
        return;
    }
    convert();
    EXPECT_MENTIONS(warnings, c.says);
    CpuBackend backend(*kernel_tables().front(), 1);
    const LoadedModel model(request.output, backend);
    Engine engine(backend, model.config(), model.weights());
    const std::vector<int32_t> ids{5, 17, 3, 60};
    const auto last = engine.append(0, ids);
    for (const auto& [id, logit] : c.best) EXPECT_NEAR(last[static_cast<size_t>(id)], logit, 1e-4) << id;
    EXPECT_EQ(std::max_element(last.begin(), last.end()) - last.begin(), c.best[0].first);
}

INSTANTIATE_TEST_SUITE_P(
    All, ConvertCases,
    testing::Values(
        Case{
            "mingpt_file",
            "mingpt-outdir/model.pt",
            3,
            {{48, 2.1127f}, {52, 1.8911f}, {6, 1.8570f}},
            "taken for minGPT's"
},
        Case{"mingpt_folder", "mingpt-outdir", {}, {{48, 2.1127f}, {52, 1.8911f}, {6, 1.8570f}}},
        Case{"legacy", "legacy-bin", {}, kPlain}, Case{"shards_index", "shards-index-lm-head", {}, kPlain},
        Case{"dataclass", "object-beside-weights/model_00500.pt", 4, kPlain},
        Case{"path", "object-beside-weights/pathlib.pt", 4, kPlain},
        Case{"numpy_scalar", "object-beside-weights/numpy_scalar.pt", 4, {{29, 1.5225f}, {37, 1.4685f}, {12, 1.3727f}}},
        Case{"state", "other-keys/policy.pt", 4, kPlain}, Case{"model_state", "other-keys/model_state.pt", 4, kPlain},
        Case{"no_model_type", "config-no-model-type", {}, kPlain, "names no model_type"},
        Case{"no_model_type_file", "config-no-model-type/model.safetensors", 4, kPlain},
        Case{"value_head", "value-head", {}, kPlain, "left out heads for other tasks than the next token: `v_head."},
        Case{"decoder", "other-keys/small_ft.pkl", 4, kPlain},
        Case{"tied_conflict",
             "tied-conflict",
             {},
             {{36, 1.9848f}, {56, 1.8871f}, {42, 1.6274f}},
             "differs from the embedding"},
        Case{"inverse_layer_scale", "inverse-layer-scale", {}, {{29, 1.5429f}, {37, 1.4705f}, {12, 1.3694f}}},
        Case{"mingpt_2020",
             "mingpt-2020-names/model.pt",
             4,
             {{29, 1.5225f}, {37, 1.4685f}, {12, 1.3727f}},
             "the first minGPT"},
        Case{"lecture", "mingpt-2020-names/lecture.pt", {}, {}, "the names are those of the lecture gpt.py"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace nib
