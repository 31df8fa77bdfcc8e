// GPT-2 from checkpoints of transformers and of other programs, which are put together here, so every number's place is
// known.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "convert_case.h"

namespace nib {
namespace {

using namespace test;

class ConvertGpt2 : public ConvertCase {};

TEST_F(ConvertGpt2, HuggingFaceWithAndWithoutPrefix) {
    for (const char* prefix : {"transformer.", ""}) {
        Tensors tensors = make_tensors(true);
        tensors["h.0.attn.bias"] = tensors["h.1.attn.masked_bias"] = {
            {1, 1, 2, 2},
            {1, 0, 1, 1}
        };
        write_model(tensors, prefix);
        const GgufFile file = convert("hf");
        expect_model(file, make_tensors(false));
        const ModelConfig expected{.layers = kL, .heads = 2, .embd = kC, .context = kS, .vocab = kV, .ffn = kF};
        EXPECT_EQ(read_config(file), expected);
        EXPECT_EQ(file.get<std::string>("general.name"), "hf");
        EXPECT_EQ(file.get<uint32_t>("general.file_type"), 0u);
        EXPECT_EQ(file.get<std::string>("tokenizer.ggml.model"), "none");
        EXPECT_EQ(file.get<int>("gpt2.vocab_size"), kV);
    }
}

TEST_F(ConvertGpt2, Head) {
    const Tensors untied = make_tensors(true, true);
    write_model(untied);
    EXPECT_FALSE(read_config(convert("hf")).tied) << "nothing is said";
    nlohmann::json config = config_json();
    config["tie_word_embeddings"] = false;
    write_model(untied, "transformer.", config);
    expect_model(convert("hf"), make_tensors(false, true));
    config["tie_word_embeddings"] = true;
    write_model(untied, "transformer.", config);
    warnings.clear();
    expect_model(convert("hf"), make_tensors(false, true));
    EXPECT_MENTIONS(warnings.at(0), "tie_word_embeddings is true, but `lm_head.weight` differs from the embedding");
    Tensors equal = make_tensors(true);
    equal["lm_head.weight"] = equal["wte.weight"];
    write_model(equal);
    EXPECT_TRUE(read_config(convert("hf")).tied) << "stored once";
    equal.erase("wte.weight");  // as safetensors' save_model leaves out one of two tensors that share their memory
    write_model(equal);
    warnings.clear();
    expect_model(convert("hf"), make_tensors(false));
    EXPECT_MENTIONS(warnings.at(0), "there is no token embedding: it is taken to be the head");
    equal.erase("lm_head.weight");
    write_model(equal);
    fs::remove(folder / "out.gguf");
    EXPECT_MENTIONS(conversion_error(), "tensor `wte.weight` is missing");
    Tensors decoder = untied;
    decoder["lm_head.decoder.weight"] = decoder["lm_head.weight"];
    EXPECT_MENTIONS((write_model(decoder), conversion_error()), "`transformer.lm_head.decoder.weight` belongs to no");
    decoder.erase("lm_head.weight");
    write_model(decoder);
    expect_model(convert("hf"), make_tensors(false, true));
}

// The logits of a head with a bias, from the numbers that the model file has instead.
TEST_F(ConvertGpt2, HeadWithBias) {
    for (const bool untied : {true, false}) {
        Tensors tensors = make_tensors(true, untied);
        Values& bias = tensors["lm_head.bias"] = {
            {kV},
            { 3, -1, 0, 0.5f, 2, -7, 1}
        };
        for (float& gain : tensors["ln_f.weight"].data) gain /= 100;  // as large as it may be
        for (float& shift : tensors["ln_f.bias"].data) shift /= -300;
        write_model(tensors);
        const GgufFile file = convert("hf");
        EXPECT_MENTIONS(warnings.at(0), "the head has a bias: it is put into the head and the final norm");
        ASSERT_FALSE(read_config(file).tied);
        const auto head = floats(file.tensor("output.weight")), gain = floats(file.tensor("output_norm.weight")),
                   shift = floats(file.tensor("output_norm.bias"));
        const std::vector<float>& w = tensors[untied ? "lm_head.weight" : "wte.weight"].data;
        const std::vector<float> normal{-1.5f, 0.25f, 1, -0.75f, 2, -1, 0.5f, -0.5f};  // mean 0
        for (size_t v = 0; v < kV; ++v) {
            double expected = bias.data[v], found = 0;
            for (size_t c = 0; c < kC; ++c) {
                const size_t at = v * kC + c;
                expected += w[at] * (tensors["ln_f.weight"].data[c] * normal[c] + tensors["ln_f.bias"].data[c]);
                found += head[at] * (gain[c] * normal[c] + shift[c]);
            }
            EXPECT_NEAR(found, expected, 1e-4) << v;
        }
        warnings.clear();
        bias.data.assign(kV, 0);
        write_model(tensors);
        EXPECT_EQ(read_config(convert("hf")).tied, !untied) << "zeros";
        EXPECT_EQ(warnings.size(), 1u) << "no tokenizer";
        warnings.clear();
    }
    Tensors tensors = make_tensors(true);
    tensors["lm_head.bias"] = {{kV + 1}, std::vector<float>(kV + 1)};
    write_model(tensors);
    fs::remove(folder / "out.gguf");
    EXPECT_MENTIONS(conversion_error(), "tensor `transformer.lm_head.bias` has shape (8), expected (7)");
}

// Whoever wraps the model: the names end alike. Each: what comes before the body's names, and before the head's.
TEST_F(ConvertGpt2, WrappedModels) {
    const std::pair<const char*, const char*> wrapped[] = {
        {"pretrained_model.transformer.",       "pretrained_model."      }, // TRL
        {"base_model.model.transformer.",       "base_model.model."      }, // PEFT
        {"model.transformer.",                  "model."                 }, // Lightning
        {"net.",                                "net."                   },
        {"_forward_module.module.transformer.", "_forward_module.module."}, // Fabric
        {"_orig_mod.module.transformer.",       "_orig_mod.module."      }, // torch.compile of DDP
        {"module._orig_mod.transformer.",       "module._orig_mod."      },
        {"policy.gpt.backbone._orig_mod.",      "policy.gpt."            }, // anybody
        {"transformer._fsdp_wrapped_module.",   ""                       },
    };
    for (const auto& [body, head] : wrapped) {
        const Tensors untied = make_tensors(true, true);
        Tensors tensors;
        for (const auto& [name, values] : untied) tensors[(name.starts_with("lm_head") ? head : body) + name] = values;
        write_model(tensors, "");
        expect_model(convert("hf"), make_tensors(false, true));
    }
    Tensors tensors;
    for (const auto& [name, values] : make_tensors(true)) {
        const size_t dot = name.rfind('.');
        const bool inside = name.find("c_attn") != name.npos;  // the modules that PEFT had wrapped
        tensors[name.substr(0, dot) + (inside ? ".base_layer" : "") + name.substr(dot)] = values;
    }
    write_model(tensors, "base_model.model.transformer.");
    expect_model(convert("hf"), make_tensors(false));
    tensors["h.0.attn.c_attn.lora_A.default.weight"] = tensors["ln_f.bias"];
    write_model(tensors, "base_model.model.transformer.");
    fs::remove(folder / "out.gguf");
    EXPECT_MENTIONS(conversion_error(),
                    "`base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight` belongs to an adapter (LoRA)");
    Tensors two;
    for (const char* prefix : {"model.", "ema_model."})
        for (const auto& [name, values] : make_tensors(true)) two[prefix + name] = values;
    write_model(two, "");
    EXPECT_MENTIONS(conversion_error(),
                    "holds two models, with the embeddings `ema_model.wte.weight` and `model.wte.weight`");
}

TEST_F(ConvertGpt2, OtherHeadsAreLeftOut) {
    for (const char* head : {"v_head.summary", "value_head", "multiple_choice_head.summary", "score", "classifier",
                             "qa_outputs", "reward_head.0"}) {
        Tensors tensors = make_tensors(true);
        tensors[std::string(head) + ".weight"] = {
            {2, kC},
            std::vector<float>(2 * kC)
        };
        tensors[std::string(head) + ".bias"] = {
            {2 },
            { 0, 0}
        };
        write_model(tensors, "");
        warnings.clear();
        expect_model(convert("hf"), make_tensors(false));
        EXPECT_MENTIONS(warnings.at(0), "left out heads for other tasks than the next token: `" + std::string(head));
    }
    fs::remove(folder / "out.gguf");
    for (const char* head : {"token_head.weight", "score.weight", "lm_head.0.weight"}) {
        Tensors tensors = make_tensors(true);
        tensors[head] = tensors["wte.weight"];
        tensors[head].data[0] = 7;
        write_model(tensors, "");
        EXPECT_MENTIONS(conversion_error(), "tensor `" + std::string(head) + "` belongs to no parameter");
    }
}

// Without one of its tensors each program's model is refused by a line that says whose it is.
TEST_F(ConvertGpt2, IncompleteFilesOfOtherPrograms) {
    for (const std::string program : {"mingpt2020", "lecture", "book"}) {
        const std::string file = golden("transformers/" + program + ".pt");
        const CheckpointSource source = CheckpointSource::open(file);
        const std::map<std::string, const char*> layout{
            {"mingpt2020", "the first minGPT"},
            {"lecture",    "the lecture"     },
            {"book",       "the book"        }
        };
        for (const SourceTensor& without : source.tensors()) {
            if (without.name.ends_with("mask") || without.name.ends_with("tril")) continue;
            if (without.name == "lm_head.bias") continue;  // some have none
            Tensors tensors;
            for (const SourceTensor& tensor : source.tensors())
                if (&tensor != &without) tensors[tensor.name] = {tensor.shape, values(tensor)};
            write_file(folder / "x.safetensors", safetensors_of(tensors, ""));
            ConvertRequest r = request("x.safetensors", "x.gguf");
            if (program != "lecture") r.hints.heads = 3;
            const std::string error = error_of([&] { convert_checkpoint(r, reports()); });
            EXPECT_FALSE(fs::exists(r.output)) << without.name;
            EXPECT_MENTIONS(error, "` is missing: the names are those of " + std::string(layout.at(program)))
                << without.name;
        }
    }
}

TEST_F(ConvertGpt2, OtherModelsAreNamed) {
    for (const auto& [tensor, model] : std::map<std::string, std::string>{
             {"model.decoder.layers.0.self_attn.out_proj.weight",      "OPT"                                      },
             {"distilbert.transformer.layer.0.attention.q_lin.weight", "DistilBERT"                               },
             {"transformer.h.0.attn.attention.q_proj.weight",          "of GPT-Neo, but config.json is of a GPT-2"},
             {"transformer.h.0.attn.q_proj.weight",                    "GPT-J"                                    },
             {"transformer.tokens_embed.weight",                       "of GPT-1, but config.json is of a GPT-2"  },
             {"gpt_neox.layers.0.attention.query_key_value.weight",    "GPT-NeoX"                                 },
             {"transformer_encoder.layers.0.self_attn.in_proj_weight", "nn.Transformer"                           },
             {"fc1.weight",                                            "`fc1.weight`, have the names of no model" }
    }) {
        write_model(
            {
                {"lm_head.weight", make_tensors(true)["wte.weight"]},
                {tensor,           make_tensors(true)["wte.weight"]}
        },
            "");
        EXPECT_MENTIONS(conversion_error(), model) << tensor;
    }
}

// A kind of bias that no block has is zeros; one that only some have is missing.
TEST_F(ConvertGpt2, BiasesThatAreNotThere) {
    Tensors tensors = make_tensors(true), expected = make_tensors(false);
    for (const char* name : {"h.0.attn.c_attn.bias", "h.1.attn.c_attn.bias"}) {
        tensors.erase(name);
        std::ranges::fill(expected[name].data, 0.0f);
    }
    write_model(tensors);
    expect_model(convert("hf"), expected);
    EXPECT_MENTIONS(warnings.at(0), "the model has no attn_qkv.bias: zeros in the file");
    tensors.erase("ln_f.bias");
    write_model(tensors);
    fs::remove(folder / "out.gguf");
    EXPECT_MENTIONS(conversion_error(), "tensor `ln_f.bias` is missing");
}

TEST_F(ConvertGpt2, NanoGptCheckpoint) {
    Tensors tensors = make_tensors(false);
    const Tensors expected = make_tensors(false);
    tensors["lm_head.weight"] = tensors["wte.weight"];
    write_checkpoint(tensors, "_orig_mod.transformer.", "}(" + p_text("n_head") + p_int(4) + "u");
    const GgufFile file = convert("ckpt.pt");
    expect_model(file, expected);
    EXPECT_EQ(read_config(file).heads, 4);
    EXPECT_EQ(read_config(file).act, Act::GeluErf);
    std::erase_if(tensors, [](const auto& t) { return t.first.ends_with(".bias"); });
    write_checkpoint(tensors, "module.transformer.", "}(" + p_text("n_head") + p_int(2) + "u");
    const GgufFile without = convert("ckpt.pt");
    EXPECT_EQ(floats(without.tensor("blk.1.ffn_up.bias")), std::vector<float>(kF, 0.0f));
    EXPECT_EQ(floats(without.tensor("blk.1.ffn_up.weight")), expected.at("h.1.mlp.c_fc.weight").data);
    write_checkpoint(tensors, "", "}");
    fs::remove(folder / "out.gguf");
    EXPECT_MENTIONS(conversion_error("ckpt.pt"), "no file says how many attention heads the model has");
    EXPECT_EQ(remedy_of([&] { convert("ckpt.pt"); }), Remedy::GiveHeads);
    write_checkpoint(tensors, "", "}(" + p_text("n_head") + p_int(3) + "u");
    EXPECT_MENTIONS(conversion_error("ckpt.pt"), "3 heads do not divide 8 channels");
    EXPECT_EQ(remedy_of([&] { convert("ckpt.pt"); }), Remedy::GiveHeads);
}

TEST_F(ConvertGpt2, RefusesOtherModels) {
    const auto error_with = [&](const std::function<void(Tensors&)>& edit) {
        Tensors tensors = make_tensors(true);
        edit(tensors);
        write_model(tensors);
        return conversion_error();
    };
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["score.weight"] = t["wte.weight"]; }),
                    "tensor `transformer.score.weight` belongs to no parameter of a GPT-2 of 2 layers");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["a"] = t["b"] = t["wte.weight"]; }), "`transformer.a` (and 1 others)");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["transformer.wte.weight"] = t["wte.weight"]; }), "holds two models");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["module.wte.weight"] = t["wte.weight"]; }), "are the same parameter");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t.erase("h.1.ln_2.bias"); }), "tensor `h.1.ln_2.bias` is missing");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t.erase("h.0.ln_1.weight"); }), "tensor `h.0.ln_1.weight` is missing");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["h.9999.ln_1.weight"] = t["h.0.ln_1.weight"]; }),
                    "n_layer is 2, but the weights say 10000");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["h.99999999999999999999.ln_1.weight"] = t["h.0.ln_1.weight"]; }),
                    "tensor `transformer.h.99999999999999999999.ln_1.weight` belongs to no parameter");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["h.1.mlp.c_fc.bias"] = t["h.1.ln_1.bias"]; }),
                    "tensor `transformer.h.1.mlp.c_fc.bias` has shape (8), expected (12)");
    EXPECT_MENTIONS(error_with([](Tensors& t) { std::swap(t["h.1.mlp.c_fc.weight"], t["h.1.mlp.c_proj.weight"]); }),
                    "has shape (12,8), expected (8,12)");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["wte.weight"] = t["ln_f.bias"]; }),
                    "has shape (8), expected two dimensions");
    EXPECT_MENTIONS(error_with([](Tensors& t) {
                        t["h.0.attn.c_attn.weight"] = {
                            {int64_t{1} << 62,              0},
                            {                             }
                        };
                    }),
                    "has shape (4611686018427387904,0), expected two dimensions");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["h.9223372036854775807.x"] = t["ln_f.bias"]; }),
                    "belongs to no parameter");
    EXPECT_MENTIONS(error_with([](Tensors& t) { t.erase("wpe.weight"); }), "tensor `wpe.weight` is missing");
}

}  // namespace
}  // namespace nib
