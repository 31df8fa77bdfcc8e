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

// Whether transformers lets this size vary.
bool has_size(const Architecture& family, int64_t ModelConfig::*size) {
    if (family.checkpoints == nullptr) return true;
    const auto sizes = family.checkpoints->sizes;
    return std::any_of(sizes.begin(), sizes.end(), [&](const SizeKeys& keys) { return keys.size == size; });
}

// Models of the family, as different as it allows and transformers' class has them.
std::vector<ModelConfig> variants(const Architecture& family) {
    ModelConfig c;
    c.arch = family.name;
    family.defaults(c);
    c.layers = 3, c.heads = 4, c.embd = 16, c.context = 9, c.vocab = 11;
    if (has_size(family, &ModelConfig::ffn)) c.ffn = 12;
    if (family.encoder_only)
        c.task_heads = {
            {"mlm", c.vocab, {}}
        };
    family.complete(c);
    c.ffn = c.feed_forward();
    std::vector<ModelConfig> all{c};
    c.tied = false;
    if (family.checkpoints == nullptr || family.checkpoints->eps_keys[0] != nullptr) c.eps = 1e-3f;
    if (family.checkpoints != nullptr) c.act = family.checkpoints->acts.back();
    all.push_back(c);
    if (c.has_encoder()) {
        c.tied = true, c.encoder_layers = 2;
        c.encoder_decoder = {.scale_embedding = false, .head_bias = true, .start = 3};
        all.push_back(c);
    }
    if (family.may_be_local) {
        c.attention.window = 3, c.attention.local = {true, true, false};
        all.push_back(c);
        c.attention.window = 0, c.attention.local.clear();
        all.push_back(c);
    }
    if (std::string(family.name) == "gpt2") {
        c.attention.scale = 1, c.attention.divide_by_layer = true;
        all.push_back(c);
        c.attention.scale = 0;
        all.push_back(c);
    }
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
        if (family.encoder_only) {
            with.pooler = head.name == std::string_view("nsp") || head.name == std::string_view("class");
            with.pooling = of_tokens ? Pooling::Max : Pooling::Cls, with.normalize = labelled;
        }
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
    // The configuration of a file with that of `config` and whatever `edit` changes.
    ModelConfig edited(const ModelConfig& config, const std::function<void(GgufWriter&)>& edit) const {
        GgufWriter writer;
        write_config(writer, config, "x");
        edit(writer);
        const std::vector<float> zeros(static_cast<size_t>(config.vocab * config.embd));
        writer.add("token_embd.weight", DType::F32, {config.vocab, config.embd}, std::as_bytes(std::span(zeros)));
        AtomicFile file((folder / "keys.gguf").string());
        writer.write(file);
        file.publish();
        return read_config(GgufFile::open((folder / "keys.gguf").string()));
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
        if (family->checkpoints == nullptr) continue;
        EXPECT_TRUE(converted.contains(family->name)) << family->name << ": no model of transformers with its logits";
    }
}

// Of Brown et al. 2020, table 2.1, which rounds them; 2.7B and 13B are rounded up.
TEST(Presets, HaveTheSizesOfThePaper) {
    for (const auto& [name, size] : {
             std::pair("gpt3-small", 125e6),
             {"gpt3-medium", 350e6},
             {"gpt3-large",  760e6},
             {"gpt3-xl",     1.3e9},
             {"gpt3-2.7b",   2.7e9},
             {"gpt3-6.7b",   6.7e9},
             {"gpt3-13b",    13e9 },
             {"gpt3-175b",   175e9}
    }) {
        const Preset& preset = find_preset(name);
        ModelConfig c;
        c.arch = preset.arch;
        find_architecture(c.arch)->defaults(c);
        c.layers = preset.layers, c.heads = preset.heads, c.embd = preset.embd, c.context = preset.context, c.vocab = 50257;
        find_architecture(c.arch)->complete(c);
        check_config(c);
        EXPECT_NEAR(static_cast<double>(parameter_count(c)), size, 0.02 * size) << name;
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
        if (family->checkpoints == nullptr) continue;
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
        EXPECT_MENTIONS(error_of([&] { export_to((folder / "bare.gguf").string(), "x"); }),
                        family->checkpoints != nullptr ? "bare.gguf: " : "bare.gguf: transformers has no class for a ");
        EXPECT_FALSE(fs::exists(folder / "x"));
    }
}

// Keys that nib does not write, as llama.cpp's files and hostile ones have them.
TEST_F(Families, KeysOfLlama) {
    ModelConfig config = variants(*find_architecture("llama"))[0];
    const auto read_with = [&](const std::function<void(GgufWriter&)>& edit) { return edited(config, edit); };
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
    for (const float base : {-1.0f, 0.0f, 1e-40f, INFINITY, NAN})  // of tiny ones angles are infinite
        EXPECT_MENTIONS(error("rope.freq_base", base), "make no sense");
    EXPECT_MENTIONS(error("rope.scaling.factor", 1e-40f), "make no sense");
    EXPECT_EQ(with_key("attention.sliding_window", static_cast<uint32_t>(config.context)).rope, config.rope);
    EXPECT_MENTIONS(error("attention.sliding_window", uint32_t{3}), "attention within 3 tokens of a context of ");
    const std::string twice = error("attention.head_count_kv", 2.0f);
    EXPECT_EQ(twice.find("keys.gguf"), twice.rfind("keys.gguf")) << twice;
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

TEST_F(Families, KeysOfAttention) {
    const ModelConfig config = variants(*find_architecture("gpt3"))[0];
    const std::string window = "gpt3.attention.sliding_window", pattern = "gpt3.attention.sliding_window_pattern",
                      scale = "gpt3.attention.scale";
    const auto with = [&](const std::string& key, const GgufValue& value) {
        return edited(config, [&](GgufWriter& writer) { writer.set(key, value); });
    };
    const auto error = [&](const std::string& key, const GgufValue& value) { return error_of([&] { with(key, value); }); };
    EXPECT_EQ(config.attention.window, 256);
    EXPECT_EQ(config.attention.local, (std::vector<bool>{false, true, false}));
    EXPECT_EQ(with(window, uint32_t{0}).attention, AttentionConfig{}) << "then the pattern says nothing";
    EXPECT_EQ(with(window, uint32_t{7}).attention.window_of(1), 7);
    EXPECT_EQ(with(scale, 0.5f).attention.scale, 0.5f);
    EXPECT_MENTIONS(error(window, int32_t{-1}), "an attention window of -1 is out of range");
    EXPECT_MENTIONS(error(window, uint32_t{1} << 31), "an attention window of 2147483648 is out of range");
    EXPECT_MENTIONS(error(window, std::string("all")), "`gpt3.attention.sliding_window`");
    EXPECT_MENTIONS(error(pattern, std::vector<bool>{true, true}),
                    "attention windows are given for 2 layers, but the model has 3");
    EXPECT_MENTIONS(error(pattern, std::vector<uint32_t>{0, 1, 0}), "`gpt3.attention.sliding_window_pattern`");
    EXPECT_MENTIONS(error(scale, NAN), "attention scores scaled by nan make no sense");
    EXPECT_MENTIONS(error(scale, -1.0f), "attention scores scaled by -1 make no sense");
    EXPECT_MENTIONS(error("nib.activation", std::string("mish")),
                    "activation `mish` is not supported; nib knows gelu_tanh");
}

TEST_F(Families, KeysOfTheTransformer) {
    const ModelConfig config = variants(*find_architecture("transformer"))[0];
    const auto error = [&](const std::string& key, const GgufValue& value) {
        return error_of([&] { edited(config, [&](GgufWriter& writer) { writer.set("transformer." + key, value); }); });
    };
    EXPECT_MENTIONS(error("encoder_block_count", uint32_t{0}),
                    "keys.gguf: key `transformer.encoder_block_count` is 0; it must be 1 or more");
    EXPECT_MENTIONS(error("encoder_block_count", uint32_t{1} << 20), "keys.gguf: number of encoder layers 1048576 is out");
    for (const int64_t token : {int64_t{-1}, config.vocab})
        EXPECT_MENTIONS(error("decoder_start_token_id", token), "keys.gguf: key `transformer.decoder_start_token_id` is " +
                                                                    std::to_string(token) + ", which is no token of " +
                                                                    std::to_string(config.vocab));
    EXPECT_MENTIONS(error("sinusoid_first_position", int64_t{-1}),
                    "keys.gguf: key `transformer.sinusoid_first_position` is -1; it must be between 0 and ");
    EXPECT_MENTIONS(error("attention.scale", 2.0f), "keys.gguf: a Transformer has no other attention scores");
}

// What a GGUF file may say, but transformers' class cannot.
TEST_F(Families, WhatIsNotExported) {
    const auto error = [&](const ModelConfig& config) {
        const std::string message = error_of([&] { export_to(write_gguf(config, "m.gguf"), "x"); });
        EXPECT_MENTIONS(message, "m.gguf: ");
        return message;
    };
    ModelConfig c = variants(*find_architecture("gpt2"))[0];
    c.attention.scale = 0.5f;
    EXPECT_MENTIONS(error(c), "attention scores are scaled by 0.5");
    c.attention = {
        .window = 4, .local = {true, true, true}
    };
    EXPECT_MENTIONS(error(c), "a window of 4, which transformers' GPT-2 cannot");
    c = variants(*find_architecture("openai-gpt"))[0];
    c.attention.divide_by_layer = true;
    EXPECT_MENTIONS(error(c), "transformers' GPT-1 has full attention");
    c.attention = {}, c.ffn = 8;
    EXPECT_MENTIONS(error(c), "the feed-forward layers are 8 wide, but transformers' GPT-1 has 4 times the channels: 64");
    c = variants(*find_architecture("gptneo"))[0];
    c.attention.scale = 2;
    EXPECT_MENTIONS(error(c), "the model scales attention scores, which transformers' GPT-Neo does not");
    EXPECT_MENTIONS(error(variants(*find_architecture("gpt3"))[0]), "transformers has no class for a GPT-3");
    c = variants(*find_architecture("transformer"))[0];
    c.encoder_decoder.pre_norm = true;
    EXPECT_MENTIONS(error(c), "transformers' Marian has its norms after each sum");
    EXPECT_FALSE(fs::exists(folder / "x"));
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
