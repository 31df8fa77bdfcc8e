// How other programs name and order parameters.
#include <gtest/gtest.h>

#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "model/architecture.h"
#include "model/layouts.h"

namespace nib {
namespace {

using namespace test;

// Of two layers and with all that the family may have.
ModelConfig whole_config(const Architecture& family) {
    ModelConfig c;
    c.arch = family.name;
    family.defaults(c);
    c.layers = 12, c.heads = 2, c.embd = 4, c.context = 3, c.vocab = 5, c.ffn = 4, c.tied = false;
    family.complete(c);
    return c;
}

TEST(Layouts, HuggingFace) {
    const Layout& gpt2 = find_architecture("gpt2")->checkpoints->layouts[0];
    const Layout& llama = find_architecture("llama")->checkpoints->layouts[0];
    EXPECT_EQ(hf_name(gpt2, "blk.13.attn_qkv.weight"), "transformer.h.13.attn.c_attn.weight");
    EXPECT_EQ(hf_name(gpt2, "blk.0.ffn_norm.bias"), "transformer.h.0.ln_2.bias");
    EXPECT_EQ(hf_name(gpt2, "token_embd.weight"), "transformer.wte.weight");
    EXPECT_EQ(hf_name(gpt2, "output.weight"), "lm_head.weight");
    EXPECT_EQ(hf_name(llama, "blk.3.attn_q.bias"), "model.layers.3.self_attn.q_proj.bias");
    EXPECT_EQ(hf_name(llama, "output.weight"), "lm_head.weight");
    for (const char* name : {"h.0.attn.c_attn.bias", "lm_head.weight", "lm_head.decoder.weight", "ln_f.bias"})
        EXPECT_TRUE(gpt2.find_parameter(name)) << name;
    EXPECT_EQ(gpt2.find_parameter("h.7.ln_1.bias")->block, 7);
    EXPECT_EQ(gpt2.find_parameter("ln_f.bias")->block, -1);
    for (const char* name : {"", ".", "h.0", "h.0.", "h.x.ln_1.bias", "h..ln_1.bias", "h.-1.ln_1.bias", "ln_1.bias",
                             "h.99999999999.ln_1.bias", "h.0.ln_f.bias", "transformer.wte.weight", "wte.bias", "wte"})
        EXPECT_FALSE(gpt2.find_parameter(name)) << name;
    EXPECT_TRUE(gpt2.has_buffer("h.0.attn.bias") && gpt2.has_buffer("h.11.attn.masked_bias"));
    EXPECT_FALSE(gpt2.has_buffer("attn.bias") || gpt2.has_buffer("h.0.attn.c_attn.bias") ||
                 gpt2.has_buffer("h..attn.bias"));
    EXPECT_EQ(stored_name(rows_of(llama, "output.bias")[0], "output.bias"), "") << "it has none";
    EXPECT_TRUE(rows_of(llama, "position_embd.weight").empty());
}

TEST(Layouts, EachHasEveryParameterUnderNamesOfItsOwn) {
    for (const Architecture* family : architectures()) {
        if (family->checkpoints == nullptr) continue;
        for (const Layout& layout : family->checkpoints->layouts) {
            std::set<std::string> names;
            for (const ParameterSpec& spec : model_parameters(whole_config(*family))) {
                ASSERT_FALSE(rows_of(layout, spec.name).empty()) << layout.name << ": " << spec.name;
                for (const StoredAs& row : rows_of(layout, spec.name)) {
                    for (size_t part = 0; part < row.parts.size() && !row.parts[part].empty(); ++part) {
                        const std::string name = stored_name(row, spec.name, part, 7);
                        if (name.empty()) continue;  // a bias that this program has not
                        EXPECT_TRUE(layout.find_parameter(name)) << name;
                        EXPECT_FALSE(layout.has_buffer(name)) << name;
                        EXPECT_TRUE(names.insert(name).second) << name;
                    }
                }
            }
        }
    }
    const Layout& lecture = find_architecture("gpt2")->checkpoints->layouts[2];
    const StoredAs& row = rows_of(lecture, "blk.3.attn_qkv.weight")[0];
    EXPECT_EQ(stored_name(row, "blk.3.attn_qkv.weight", 1, 4), "blocks.3.sa.heads.4.key.weight");
    EXPECT_EQ(lecture.find_parameter("blocks.3.sa.heads.4.key.weight")->head, 4);
    EXPECT_TRUE(lecture.has_buffer("blocks.3.sa.heads.4.tril"));
    EXPECT_FALSE(lecture.has_buffer("blocks.3.sa.heads.x.tril") || lecture.find_parameter("blocks.3.sa.heads..key.weight"));
}

// Two heads of six numbers, each number's name its row: 0 to 11, in rows of two.
TEST(Layouts, OrdersOfRows) {
    std::vector<float> rows;
    for (int row = 0; row < 12; ++row) rows.insert(rows.end(), 2, static_cast<float>(row));
    SourceTensor matrix;
    matrix.type = SourceType::F32;
    matrix.shape = {12, 2};
    matrix.strides = contiguous_strides(matrix.shape);
    matrix.data = std::as_bytes(std::span(rows));
    ModelConfig c{.heads = 2, .embd = 12};
    c.rope.interleaved = true;
    const auto order_of = [](const SourceTensor& tensor) {
        std::vector<float> all = values(tensor), order;
        for (size_t i = 0; i < all.size(); i += 2) order.push_back(all[i]);
        return order;
    };
    EXPECT_EQ(order_of(as_parameter(matrix, Order::Halves, c)), (std::vector<float>{0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11}));
    EXPECT_EQ(order_of(as_stored(matrix, Order::Halves, c)), (std::vector<float>{0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11}));
    EXPECT_EQ(values(as_stored(as_parameter(matrix, Order::Conv1d, c), Order::Conv1d, c)), rows);
    c.rope.interleaved = false;
    EXPECT_EQ(values(as_parameter(matrix, Order::Halves, c)), rows) << "as it is there";
    matrix.shape = {24}, matrix.strides = {1};
    EXPECT_EQ(values(as_parameter(matrix, Order::Conv1d, c)), rows) << "a bias";
}

}  // namespace
}  // namespace nib
