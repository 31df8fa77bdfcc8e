// What every family of the table must have and do: goldens, keys, the way to transformers and back.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "convert_case.h"
#include "model/hf_config.h"
#include "model/rope.h"

namespace nib {
namespace {

using namespace test;

// Models of the family, as different as it allows and transformers' class has them.
std::vector<ModelConfig> variants(const Architecture& family) {
    ModelConfig c;
    c.arch = family.name;
    family.defaults(c);
    c.layers = 2, c.heads = 4, c.embd = 16, c.context = 9, c.vocab = 11, c.ffn = 12;
    if (!family.heads.empty())
        c.task_heads = {
            {"mlm", c.vocab, {}}
        };
    family.complete(c);
    std::vector<ModelConfig> all{c};
    c.tied = false, c.eps = 1e-3f, c.act = family.checkpoints->acts.back();
    all.push_back(c);
    for (const HeadTensor& head : family.heads) {
        ModelConfig with = all[0];
        const bool labelled = head.name == std::string_view("class") || head.name == std::string_view("tag");
        const bool of_tokens = head.name == std::string_view("mlm");
        with.task_heads = {
            {head.name,
             of_tokens  ? c.vocab
             : labelled ? 3
                        : 2,
             {}}
        };
        if (labelled) with.task_heads[0].labels = {"good", "b\"ad", "\u4f60 \u597d"};
        with.pooler = head.name == std::string_view("nsp") || head.name == std::string_view("class");
        with.pooling = of_tokens ? Pooling::Max : Pooling::Cls, with.normalize = labelled;
        all.push_back(with);
    }
    if (c.rope.dimensions == 0) return all;
    c.kv_heads = 2, c.head_size = 6, c.rope.dimensions = 6, c.rope.base = 500;
    all.push_back(c);
    c.rope.scaling = RopeConfig::Scaling::Linear, c.rope.factor = 2.5f;
    all.push_back(c);
    c.head_size = 0, c.rope.dimensions = 4;
    c.rope.scaling = RopeConfig::Scaling::Llama3, c.rope.factor = 8, c.rope.low_frequency = 1, c.rope.high_frequency = 4;
    c.rope.original_context = 64;
    all.push_back(c);
    return all;
}

class Families : public ConvertCase {
protected:
    // A model file with numbers of its own for every parameter.
    std::string write_gguf(const ModelConfig& config, const std::string& name) const {
        GgufWriter writer;
        write_config(writer, config, "some name");
        const Tensors tensors = make_parameters(config);
        for (const ParameterSpec& spec : model_parameters(config)) {
            const Values& values = tensors.at(spec.name);
            writer.add(spec.name, DType::F32, values.shape, std::as_bytes(std::span(values.data)));
        }
        AtomicFile file((folder / name).string());
        writer.write(file);
        file.publish();
        return (folder / name).string();
    }
    void export_to(const std::string& model, const std::string& name, std::optional<DType> type = {}) {
        ExportRequest r;
        r.input = model, r.output = (folder / name).string(), r.overwrite = true, r.type = type;
        export_model(r, reports());
    }
};

TEST(FamilyGoldens, AreThere) {
    std::set<std::string> trained, converted;
    for (const auto& entry : fs::directory_iterator(golden(""))) {
        if (entry.path().extension() != ".gguf") continue;
        const GgufFile file = GgufFile::open(entry.path().string());
        if (file.find("logits") != nullptr && file.find("losses") != nullptr)
            trained.insert(file.get<std::string>("general.architecture"));
    }
    for (const auto& entry : fs::directory_iterator(golden("transformers"))) {
        if (!fs::exists(entry.path() / "config.json")) continue;
        ASSERT_TRUE(fs::exists(golden("transformers/" + entry.path().filename().string() + ".gguf"))) << entry.path();
        converted.insert(ConfigFile(read_file(entry.path() / "config.json"), "config.json").architecture()->name);
    }
    for (const Architecture* family : architectures()) {
        EXPECT_TRUE(trained.contains(family->name)) << family->name << ": no logits, losses and gradients by PyTorch";
        EXPECT_TRUE(converted.contains(family->name)) << family->name << ": no model of transformers with its logits";
    }
}

TEST_F(Families, KeysAreReadAsTheyAreWritten) {
    for (const Architecture* family : architectures()) {
        EXPECT_EQ(find_architecture(family->name), family);
        for (const ModelConfig& config : variants(*family))
            EXPECT_EQ(read_config(GgufFile::open(write_gguf(config, "m.gguf"))), config) << family->name;
    }
}

TEST_F(Families, ThereAndBackAgain) {
    for (const Architecture* family : architectures()) {
        for (const ModelConfig& config : variants(*family)) {
            SCOPED_TRACE(family->name);
            const std::string original = write_gguf(config, "m.gguf");
            export_to(original, "first");
            const GgufFile converted = convert("first");
            EXPECT_EQ(read_config(converted), config);
            for (const auto& [name, values] : make_parameters(config))
                EXPECT_EQ(floats(converted.tensor(name)), values.data) << name;
            const std::string bytes = read_file(converted.name());
            export_to(converted.name(), "second");
            EXPECT_EQ(read_file(folder / "first/config.json"), read_file(folder / "second/config.json"));
            EXPECT_TRUE(read_file(folder / "first/model.safetensors") == read_file(folder / "second/model.safetensors"));
            EXPECT_TRUE(read_file(convert("second").name()) == bytes) << "the same file, byte for byte";
            for (const DType type : {DType::F16, DType::BF16}) {
                export_to(original, "half", type);
                const GgufFile half = convert("half"), direct = convert("first", type);
                EXPECT_TRUE(read_file(half.name()) == read_file(direct.name())) << dtype_info(type)->name;
            }
        }
    }
}

TEST_F(Families, NothingIsExportedThatIsNotWhole) {
    for (const Architecture* family : architectures()) {
        const ModelConfig config = variants(*family)[0];
        GgufWriter writer;
        write_config(writer, config, "x");
        const std::vector<float> zeros(static_cast<size_t>(config.vocab * config.embd));
        writer.add("token_embd.weight", DType::F32, {config.vocab, config.embd}, std::as_bytes(std::span(zeros)));
        AtomicFile file((folder / "bare.gguf").string());
        writer.write(file);
        file.publish();
        EXPECT_MENTIONS(error_of([&] { export_to((folder / "bare.gguf").string(), "x"); }), "bare.gguf: ");
        EXPECT_FALSE(fs::exists(folder / "x"));
    }
}

// Keys that nib does not write, as llama.cpp's files and hostile ones have them.
TEST_F(Families, KeysOfLlama) {
    ModelConfig config = variants(*find_architecture("llama"))[0];
    const auto read_with = [&](const std::function<void(GgufWriter&)>& edit) {
        GgufWriter writer;
        write_config(writer, config, "x");
        edit(writer);
        const std::vector<float> zeros(static_cast<size_t>(config.vocab * config.embd));
        writer.add("token_embd.weight", DType::F32, {config.vocab, config.embd}, std::as_bytes(std::span(zeros)));
        AtomicFile file((folder / "keys.gguf").string());
        writer.write(file);
        file.publish();
        return read_config(GgufFile::open((folder / "keys.gguf").string()));
    };
    const auto with_key = [&](const std::string& key, const GgufValue& value) {
        return read_with([&](GgufWriter& writer) { writer.set("llama." + key, value); });
    };
    const auto error = [&](const std::string& key, const GgufValue& value) {
        return error_of([&] { with_key(key, value); });
    };
    EXPECT_EQ(with_key("rope.scaling.factor", 4.0f).rope.scaling, RopeConfig::Scaling::Linear) << "as llama.cpp takes it";
    EXPECT_EQ(with_key("rope.scale_linear", 4.0f).rope.factor, 4);
    EXPECT_EQ(with_key("rope.scaling.type", std::string("none")).rope, config.rope);
    EXPECT_MENTIONS(error("rope.scaling.type", std::string("yarn")), "`yarn` is not supported; nib knows none, linear and");
    EXPECT_MENTIONS(error("rope.dimension_count", uint32_t{0}), "0 rotary dimensions make no sense for heads of 4 numbers");
    EXPECT_MENTIONS(error("rope.dimension_count", uint32_t{6}), "6 rotary dimensions make no sense");
    EXPECT_MENTIONS(error("rope.freq_base", -1.0f), "base above 0");
    EXPECT_MENTIONS(error("expert_count", uint32_t{8}), "a mixture of experts is not supported");
    EXPECT_MENTIONS(error("attention.value_length", uint32_t{8}), "heads of keys and of values have different sizes");

    const auto with_factors = [&](std::vector<float> factors, bool linear = false) {
        return read_with([&](GgufWriter& writer) {
            if (linear) writer.set("llama.rope.scaling.factor", 2.0f);
            const auto size = static_cast<int64_t>(factors.size());
            writer.add("rope_freqs.weight", DType::F32, {size},
                       [factors](const GgufWriter::Sink& sink) { sink(std::as_bytes(std::span(factors))); });
        });
    };
    RopeConfig scaled = config.rope = {.dimensions = 4, .interleaved = true, .base = 1e8f};
    scaled.scaling = RopeConfig::Scaling::Llama3, scaled.factor = 8, scaled.original_context = 8192;
    EXPECT_EQ(with_factors({1, 8}).rope, scaled) << "llama.cpp's, without nib's keys";
    EXPECT_MENTIONS(error_of([&] {
                        with_factors({2, 8});
                    }),
                    "`rope_freqs.weight` scales positions in a way that nib does not");
    EXPECT_MENTIONS(error_of([&] { with_factors({1, 8, 8}); }), "`rope_freqs.weight` should be 2 numbers of type f32");
    EXPECT_MENTIONS(error_of([&] { with_factors({1, 8}, true); }), "positions are scaled twice");
}

// llama.cpp's tensor of factors, for Llama 3.1 and 3.2 and a small head without a pair in between.
TEST(Rope, FactorsOfLlama3) {
    for (const auto& [base, factor, dimensions] : {
             std::tuple(500000.0f, 8.0f, 128), {500000.0f, 32.0f, 64},
                {1e8f,      4.0f,  4 }
    }) {
        RopeConfig c{.dimensions = dimensions, .base = base};
        c.scaling = RopeConfig::Scaling::Llama3, c.factor = factor, c.low_frequency = 1, c.high_frequency = 4;
        c.original_context = 8192;
        const std::vector<float> factors = llama3_factors(c);
        EXPECT_EQ(factors.front(), 1);
        EXPECT_EQ(factors.back(), factor);
        RopeConfig found{.dimensions = dimensions, .base = base};
        ASSERT_TRUE(set_llama3_factors(found, factors));
        EXPECT_EQ(found, c);
        std::vector<float> other = factors;
        other[0] = 2;
        EXPECT_FALSE(set_llama3_factors(found, other));
        other.assign(factors.size(), NAN);
        EXPECT_FALSE(set_llama3_factors(found, other));
        EXPECT_EQ(found, c) << "as it was";
    }
}

}  // namespace
}  // namespace nib
