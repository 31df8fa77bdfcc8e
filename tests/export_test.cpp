// Models as folders for transformers, and back.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "convert_case.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_files.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

using namespace test;

class Export : public ConvertCase {};

TEST_F(Export, ThereAndBackAgain) {
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

}  // namespace
}  // namespace nib
