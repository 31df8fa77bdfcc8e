// Models from and to other people's files. Checkpoints are put together here, so every number's place is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/safetensors.h"
#include "model/architecture.h"
#include "model/export.h"
#include "model/layouts.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/byte_alphabet.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_gguf.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

using namespace test;

struct Values {
    std::vector<int64_t> shape;
    std::vector<float> data;
};
using Tensors = std::map<std::string, Values>;  // by Hugging Face's names

constexpr int64_t kV = 7, kC = 8, kS = 5, kF = 12, kL = 2;

// Every parameter with numbers of its own, matrices as in PyTorch's Linear or transposed as in Conv1D.
Tensors make_tensors(bool conv1d, bool untied = false) {
    ModelConfig config{.layers = kL, .heads = 2, .embd = kC, .context = kS, .vocab = kV, .ffn = kF, .tied = !untied};
    Tensors tensors;
    float next = 0;
    for (const ParameterSpec& spec : model_parameters(config)) {
        Values values{
            {spec.shape.dims.begin(), spec.shape.dims.begin() + spec.shape.rank},
            {                       }
        };
        for (int64_t i = 0; i < spec.shape.elements(); ++i) values.data.push_back((next += 1) / 64);
        if (conv1d && is_conv1d(spec.name)) {
            const int64_t rows = values.shape[0], columns = values.shape[1];
            std::vector<float> transposed(values.data.size());
            for (int64_t r = 0; r < rows; ++r)
                for (int64_t c = 0; c < columns; ++c)
                    transposed[static_cast<size_t>(c * rows + r)] = values.data[static_cast<size_t>(r * columns + c)];
            values = {
                {columns, rows},
                transposed
            };
        }
        tensors[hf_name(spec.name)] = values;
    }
    return tensors;
}

std::string safetensors_of(const Tensors& tensors, const std::string& prefix) {
    std::vector<SafetensorsEntry> entries;
    std::string data;
    for (const auto& [name, values] : tensors) {
        entries.push_back({(name == "lm_head.weight" ? "" : prefix) + name, SourceType::F32, values.shape});
        for (const float value : values.data) data += raw(value);
    }
    return safetensors_header(entries) + data;
}

std::string torch_tensors(const Tensors& tensors, const std::string& prefix, std::vector<std::string>& storages) {
    std::string items = "}(";
    for (const auto& [name, values] : tensors) {
        const auto count = static_cast<int64_t>(values.data.size());
        const std::string storage = p_storage("FloatStorage", std::to_string(storages.size()), count);
        std::string& bytes = storages.emplace_back();
        for (const float value : values.data) bytes += raw(value);
        items += p_text(prefix + name) + p_tensor(storage, 0, values.shape, contiguous_strides(values.shape));
    }
    return items + "u";
}

nlohmann::json config_json() {
    return {
        {"model_type",          "gpt2"    },
        {"n_layer",             kL        },
        {"n_head",              2         },
        {"n_embd",              kC        },
        {"n_positions",         kS        },
        {"n_inner",             kF        },
        {"vocab_size",          kV        },
        {"activation_function", "gelu_new"},
        {"layer_norm_epsilon",  1e-5      },
    };
}

class Convert : public testing::Test {
protected:
    void SetUp() override {
        fs::create_directory(folder / "hf");
        write_model(make_tensors(true));
    }

    void write_model(const Tensors& tensors, const std::string& prefix = "transformer.",
                     const nlohmann::json& config = config_json()) {
        write_file(folder / "hf/model.safetensors", safetensors_of(tensors, prefix));
        write_file(folder / "hf/config.json", config.dump());
    }
    // A PyTorch checkpoint of nanoGPT's kind: {"model": {...}, "model_args": {...}}.
    void write_checkpoint(const Tensors& tensors, const std::string& prefix, const std::string& arguments) {
        std::vector<std::string> storages;
        const std::string model = torch_tensors(tensors, prefix, storages);
        const std::string pickle = p_dict({
            {"model",      model    },
            {"model_args", arguments}
        });
        write_file(folder / "ckpt.pt", torch_zip(pickle, storages).bytes);
    }

    ConvertReports reports() {
        return {[this](const std::string& text) { warnings.push_back(text); }, [](double) {}};
    }
    ConvertRequest request(const std::string& input, const std::string& output) const {
        ConvertRequest r;
        r.input = (folder / input).string();
        r.output = (folder / output).string();
        return r;
    }
    GgufFile convert(const std::string& input, std::optional<DType> type = {}, const std::string& vocab = "",
                     int threads = 2) {
        ConvertRequest r = request(input, "out.gguf");
        r.type = type, r.vocab = vocab, r.overwrite = true, r.threads = threads;
        convert_checkpoint(r, reports());
        return GgufFile::open(r.output);
    }
    std::string conversion_error(const std::string& input = "hf", const std::string& vocab = "") {
        const std::string error = error_of([&] { convert(input, {}, vocab); });
        EXPECT_FALSE(fs::exists(folder / "out.gguf"));
        EXPECT_FALSE(fs::exists(folder / "out.gguf.tmp"));
        return error;
    }
    // convert, export, convert: the two model files.
    std::pair<std::string, std::string> around(const std::string& vocab) {
        const std::string first = read_file(convert("hf", {}, vocab).name());
        ExportRequest r;
        r.input = (folder / "out.gguf").string();
        r.output = (folder / "exported").string();
        export_model(r, reports());
        return {first, read_file(convert("exported").name())};
    }

    TempFolder folder;
    std::vector<std::string> warnings;
};

std::vector<float> floats(const GgufTensor& tensor) {
    EXPECT_EQ(tensor.type, DType::F32);
    std::vector<float> values(tensor.data.size() / sizeof(float));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return values;
}

// `tensors` are in PyTorch's layout.
void expect_model(const GgufFile& file, const Tensors& tensors) {
    const std::vector<ParameterSpec> specs = model_parameters(read_config(file));
    ASSERT_EQ(file.tensors().size(), specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
        const GgufTensor& tensor = file.tensors()[i];
        const Values& expected = tensors.at(hf_name(specs[i].name));
        EXPECT_EQ(tensor.name, specs[i].name);
        EXPECT_EQ(tensor.shape, expected.shape) << tensor.name;
        EXPECT_EQ(floats(tensor), expected.data) << tensor.name;
    }
}

TEST(Layouts, HuggingFace) {
    EXPECT_EQ(hf_name("blk.13.attn_qkv.weight"), "h.13.attn.c_attn.weight");
    EXPECT_EQ(hf_name("blk.0.ffn_norm.bias"), "h.0.ln_2.bias");
    EXPECT_EQ(hf_name("token_embd.weight"), "wte.weight");
    EXPECT_EQ(hf_name("output.weight"), "lm_head.weight");
    EXPECT_TRUE(is_conv1d("blk.0.ffn_up.weight"));
    EXPECT_FALSE(is_conv1d("blk.0.ffn_up.bias") || is_conv1d("blk.0.ffn_norm.weight") || is_conv1d("token_embd.weight"));
    const Layout& hf = layouts()[0];
    for (const char* name : {"h.0.attn.c_attn.bias", "lm_head.weight", "lm_head.decoder.weight", "ln_f.bias"})
        EXPECT_TRUE(hf.has_parameter(name)) << name;
    for (const char* name : {"", ".", "h.0", "h.0.", "h.x.ln_1.bias", "h..ln_1.bias", "h.-1.ln_1.bias", "ln_1.bias",
                             "h.99999999999.ln_1.bias", "h.0.ln_f.bias", "transformer.wte.weight"})
        EXPECT_FALSE(hf.has_parameter(name)) << name;
    EXPECT_TRUE(hf.has_buffer("h.0.attn.bias") && hf.has_buffer("h.11.attn.masked_bias"));
    EXPECT_FALSE(hf.has_buffer("attn.bias") || hf.has_buffer("h.0.attn.c_attn.bias") || hf.has_buffer("h..attn.bias"));
}

TEST(Layouts, EachHasEveryParameterUnderNamesOfItsOwn) {
    const ModelConfig config{.layers = 12, .heads = 2, .embd = 4, .context = 3, .vocab = 5, .tied = false};
    for (const Layout& layout : layouts()) {
        std::set<std::string> names;
        for (const ParameterSpec& spec : model_parameters(config)) {
            ASSERT_FALSE(rows_of(layout, spec.name).empty()) << layout.name << ": " << spec.name;
            for (const StoredAs& row : rows_of(layout, spec.name)) {
                for (size_t part = 0; part < row.parts.size() && !row.parts[part].empty(); ++part) {
                    const std::string name = stored_name(layout, row, spec.name, part, 7);
                    EXPECT_TRUE(layout.has_parameter(name)) << name;
                    EXPECT_FALSE(layout.has_buffer(name)) << name;
                    EXPECT_TRUE(names.insert(name).second) << name;
                }
            }
        }
    }
    const Layout& lecture = layouts()[2];
    const StoredAs& row = rows_of(lecture, "blk.3.attn_qkv.weight")[0];
    EXPECT_EQ(stored_name(lecture, row, "blk.3.attn_qkv.weight", 1, 4), "blocks.3.sa.heads.4.key.weight");
    EXPECT_TRUE(lecture.has_buffer("blocks.3.sa.heads.4.tril"));
    EXPECT_FALSE(lecture.has_buffer("blocks.3.sa.heads.x.tril") || lecture.has_parameter("blocks.3.sa.heads..key.weight"));
}

TEST_F(Convert, HuggingFaceWithAndWithoutPrefix) {
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

TEST_F(Convert, Head) {
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
TEST_F(Convert, HeadWithBias) {
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
TEST_F(Convert, WrappedModels) {
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

TEST_F(Convert, OtherHeadsAreLeftOut) {
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
TEST_F(Convert, IncompleteFilesOfOtherPrograms) {
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

TEST_F(Convert, OtherModelsAreNamed) {
    for (const auto& [tensor, model] : std::map<std::string, std::string>{
             {"model.layers.0.self_attn.q_proj.weight",                "Llama"                                   },
             {"bert.embeddings.word_embeddings.weight",                "BERT"                                    },
             {"embeddings.word_embeddings.weight",                     "BERT"                                    },
             {"transformer.h.0.attn.attention.q_proj.weight",          "GPT-Neo"                                 },
             {"transformer.h.0.attn.q_proj.weight",                    "GPT-J"                                   },
             {"transformer.tokens_embed.weight",                       "GPT-1"                                   },
             {"gpt_neox.layers.0.attention.query_key_value.weight",    "GPT-NeoX"                                },
             {"transformer_encoder.layers.0.self_attn.in_proj_weight", "nn.Transformer"                          },
             {"fc1.weight",                                            "`fc1.weight`, have the names of no model"}
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

// ---- what files say, and options --------------------------------------------------------------------------------------

TEST_F(Convert, ConfigurationsWithoutModelType) {
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
                        {"n_head",             2    },
                        {"scale_attn_weights", false}
    }),
                    "scale_attn_weights: the value false");
}

TEST_F(Convert, OptionsGetPastFilesThatMislead) {
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
    config["scale_attn_by_inverse_layer_idx"] = true;
    EXPECT_MENTIONS(error_of([&] { with_heads(config, 4); }), "the value true is not supported");
    EXPECT_MENTIONS(
        error_of([&] { with_heads(config_json(), 3); }),
        "3 heads do not divide 8 channels, which must be a multiple of them; choose another value of the number");
}

TEST_F(Convert, ConfigurationsInThePyTorchFile) {
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

// A kind of bias that no block has is zeros; one that only some have is missing.
TEST_F(Convert, BiasesThatAreNotThere) {
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

TEST_F(Convert, ConfigurationIsHonoured) {
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

TEST_F(Convert, NanoGptCheckpoint) {
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
    EXPECT_MENTIONS(conversion_error("ckpt.pt"), "give the number of heads");
    write_checkpoint(tensors, "", "}(" + p_text("n_head") + p_int(3) + "u");
    EXPECT_MENTIONS(conversion_error("ckpt.pt"), "3 heads do not divide 8 channels");
}

TEST_F(Convert, RefusesOtherModels) {
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

TEST_F(Convert, TypesAndFindings) {
    Tensors tensors = make_tensors(true);
    tensors["h.1.ln_2.weight"].data[0] = std::numeric_limits<float>::quiet_NaN();
    tensors["h.0.mlp.c_fc.weight"].data[5] = -std::numeric_limits<float>::infinity();
    tensors["h.0.mlp.c_proj.weight"].data[1] = 65520;
    tensors["h.0.mlp.c_proj.weight"].data[2] = 65519;
    write_model(tensors);
    const GgufFile file = convert("hf", DType::F16);
    EXPECT_EQ(file.get<uint32_t>("general.file_type"), 1u);
    EXPECT_EQ(file.tensor("blk.1.attn_qkv.weight").type, DType::F16);
    EXPECT_EQ(file.tensor("position_embd.weight").type, DType::F32);
    ASSERT_EQ(warnings.size(), 3u) << "the first: no tokenizer";
    EXPECT_MENTIONS(warnings[1], "2 weights are NaN or infinite, first in `blk.0.ffn_up.weight`");
    EXPECT_MENTIONS(warnings[2], "1 weight is too large for f16 and became infinite, first in `blk.0.ffn_down");
}

TEST_F(Convert, QuantizingIsConverting) {
    const std::string f32 = read_file(convert("hf").name());
    write_file(folder / "f32.gguf", f32);
    for (const DType type : {DType::F16, DType::BF16}) {
        const std::string direct = read_file(convert("hf", type).name());
        ConvertRequest r = request("f32.gguf", "q.gguf");
        r.type = type, r.overwrite = true;
        quantize_file(r, reports());
        EXPECT_TRUE(read_file(r.output) == direct) << dtype_info(type)->name;
    }
    ConvertRequest r = request("f32.gguf", "refused.gguf");
    r.type = DType::Q8_0;
    const char* const refused = "tensor `token_embd.weight` cannot be q8_0: its rows of 8 numbers";
    EXPECT_MENTIONS(error_of([&] { quantize_file(r, reports()); }), refused);
    EXPECT_MENTIONS(error_of([&] { convert("hf", DType::Q8_0); }), refused);
    EXPECT_FALSE(fs::exists(r.output));
    r = request("f32.gguf", "f32.gguf");
    r.type = DType::F16, r.overwrite = true;
    EXPECT_MENTIONS(error_of([&] { quantize_file(r, reports()); }), "is both read and written");
    EXPECT_TRUE(read_file(r.input) == f32);
}

// ---- tokenizers -------------------------------------------------------------------------------------------------------

// Byte-level BPE with all bytes, two merges and <|endoftext|>: 259 tokens.
void write_bpe(const fs::path& folder) {
    nlohmann::json vocab;
    for (int byte = 0; byte < 256; ++byte) vocab[spell_bytes(std::string(1, static_cast<char>(byte)))] = byte;
    vocab["th"] = 256, vocab["the"] = 257, vocab["<|endoftext|>"] = 258;
    write_file(folder / "vocab.json", vocab.dump());
    write_file(folder / "merges.txt", "#version: 0.2\nt h\nth e\n");
}

TEST_F(Convert, ThereAndBackAgain) {
    Tensors tensors = make_tensors(true);
    nlohmann::json config = config_json();
    const auto with_vocabulary = [&](int64_t size) {
        tensors["wte.weight"] = {
            {size, kC},
            std::vector<float>(static_cast<size_t>(size * kC), 0.5f)
        };
        config["vocab_size"] = size;
        write_model(tensors, "transformer.", config);
    };
    const auto same = [&](const std::string& vocab) {
        fs::remove_all(folder / "exported");
        const auto [first, second] = around(vocab.empty() ? "" : (folder / vocab).string());
        return first == second && !first.empty();
    };
    EXPECT_TRUE(same("")) << "no tokenizer";
    fs::create_directory(folder / "bpe");
    write_bpe(folder / "bpe");
    with_vocabulary(259);
    EXPECT_TRUE(same("bpe")) << "byte-level BPE";
    with_vocabulary(264);
    EXPECT_TRUE(same("bpe/vocab.json")) << "rows without tokens";
    EXPECT_EQ(GgufFile::open((folder / "out.gguf").string()).array<std::string>("tokenizer.ggml.tokens").back(),
              "[PAD263]");
    EXPECT_FALSE(fs::exists(folder / "exported/special_tokens_map.json"));
    with_vocabulary(6);
    write_file(folder / "chars.json", R"({"\n": 0, " ": 1, "a": 2, "é": 3, "▁": 4, "😀": 5})");
    EXPECT_TRUE(same("chars.json")) << "characters";
    EXPECT_STREQ(load_tokenizer((folder / "exported").string())->kind(), "char");
    write_file(folder / "names.json", R"({"<.>": 0, "b": 1, "a": 2, "中": 4})");
    EXPECT_TRUE(same("names.json")) << "characters out of order, a mark and gaps";
    const auto tokenizer = load_tokenizer((folder / "exported").string());
    EXPECT_EQ(tokenizer->encode("ab中a<.>"), (std::vector<int32_t>{2, 1, 4, 2, 0}));
    const SpecialTokens& specials = tokenizer->specials();
    EXPECT_TRUE(specials.begin == 0 && specials.end == 0 && specials.add_begin && !specials.add_end);
    ConvertRequest r = request("hf", "half.gguf");
    r.type = DType::F16;
    convert_checkpoint(r, reports());
    ExportRequest e;
    e.input = r.output, e.output = (folder / "half").string();
    EXPECT_EQ(export_model(e, reports()).type, DType::F16);
    EXPECT_TRUE(read_file(convert("half").name()) == read_file(r.output)) << "f16";
}

TEST_F(Convert, TokenizerMustFit) {
    write_bpe(folder / "hf");
    EXPECT_MENTIONS(conversion_error(), "the tokenizer has 259 tokens, but the embedding has only 7 rows");
    write_file(folder / "v.json", R"({"a": 1, "b": 1})");
    EXPECT_MENTIONS(conversion_error("hf", (folder / "v.json").string()),
                    "v.json: \"b\" is the second token with the id 1");
}

// The model file says what ends a text, so that nothing else must.
TEST_F(Convert, EndToken) {
    const auto keys = [&](const char* vocab, std::optional<std::string> token) {
        ConvertRequest r = request("hf", "out.gguf");
        r.vocab = vocab == nullptr ? "none" : (folder / "v.json").string();
        if (vocab != nullptr) write_file(r.vocab, vocab);
        r.end_token = std::move(token), r.overwrite = true;
        warnings.clear();
        convert_checkpoint(r, reports());
        const GgufFile file = GgufFile::open(r.output);
        return std::vector<int32_t>{file.get_or<int32_t>("tokenizer.ggml.bos_token_id", -1),
                                    file.get_or<int32_t>("tokenizer.ggml.eos_token_id", -1),
                                    file.get_or<bool>("tokenizer.ggml.add_bos_token", false)};
    };
    using Keys = std::vector<int32_t>;
    constexpr const char* kDot = R"([".", "a", "b", "c"])";
    EXPECT_EQ(keys(kDot, {}), (Keys{0, 0, 1}));
    EXPECT_MENTIONS(warnings.at(0), "`.`, number 0 in a list of letters, is taken for the one that begins and ends texts");
    EXPECT_EQ(keys(kDot, "b"), (Keys{2, 2, 1}));
    EXPECT_EQ(warnings.size(), 1u) << "only about rows without tokens";
    EXPECT_EQ(keys(kDot, ""), (Keys{-1, -1, 0}));
    EXPECT_EQ(keys(R"(["\n", ".", "a"])", {}), (Keys{-1, -1, 0}));
    EXPECT_EQ(keys(R"(["\n", ".", "a"])", "\n"), (Keys{0, 0, 1}));
    EXPECT_EQ(keys(R"(["<s>", "</s>", "a"])", "a"), (Keys{0, 2, 1}));
    EXPECT_EQ(keys(nullptr, "3")[1], 3);
    EXPECT_MENTIONS(error_of([&] { keys(kDot, "x"); }), "the model has no token `x`");
    EXPECT_MENTIONS(error_of([&] { keys(nullptr, "7"); }), "the model has no token `7`");
}

TEST(Safetensors, HeaderIsReadBack) {
    const std::vector<SafetensorsEntry> entries{
        {"a", SourceType::F32,  {2, 3}},
        {"b", SourceType::BF16, {5}   },
        {"c", SourceType::F16,  {1, 1}}
    };
    const std::string file = safetensors_header(entries) + std::string(24 + 10 + 2, '\0');
    const auto tensors = parse_safetensors(std::as_bytes(std::span(file)), "x");
    ASSERT_EQ(tensors.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(tensors[i].name, entries[i].name);
        EXPECT_EQ(tensors[i].type, entries[i].type);
        EXPECT_EQ(tensors[i].shape, entries[i].shape);
    }
    EXPECT_EQ((tensors[0].data.data() - std::as_bytes(std::span(file)).data()) % 8, 0);
}

}  // namespace
}  // namespace nib
