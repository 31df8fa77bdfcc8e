// What config.json, the PyTorch file and options say about a model beside its tensors.
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

class ConvertConfig : public ConvertCase {};

TEST_F(ConvertConfig, ConfigurationsWithoutModelType) {
    const auto config_of = [&](const nlohmann::json& config, const char* says) {
        write_model(make_tensors(true), "", config);
        warnings.clear();
        const ModelConfig read = read_config(convert("hf"));
        EXPECT_MENTIONS(warnings.at(0),
                        "config.json names no model_type: by its keys it is taken for " + std::string(says));
        return read;
    };
    const ModelConfig gpt2{.layers = kL, .heads = 2, .embd = kC, .context = kS, .vocab = kV, .ffn = kF};
    ModelConfig nano = gpt2, four = gpt2;
    nano.act = Act::GeluErf, four.heads = 4;
    EXPECT_EQ(config_of(
                  {
                      {"n_layer", kL},
                      {"n_head",  2 },
                      {"n_embd",  kC},
                      {"n_ctx",   kS}
    },
                  "a GPT-2's"),
              gpt2);
    EXPECT_EQ(config_of(
                  {
                      {"block_size", kS  },
                      {"n_head",     2   },
                      {"n_embd",     kC  },
                      {"bias",       true}
    },
                  "nanoGPT's"),
              nano);
    EXPECT_EQ(config_of(
                  {
                      {"config", {{"block_size", kS}, {"n_head", 4}, {"n_embd", kC}}}
    },
                  "a GPT-2's"),
              four);
    EXPECT_EQ(config_of(
                  {
                      {"emb_dim",        kC},
                      {"n_heads",        4 },
                      {"n_layers",       kL},
                      {"context_length", kS}
    },
                  "a GPT-2's"),
              four);
    EXPECT_EQ(config_of(
                  {
                      {"system", {{"seed", 1}}                                                            },
                      {"model",  {{"model_type", nullptr}, {"n_layer", kL}, {"n_head", 4}, {"n_embd", kC}}}
    },
                  "a GPT-2's"),
              four);
    fs::remove(folder / "out.gguf");
    const auto error_of_config = [&](const nlohmann::json& config) {
        write_model(make_tensors(true), "", config);
        return conversion_error();
    };
    EXPECT_MENTIONS(error_of_config(nlohmann::json::object()), "names no model_type and no number of heads");
    EXPECT_MENTIONS(error_of_config({
                        {"n_embd",  kC},
                        {"n_layer", kL}
    }),
                    "names no model_type and no number of heads");
    EXPECT_MENTIONS(error_of_config({
                        {"n_head", 2     },
                        {"n_embd", kC + 1}
    }),
                    "n_embd is 9, but the weights say 8");
    EXPECT_MENTIONS(error_of_config({
                        {"model", {{"model_type", "gpt-nano"}}}
    }),
                    "n_layer is 3, but the weights say 2");
    EXPECT_MENTIONS(error_of_config({
                        {"n_head",              2   },
                        {"add_cross_attention", true}
    }),
                    "add_cross_attention: the value true");
}

TEST_F(ConvertConfig, OptionsGetPastFilesThatMislead) {
    const auto with_heads = [&](const nlohmann::json& config, int64_t heads, std::optional<Act> act = {}) {
        write_model(make_tensors(true), "", config);
        warnings.clear();
        ConvertRequest r = request("hf", "out.gguf");
        r.hints.heads = heads, r.hints.act = act, r.overwrite = true;
        convert_checkpoint(r, reports());
        return read_config(GgufFile::open(r.output));
    };
    EXPECT_EQ(with_heads(config_json(), 4).heads, 4);
    EXPECT_MENTIONS(warnings.at(0), "taking 4 heads, as given, instead of the 2 of");
    EXPECT_EQ(with_heads(config_json(), 2, Act::Relu).act, Act::Relu);
    EXPECT_MENTIONS(warnings.at(0), "taking the activation relu, as given, instead of gelu_new of");
    with_heads(config_json(), 2, Act::GeluTanh);
    EXPECT_EQ(warnings.size(), 1u) << "no tokenizer";
    nlohmann::json config = config_json();
    config["n_layer"] = 3;
    EXPECT_EQ(with_heads(config, 2).layers, kL);
    EXPECT_MENTIONS(warnings.at(0), "n_layer is 3, but the weights say 2");
    for (const char* other :
         {R"({"model_type": "llama", "num_attention_heads": 8})", R"({"n_head": "two"})", R"([])", "{}"}) {
        EXPECT_EQ(with_heads(nlohmann::json::parse(other), 4).heads, 4);
        EXPECT_MENTIONS(warnings.at(0), "config.json is not used: ") << other;
    }
    config = config_json();
    config["activation_function"] = "silu";
    EXPECT_MENTIONS(error_of([&] { with_heads(config, 2); }), "activation `silu` is not supported");
    EXPECT_EQ(with_heads(config, 2, Act::Relu).act, Act::Relu);
    EXPECT_MENTIONS(warnings.at(0), "taking the activation relu, as given, instead of silu of");
    config = config_json();
    config["add_cross_attention"] = true;
    EXPECT_MENTIONS(error_of([&] { with_heads(config, 4); }), "the value true is not supported");
    EXPECT_MENTIONS(error_of([&] { with_heads(config_json(), 3); }),
                    "3 heads do not divide 8 channels, which must be a multiple of them");
    EXPECT_EQ(remedy_of([&] { with_heads(config_json(), 3); }), Remedy::ChangeHeads);
}

TEST_F(ConvertConfig, ConfigurationsInThePyTorchFile) {
    const auto dict = [](const std::vector<std::pair<std::string, std::string>>& items) {
        std::string text = "}(";
        for (const auto& [key, value] : items) text += p_text(key) + value;
        return text + "u";
    };
    const Tensors tensors = make_tensors(false);
    const auto heads_of = [&](const std::vector<std::pair<std::string, std::string>>& beside) {
        std::vector<std::string> storages;
        std::vector<std::pair<std::string, std::string>> items{
            {"state_dict", torch_tensors(tensors, "model.", storages)}
        };
        items.insert(items.end(), beside.begin(), beside.end());
        write_file(folder / "ckpt.pt", torch_zip(p_dict(items), storages).bytes);
        fs::remove(folder / "out.gguf");
        const std::string error = error_of([&] { convert("ckpt.pt"); });
        return error.empty() ? read_config(GgufFile::open((folder / "out.gguf").string())).heads : 0;
    };
    EXPECT_EQ(heads_of({
                  {"config", dict({{"n_head", p_int(4)}})}
    }),
              4);
    EXPECT_EQ(heads_of({
                  {"hyper_parameters", dict({{"lr", p_int(1)}, {"cfg", dict({{"num_heads", p_int(4)}})}})}
    }),
              4);
    EXPECT_EQ(heads_of({
                  {"n_heads", p_int(8)}
    }),
              8);
    EXPECT_EQ(heads_of({
                  {"config",     dict({{"n_head", p_int(8)}})},
                  {"model_args", dict({{"n_head", p_int(4)}})}
    }),
              4);
    EXPECT_EQ(heads_of({
                  {"config", dict({{"n_head", p_int(1)}, {"n_embd", p_int(768)}})}
    }),
              0)
        << "of another model";
    EXPECT_EQ(heads_of({
                  {"config", dict({{"n_head", p_int(-4)}})}
    }),
              0);
    EXPECT_EQ(heads_of({
                  {"config", dict({{"n_head", p_text("4")}})}
    }),
              0);
    EXPECT_EQ(heads_of({}), 0);
}

TEST_F(ConvertConfig, ConfigurationIsHonoured) {
    nlohmann::json config = config_json();
    config["layer_norm_epsilon"] = 1e-3;
    config["_name_or_path"] = "/somewhere/a name/";
    config["n_inner"] = nullptr;
    for (const auto& [name, act] : std::map<std::string, Act>{
             {"gelu_new",          Act::GeluTanh},
             {"gelu_pytorch_tanh", Act::GeluTanh},
             {"gelu_fast",         Act::GeluTanh},
             {"gelu",              Act::GeluErf },
             {"relu",              Act::Relu    }
    }) {
        config["activation_function"] = name;
        write_model(make_tensors(true), "", config);
        const GgufFile file = convert("hf");
        EXPECT_EQ(read_config(file).act, act) << name;
        EXPECT_EQ(read_config(file).eps, 1e-3f);
        EXPECT_EQ(read_config(file).feed_forward(), kF);
        EXPECT_EQ(file.get<std::string>("general.name"), "a name");
    }
}

}  // namespace
}  // namespace nib
