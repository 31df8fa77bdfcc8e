// llama2.c's files: damaged ones, and which tensors are where. That their models are right: transformers_test.cpp.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/checkpoint_source.h"
#include "io/llama2c.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

std::span<const std::byte> bytes_of(const std::string& file) { return std::as_bytes(std::span(file)); }

std::string error_in(const std::string& file) {
    return error_of([&] { Llama2cFile::parse(bytes_of(file), "x.bin"); });
}

std::string with_int(std::string file, size_t index, int32_t value) {
    std::memcpy(file.data() + index * sizeof value, &value, sizeof value);
    return file;
}

TEST(Llama2c, BothVersionsHoldTheSame) {
    const std::string v0 = read_file(golden("transformers/llama2c_v0.bin")),
                      v1 = read_file(golden("transformers/llama2c_v1.bin"));
    const Llama2cFile a = Llama2cFile::parse(bytes_of(v0), "0"), b = Llama2cFile::parse(bytes_of(v1), "1");
    EXPECT_EQ(a.header, b.header);
    const std::vector<std::pair<std::string, int64_t>> header{
        {"dim",         16},
        {"hidden_dim",  20},
        {"n_layers",    2 },
        {"n_heads",     4 },
        {"n_kv_heads",  2 },
        {"vocab_size",  23},
        {"max_seq_len", 24}
    };
    EXPECT_EQ(a.header, header);
    ASSERT_EQ(a.tensors.size(), 21u);
    for (const SourceTensor& tensor : a.tensors) {
        const auto other =
            std::find_if(b.tensors.begin(), b.tensors.end(), [&](const auto& t) { return t.name == tensor.name; });
        ASSERT_NE(other, b.tensors.end()) << tensor.name;
        EXPECT_EQ(values(tensor), values(*other)) << tensor.name;
    }
    // A vocabulary that is not negative: the head is the embedding, and its numbers are not there.
    const std::string tied = with_int(v0, 5, 23).substr(0, v0.size() - 23 * 16 * 4);
    EXPECT_EQ(Llama2cFile::parse(bytes_of(tied), "0").tensors.size(), 20u);
}

TEST(Llama2c, Damaged) {
    for (const char* name : {"transformers/llama2c_v0.bin", "transformers/llama2c_v1.bin"}) {
        const std::string whole = read_file(golden(name));
        for (size_t size = 0; size < whole.size(); size += size < 300 ? 1 : 97)
            EXPECT_NE(error_in(whole.substr(0, size)), "") << size;
        EXPECT_MENTIONS(error_in(whole + "x"), "x.bin: has ");
        EXPECT_MENTIONS(error_in(whole + "x"), "for 2 layers of 16 channels, asks for " + std::to_string(whole.size()));
    }
    const std::string v0 = read_file(golden("transformers/llama2c_v0.bin")),
                      v1 = read_file(golden("transformers/llama2c_v1.bin"));
    for (size_t i = 0; i < 7; ++i) {
        for (const int32_t value : {0, -1, 3, 5, 1 << 20, INT32_MAX, INT32_MIN}) {
            if (i == 5 && value == -1) continue;
            EXPECT_NE(error_in(with_int(v0, i, value)), "") << i << " " << value;
            if (i == 6 && value > 0) continue;  // version 1 has no table of positions: any context fits
            EXPECT_NE(error_in(with_int(v1, i + 2, value)), "") << i << " " << value;
        }
    }
    EXPECT_MENTIONS(error_in(with_int(v1, 1, 2)), "is llama2.c's version 2, in int8, which nib does not read");
    EXPECT_MENTIONS(error_in(with_int(v1, 1, 3)), "is version 3 of llama2.c's files; nib reads 0 and 1");
    EXPECT_MENTIONS(error_in(with_int(v1, 2, 0)), "its header makes no sense (dim 0, hidden_dim ");
    EXPECT_MENTIONS(error_in(v1.substr(0, 4)), "cut short: of the header's 256 bytes it has 4");
    EXPECT_MENTIONS(error_in(v1.substr(0, 255)), "cut short: of the header's 256 bytes it has 255");
    const TempFolder folder;
    write_file(folder / "x.bin", with_int(v0, 3, 0));
    EXPECT_MENTIONS(error_of([&] { CheckpointSource::open((folder / "x.bin").string()); }),
                    "no file of llama2.c with a header that makes sense");
}

TEST(Llama2c, IsNotTakenForAnything) {
    EXPECT_TRUE(is_llama2c_file(bytes_of(read_file(golden("transformers/llama2c_v0.bin")))));
    for (const std::string& text :
         {std::string(), std::string(200, '\0'), std::string(200, 'a'), std::string("\1\0\0\0", 4)})
        EXPECT_FALSE(is_llama2c_file(bytes_of(text)));
    EXPECT_FALSE(is_llama2c_file(bytes_of(read_file(golden("transformers/llama/model.safetensors")))));
    const TempFolder folder;
    write_file(folder / "x.bin", std::string(200, '\0'));
    EXPECT_MENTIONS(error_of([&] { CheckpointSource::open((folder / "x.bin").string()); }),
                    "is neither a safetensors file nor a PyTorch checkpoint");
}

}  // namespace
}  // namespace nib
