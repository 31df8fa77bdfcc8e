// Llama, Mistral and Qwen2 from checkpoints that are put together here. Models as transformers saves them, and their
// logits: transformers_test.cpp.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "convert_case.h"

namespace nib {
namespace {

using namespace test;

constexpr int64_t kHeads = 4, kGroups = 2, kHeadSize = 6;  // 4 heads of 6 numbers, in a model of 8 channels

// The rows of heads as transformers has them: the first numbers of all pairs, then the second ones.
Values halves(const Values& pairs, size_t head_size) {
    const auto rows = static_cast<size_t>(pairs.shape[0]), columns = pairs.data.size() / rows;
    Values result = pairs;
    for (size_t row = 0; row < rows; ++row) {
        const size_t number = row % head_size;
        const size_t to = row - number + number % 2 * (head_size / 2) + number / 2;
        std::copy_n(&pairs.data[row * columns], columns, &result.data[to * columns]);
    }
    return result;
}

class ConvertLlama : public ConvertCase {
protected:
    ModelConfig config(const std::string& arch = "llama") const {
        ModelConfig c;
        c.arch = arch;
        find_architecture(arch)->defaults(c);
        c.layers = kL, c.heads = kHeads, c.kv_heads = kGroups, c.head_size = kHeadSize, c.embd = kC, c.context = kS;
        c.vocab = kV, c.ffn = kF, c.tied = false, c.rope.dimensions = kHeadSize;
        return c;
    }
    nlohmann::json json(const std::string& type = "llama") const {
        return {
            {"model_type",              type     },
            {"num_hidden_layers",       kL       },
            {"num_attention_heads",     kHeads   },
            {"num_key_value_heads",     kGroups  },
            {"head_dim",                kHeadSize},
            {"hidden_size",             kC       },
            {"intermediate_size",       kF       },
            {"max_position_embeddings", kS       },
            {"vocab_size",              kV       },
            {"rms_norm_eps",            1e-5     },
            {"hidden_act",              "silu"   },
            {"sliding_window",          nullptr  },
        };
    }
    // By transformers' names, with the prefix of the body.
    Tensors tensors(const ModelConfig& c) const {
        Tensors all;
        for (const auto& [name, values] : make_parameters(c)) {
            const bool turned =
                c.rope.interleaved && (name.find("attn_q.") != name.npos || name.find("attn_k.") != name.npos);
            all[hf_name(architecture_of(c).checkpoints->layouts[0], name)] =
                turned ? halves(values, static_cast<size_t>(c.head_dim())) : values;
        }
        return all;
    }
    // The error for a Llama that is edited.
    std::string error_with(const std::function<void(nlohmann::json&, Tensors&)>& edit, const std::string& type = "llama") {
        nlohmann::json j = json(type);
        Tensors t = tensors(config(type == "mistral" ? "llama" : type));
        edit(j, t);
        write_model(t, "", j);
        return conversion_error();
    }
    std::string error_of_config(const char* key, const nlohmann::json& value, const std::string& type = "llama") {
        return error_with([&](nlohmann::json& j, Tensors&) { j[key] = value; }, type);
    }
};

TEST_F(ConvertLlama, NamesOrderAndConfiguration) {
    for (const std::string type : {"llama", "mistral", "qwen2"}) {
        const ModelConfig c = config(type == "qwen2" ? type : "llama");
        Tensors all = tensors(c);
        all["model.layers.0.self_attn.rotary_emb.inv_freq"] = {
            {3 },
            { 1, 2, 3}
        };
        write_model(all, "", json(type));
        const GgufFile file = convert("hf");
        EXPECT_EQ(read_config(file), c) << type;
        EXPECT_EQ(file.get<std::string>("general.architecture"), c.arch);
        ASSERT_EQ(file.tensors().size(), model_parameters(c).size());
        for (const auto& [name, values] : make_parameters(c)) EXPECT_EQ(floats(file.tensor(name)), values.data) << name;
    }
}

TEST_F(ConvertLlama, Biases) {
    ModelConfig c = config();
    c.qkv_bias = c.output_bias = c.ffn_bias = true;
    nlohmann::json j = json();
    j["attention_bias"] = j["mlp_bias"] = true;
    write_model(tensors(c), "", j);
    const GgufFile file = convert("hf");
    EXPECT_EQ(read_config(file), c);
    for (const auto& [name, values] : make_parameters(c)) EXPECT_EQ(floats(file.tensor(name)), values.data) << name;
}

TEST_F(ConvertLlama, PyTorchFileAndOtherPrefixes) {
    const ModelConfig c = config();
    fs::remove(folder / "hf/model.safetensors");
    write_file(folder / "hf/config.json", json().dump());
    for (const char* prefix : {"", "module.", "base_model.model."}) {
        std::vector<std::string> storages;
        const std::string pickle = torch_tensors(tensors(c), prefix, storages);
        write_file(folder / "hf/pytorch_model.bin", torch_zip("\x80\x02" + pickle + ".", storages).bytes);
        const GgufFile file = convert("hf");
        EXPECT_EQ(read_config(file), c) << prefix;
        for (const auto& [name, values] : make_parameters(c)) EXPECT_EQ(floats(file.tensor(name)), values.data) << name;
    }
}

TEST_F(ConvertLlama, TiedHeads) {
    Tensors all = tensors(config());
    all["lm_head.weight"] = all["model.embed_tokens.weight"];
    write_model(all, "", json());
    EXPECT_TRUE(read_config(convert("hf")).tied) << "equal";
    all.erase("lm_head.weight");
    write_model(all, "", json());
    EXPECT_TRUE(read_config(convert("hf")).tied) << "not there";
    fs::remove(folder / "out.gguf");
    EXPECT_MENTIONS(error_with([](nlohmann::json& j, Tensors& t) {
                        t.erase("lm_head.weight");
                        j["tie_word_embeddings"] = false;
                    }),
                    "tensor `lm_head.weight` is missing, and tie_word_embeddings is false");
    EXPECT_MENTIONS(error_with([](nlohmann::json&, Tensors& t) {
                        t["lm_head.bias"] = {{kV}, std::vector<float>(kV)};
                    }),
                    "tensor `lm_head.bias` belongs to no parameter of a Llama of 2 layers");
}

TEST_F(ConvertLlama, Quantized) {
    ModelConfig c = config();
    c.embd = 32, c.ffn = 32, c.heads = 2, c.kv_heads = 1, c.head_size = 32, c.rope.dimensions = 32;
    nlohmann::json j = json();
    j["hidden_size"] = j["intermediate_size"] = j["head_dim"] = 32, j["num_attention_heads"] = 2,
    j["num_key_value_heads"] = 1;
    write_model(tensors(c), "", j);
    const std::string f32 = read_file(convert("hf").name());
    write_file(folder / "f32.gguf", f32);
    for (const DType type : {DType::F16, DType::Q8_0, DType::Q4_0}) {
        const std::string direct = read_file(convert("hf", type).name());
        ConvertRequest r = request("f32.gguf", "q.gguf");
        r.type = type, r.overwrite = true;
        quantize_file(r, reports());
        EXPECT_TRUE(read_file(r.output) == direct) << dtype_info(type)->name;
    }
}

TEST_F(ConvertLlama, ConfigurationAgainstTensors) {
    EXPECT_MENTIONS(error_of_config("num_hidden_layers", 3), "num_hidden_layers is 3, but the weights say 2");
    EXPECT_MENTIONS(error_of_config("hidden_size", 16), "hidden_size is 16, but the weights say 8");
    EXPECT_MENTIONS(error_of_config("intermediate_size", 16), "intermediate_size is 16, but the weights say 12");
    EXPECT_MENTIONS(error_of_config("vocab_size", 16), "vocab_size is 16, but the weights say 7");
    EXPECT_MENTIONS(error_of_config("num_attention_heads", 2),
                    "tensor `model.layers.0.self_attn.q_proj.weight` has shape (24,8), expected (12,8)");
    EXPECT_MENTIONS(error_of_config("num_key_value_heads", nullptr),
                    "tensor `model.layers.0.self_attn.k_proj.weight` has shape (12,8), expected (24,8)");
    EXPECT_MENTIONS(error_of_config("head_dim", nullptr), "q_proj.weight` has shape (24,8), expected (8,8)");
    EXPECT_MENTIONS(error_of_config("num_attention_heads", 5), "2 key/value heads do not divide 5 heads");
    EXPECT_MENTIONS(error_of_config("head_dim", 5), "5 rotary dimensions make no sense");
    EXPECT_MENTIONS(error_with([](nlohmann::json& j, Tensors&) { j["num_attention_heads"] = 3, j["head_dim"] = nullptr; }),
                    "3 heads do not divide 8 channels");
    EXPECT_MENTIONS(error_of_config("attention_bias", true), "tensor `layers.0.self_attn.q_proj.bias` is missing");
    EXPECT_MENTIONS(
        error_with([](nlohmann::json&, Tensors& t) {
            t["model.layers.1.self_attn.q_proj.bias"] = {{kHeads * kHeadSize}, std::vector<float>(kHeads * kHeadSize)};
        }),
        "tensor `model.layers.1.self_attn.q_proj.bias` belongs to no parameter of a Llama");
    EXPECT_MENTIONS(
        error_with([](nlohmann::json&, Tensors& t) { t.erase("model.layers.1.self_attn.k_proj.bias"); }, "qwen2"),
        "tensor `layers.1.self_attn.k_proj.bias` is missing: the names are those of Qwen2");
    EXPECT_MENTIONS(error_with([](nlohmann::json&, Tensors& t) { t.erase("model.layers.1.mlp.up_proj.weight"); }),
                    "tensor `layers.1.mlp.up_proj.weight` is missing: the names are those of Llama");
    EXPECT_MENTIONS(error_with([](nlohmann::json&, Tensors& t) {
                        t.erase("model.layers.0.self_attn.o_proj.weight");
                        t["model.layers.0.self_attn.out_proj.weight"] = {{1}, {0}};
                    }),
                    "is one of OPT, fairseq or their kin");
    write_model(make_tensors(true), "", json());
    EXPECT_MENTIONS(conversion_error(), "its tensors have the names of GPT-2, but config.json is of a Llama");
    write_model(tensors(config()), "", config_json());
    EXPECT_MENTIONS(conversion_error(), "its tensors have the names of Llama, but config.json is of a GPT-2");
}

TEST_F(ConvertLlama, WhatNibDoesNotCompute) {
    EXPECT_MENTIONS(error_of_config("hidden_act", "gelu"), "activation `gelu` is not supported; nib knows silu, swish");
    EXPECT_MENTIONS(
        error_of_config("rope_scaling",
                        {
                            {"type",   "yarn"},
                            {"factor", 2     }
    }),
        "rope_scaling.type: scaling of positions `yarn` is not supported; nib knows default, linear and llama3");
    EXPECT_MENTIONS(error_of_config("sliding_window", 4, "mistral"), "attention within 4 tokens of a context of 5");
    EXPECT_MENTIONS(error_of_config("quantization_config",
                                    {
                                        {"bits", 4}
    }),
                    "quantization_config: such a model");
    EXPECT_MENTIONS(error_of_config("model_type", "gemma"),
                    "architecture `gemma` is not supported; nib converts openai-gpt, gpt2, gpt_neo, llama, mistral, qwen2");
}

TEST_F(ConvertLlama, HostileSizes) {
    static constexpr int64_t kHuge = 2147483647;
    for (const char* key : {"num_attention_heads", "num_key_value_heads", "head_dim", "max_position_embeddings",
                            "hidden_size", "intermediate_size", "num_hidden_layers", "vocab_size"}) {
        for (const nlohmann::json& value : {nlohmann::json(kHuge), nlohmann::json(int64_t{1} << 40), nlohmann::json(0),
                                            nlohmann::json(-1), nlohmann::json(1.5), nlohmann::json("8")})
            EXPECT_NE(error_of_config(key, value), "") << key << value;
    }
    EXPECT_MENTIONS(error_of_config("max_position_embeddings", kHuge), "context 2147483647 is out of range");
    EXPECT_MENTIONS(error_with([](nlohmann::json& j, Tensors&) { j["num_attention_heads"] = j["head_dim"] = kHuge; }),
                    "out of range");
    EXPECT_MENTIONS(
        error_of_config("rope_scaling",
                        {
                            {"rope_type",        "llama3"},
                            {"factor",           8       },
                            {"low_freq_factor",  4       },
                            {"high_freq_factor", 4       }
    }),
        "make no sense");
}

TEST_F(ConvertLlama, WhatNoFileSays) {
    write_model(tensors(config()), "", json());
    fs::remove(folder / "hf/config.json");
    EXPECT_MENTIONS(conversion_error(),
                    "no file says the model's max_position_embeddings; a config.json beside the weights should");
    EXPECT_MENTIONS(error_of_config("max_position_embeddings", nullptr),
                    "no file says the model's max_position_embeddings");
    EXPECT_MENTIONS(error_of_config("num_attention_heads", nullptr), "no file says how many attention heads the model has");
    write_model(tensors(config()), "", json());
    ConvertRequest r = request("hf", "out.gguf");
    r.hints.heads = kHeads, r.hints.act = Act::Relu;
    EXPECT_MENTIONS(error_of([&] { convert_checkpoint(r, reports()); }),
                    "activation relu does not fit " + r.input + ": a Llama has silu, swish");
}

TEST_F(ConvertLlama, TokenizerMustFit) {
    write_model(tensors(config()), "", json());
    write_bpe(folder / "hf");
    EXPECT_MENTIONS(conversion_error(), "the tokenizer has 259 tokens, but the embedding has only 7 rows");
}

}  // namespace
}  // namespace nib
