// Checkpoints put together with numbers of their own for every parameter, and what is made of them: the fixture of tests of
// conversions.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "checkpoint_files.h"
#include "io/safetensors.h"
#include "model/architecture.h"
#include "model/export.h"
#include "model/layouts.h"
#include "numbers.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/byte_alphabet.h"

namespace nib::test {

struct Values {
    std::vector<int64_t> shape;
    std::vector<float> data;
};
using Tensors = std::map<std::string, Values>;

constexpr int64_t kV = 7, kC = 8, kS = 5, kF = 12, kL = 2;

/// By the names in GGUF, as those of a file.
inline Tensors make_parameters(const ModelConfig& config) {
    Tensors tensors;
    float next = 0;
    for (const ParameterSpec& spec : model_parameters(config)) {
        Values values{
            {spec.shape.dims.begin(), spec.shape.dims.begin() + spec.shape.rank},
            {                       }
        };
        for (int64_t i = 0; i < spec.shape.elements(); ++i) values.data.push_back((next += 1) / 64);
        tensors[spec.name] = values;
    }
    return tensors;
}

/// transformers' name, without the prefix of the body.
inline std::string bare_name(const ModelConfig& config, const std::string& name) {
    return stored_name(rows_of(architecture_of(config).checkpoints->layouts[0], name)[0], name);
}

/// A GPT-2 by transformers' names, matrices as in PyTorch's Linear or transposed as in Conv1D.
inline Tensors make_tensors(bool conv1d, bool untied = false) {
    const ModelConfig config{.layers = kL, .heads = 2, .embd = kC, .context = kS, .vocab = kV, .ffn = kF, .tied = !untied};
    Tensors tensors;
    for (auto [name, values] : make_parameters(config)) {
        if (conv1d && rows_of(architecture_of(config).checkpoints->layouts[0], name)[0].order == Order::Conv1d &&
            values.shape.size() == 2) {
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
        tensors[bare_name(config, name)] = values;
    }
    return tensors;
}

inline std::string safetensors_of(const Tensors& tensors, const std::string& prefix) {
    std::vector<SafetensorsEntry> entries;
    std::string data;
    for (const auto& [name, values] : tensors) {
        entries.push_back({(name == "lm_head.weight" ? "" : prefix) + name, SourceType::F32, values.shape});
        for (const float value : values.data) data += raw(value);
    }
    return safetensors_header(entries) + data;
}

inline std::string torch_tensors(const Tensors& tensors, const std::string& prefix, std::vector<std::string>& storages) {
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

inline nlohmann::json config_json() {
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

class ConvertCase : public testing::Test {
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
        return {[this](const Note& note) { warnings.push_back(note.text); }, [](double) {}};
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

inline std::vector<float> floats(const GgufTensor& tensor) {
    EXPECT_EQ(tensor.type, DType::F32);
    std::vector<float> values(tensor.data.size() / sizeof(float));
    std::memcpy(values.data(), tensor.data.data(), tensor.data.size());
    return values;
}

/// `tensors` are by transformers' names, in the order of a GGUF file.
inline void expect_model(const GgufFile& file, const Tensors& tensors) {
    const ModelConfig config = read_config(file);
    const std::vector<ParameterSpec> specs = model_parameters(config);
    ASSERT_EQ(file.tensors().size(), specs.size());
    for (size_t i = 0; i < specs.size(); ++i) {
        const GgufTensor& tensor = file.tensors()[i];
        const Values& expected = tensors.at(bare_name(config, specs[i].name));
        EXPECT_EQ(tensor.name, specs[i].name);
        EXPECT_EQ(tensor.shape, expected.shape) << tensor.name;
        EXPECT_EQ(floats(tensor), expected.data) << tensor.name;
    }
}

/// Byte-level BPE with all bytes, two merges and <|endoftext|>: 259 tokens.
inline void write_bpe(const fs::path& folder) {
    nlohmann::json vocab;
    for (int byte = 0; byte < 256; ++byte) vocab[spell_bytes(std::string(1, static_cast<char>(byte)))] = byte;
    vocab["th"] = 256, vocab["the"] = 257, vocab["<|endoftext|>"] = 258;
    write_file(folder / "vocab.json", vocab.dump());
    write_file(folder / "merges.txt", "#version: 0.2\nt h\nth e\n");
}

}  // namespace nib::test
