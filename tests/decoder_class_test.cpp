// Decoders that name the class of a text against transformers, and as its folders: tests/goldens/make_class_goldens.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "convert_case.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/encoder.h"
#include "model/export.h"
#include "model/loaded_model.h"

namespace nib {
namespace {

using namespace test;

struct DecoderClass : testing::TestWithParam<const char*> {
    DecoderClass() {
        ConvertRequest request;
        request.input = source, request.output = converted;
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
    }

    TempFolder folder;
    const std::string source = golden(std::string("transformers/") + GetParam() + "_class"),
                      converted = (folder / "converted.gguf").string();
};

TEST_P(DecoderClass, Logits) {
    const GgufFile expected = GgufFile::open(source + ".gguf");
    const auto ids = numbers<int32_t>(expected, "ids"), lengths = numbers<int32_t>(expected, "lengths");
    std::vector<TextTokens> texts;
    for (size_t b = 0; b < lengths.size(); ++b) {
        const auto row = ids.subspan(b * ids.size() / lengths.size(), static_cast<size_t>(lengths[b]));
        texts.push_back({
            {row.begin(),   row.end()},
            {             }
        });
    }
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        const LoadedModel model(converted, backend);
        SequenceEncoder encoder(backend, model.config(), model.weights());
        const auto places = SequenceEncoder::places_of(encoder.model().head("class"), texts);
        EXPECT_LE(relative_error(encoder.logits("class", texts, places), numbers<float>(expected, "logits")), 1e-5);
    }
}

TEST_P(DecoderClass, ThereAndBackAgain) {
    ExportRequest out;
    out.input = converted, out.output = (folder / "exported").string();
    export_model(out, {[](const Note&) {}, [](double) {}});
    ConvertRequest back;
    back.input = out.output, back.output = (folder / "again.gguf").string();
    convert_checkpoint(back, {[](const Note&) {}, [](double) {}});
    const GgufFile first = GgufFile::open(out.input), second = GgufFile::open(back.output);
    const ModelConfig config = read_config(first);
    EXPECT_EQ(read_config(second), config);
    ASSERT_EQ(config.task_heads.size(), 1u);
    EXPECT_EQ(config.task_heads[0].labels, (std::vector<std::string>{"kind 0", "kind 1", "kind 2"}));
    EXPECT_EQ(config.task_heads[0].multi_label, GetParam() == std::string("llama"));
    ASSERT_EQ(second.tensors().size(), first.tensors().size());
    for (const GgufTensor& tensor : first.tensors())
        EXPECT_TRUE(std::ranges::equal(second.tensor(tensor.name).data, tensor.data)) << tensor.name;
    const auto config_of = [](const fs::path& path) { return nlohmann::json::parse(read_file(path / "config.json")); };
    EXPECT_EQ(config_of(folder / "exported")["architectures"], config_of(source)["architectures"]);
}

INSTANTIATE_TEST_SUITE_P(All, DecoderClass, testing::Values("gpt2", "gpt1", "gptneo", "llama", "qwen2"),
                         [](const auto& info) { return std::string(info.param); });

// Which head a `score` is of: the class of the model says it.
struct ScoreHead : ConvertCase {
    ModelConfig config_with(const std::string& model_class, const std::vector<std::string>& more) {
        Tensors tensors = make_tensors(true, true);
        const Values output = tensors.at("lm_head.weight");
        tensors.erase("lm_head.weight");
        tensors["score.weight"] = {
            {2, kC},
            std::vector<float>(2 * kC, 1)
        };
        for (const std::string& name : more)
            tensors[name] = name == "lm_head.weight" ? output
                                                     : Values{
                                                           {2 },
                                                           { 1, 2}
            };
        nlohmann::json config = config_json();
        if (model_class.empty())
            config.erase("architectures");
        else
            config["architectures"] = {model_class};
        write_model(tensors, "", config);
        warnings.clear();
        return read_config(convert("hf"));
    }
};

TEST_F(ScoreHead, IsOfTheModelsClass) {
    EXPECT_NE(config_with("GPT2ForSequenceClassification", {}).find_head("class"), nullptr);
    EXPECT_TRUE(config_with("GPT2ForSequenceClassification", {}).tied);
    EXPECT_NE(config_with("", {}).find_head("class"), nullptr);
    EXPECT_EQ(config_with("", {"lm_head.weight"}).find_head("class"), nullptr);
    EXPECT_MENTIONS(warnings.at(0), "left out heads for other tasks than the next token: `score.weight`");
    EXPECT_FALSE(config_with("GPT2LMHeadModel", {"lm_head.weight"}).tied);
    EXPECT_EQ(config_with("GPT2ForTokenClassification", {"score.bias"}).find_head("class"), nullptr);
    EXPECT_MENTIONS(warnings.at(0), "`score.bias`, `score.weight`");
}

}  // namespace
}  // namespace nib
