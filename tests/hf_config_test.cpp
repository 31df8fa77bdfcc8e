// config.json of Hugging Face folders.
#include <gtest/gtest.h>

#include <string>

#include "model/hf_config.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

TEST(HfConfig, IsReadStrictly) {
    const auto error = [](const std::string& text) { return error_of([&] { parse_hf_config(text, "config.json"); }); };
    EXPECT_EQ(error(R"({"architectures": ["GPT2LMHeadModel"]})"), "");
    EXPECT_EQ(error(R"({"model_type": "gpt2", "reorder_and_upcast_attn": true, "pruned_heads": {}})"), "");
    EXPECT_MENTIONS(error(R"({"model_type": "gptj"})"), "architecture `gptj` is not supported; nib converts gpt2");
    EXPECT_MENTIONS(error(R"({"architectures": ["BertModel"]})"), "architecture `BertModel`");
    EXPECT_MENTIONS(error("{}"), "names no model_type and no number of heads");
    EXPECT_EQ(error(R"({"n_head": 2})"), "");
    EXPECT_EQ(error(R"({"model": {"model_type": "gpt-nano", "n_layer": null, "n_head": null, "n_embd": null}})"), "");
    EXPECT_EQ(error(R"({"model_type": "gpt-mini", "n_head": null})"), "");
    EXPECT_MENTIONS(error(R"({"model": {"model_type": "gpt-giant"}})"), "no number of heads");
    EXPECT_MENTIONS(error(R"({"model": {"model_type": 7}})"), "model.model_type is number");
    EXPECT_MENTIONS(error(R"({"model": {"n_head": 1.5}})"), "model.n_head is number where nib expects a size");
    EXPECT_MENTIONS(error(R"({"model_type": "openai-gpt", "n_head": 12})"), "architecture `openai-gpt` is not supported");
    EXPECT_MENTIONS(error("[]"), "where nib expects an object");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "scale_attn_weights": false})"), "scale_attn_weights: the value false");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "pruned_heads": {"1": [0]}})"), "pruned_heads");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "auto_map": {"AutoModel": "x.Y"}})"), "auto_map");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "n_layer": 1e3})"), "n_layer is number where nib expects a size");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "n_embd": 99999999999})"), "n_embd is 99999999999");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "layer_norm_epsilon": 1})"), "layer_norm_epsilon");
    EXPECT_EQ(
        parse_hf_config(R"({"model_type": "gpt2", "vocab_size": 9, "bos_token_id": 9, "eos_token_id": [8]})", "").begin,
        -1);
    EXPECT_EQ(parse_hf_config(R"({"model_type": "gpt2", "vocab_size": 9, "bos_token_id": 9, "eos_token_id": [8]})", "").end,
              8);
}

TEST(HfConfig, Activations) {
    EXPECT_EQ(parse_hf_config(R"({"model_type": "gpt2"})", "").activation, "gelu_new") << "GPT2Config's default";
    EXPECT_EQ(parse_hf_config(R"({"n_head": 2})", "").activation, std::nullopt) << "by its keys alone nobody's";
    EXPECT_EQ(parse_hf_config(R"({"n_head": 2, "activation_function": "silu"})", "").activation, "silu");
    for (const Act act : {Act::GeluTanh, Act::GeluErf, Act::Relu}) EXPECT_EQ(find_activation(activation_name(act)), act);
    EXPECT_EQ(find_activation("gelu_fast"), Act::GeluTanh);
    EXPECT_EQ(find_activation("silu"), std::nullopt);
    EXPECT_MENTIONS(error_of([] { get_activation("silu", "x"); }),
                    "x: activation `silu` is not supported; nib knows gelu_new");
}

TEST(HfConfig, OfMinGpt) {
    const SavedConfig preset =
        parse_hf_config(R"({"model": {"model_type": "gpt-nano", "vocab_size": 65, "block_size": 16}})", "config.json");
    EXPECT_TRUE(preset.layers == 3 && preset.heads == 3 && preset.embd == 48);
    EXPECT_TRUE(preset.vocab == 65 && preset.context == 16);
    EXPECT_EQ(preset.program, "minGPT");
    EXPECT_EQ(preset.note, "config.json names no model_type: by its keys it is taken for minGPT's");
    const SavedConfig own = parse_hf_config(R"({"model": {"model_type": "gpt-nano", "n_head": 6}})", "config.json");
    EXPECT_TRUE(own.heads == 6 && own.layers == 3) << "what is said counts more than the preset";
}

TEST(HfConfig, IsWrittenAsItIsRead) {
    for (const float eps : {1e-5f, 1e-6f, 0.0f, 0.1f, 1.0f / 3}) {
        const ModelConfig c{.layers = 3,
                            .heads = 5,
                            .embd = 35,
                            .context = 9,
                            .vocab = 11,
                            .ffn = 70,
                            .eps = eps,
                            .act = Act::Relu,
                            .tied = false};
        const SavedConfig read = parse_hf_config(hf_config_text(c, "a \"name\"", "float32", 10, -1), "config.json");
        EXPECT_EQ(read.layers, c.layers);
        EXPECT_EQ(read.heads, c.heads);
        EXPECT_EQ(read.embd, c.embd);
        EXPECT_EQ(read.context, c.context);
        EXPECT_EQ(read.vocab, c.vocab);
        EXPECT_EQ(read.ffn, c.ffn);
        EXPECT_EQ(read.eps, c.eps);
        EXPECT_EQ(read.activation, "relu");
        EXPECT_EQ(read.tied, c.tied);
        EXPECT_EQ(read.begin, 10);
        EXPECT_EQ(read.end, -1);
        EXPECT_EQ(read.name, "a \"name\"");
    }
}

}  // namespace
}  // namespace nib
