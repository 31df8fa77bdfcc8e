// Models from and to other people's files. Checkpoints are put together here, so every number's place is known.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/safetensors.h"
#include "model/export.h"
#include "model/gpt.h"
#include "model/hf_names.h"
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
    GptConfig config{.layers = kL, .heads = 2, .embd = kC, .context = kS, .vocab = kV, .ffn = kF, .tied = !untied};
    Tensors tensors;
    float next = 0;
    for (const ParameterSpec& spec : gpt_parameters(config)) {
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
    const std::vector<ParameterSpec> specs = gpt_parameters(read_config(file));
    ASSERT_EQ(file.tensors().size(), specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
        const GgufTensor& tensor = file.tensors()[i];
        const Values& expected = tensors.at(hf_name(specs[i].name));
        EXPECT_EQ(tensor.name, specs[i].name);
        EXPECT_EQ(tensor.shape, expected.shape) << tensor.name;
        EXPECT_EQ(floats(tensor), expected.data) << tensor.name;
    }
}

TEST(HfNames, BothWays) {
    EXPECT_EQ(hf_name("blk.13.attn_qkv.weight"), "h.13.attn.c_attn.weight");
    EXPECT_EQ(hf_name("blk.0.ffn_norm.bias"), "h.0.ln_2.bias");
    EXPECT_EQ(hf_name("token_embd.weight"), "wte.weight");
    EXPECT_EQ(hf_name("output.weight"), "lm_head.weight");
    EXPECT_EQ(without_prefixes("_orig_mod.module.transformer.h.0.ln_1.bias"), "h.0.ln_1.bias");
    EXPECT_EQ(without_prefixes("model.transformer.wte.weight"), "wte.weight");
    EXPECT_TRUE(is_constant_buffer("h.0.attn.bias") && is_constant_buffer("h.11.attn.masked_bias"));
    EXPECT_FALSE(is_constant_buffer("attn.bias") || is_constant_buffer("h.0.attn.c_attn.bias") ||
                 is_constant_buffer("h.x.attn.bias") || is_constant_buffer("h..attn.bias"));
    EXPECT_TRUE(is_conv1d("blk.0.ffn_up.weight"));
    EXPECT_FALSE(is_conv1d("blk.0.ffn_up.bias") || is_conv1d("blk.0.ffn_norm.weight") || is_conv1d("token_embd.weight"));
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
        const GptConfig expected{.layers = kL, .heads = 2, .embd = kC, .context = kS, .vocab = kV, .ffn = kF};
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
    EXPECT_TRUE(read_config(convert("hf")).tied);
    EXPECT_MENTIONS(warnings.at(0), "differs from the embedding");
    Tensors equal = make_tensors(true);
    equal["lm_head.weight"] = equal["wte.weight"];
    write_model(equal);
    EXPECT_TRUE(read_config(convert("hf")).tied) << "stored once";
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
    EXPECT_MENTIONS(conversion_error("ckpt.pt"), "give --heads");
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
    EXPECT_MENTIONS(error_with([](Tensors& t) { t["transformer.wte.weight"] = t["wte.weight"]; }),
                    "are the same parameter");
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
    const auto& specials = dynamic_cast<const PipelineTokenizer&>(*tokenizer).specials();
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
    write_file(folder / "v.json", R"({"a": 0, "ab": 1, "é": 2})");
    EXPECT_MENTIONS(conversion_error("hf", (folder / "v.json").string()), "the token `é` cannot be stored beside others");
    for (const auto& [text, message] : std::map<std::string, std::string>{
             {R"({})",                 "the list of tokens is empty"           },
             {R"({"": 0})",            "a token is empty"                      },
             {R"({"a": -1})",          "nib expects a token id"                },
             {R"({"a": 1, "b": 1})",   "is the second token with the id 1"     },
             {R"({"a": 0, "b": 1e9})", "is number where nib expects a token id"},
             {R"({"a": 4000000000})",  "nib expects a token id from 0 to 2"    },
             {R"(7)",                  "where nib expects an object of tokens" },
             {R"({"model": {}})",      "v.json: model: the tokenizer type"     }
    }) {
        write_file(folder / "v.json", text);
        EXPECT_MENTIONS(conversion_error("hf", (folder / "v.json").string()), message) << text;
    }
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
