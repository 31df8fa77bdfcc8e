// A Marian model of transformers, converted and run: logits, gradients, and what beam search finds.
// tests/goldens/make_marian_goldens.py says what the golden holds.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cpu/isa.h"
#include "gpt_case.h"
#include "infer/beam.h"
#include "model/convert.h"
#include "model/export.h"
#include "model/families.h"
#include "model/loaded_model.h"
#include "numbers.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/marian_files.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;

struct MarianCase {
    TempFolder folder;
    const GgufFile expected = GgufFile::open(golden("transformers/marian.gguf"));
    const int64_t B = expected.tensor("ids").shape[0], T = expected.tensor("ids").shape[1],
                  S = expected.tensor("source_ids").shape[1];
    const std::span<const int32_t> ids = numbers<int32_t>(expected, "ids"), targets = numbers<int32_t>(expected, "targets");
    const SourceBatch source{numbers<int32_t>(expected, "source_ids"), numbers<int32_t>(expected, "source_lengths")};
    const std::string path = (folder / "m.gguf").string();

    MarianCase() {
        ConvertRequest request;
        request.input = golden("transformers/marian");
        request.output = path;
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
    }
    void check_logits_and_gradients(Backend& backend) const {
        const Layout& layout = kTransformerCheckpoints.layouts[0];
        const LoadedModel loaded(path, backend);
        EXPECT_LE(relative_error(LogitsGraph(backend, loaded.config(), loaded.weights(), B, T, S).run(ids, source),
                                 numbers<float>(expected, "logits")),
                  1e-5);

        const GptCase model(backend, loaded.config());
        for (size_t i = 0; i < model.specs.size(); ++i)
            model.set_value(i, numbers<float>(loaded.file(), model.specs[i].name));
        const LossGraph graph(model, Mode::Train, B, T, 0, false, S);
        const Plan plan = compile(graph.graph, backend);
        const auto counted = std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t != kIgnore; });
        plan.run(graph.set(plan, ids, targets, source, training_step(counted)));
        std::vector<float> all, all_expected;
        for (size_t i = 0; i < model.specs.size(); ++i) {
            const std::string& name = model.specs[i].name;
            if (name == "output.bias") continue;  // a constant of transformers' class
            const std::vector<float> gradient = model.gradient(i);
            const std::span<const float> right = numbers<float>(expected, "grad." + hf_name(layout, name));
            EXPECT_LE(gradient_error(gradient, right), 5e-5) << name;  // some are a thousand times smaller than others
            all.insert(all.end(), gradient.begin(), gradient.end());
            all_expected.insert(all_expected.end(), right.begin(), right.end());
        }
        EXPECT_LE(relative_error(all, all_expected), 1e-5);
    }
    std::vector<int32_t> source_of(int64_t b) const {
        const auto first = source.ids.begin() + b * S;
        return {first, first + source.lengths[static_cast<size_t>(b)]};
    }
    // Row by row and all at once, of all sources side by side, each slot with another source than the one of its own
    // number.
    void check_engine(Backend& backend) const {
        const LoadedModel model(path, backend);
        const std::span<const float> all = numbers<float>(expected, "logits");
        Engine engine(backend, model.config(), model.weights(), {.slots = B, .logit_rows = B * T});
        for (int64_t b = 0; b < B; ++b) {
            engine.encode((b + 1) % B, source_of(b));
            engine.attend(b, (b + 1) % B);
        }
        std::vector<EngineRow> rows;
        for (int64_t b = 0; b < B; ++b)
            for (int64_t t = 0; t < T; ++t)
                rows.push_back({ids[static_cast<size_t>(b * T + t)], static_cast<int32_t>(b), t, true});
        const std::span<const float> at_once = engine.step(rows);
        EXPECT_LE(relative_error({at_once.begin(), at_once.end()}, all), 1e-5);
        for (int64_t b = 0; b < B; ++b) {
            engine.truncate(b, 0);
            std::span<const float> last;
            for (int64_t t = 0; t < T; ++t) last = engine.append(b, ids.subspan(static_cast<size_t>(b * T + t), 1));
            const auto V = static_cast<size_t>(engine.vocab());
            EXPECT_LE(relative_error({last.begin(), last.end()}, all.subspan(static_cast<size_t>((b + 1) * T - 1) * V, V)),
                      1e-5);
        }
    }
};

struct Marian : testing::Test, MarianCase {};
struct VulkanMarian : Vulkan, MarianCase {};

TEST_F(Marian, LogitsAndGradients) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        check_logits_and_gradients(backend);
    }
}

TEST_F(VulkanMarian, LogitsAndGradients) { check_logits_and_gradients(backend()); }

TEST_F(Marian, EngineGivesTheSameLogits) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        check_engine(backend);
    }
}

TEST_F(VulkanMarian, EngineGivesTheSameLogits) { check_engine(backend()); }

TEST_F(Marian, BeamSearchFindsWhatTransformersFinds) {
    CpuBackend backend(kernel_table("auto"), 2);
    const LoadedModel model(path, backend);
    std::vector<std::vector<int32_t>> sources;
    for (int64_t b = 0; b < B; ++b) sources.push_back(source_of(b));
    BeamOptions options{.beams = expected.get<int64_t>("beams"), .length_penalty = expected.get<float>("length_penalty")};
    options.count = T - 1;
    options.start = static_cast<int32_t>(model.config().encoder_decoder.start), options.end = 0;
    const std::span<const int32_t> found = numbers<int32_t>(expected, "beam_ids");
    for (const int64_t places : {1, 2, 3}) {
        Engine engine(backend, model.config(), model.weights(), {.slots = places * options.beams, .sources = places});
        size_t texts = 0;
        translate(engine, sources, options, [&](size_t b, const std::vector<Hypothesis>& hypotheses) {
            const auto row = found.subspan(b * static_cast<size_t>(T), static_cast<size_t>(T));
            const std::vector<int32_t> written(row.begin(), std::find(row.begin(), row.end(), -1));
            EXPECT_EQ(hypotheses.at(0).ids, written) << b;
            EXPECT_NEAR(hypotheses[0].score, numbers<float>(expected, "beam_scores")[b], 1e-5);
            ++texts;
        });
        EXPECT_EQ(texts, sources.size());
    }
}

// A folder as on the hub: the file has the tokenizers of both languages, and an export gives them back.
TEST_F(Marian, TokenizersOfBothLanguages) {
    const fs::path hub = folder / "hub";
    fs::create_directory(hub);
    for (const char* name : {"config.json", "model.safetensors"})
        fs::copy(golden("transformers/marian") + "/" + name, hub / name);
    for (const char* name : {"source.spm", "target.spm"}) fs::copy(golden("unigram.model"), hub / name);
    const auto vocabulary = [](const std::string& letters) {
        nlohmann::json json = {
            {"</s>",   0 },
            {"<unk>",  1 },
            {"\u2581", 2 },
            {"<pad>",  18}
        };
        for (size_t i = 0; i < letters.size(); ++i) json[letters.substr(i, 1)] = 3 + i;
        return json.dump();
    };
    write_file(hub / "vocab.json", vocabulary("abcdefghijklmno"));
    write_file(hub / "target_vocab.json", vocabulary("omnlkjihgfedcba"));
    write_file(hub / "tokenizer_config.json", R"({"separate_vocabs": true})");
    const auto convert = [&](const fs::path& from, const char* to) {
        ConvertRequest request;
        request.input = from.string(), request.output = (folder / to).string();
        convert_checkpoint(request, {[](const Note&) {}, [](double) {}});
        return request.output;
    };
    const std::string file = convert(hub, "both.gguf");
    CpuBackend backend(kernel_table("auto"), 2);
    const LoadedModel model(file, backend);
    const auto both = load_translation_tokenizers(hub.string());
    for (const char* text : {"a cab", "beef", "xyz"}) {
        EXPECT_EQ(model.tokenizer().encode(text), both->source->encode(text));
        EXPECT_EQ(model.target_tokenizer().encode(text), both->target->encode(text));
    }
    EXPECT_NE(model.tokenizer().encode("a cab"), model.target_tokenizer().encode("a cab"));
    EXPECT_TRUE(model.tokenizer().ends_texts());

    ExportRequest request;
    request.input = file, request.output = (folder / "exported").string();
    export_model(request, {[](const Note&) {}, [](double) {}});
    EXPECT_TRUE(fs::exists(folder / "exported/source.spm"));
    EXPECT_EQ(read_file(convert(folder / "exported", "again.gguf")), read_file(file));
    fs::remove(hub / "target.spm");
    EXPECT_MENTIONS(error_of([&] { convert(hub, "x.gguf"); }), "target.spm is missing");
}

TEST_F(Marian, WrongUse) {
    CpuBackend backend(kernel_table("auto"), 1);
    const LoadedModel model(path, backend);
    Engine engine(backend, model.config(), model.weights(), {.slots = 2, .sources = 1});
    const std::vector<int32_t> one{1}, none, outside{19}, long_one(15, 1);
    EXPECT_MENTIONS(error_of([&] { engine.append(0, one); }), "slot 0 has no source to attend to");
    EXPECT_MENTIONS(error_of([&] { engine.encode(1, one); }), "there is no source 1 of 1");
    EXPECT_MENTIONS(error_of([&] { engine.encode(0, none); }), "a source has 1 to 14 tokens, not 0");
    EXPECT_MENTIONS(error_of([&] { engine.encode(0, long_one); }), "a source has 1 to 14 tokens, not 15");
    EXPECT_MENTIONS(error_of([&] { engine.encode(0, outside); }), "token 19 is not among the 19 of the model");
    EXPECT_MENTIONS(error_of([&] { engine.attend(2, 0); }), "there is no slot 2 of 2");
    engine.encode(0, one);
    engine.append(1, one);
    engine.encode(0, one);
    EXPECT_EQ(engine.length(1), 0) << "what it wrote was of another source";
    const std::vector<int32_t> no_lengths;
    EXPECT_MENTIONS(error_of([&] {
                        LogitsGraph(backend, model.config(), model.weights(), 1, 1, 2).run(one, {one, no_lengths});
                    }),
                    "0 sources of 1 tokens in all, with 1 tokens and 1 targets, are not 1 of up to 2 and 1");

    const GptCase decoder(backend, tiny_config());
    Engine without(backend, decoder.config, decoder.weights);
    EXPECT_MENTIONS(error_of([&] { without.encode(0, one); }), "the model has no encoder");
}

}  // namespace
}  // namespace nib
