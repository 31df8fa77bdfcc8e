// Training that starts from a model, whole or with frozen parts, quantized or not.
#include "train/base_model.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "model/adapter_file.h"
#include "model/convert.h"
#include "text/tokenizer_gguf.h"
#include "tiny_training.h"

namespace nib {
namespace {

using namespace test;

struct BaseModelTest : TinyTraining {
    BaseModelTest() {
        TrainRequest r = request("base");
        r.options.iters = 30;
        r.options.eval_every = 30;
        base_loss = *run(r).val_loss;
    }
    TrainRequest from_base(const std::string& name) const {
        TrainRequest r = request(name);
        r.options = {};
        r.from = (folder_ / "base.gguf").string();
        r.options.context = 8;
        r.options.iters = 4;
        r.options.eval_every = 2;
        r.given = {"context", "iters", "eval-every"};
        return r;
    }
    TrainRequest goes_on(const std::string& name, int64_t iters) const {
        TrainRequest r = request(name);
        r.options = {};
        r.resume = true;
        r.options.iters = iters;
        r.given = {"iters"};
        return r;
    }
    std::vector<std::byte> tensor(const std::string& file, const std::string& name) const {
        const GgufFile gguf = GgufFile::open((folder_ / file).string());
        const auto data = gguf.tensor(name).data;
        return {data.begin(), data.end()};
    }
    double base_loss = 0;
};

TEST_F(BaseModelTest, GoesOnWithTheModelsWeightsAndTokens) {
    TrainRequest r = from_base("next");
    r.options.lr = 1e-9;
    r.options.iters = 1;
    r.given.insert("lr");
    EXPECT_NEAR(*run(r).val_loss, base_loss, 1e-4);
    TrainRequest better = from_base("better");
    better.options.lr = 3e-3;
    better.options.iters = 30;
    better.given.insert("lr");
    EXPECT_LT(*run(better).val_loss, base_loss - 0.1);
    const GgufFile file = GgufFile::open((folder_ / "better.gguf").string());
    EXPECT_EQ(file.get<std::string>("general.name"), "nib character model");
    EXPECT_EQ(read_config(file).embd, 16);
}

TEST_F(BaseModelTest, FrozenPartsStayAndOthersLearn) {
    TrainRequest r = from_base("frozen");
    r.options.freeze = "embeddings,0";
    run(r);
    for (const char* name : {"token_embd.weight", "position_embd.weight", "blk.0.attn_qkv.weight", "blk.0.ffn_norm.bias"})
        EXPECT_EQ(tensor("frozen.gguf", name), tensor("base.gguf", name)) << name;
    for (const char* name : {"blk.1.attn_qkv.weight", "output_norm.weight"})
        EXPECT_NE(tensor("frozen.gguf", name), tensor("base.gguf", name)) << name;
    const GgufFile state = GgufFile::open((folder_ / "frozen.state.gguf").string());
    EXPECT_NE(state.find("m.blk.1.attn_qkv.weight"), nullptr);
    EXPECT_EQ(state.find("m.blk.0.attn_qkv.weight"), nullptr);
}

// A model of blocks of 32 values, so that q8_0 can hold it.
TEST_F(BaseModelTest, FrozenPartsMayBeQuantized) {
    TrainRequest wide = request("wide");
    wide.options.embd = 32;
    wide.options.iters = 10;
    run(wide);
    ConvertRequest q8;
    q8.input = (folder_ / "wide.gguf").string();
    q8.output = (folder_ / "q8.gguf").string();
    q8.type = DType::Q8_0;
    quantize_file(q8, {[](const Note&) {}, [](double) {}});
    TrainRequest r = from_base("tuned");
    r.from = (folder_ / "q8.gguf").string();
    EXPECT_MENTIONS(error_of(r), "is quantized (q8_0)");
    r.options.freeze = "embeddings,0-1";
    const double loss = *run(r).val_loss;
    EXPECT_EQ(tensor("tuned.gguf", "blk.0.ffn_up.weight"), tensor("q8.gguf", "blk.0.ffn_up.weight"));
    EXPECT_NE(tensor("tuned.gguf", "output_norm.weight"), tensor("q8.gguf", "output_norm.weight"));
    r.output = (folder_ / "longer").string();
    r.options.iters = 8;
    r.options.decay_iters = 4;
    r.given.insert("decay-iters");
    EXPECT_LT(*run(r).val_loss, loss);
    // The same in two runs.
    TrainRequest resumed = goes_on("tuned", 8);
    run(resumed, {}, 1);
    EXPECT_EQ(get("tuned.gguf"), get("longer.gguf"));
}

TEST_F(BaseModelTest, ResumedRunsAreTheUninterruptedOnes) {
    TrainRequest whole = from_base("whole"), half = from_base("half");
    for (TrainRequest* r : {&whole, &half}) r->options.freeze = "1";
    half.options.iters = 2;
    half.options.decay_iters = 4;
    half.given.insert("decay-iters");
    run(whole);
    run(half);
    TrainRequest resumed = goes_on("half", 4);
    run(resumed);
    EXPECT_EQ(get("half.gguf"), get("whole.gguf"));
    resumed.from = (folder_ / "base.gguf").string();
    EXPECT_MENTIONS(error_of(resumed), "from cannot be given when a training is resumed");
}

// Only adapters learn; what is written is an adapter of the base, which gives the same losses when it is attached.
TEST_F(BaseModelTest, AdaptersAreTrainedAloneAndCanBeResumed) {
    TrainRequest whole = from_base("lora");
    whole.options.lora = 2;
    whole.options.lr = 0.02;
    whole.options.iters = 100;
    whole.options.eval_every = 50;
    whole.given.insert({"lora", "lr"});
    const std::string base = get("base.gguf");
    EXPECT_LT(*run(whole).val_loss, base_loss - 0.02);
    EXPECT_EQ(get("base.gguf"), base);
    EXPECT_LT(get("lora.gguf").size(), base.size());
    const AdapterFile file(GgufFile::open((folder_ / "lora.gguf").string()));
    EXPECT_EQ(file.pairs().size(), 8U);
    TrainRequest half = whole;
    half.output = (folder_ / "half").string();
    half.options.iters = 50;
    half.options.decay_iters = 100;
    half.options.warmup = 10;
    half.given.insert({"decay-iters", "warmup"});
    run(half);
    TrainRequest resumed = goes_on("half", 100);
    run(resumed, {}, 1);
    EXPECT_EQ(get("half.gguf"), get("lora.gguf"));
    // The base may be elsewhere by then, but it must be the same.
    fs::rename(folder_ / "base.gguf", folder_ / "moved.gguf");
    resumed.options.iters = 101;
    EXPECT_MENTIONS(error_of(resumed), "base.gguf");
    TrainRequest other = request("other");
    run(other);
    resumed.from = (folder_ / "other.gguf").string();
    EXPECT_MENTIONS(error_of(resumed), "half.gguf");
    resumed.from = (folder_ / "moved.gguf").string();
    EXPECT_EQ(run(resumed).step, 101);
    // So must its weights: those of another type give other numbers.
    ConvertRequest f16;
    f16.input = resumed.from;
    f16.output = (folder_ / "f16.gguf").string();
    f16.type = DType::F16;
    quantize_file(f16, {[](const Note&) {}, [](double) {}});
    resumed.from = f16.output;
    resumed.options.iters = 102;
    EXPECT_MENTIONS(error_of(resumed), "its weights are not those that");
}

// They begin as the mean of the others, and the model that is written has them.
TEST_F(BaseModelTest, NewTokensGetRows) {
    TrainRequest r = from_base("grown");
    r.options.add_tokens = "<|a|>,<|b|>";
    r.options.lr = 1e-9;
    r.given.insert({"add-tokens", "lr"});
    EXPECT_NEAR(*run(r).val_loss, base_loss, 0.2);  // two more tokens have some of the probability
    const GgufFile base = GgufFile::open((folder_ / "base.gguf").string());
    const GgufFile grown = GgufFile::open((folder_ / "grown.gguf").string());
    const int64_t before = read_config(base).vocab, width = read_config(base).embd;
    ASSERT_EQ(read_config(grown).vocab, before + 2);
    const auto tokenizer = read_tokenizer(grown);
    const auto a = static_cast<int32_t>(before), b = a + 1;
    EXPECT_EQ(tokenizer->encode("<|b|><|a|>"), (std::vector<int32_t>{b, a}));
    const auto* old_rows = reinterpret_cast<const float*>(base.tensor("token_embd.weight").data.data());
    const auto* rows = reinterpret_cast<const float*>(grown.tensor("token_embd.weight").data.data());
    for (int64_t i = 0; i < width; ++i) {
        double mean = 0;
        for (int64_t id = 0; id < before; ++id) mean += static_cast<double>(old_rows[id * width + i]);
        EXPECT_NEAR(rows[before * width + i], mean / static_cast<double>(before), 1e-6);
        EXPECT_EQ(rows[before * width + i], rows[(before + 1) * width + i]);
        EXPECT_NEAR(rows[(before - 1) * width + i], old_rows[(before - 1) * width + i], 1e-6);
    }
    run(goes_on("grown", 6));

    r.output = (folder_ / "again").string();
    r.from = (folder_ / "grown.gguf").string();  // which has one of them
    r.options.add_tokens = "<|c|>,<|a|>";
    run(r);
    EXPECT_EQ(read_config(GgufFile::open((folder_ / "again.gguf").string())).vocab, before + 3);
    r.overwrite = true;
    r.options.freeze = "embeddings";
    EXPECT_MENTIONS(error_of(r), "embeddings that learn");
    r.options.freeze = "";
    for (const char* wrong : {",", "<|a|>,<|a|>", "a b", "\xFF"}) {
        r.options.add_tokens = wrong;
        EXPECT_MENTIONS(error_of(r), "add-tokens");
    }
    r.options.add_tokens = tokenizer->decode(a - 1);
    EXPECT_MENTIONS(error_of(r), "is a token already");
    r.options.add_tokens = "<|c|>";
    r.options.lora = 2;
    EXPECT_MENTIONS(error_of(r), "frozen, as all but adapters is");
}

// What is drawn for a token depends on its step and row alone, so that a run in two parts is the run in one.
TEST_F(BaseModelTest, TokenDropoutAndLayerDecayCanBeResumed) {
    TrainRequest whole = from_base("whole");
    whole.options.token_dropout = 0.3;
    whole.options.layer_decay = 0.5;
    whole.options.decay_iters = 4;
    whole.given.insert({"token-dropout", "layer-decay", "decay-iters"});
    TrainRequest half = whole, plain = whole;
    half.output = (folder_ / "half").string();
    half.options.iters = 2;
    plain.output = (folder_ / "plain").string();
    plain.options.token_dropout = 0;
    run(whole);
    run(half);
    run(goes_on("half", 4), {}, 1);
    run(plain);
    EXPECT_EQ(get("half.gguf"), get("whole.gguf"));
    EXPECT_NE(get("plain.gguf"), get("whole.gguf"));
}

TEST_F(BaseModelTest, AdaptersOfAQuantizedModelLearn) {
    TrainRequest wide = request("wide");
    wide.options.embd = 32;
    wide.options.iters = 30;
    wide.options.eval_every = 30;
    const double before = *run(wide).val_loss;
    ConvertRequest q8;
    q8.input = (folder_ / "wide.gguf").string();
    q8.output = (folder_ / "q8.gguf").string();
    q8.type = DType::Q8_0;
    quantize_file(q8, {[](const Note&) {}, [](double) {}});
    TrainRequest r = from_base("tuned");
    r.from = q8.output;
    r.options.lora = 4;
    r.options.lora_alpha = 8;
    r.options.lora_targets = "attn_qkv,ffn_up";
    r.options.lr = 0.02;
    r.options.iters = 100;
    r.options.eval_every = 100;
    r.given.insert({"lora", "lora-alpha", "lora-targets", "lr"});
    EXPECT_LT(*run(r).val_loss, before - 0.02);
    EXPECT_EQ(AdapterFile(GgufFile::open((folder_ / "tuned.gguf").string())).pairs().size(), 4U);
}

TEST_F(BaseModelTest, WhatCannotBe) {
    const auto refused = [&](const std::string& option, auto change, const char* why) {
        TrainRequest r = from_base("x");
        change(r.options);
        r.given.insert(option);
        EXPECT_MENTIONS(error_of(r), why);
        EXPECT_FALSE(has("x.gguf"));
    };
    refused(
        "layers", [](TrainOptions& o) { o.layers = 3; }, "layers cannot be chosen");
    refused(
        "tokenizer", [](TrainOptions& o) { o.tokenizer = "bpe:300"; }, "the model has its own");
    refused(
        "context", [](TrainOptions& o) { o.context = 9; }, "the model sees 8 tokens at most");
    refused(
        "freeze", [](TrainOptions& o) { o.freeze = "2"; }, "the model's blocks are 0 to 1");
    refused(
        "freeze", [](TrainOptions& o) { o.freeze = "embeddings,,1"; }, "names ``");
    refused(
        "freeze", [](TrainOptions& o) { o.freeze = "1-0"; }, "names `1-0`");
    refused(
        "freeze", [](TrainOptions& o) { o.freeze = "encoder"; }, "names `encoder`");
    TrainRequest r = from_base("x");
    r.options.task = "mlm";
    EXPECT_MENTIONS(error_of(r), "a GPT-2 learns lm");
    r = from_base("x");
    r.from = (folder_ / "none.gguf").string();
    EXPECT_MENTIONS(error_of(r), "none.gguf");
    put("other.txt",
        "qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq");
    r = from_base("x");
    r.inputs = {(folder_ / "other.txt").string()};
    EXPECT_MENTIONS(error_of(r), "does not know the character \"q\"");
    r = request("x");
    r.options.freeze = "0";
    EXPECT_MENTIONS(error_of(r), "needs a model to start from");
}

// Sub-words: a tokenizer that the first training learns, and the second takes from the model.
TEST_F(BaseModelTest, TokensOfAModelThatHasLearnedThem) {
    TrainRequest first = request("words");
    first.options.tokenizer = "bpe:300";
    first.options.iters = 20;
    first.options.eval_every = 20;
    first.given = {"tokenizer", "iters"};
    const double loss = *run(first).val_loss;
    TrainRequest r = from_base("more");
    r.from = (folder_ / "words.gguf").string();
    r.options.lr = 1e-3;
    r.options.iters = 20;
    r.given.insert("lr");
    EXPECT_LT(*run(r).val_loss, loss);
    TrainRequest resumed = goes_on("more", 21);
    EXPECT_EQ(run(resumed).step, 21);
}

}  // namespace
}  // namespace nib
