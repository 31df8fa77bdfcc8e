// A trained encoder-decoder Transformer of CTranslate2 (Arabic names to Latin letters), where it lies beside the project
// (see
// ../shared/data/README.md there): its weights as a model file of nib's give the published log-probabilities and names.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "cpu/backend.h"
#include "cpu/isa.h"
#include "infer/beam.h"
#include "infer/evaluate.h"
#include "io/atomic_file.h"
#include "model/loaded_model.h"
#include "test_files.h"
#include "text/char_tokenizer.h"
#include "text/tokenizer_gguf.h"
#include "vulkan_device.h"

namespace nib {
namespace {

using namespace test;
namespace fs = std::filesystem;

const fs::path kModel = "../shared/data/encoder-decoder/aren-transliteration";
constexpr int64_t kLayers = 6, kChannels = 32;

struct Variable {
    std::vector<int64_t> shape;
    std::vector<float> values;
};

// The variables of a model.bin of CTranslate2's version 2.
class Variables {
public:
    explicit Variables(const std::string& bytes) : bytes_(bytes) {
        take<uint32_t>(), text(), take<uint32_t>();
        for (auto left = take<uint32_t>(); left > 0; --left) {
            const std::string name = text();
            Variable& v = all_[name];
            v.shape.resize(take<uint8_t>());
            for (int64_t& d : v.shape) d = take<uint32_t>();
            take<uint8_t>();
            v.values.resize(take<uint32_t>());
            std::memcpy(v.values.data(), bytes_.data() + at_, v.values.size() * 4);
            at_ += v.values.size() * 4;
        }
        EXPECT_EQ(at_, bytes_.size());
    }
    const Variable& operator[](const std::string& name) const { return all_.at(name); }

private:
    template <class T>
    T take() {
        T value;
        std::memcpy(&value, bytes_.data() + at_, sizeof value);
        at_ += sizeof value;
        return value;
    }
    std::string text() {
        const auto size = take<uint16_t>();
        at_ += size;
        return bytes_.substr(at_ - size, size - size_t{1});
    }

    const std::string& bytes_;
    size_t at_ = 0;
    std::map<std::string, Variable> all_;
};

// What makes a model file of the variables.
class Converted {
public:
    Converted(const Variables& variables, GgufWriter& file) : variables_(variables), file_(file) {
        add("token_embd.weight", "decoder/embeddings/weight");
        add("enc.token_embd.weight", "encoder/embeddings/weight");
        for (int64_t l = 0; l < kLayers; ++l) add_block("encoder/", "enc.blk.", l, false);
        for (int64_t l = 0; l < kLayers; ++l) add_block("decoder/", "blk.", l, true);
        add_norm("enc.output_norm", "encoder/layer_norm");
        add_norm("output_norm", "decoder/layer_norm");
        add_linear({"output"}, "decoder/projection");
    }

private:
    void add_block(const std::string& from, const std::string& to, int64_t l, bool decoder) {
        const std::string theirs = from + "layer_" + std::to_string(l) + "/", ours = to + std::to_string(l) + ".";
        add_norm(ours + "attn_norm", theirs + "self_attention/layer_norm");
        add_linear({ours + "attn_q", ours + "attn_k", ours + "attn_v"}, theirs + "self_attention/linear_0");
        add_linear({ours + "attn_output"}, theirs + "self_attention/linear_1");
        if (decoder) {
            add_norm(ours + "cross_attn_norm", theirs + "attention/layer_norm");
            add_linear({ours + "cross_attn_q"}, theirs + "attention/linear_0");
            add_linear({ours + "cross_attn_k", ours + "cross_attn_v"}, theirs + "attention/linear_1");
            add_linear({ours + "cross_attn_output"}, theirs + "attention/linear_2");
        }
        add_norm(ours + "ffn_norm", theirs + "ffn/layer_norm");
        add_linear({ours + "ffn_up"}, theirs + "ffn/linear_0");
        add_linear({ours + "ffn_down"}, theirs + "ffn/linear_1");
    }
    void add_norm(const std::string& ours, const std::string& theirs) {
        add(ours + ".weight", theirs + "/gamma");
        add(ours + ".bias", theirs + "/beta");
    }
    void add_linear(const std::vector<std::string>& parts, const std::string& theirs) {
        for (size_t i = 0; i < parts.size(); ++i) {
            add(parts[i] + ".weight", theirs + "/weight", parts.size(), i);
            add(parts[i] + ".bias", theirs + "/bias", parts.size(), i);
        }
    }
    // One of `parts` equal parts of a variable's rows.
    void add(const std::string& ours, const std::string& theirs, size_t parts = 1, size_t part = 0) {
        const Variable& v = variables_[theirs];
        std::vector<int64_t> shape = v.shape;
        shape[0] /= static_cast<int64_t>(parts);
        const size_t count = v.values.size() / parts;
        file_.add(ours, DType::F32, shape, std::as_bytes(std::span(v.values).subspan(part * count, count)));
    }

    const Variables& variables_;
    GgufWriter& file_;
};

// The lines are tokens; one more stands for every other character.
CharTokenizer read_vocabulary(const std::string& file, int64_t size) {
    const std::string text = read_file(kModel / file);
    CharModel model;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        const std::string token = text.substr(at, end - at);
        model.tokens.push_back({token, model.tokens.size() < 3 ? TokenType::Control : TokenType::Normal});
        at = end + 1;
    }
    EXPECT_EQ(std::ssize(model.tokens) + 1, size);
    model.specials.end = 2, model.specials.unknown = static_cast<int32_t>(model.tokens.size());
    model.tokens.push_back({"<unk>", TokenType::Unknown});
    return CharTokenizer(std::move(model));
}

struct Transliteration {
    TempFolder folder;
    const std::string path = (folder / "aren.gguf").string();
    nlohmann::json golden;

    static bool is_there() { return fs::exists(kModel); }

    void convert() {
        golden = nlohmann::json::parse(read_file(kModel / "golden.json"));
        const std::string bytes = read_file(kModel / "model.bin");
        const Variables variables(bytes);
        ModelConfig c;
        c.arch = "transformer";
        c.layers = c.encoder_layers = kLayers;
        c.heads = 8, c.embd = kChannels, c.ffn = 128, c.context = 64;
        c.act = Act::Relu, c.tied = false;
        c.vocab = variables["decoder/embeddings/weight"].shape[0];
        c.source_vocab = variables["encoder/embeddings/weight"].shape[0];
        c.encoder_decoder = {.pre_norm = true, .head_bias = true, .start = 1, .first_position = 1, .slowest_is_base = true};
        GgufWriter writer;
        write_config(writer, c, "aren");
        write_tokenizer(writer, read_vocabulary("source_vocabulary.txt", c.source_vocab));
        write_target_tokenizer(writer, read_vocabulary("target_vocabulary.txt", c.vocab));
        const Converted tensors(variables, writer);
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        EXPECT_EQ(read_config(GgufFile::open(path)), c);
    }

    void check_log_probabilities(Backend& backend, int64_t slots) const {
        const LoadedModel model(path, backend);
        Engine engine(backend, model.config(), model.weights(), {.slots = slots, .logit_rows = 16});
        std::vector<TokenPair> pairs;
        std::vector<double> expected, got;
        for (const nlohmann::json& pair : golden["scoring"]) {
            std::vector<int32_t> target = model.target_tokenizer().encode(pair["tgt"].get<std::string>());
            target.push_back(model.target_tokenizer().end_token());
            pairs.push_back({model.tokenizer().encode(pair["src"].get<std::string>()), target});
            for (const double logp : pair["token_logprobs"]) expected.push_back(logp);
        }
        const Evaluation sums = evaluate_pairs(engine, pairs, 1, &got);
        ASSERT_EQ(got.size(), expected.size());
        for (size_t t = 0; t < got.size(); ++t) EXPECT_NEAR(got[t], expected[t], 1e-5) << t;
        EXPECT_EQ(sums.tokens, std::ssize(expected));
        EXPECT_NEAR(sums.loss_sum, -std::accumulate(expected.begin(), expected.end(), 0.0), 1e-3);
    }

    void check_greedy(Backend& backend, int64_t places) const {
        const LoadedModel model(path, backend);
        std::vector<std::vector<int32_t>> sources;
        for (const nlohmann::json& pair : golden["greedy"])
            sources.push_back(model.tokenizer().encode(pair["src"].get<std::string>()));
        Engine engine(backend, model.config(), model.weights(), {.slots = places});
        size_t found = 0;
        translate(engine, sources, {.start = 1, .end = 2}, [&](size_t i, const std::vector<Hypothesis>& best) {
            EXPECT_EQ(model.target_tokenizer().decode(best.at(0).ids), golden["greedy"][i]["tgt"].get<std::string>());
            ++found;
        });
        EXPECT_EQ(found, sources.size());
    }
};

struct TransliterationData : testing::Test, Transliteration {
    void SetUp() override {
        if (!is_there()) GTEST_SKIP() << kModel << " is not there";
        convert();
    }
};

TEST_F(TransliterationData, PublishedLogProbabilities) {
    for (const KernelTable* table : kernel_tables()) {
        SCOPED_TRACE(table->name);
        CpuBackend backend(*table, 2);
        for (const int64_t slots : {1, 3, 16}) check_log_probabilities(backend, slots);
    }
}

TEST_F(TransliterationData, PublishedNames) {
    CpuBackend backend(kernel_table("auto"), 2);
    for (const int64_t places : {1, 3, 16}) check_greedy(backend, places);
}

struct VulkanTransliterationData : Vulkan, Transliteration {};

TEST_F(VulkanTransliterationData, PublishedNumbersAndNames) {
    if (!is_there()) GTEST_SKIP() << kModel << " is not there";
    convert();
    check_log_probabilities(backend(), 3);
    check_greedy(backend(), 3);
}

}  // namespace
}  // namespace nib
