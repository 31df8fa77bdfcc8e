// config.json of Hugging Face folders.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/hf_config.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

// All of a config.json, as a GPT-2's if it does not name another.
SavedConfig parse(const std::string& text) {
    const ConfigFile file(text, "config.json");
    const Architecture& family = file.architecture() != nullptr ? *file.architecture() : *find_architecture("gpt2");
    ModelConfig c;
    file.read_rest(family, c);
    return file.read(family);
}

int64_t size_of(const SavedConfig& c, int64_t ModelConfig::*size) {
    return c.find(size) != nullptr ? c.find(size)->value : 0;
}

TEST(HfConfig, IsReadStrictly) {
    const auto error = [](const std::string& text) { return error_of([&] { parse(text); }); };
    EXPECT_EQ(error(R"({"architectures": ["GPT2LMHeadModel"]})"), "");
    EXPECT_EQ(error(R"({"model_type": "gpt2", "reorder_and_upcast_attn": true, "pruned_heads": {}})"), "");
    EXPECT_MENTIONS(error(R"({"model_type": "gptj"})"),
                    "architecture `gptj` is not supported; nib converts openai-gpt, gpt2, gpt_neo, llama, mistral, qwen2");
    EXPECT_MENTIONS(error(R"({"architectures": ["RobertaModel"]})"), "architecture `RobertaModel`");
    EXPECT_MENTIONS(error("{}"), "names no model_type and no number of heads");
    EXPECT_EQ(error(R"({"n_head": 2})"), "");
    EXPECT_EQ(error(R"({"model": {"model_type": "gpt-nano", "n_layer": null, "n_head": null, "n_embd": null}})"), "");
    EXPECT_EQ(error(R"({"model_type": "gpt-mini", "n_head": null})"), "");
    EXPECT_MENTIONS(error(R"({"model": {"model_type": "gpt-giant"}})"), "no number of heads");
    EXPECT_MENTIONS(error(R"({"model": {"model_type": 7}})"), "model.model_type is 7; nib expects text");
    EXPECT_MENTIONS(error(R"({"model": {"n_head": 1.5}})"), "model.n_head is 1.5; nib expects a size");
    EXPECT_MENTIONS(error("[]"), "where nib expects an object");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "add_cross_attention": true})"), "add_cross_attention: the value true");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "pruned_heads": {"1": [0]}})"), "pruned_heads");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "auto_map": {"AutoModel": "x.Y"}})"), "auto_map");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "n_layer": 1e3})"), "n_layer is 1000.0; nib expects a size");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "n_embd": 99999999999})"), "n_embd is 99999999999");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "layer_norm_epsilon": 1})"), "layer_norm_epsilon");
    EXPECT_MENTIONS(error(R"({"model_type": "gpt2", "n_layer": 0})"), "n_layer is 0; nib expects a size of 1 or more");
    const SavedConfig tokens =
        parse(R"({"model_type": "gpt2", "vocab_size": 9, "bos_token_id": 9, "eos_token_id": [8, 2]})");
    EXPECT_TRUE(tokens.begin == -1 && tokens.end == 8);
}

TEST(HfConfig, NamesTheArchitecture) {
    const auto name = [](const std::string& text) {
        const Architecture* found = ConfigFile(text, "config.json").architecture();
        return std::string(found != nullptr ? found->name : "");
    };
    EXPECT_EQ(name(R"({"model_type": "mistral"})"), "llama");
    EXPECT_EQ(name(R"({"model_type": "qwen2", "architectures": ["LlamaForCausalLM"]})"), "qwen2");
    EXPECT_EQ(name(R"({"architectures": ["GPT2DoubleHeadsModel"]})"), "gpt2");
    EXPECT_EQ(name(R"({"architectures": ["OpenAIGPTLMHeadModel"]})"), "openai-gpt");
    EXPECT_EQ(name(R"({"architectures": ["GPTNeoForCausalLM"]})"), "gptneo");
    EXPECT_EQ(name(R"({"architectures": ["LlamaForSequenceClassification"]})"), "llama");
    EXPECT_EQ(name(R"({"n_head": 4})"), "");
    EXPECT_EQ(name(R"({"model_type": "gpt-mini"})"), "");
    EXPECT_MENTIONS(error_of([&] { name(R"({"architectures": ["Qwen2MoeForCausalLM"]})"); }), "`Qwen2MoeForCausalLM`");
}

TEST(HfConfig, Activations) {
    const Architecture &gpt2 = *find_architecture("gpt2"), &llama = *find_architecture("llama");
    EXPECT_EQ(parse(R"({"model_type": "gpt2"})").activation, "gelu_new") << "GPT2Config's default";
    EXPECT_EQ(parse(R"({"model_type": "llama"})").activation, "silu");
    EXPECT_EQ(parse(R"({"n_head": 2})").activation, std::nullopt) << "by its keys alone nobody's";
    EXPECT_EQ(parse(R"({"n_head": 2, "activation_function": "silu"})").activation, "silu");
    for (const Act act : {Act::GeluTanh, Act::GeluErf, Act::Relu, Act::Silu})
        EXPECT_EQ(find_activation(activation_name(act)), act);
    EXPECT_EQ(find_activation("gelu_fast"), Act::GeluTanh);
    EXPECT_EQ(find_activation("mish"), std::nullopt);
    EXPECT_EQ(get_activation("swish", "x", llama.checkpoints->acts), Act::Silu);
    EXPECT_MENTIONS(error_of([&] { get_activation("silu", "x", gpt2.checkpoints->acts); }),
                    "x: activation `silu` is not supported; nib knows gelu_new, gelu_pytorch_tanh");
    EXPECT_EQ(error_of([&] { get_activation("gelu", "x", llama.checkpoints->acts); }),
              "x: activation `gelu` is not supported; nib knows silu, swish");
}

TEST(HfConfig, OfMinGpt) {
    const SavedConfig preset = parse(R"({"model": {"model_type": "gpt-nano", "vocab_size": 65, "block_size": 16}})");
    EXPECT_EQ(size_of(preset, &ModelConfig::layers), 3);
    EXPECT_EQ(size_of(preset, &ModelConfig::heads), 3);
    EXPECT_EQ(size_of(preset, &ModelConfig::embd), 48);
    EXPECT_EQ(size_of(preset, &ModelConfig::vocab), 65);
    EXPECT_EQ(size_of(preset, &ModelConfig::context), 16);
    EXPECT_EQ(preset.program, "minGPT");
    EXPECT_EQ(preset.note, "config.json names no model_type: by its keys it is taken for minGPT's");
    const SavedConfig own = parse(R"({"model": {"model_type": "gpt-nano", "n_head": 6}})");
    EXPECT_EQ(size_of(own, &ModelConfig::heads), 6) << "what is said counts more than the preset";
    EXPECT_EQ(size_of(own, &ModelConfig::layers), 3);
}

// The configuration of a family after a config.json is read, with sizes for what it may need.
ModelConfig rest_of(const std::string& text) {
    const ConfigFile file(text, "config.json");
    ModelConfig c;
    c.arch = file.architecture()->name;
    file.architecture()->defaults(c);
    c.layers = 2, c.heads = 4, c.embd = 32, c.context = 100, c.vocab = 11, c.ffn = 20;
    file.read_rest(*file.architecture(), c);
    file.architecture()->complete(c);
    return c;
}

TEST(HfConfig, LlamaPositions) {
    using Scaling = RopeConfig::Scaling;
    const auto rope = [](const std::string& keys) { return rest_of(R"({"model_type": "llama", )" + keys + "}").rope; };
    const auto error = [&](const std::string& keys) { return error_of([&] { rope(keys); }); };
    EXPECT_EQ(rope(R"("rope_theta": 500000.0)").base, 500000);
    EXPECT_EQ(rope(R"("rope_scaling": null)").base, 10000);
    EXPECT_EQ(rope(R"("rope_theta": 3, "rope_parameters": {"rope_theta": 7, "rope_type": "default"})").base, 7);
    EXPECT_EQ(rope(R"("rope_theta": 3, "rope_scaling": {"type": "linear", "factor": 1})").scaling, Scaling::None);
    for (const char* linear : {R"("rope_theta": 3, "rope_scaling": {"type": "linear", "factor": 2})",
                               R"("rope_parameters": {"rope_theta": 3, "rope_type": "linear", "factor": 2.0})"}) {
        const RopeConfig r = rope(linear);
        EXPECT_TRUE(r.base == 3 && r.scaling == Scaling::Linear && r.factor == 2 && r.dimensions == 8) << linear;
    }
    const std::string llama3 = R"("rope_type": "llama3", "factor": 8, "low_freq_factor": 1.5, "high_freq_factor": 5)";
    RopeConfig r = rope("\"rope_scaling\": {" + llama3 + R"(, "original_max_position_embeddings": 64})");
    EXPECT_TRUE(r.scaling == Scaling::Llama3 && r.factor == 8 && r.low_frequency == 1.5f && r.high_frequency == 5);
    EXPECT_EQ(r.original_context, 64);
    EXPECT_EQ(rope("\"rope_scaling\": {" + llama3 + "}").original_context, 100) << "the context, as in transformers";
    for (const std::string other : {"dynamic", "yarn", "longrope", "mrope"})
        EXPECT_EQ(error(R"("rope_scaling": {"factor": 2, "rope_type": ")" + other + "\"}"),
                  "config.json: rope_scaling.rope_type: scaling of positions `" + other +
                      "` is not supported; nib knows default, linear and llama3");
    EXPECT_MENTIONS(error(R"("rope_scaling": {"type": "linear"})"), "rope_scaling has no \"factor\"");
    EXPECT_MENTIONS(error(R"("rope_scaling": {"type": "linear", "factor": -1})"),
                    "factor is -1; nib expects a number above 0");
    EXPECT_MENTIONS(error(R"("rope_scaling": {"type": "linear", "factor": "2"})"), "rope_scaling.factor is string");
    EXPECT_MENTIONS(error(R"("rope_scaling": [1])"), "rope_scaling is array where nib expects an object");
    EXPECT_MENTIONS(error(R"("rope_parameters": {"full_attention": {"rope_type": "default"}})"),
                    "full_attention: positions by the kind of layer is not supported");
    EXPECT_MENTIONS(error(R"("rope_theta": 0)"), "rope_theta is 0; nib expects a number above 0");
    EXPECT_MENTIONS(error(R"("rope_theta": 1e300)"), "rope_theta is 1e+300");
    EXPECT_MENTIONS(error(R"("partial_rotary_factor": 0.5)"), "turning a part of each head is not supported");
}

TEST(HfConfig, LlamaWindowsAndBiases) {
    const auto error = [](const std::string& text) { return error_of([&] { rest_of(text); }); };
    EXPECT_EQ(error(R"({"model_type": "mistral", "sliding_window": 99})"),
              "config.json: sliding_window: attention within 99 tokens of a context of 100 is not supported");
    EXPECT_EQ(error(R"({"model_type": "mistral", "sliding_window": 100})"), "");
    EXPECT_EQ(error(R"({"model_type": "mistral", "sliding_window": null})"), "");
    EXPECT_EQ(error(R"({"model_type": "mistral"})"), "") << "4096";
    EXPECT_EQ(error(R"({"model_type": "qwen2", "sliding_window": 9, "use_sliding_window": false})"), "");
    EXPECT_MENTIONS(error(R"({"model_type": "qwen2", "sliding_window": 9, "use_sliding_window": true})"),
                    "within 9 tokens");
    EXPECT_EQ(error(R"({"model_type": "llama", "pretraining_tp": 2})"), "");
    const ModelConfig plain = rest_of(R"({"model_type": "llama"})");
    EXPECT_FALSE(plain.qkv_bias || plain.output_bias || plain.ffn_bias);
    EXPECT_TRUE(plain.rope.interleaved && plain.kv() == 4 && plain.eps == 1e-6f);
    const ModelConfig biased = rest_of(R"({"model_type": "llama", "attention_bias": true, "mlp_bias": true})");
    EXPECT_TRUE(biased.qkv_bias && biased.output_bias && biased.ffn_bias);
    const ModelConfig qwen2 = rest_of(R"({"model_type": "qwen2"})");
    EXPECT_TRUE(qwen2.qkv_bias && !qwen2.output_bias && !qwen2.ffn_bias && !qwen2.rope.interleaved);
}

TEST(HfConfig, Gpt2Scores) {
    const auto attention = [](const std::string& keys) {
        return rest_of(R"({"model_type": "gpt2")" + keys + "}").attention;
    };
    EXPECT_EQ(attention(""), AttentionConfig{});
    EXPECT_EQ(attention(R"(, "scale_attn_weights": true, "scale_attn_by_inverse_layer_idx": false)"), AttentionConfig{});
    EXPECT_EQ(attention(R"(, "scale_attn_weights": false)").scale, 1);
    EXPECT_TRUE(attention(R"(, "scale_attn_by_inverse_layer_idx": true)").divide_by_layer);
    EXPECT_MENTIONS(error_of([&] { attention(R"(, "scale_attn_weights": 1)"); }),
                    "scale_attn_weights is 1; nib expects true or false");
}

TEST(HfConfig, Gpt1CallsGeluNewGelu) {
    EXPECT_EQ(parse(R"({"model_type": "openai-gpt"})").activation, "gelu_new");
    EXPECT_EQ(parse(R"({"model_type": "openai-gpt", "afn": "gelu"})").activation, "gelu_new");
    EXPECT_EQ(parse(R"({"model_type": "openai-gpt", "afn": "swish"})").activation, "swish");
    ModelConfig c = rest_of(R"({"model_type": "openai-gpt"})");
    c.ffn = 4 * c.embd;
    EXPECT_MENTIONS(hf_config_text(c, "x", "float32"), R"("afn": "gelu")");
}

TEST(HfConfig, GptNeoLayers) {
    using Layers = std::vector<bool>;
    const auto attention = [](const std::string& keys) {
        return rest_of(R"({"model_type": "gpt_neo")" + keys + "}").attention;
    };
    const auto error = [&](const std::string& keys) { return error_of([&] { attention(keys); }); };
    EXPECT_EQ(attention("").local, (Layers{false, true}));
    EXPECT_EQ(attention("").window, 256);
    EXPECT_EQ(attention("").scale, 1);
    EXPECT_EQ(attention(R"(, "window_size": 3, "attention_types": [[["local"], 1], [["global"], 1]])").local,
              (Layers{true, false}));
    EXPECT_EQ(attention(R"(, "attention_types": [[["local"], 2], [["global"], 0]])").local, (Layers{true, true}));
    EXPECT_EQ(attention(R"(, "attention_types": [[["local"], 2]], "attention_layers": ["local", "global"])").local,
              (Layers{true, false}));
    const AttentionConfig global = attention(R"(, "window_size": 3, "attention_types": [[["global"], 2]])");
    EXPECT_TRUE(global.window == 0 && global.local.empty());
    EXPECT_EQ(error(R"(, "attention_types": [[["global"], 1]])"),
              "config.json: attention_types is not of 2 layers, as the model is");
    EXPECT_MENTIONS(error(R"(, "attention_types": [[["global", "local", "local"], 2]])"), "is not of 2 layers");
    EXPECT_MENTIONS(error(R"(, "attention_types": [[["global"], 99999999999]])"), "attention_types[0][1] is 99999999999");
    EXPECT_MENTIONS(error(R"(, "attention_types": [[[], 2]])"), "is not of 2 layers");
    EXPECT_MENTIONS(error(R"(, "attention_types": [["global", 2]])"), "attention_types[0][0] is string");
    EXPECT_MENTIONS(error(R"(, "attention_types": [[["sparse"], 2]])"), "attention of the type `sparse` is not supported");
    EXPECT_MENTIONS(error(R"(, "attention_types": [[["global"]]])"), "attention_types[0] is array where nib expects types");
    EXPECT_MENTIONS(error(R"(, "attention_layers": [1, 2])"), "attention_layers[0] is 1; nib expects text");
    EXPECT_MENTIONS(error(R"(, "window_size": 0)"), "window_size is 0; nib expects a size of 1 or more");
    EXPECT_MENTIONS(error(R"(, "window_size": 1.5)"), "window_size is 1.5; nib expects a size");
}

TEST(HfConfig, IsWrittenAsItIsRead) {
    for (const Architecture* family : architectures()) {
        if (family->checkpoints == nullptr) continue;
        const bool has_eps = family->checkpoints->eps_keys[0] != nullptr;
        for (const float eps : {1e-5f, 1e-6f, 0.0f, 0.1f, 1.0f / 3}) {
            ModelConfig c;
            c.arch = family->name;
            family->defaults(c);
            if (!has_eps && eps != c.eps) continue;
            c.layers = 3, c.heads = 5, c.embd = 40, c.context = 9, c.vocab = 11, c.ffn = 160;
            c.eps = eps, c.act = family->checkpoints->acts.back(), c.tied = false;
            family->complete(c);
            const std::string text = hf_config_text(c, "a \"name\"", "float32", {.begin = 10});
            const ConfigFile file(text, "config.json");
            ASSERT_EQ(file.architecture(), family);
            const SavedConfig read = file.read(*family);
            ModelConfig again;
            again.arch = family->name;
            family->defaults(again);
            again.ffn = c.ffn;  // the tensors say it
            for (const SavedSize& size : read.sizes) again.*size.size = size.value;
            again.eps = read.eps.value_or(again.eps), again.act = *find_activation(*read.activation),
            again.tied = *read.tied;
            file.read_rest(*family, again);
            again.eps = read.eps.value_or(again.eps);
            family->complete(again);
            EXPECT_EQ(read.eps.has_value(), has_eps);
            EXPECT_EQ(again, c) << text;
            EXPECT_EQ(read.begin, 10);
            EXPECT_EQ(read.end, -1);
            EXPECT_EQ(read.name, "a \"name\"");
        }
    }
}

TEST(HfConfig, WhatTransformersHasNot) {
    ModelConfig c = rest_of(R"({"model_type": "llama"})");
    const auto error = [&] { return error_of([&] { hf_config_text(c, "x", "float32"); }); };
    EXPECT_EQ(error(), "");
    c.qkv_bias = true;
    EXPECT_MENTIONS(error(),
                    "a bias on queries, keys and values, none on the output of attention, but transformers' Llama");
    c.qkv_bias = false, c.rope.dimensions = 4;
    EXPECT_MENTIONS(error(), "turns 4 of the 8 numbers of a head");
    c = rest_of(R"({"model_type": "qwen2"})");
    EXPECT_EQ(error(), "");
    c.ffn_bias = true;
    EXPECT_MENTIONS(error(), "transformers' Qwen2 has biases on queries, keys and values and nowhere else");
}

}  // namespace
}  // namespace nib
