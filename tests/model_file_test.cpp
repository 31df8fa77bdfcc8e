// A model from its file, and what is wrong with damaged ones.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/error.h"
#include "infer/engine.h"
#include "model/convert.h"
#include "model/export.h"
#include "model/loaded_model.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/tokenizer_gguf.h"
#include "tiny_model_case.h"

namespace nib {
namespace {

using namespace test;

class ModelFileTest : public TinyModelTest {
protected:
    // The model as a file, changed by `change` before it is written.
    template <class Change>
    std::string file(const Change& change, const std::string& skip = "") const {
        GgufWriter writer;
        write_config(writer, config_, "test");
        write_tokenizer(writer, *tokenizer_);
        change(writer);
        for (const ParameterSpec& spec : model_parameters(config_)) {
            if (spec.name == skip) continue;
            const std::vector<int64_t> shape(spec.shape.dims.begin(), spec.shape.dims.begin() + spec.shape.rank);
            writer.add(spec.name, DType::F32, shape, [this, spec](const GgufWriter::Sink& sink) {
                std::vector<std::byte> bytes(static_cast<size_t>(spec.shape.elements()) * sizeof(float));
                backend_.download(place(spec.name), bytes);
                sink(bytes);
            });
        }
        const std::string path = (folder_ / "model.gguf").string();
        AtomicFile out(path);
        writer.write(out);
        out.publish();
        return path;
    }

    Location place(const std::string& name) const {
        Location found;
        place_weights(config_, [&, i = size_t{0}](const ParameterSpec& spec) mutable {
            if (spec.name == name) found = {static_cast<int>(i), 0};  // one buffer each, in this order
            ++i;
            return Weight{};
        });
        return found;
    }

    template <class Change>
    std::string error_of(const Change& change, const std::string& skip = "") {
        const std::string path = file(change, skip);
        const std::string message = test::error_of([&] { LoadedModel(path, backend_); });
        if (!message.empty()) {
            EXPECT_MENTIONS(message, path);
        }
        return message;
    }

    TempFolder folder_;
};

TEST_F(ModelFileTest, RunsInPlace) {
    const LoadedModel model(file([](GgufWriter&) {}), backend_);
    config_.ffn = config_.feed_forward();  // a file always says it
    EXPECT_EQ(model.config(), config_);
    EXPECT_EQ(model.tokenizer().vocab_size(), config_.vocab);
    EXPECT_STREQ(model.tokenizer().kind(), "char");
    EXPECT_EQ(model.tokenizer().encode("cab"), (std::vector<int32_t>{2, 0, 1}));
    const std::vector<int32_t> ids = random_ids(20);
    Engine engine(backend_, model.config(), model.weights());
    const std::vector<float> expected = direct_logits(ids);
    expect_near(row(expected, 19), engine.append(0, ids));
}

TEST_F(ModelFileTest, SaysWhatIsWrong) {
    const auto has = [](const std::string& message, const char* part) {
        EXPECT_NE(message.find(part), std::string::npos) << message;
    };
    has(error_of([](GgufWriter&) {}, "blk.1.ffn_up.bias"), "blk.1.ffn_up.bias");
    has(error_of([](GgufWriter& w) { w.set("general.architecture", std::string("llama")); }), "llama");
    has(error_of([](GgufWriter& w) { w.set("nib.tokenizer", std::string("bpe")); }), "bpe");
    has(error_of([](GgufWriter& w) { w.set("gpt2.context_length", uint32_t{41}); }), "position_embd.weight");
    has(error_of([](GgufWriter& w) { w.set("gpt2.attention.head_count", uint32_t{3}); }), "heads");
    for (const int64_t ffn : {int64_t{0}, int64_t{-4}, int64_t{1} << 40})
        has(error_of([&](GgufWriter& w) { w.set("gpt2.feed_forward_length", ffn); }), std::to_string(ffn).c_str());
    has(error_of([](GgufWriter& w) { w.set("gpt2.block_count", int32_t{-1}); }), "`gpt2.block_count` is -1");
    has(error_of([](GgufWriter& w) { w.set("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"}); }), "2 tokens");
    has(error_of([](GgufWriter& w) { w.set("tokenizer.ggml.tokens", uint32_t{1}); }), "tokenizer.ggml.tokens");
}

// A tensor that the model would leave out makes other numbers than the file means: a layer too many, another bias.
TEST_F(ModelFileTest, TensorsThatBelongToNothingAreRefused) {
    static constexpr float kZeros[4] = {};
    for (const char* name : {"blk.2.ffn_up.bias", "output.bias", "blk.0.attn_q_norm.weight", "rope_freqs.weight"}) {
        const std::string message =
            error_of([&](GgufWriter& w) { w.add(name, DType::F32, {4}, std::as_bytes(std::span(kZeros))); });
        EXPECT_MENTIONS(message, std::string("tensor `") + name + "` belongs to no parameter of a GPT-2 of 2 layers");
    }
}

TEST_F(ModelFileTest, DamagedModelsAreNeitherQuantizedNorExported) {
    const std::string output = (folder_ / "output").string();
    const auto refused = [&](const std::string& input, const std::string& why) {
        ConvertRequest quantize;
        quantize.input = input, quantize.output = output, quantize.type = DType::F16;
        EXPECT_MENTIONS(test::error_of([&] { quantize_file(quantize, {}); }), why);
        ExportRequest to_folder;
        to_folder.input = input, to_folder.output = output;
        EXPECT_MENTIONS(test::error_of([&] { export_model(to_folder, {}); }), why);
        EXPECT_FALSE(std::filesystem::exists(output));
    };
    refused(file([](GgufWriter&) {}, "blk.1.ffn_up.bias"), "tensor `blk.1.ffn_up.bias` is missing");
    refused(file([](GgufWriter& w) { w.set("gpt2.context_length", uint32_t{41}); }), "position_embd.weight` has shape");
    refused(file([](GgufWriter& w) { w.set("gpt2.block_count", uint32_t{1}); }),
            "belongs to no parameter of a GPT-2 of 1 layer");
}

}  // namespace
}  // namespace nib
