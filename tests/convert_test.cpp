// Conversions whatever the family: types of weights, tokenizers.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "convert_case.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

using namespace test;

class Convert : public ConvertCase {};

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

TEST_F(Convert, TokenizerMustFit) {
    write_bpe(folder / "hf");
    EXPECT_MENTIONS(conversion_error(), "the tokenizer has 259 tokens, but the embedding has only 7 rows");
    write_file(folder / "v.json", R"({"a": 1, "b": 1})");
    EXPECT_MENTIONS(conversion_error("hf", (folder / "v.json").string()),
                    "v.json: the tokens \"a\" and \"b\" have the same id, 1");
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

}  // namespace
}  // namespace nib
