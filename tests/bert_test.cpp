// BERT with each of its heads against transformers: tests/goldens/make_bert_goldens.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "convert_case.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "gpt_case.h"
#include "infer/encoder.h"
#include "model/export.h"
#include "model/loaded_model.h"

namespace nib {
namespace {

using namespace test;

struct BertHead : testing::TestWithParam<const char*> {
    BertHead() { convert("converted.gguf", std::nullopt); }

    std::string convert(const std::string& name, std::optional<DType> type) {
        ConvertRequest request;
        request.input = golden(std::string("transformers/bert_") + GetParam());
        request.output = (folder / name).string();
        request.type = type;
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
        return request.output;
    }
    std::vector<TextTokens> texts() const {
        std::vector<TextTokens> all;
        for (size_t b = 0; b < static_cast<size_t>(B); ++b) {
            const auto part = [&](const char* name) {
                const auto row = numbers<int32_t>(expected, name).subspan(b * static_cast<size_t>(T));
                return std::vector<int32_t>(row.begin(), row.begin() + lengths[b]);
            };
            all.push_back({part("ids"), part("segments")});
        }
        return all;
    }
    // Rows of texts (B,T,n) without the padding.
    std::vector<float> without_padding(std::span<const float> values) const {
        std::vector<float> kept;
        const size_t n = values.size() / static_cast<size_t>(B * T);
        for (size_t b = 0; b < static_cast<size_t>(B); ++b) {
            const auto row = values.subspan(b * static_cast<size_t>(T) * n, static_cast<size_t>(lengths[b]) * n);
            kept.insert(kept.end(), row.begin(), row.end());
        }
        return kept;
    }

    TempFolder folder;
    const GgufFile expected = GgufFile::open(golden(std::string("transformers/bert_") + GetParam() + ".gguf"));
    const std::span<const int32_t> lengths = numbers<int32_t>(expected, "lengths");
    const int64_t B = expected.tensor("ids").shape[0], T = expected.tensor("ids").shape[1];
};

std::vector<float> all_hidden(SequenceEncoder& encoder, std::span<const TextTokens> texts) {
    std::vector<std::vector<float>> rows(texts.size());
    encoder.hidden(texts, [&](size_t i, std::span<const float> values) { rows[i].assign(values.begin(), values.end()); });
    std::vector<float> all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    return all;
}

TEST_P(BertHead, HiddenStatesAndLogits) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        const LoadedModel model((folder / "converted.gguf").string(), backend);
        SequenceEncoder encoder(backend, model.config(), model.weights());
        EXPECT_LE(relative_error(all_hidden(encoder, texts()), without_padding(numbers<float>(expected, "hidden"))), 1e-5);
        for (const Head& head : encoder.model().heads()) {
            std::vector<float> reference(numbers<float>(expected, head.name).begin(),
                                         numbers<float>(expected, head.name).end());
            if (head.rows == HeadRows::Every) reference = without_padding(reference);
            const auto places = SequenceEncoder::places_of(head, texts());
            EXPECT_LE(relative_error(encoder.logits(head.name, texts(), places), reference), 1e-5) << head.name;
        }
    }
}

// With weights of other types the logits stay near: bounds are a few times what was measured.
TEST_P(BertHead, OtherTypesOfWeights) {
    CpuBackend backend(kernel_table("auto"), 2);
    const auto hidden = [&](const std::string& file) {
        const LoadedModel model(file, backend);
        SequenceEncoder encoder(backend, model.config(), model.weights());
        return all_hidden(encoder, texts());
    };
    const std::vector<float> reference = without_padding(numbers<float>(expected, "hidden"));
    EXPECT_LE(relative_error(hidden(convert("f16.gguf", DType::F16)), reference), 3e-3);
    EXPECT_LE(relative_error(hidden(convert("bf16.gguf", DType::BF16)), reference), 2e-2);
}

// The gradient of the sum of all logits times given factors.
TEST_P(BertHead, Gradients) {
    const GgufFile file = GgufFile::open((folder / "converted.gguf").string());
    const ModelConfig config = read_config(file);
    const Layout& layout = architecture_of(config).checkpoints->layouts[0];
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        const GptCase model(backend, config);
        for (size_t i = 0; i < model.specs.size(); ++i) model.set_value(i, numbers<float>(file, model.specs[i].name));
        const auto bert = make_model(config);
        if (bert->heads().empty()) return;
        Graph g(Mode::Train);
        TokenInputs tokens(g, config, B, T);
        const Tensor spans = g.input("spans", {B, T, 2}, DType::I32), first = g.input("first", {B}, DType::I32);
        ModelInputs inputs = tokens.inputs(model.weights);
        inputs.spans = spans;
        const Tensor hidden = bert->hidden(g, inputs), of_texts = g.gather(hidden, first);
        std::map<const Head*, Tensor> factors;
        for (const Head& head : bert->heads()) {
            const Tensor logits = bert->logits(g, model.weights, head, head.rows == HeadRows::First ? of_texts : hidden);
            g.set_gradient(logits, factors[&head] = g.input(head.name, g.info(logits).shape, DType::F32));
        }
        g.record_backward();
        const Plan plan = compile(std::move(g), backend);
        std::vector<int32_t> positions, seen, rows;
        for (int64_t r = 0; r < B * T; ++r) {
            positions.push_back(static_cast<int32_t>(r % T));
            seen.insert(seen.end(), {0, lengths[static_cast<size_t>(r / T)]});
            if (r % T == 0) rows.push_back(static_cast<int32_t>(r));
        }
        tokens.set(plan, numbers<int32_t>(expected, "ids"), positions, numbers<int32_t>(expected, "segments"));
        plan.set<int32_t>(spans, seen);
        plan.set<int32_t>(first, rows);
        for (const auto& [head, input] : factors)
            plan.set<float>(input, numbers<float>(expected, std::string("d") + head->name));
        plan.run({});
        for (size_t i = 0; i < model.specs.size(); ++i) {
            const std::string name = "grad." + hf_name(layout, model.specs[i].name);
            ASSERT_NE(expected.find(name), nullptr) << name;
            EXPECT_LE(gradient_error(model.gradient(i), numbers<float>(expected, name)), 1e-5) << name;
        }
    }
}

TEST_P(BertHead, ThereAndBackAgain) {
    ExportRequest out;
    out.input = (folder / "converted.gguf").string(), out.output = (folder / "exported").string();
    export_model(out, {[](const Note&) {}, [](double) {}});
    ConvertRequest back;
    back.input = out.output, back.output = (folder / "again.gguf").string();
    convert_checkpoint(back, {[](const Note&) {}, [](double) {}});
    const GgufFile first = GgufFile::open(out.input), second = GgufFile::open(back.output);
    EXPECT_EQ(read_config(second), read_config(first));
    ASSERT_EQ(second.tensors().size(), first.tensors().size());
    for (const GgufTensor& tensor : first.tensors())
        EXPECT_TRUE(std::ranges::equal(second.tensor(tensor.name).data, tensor.data)) << tensor.name;
    const auto config_of = [](const fs::path& path) { return nlohmann::json::parse(read_file(path / "config.json")); };
    EXPECT_EQ(config_of(folder / "exported")["architectures"],
              config_of(golden(std::string("transformers/bert_") + GetParam()))["architectures"]);
}

INSTANTIATE_TEST_SUITE_P(All, BertHead, testing::Values("model", "pretraining", "mlm", "nsp", "class", "tag", "span"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace nib
