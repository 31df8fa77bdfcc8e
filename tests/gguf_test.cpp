// GGUF files: what is written is read back, bit for bit as specified, and no bad input passes or crashes.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "io/gguf.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

// GGUF bytes put together by hand, independently of the writer.
struct Raw {
    std::string bytes;

    template <class T>
    Raw& number(T value) {
        char raw[sizeof value];
        std::memcpy(raw, &value, sizeof value);
        bytes.append(raw, sizeof value);
        return *this;
    }
    Raw& u32(uint32_t value) { return number(value); }
    Raw& u64(uint64_t value) { return number(value); }
    Raw& text(const std::string& text) {
        u64(text.size());
        bytes += text;
        return *this;
    }
    Raw& header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
        bytes += "GGUF";
        return u32(version).u64(tensors).u64(keys);
    }
    Raw& tensor(const std::string& name, std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset) {
        text(name).u32(static_cast<uint32_t>(dims.size()));
        for (const uint64_t dim : dims) u64(dim);
        return u32(type).u64(offset);
    }
    Raw& pad(size_t alignment = 32) {
        bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
        return *this;
    }
    Raw& data(size_t size) {
        bytes.append(size, '\x5A');
        return *this;
    }

    GgufFile parse() const { return GgufFile::parse(std::as_bytes(std::span(bytes)), "x.gguf"); }
    std::string error() const {
        return error_of([&] { parse(); });
    }
};

// The error for a file with one tensor description and `size` bytes of data.
std::string tensor_error(const std::string& name, std::initializer_list<uint64_t> dims, uint32_t type, uint64_t offset,
                         size_t size) {
    return Raw().header(1, 0).tensor(name, dims, type, offset).pad().data(size).error();
}

// Writes with `writer` and returns the bytes of the file.
std::string written(const GgufWriter& writer) {
    const TempFolder folder;
    AtomicFile file((folder / "x.gguf").string());
    writer.write(file);
    file.publish();
    return read_file(folder / "x.gguf");
}

std::vector<GgufEntry> every_value_type() {
    return {
        {"a.u8",       uint8_t{255}                                        },
        {"a.i8",       int8_t{-128}                                        },
        {"a.u16",      uint16_t{65535}                                     },
        {"a.i16",      int16_t{-32768}                                     },
        {"a.u32",      uint32_t{4294967295u}                               },
        {"a.i32",      int32_t{-5}                                         },
        {"a.f32",      1.5f                                                },
        {"a.true",     true                                                },
        {"a.false",    false                                               },
        {"a.string",   "text with \0 and \xC3\xA4"                         },
        {"a.empty",    ""                                                  },
        {"a.u64",      uint64_t{18446744073709551615u}                     },
        {"a.i64",      std::numeric_limits<int64_t>::min()                 },
        {"a.f64",      1e300                                               },
        {"v.u8",       std::vector<uint8_t>{1, 2, 255}                     },
        {"v.i8",       std::vector<int8_t>{-1, 0, 1}                       },
        {"v.u16",      std::vector<uint16_t>{1, 65535}                     },
        {"v.i16",      std::vector<int16_t>{-1, 7}                         },
        {"v.u32",      std::vector<uint32_t>{1, 2, 3}                      },
        {"v.i32",      std::vector<int32_t>{-1, -2}                        },
        {"v.f32",      std::vector<float>{0.5f, -0.0f}                     },
        {"v.bool",     std::vector<bool>{true, false, true, true}          },
        {"v.string",   std::vector<std::string>{"", "b", "\xE2\x96\x81the"}},
        {"v.u64",      std::vector<uint64_t>{1, 1ull << 63}                },
        {"v.i64",      std::vector<int64_t>{-1}                            },
        {"v.f64",      std::vector<double>{3.25, -1e-300}                  },
        {"v.none",     std::vector<float>{}                                },
        {"v.nostring", std::vector<std::string>{}                          },
    };
}

// A file with every value type and a few tensors, whose last byte of data is the file's last byte.
std::string good_file() {
    static const std::vector<float> floats(24, 0.25f);
    static const std::vector<std::byte> blocks(68, std::byte{7});
    static const std::vector<int64_t> numbers{1, 2, 3, 4};
    GgufWriter writer;
    for (const GgufEntry& entry : every_value_type()) writer.set(entry.key, entry.value);
    writer.add("floats", DType::F32, {2, 3, 4}, std::as_bytes(std::span(floats)));
    writer.add("blocks", DType::Q8_0, {2, 32}, blocks);
    writer.add("numbers", DType::I64, {4}, std::as_bytes(std::span(numbers)));
    return written(writer);
}

TEST(Gguf, RoundTripOfEveryTypeInOrder) {
    const Raw file{good_file()};
    const GgufFile read = file.parse();
    const std::vector<GgufEntry> expected = every_value_type();
    ASSERT_EQ(read.metadata().size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
        EXPECT_EQ(read.metadata()[i].key, expected[i].key);
        EXPECT_EQ(read.metadata()[i].value, expected[i].value) << expected[i].key;
        EXPECT_EQ(read.value(expected[i].key), &read.metadata()[i].value);
    }
    ASSERT_EQ(read.tensors().size(), 3u);
    EXPECT_EQ(read.tensors()[0].name, "floats");
    EXPECT_EQ(read.tensors()[0].shape, (std::vector<int64_t>{2, 3, 4}));
    EXPECT_EQ(read.tensors()[0].data.size(), 96u);
    EXPECT_EQ(read.tensors()[1].name, "blocks");
    EXPECT_EQ(read.tensors()[1].type, DType::Q8_0);
    EXPECT_EQ(read.tensors()[1].data.size(), 68u);
    EXPECT_EQ(read.tensors()[1].data.back(), std::byte{7});
    EXPECT_EQ(read.find("numbers"), &read.tensors()[2]);
    int64_t last;
    std::memcpy(&last, read.tensor("numbers").data.last(8).data(), 8);
    EXPECT_EQ(last, 4);
    EXPECT_EQ(read.find("number"), nullptr);
    EXPECT_EQ(error_of([&] { read.tensor("nu\tmber"); }), "x.gguf: tensor `nu\\x09mber` is missing");
    for (const GgufTensor& tensor : read.tensors()) {
        EXPECT_EQ((reinterpret_cast<const char*>(tensor.data.data()) - file.bytes.data()) % 32, 0);
    }
}

TEST(Gguf, WritesExactlyTheSpecifiedBytes) {
    const std::vector<float> weight{1, 2, 3, 4, 5, 6};
    const uint8_t bias[] = {7, 8, 9};
    GgufWriter writer;
    writer.set("general.architecture", "gpt2");
    writer.set("gpt2.block_count", uint32_t{9});
    writer.set("tokens", std::vector<std::string>{"a", "bc"});
    writer.set("types", std::vector<int32_t>{1, -1});
    writer.set("flags", std::vector<bool>{true, false});
    writer.set("rate", 0.1);
    writer.set("gpt2.block_count", uint32_t{12});     // replaced in its place
    writer.set("general.alignment", uint32_t{4096});  // of some other file
    writer.add("weight", DType::F32, {2, 3}, std::as_bytes(std::span(weight)));
    writer.add("bias", DType::I8, {3}, std::as_bytes(std::span(bias)));

    Raw expected;
    expected.bytes = "GGUF";
    expected.u32(3).u64(2).u64(6);
    expected.text("general.architecture").u32(8).text("gpt2");
    expected.text("gpt2.block_count").u32(4).u32(12);
    expected.text("tokens").u32(9).u32(8).u64(2).text("a").text("bc");
    expected.text("types").u32(9).u32(5).u64(2).u32(1).u32(0xFFFFFFFFu);
    expected.text("flags").u32(9).u32(7).u64(2).number('\1').number('\0');
    expected.text("rate").u32(12).number(0.1);
    expected.text("weight").u32(2).u64(3).u64(2).u32(0).u64(0);  // 2 rows of 3: innermost first in the file
    expected.text("bias").u32(1).u64(3).u32(24).u64(32);
    expected.pad();
    for (const float value : weight) expected.number(value);
    expected.pad();
    expected.bytes += "\7\10\11";
    expected.pad();
    EXPECT_TRUE(written(writer) == expected.bytes);
    EXPECT_TRUE(written(writer) == expected.bytes) << "the second time";
}

TEST(Gguf, ReadsVersion2AndOtherAlignments) {
    Raw raw;
    raw.header(2, 1, 2).text("general.alignment").u32(4).u32(64);
    raw.tensor("a", {3, 2}, 0, 64).tensor("b", {1}, 26, 0).pad(64).number(int32_t{5}).pad(64).data(24);
    const GgufFile file = raw.parse();
    EXPECT_EQ(file.tensor("a").shape, (std::vector<int64_t>{2, 3}));
    EXPECT_EQ(file.tensor("a").data.data() - file.bytes().data(), static_cast<ptrdiff_t>(raw.bytes.size() - 24));
    EXPECT_EQ(file.tensor("b").data.front(), std::byte{5});
    EXPECT_EQ(file.tensors()[0].name, "a");
}

TEST(Gguf, FileWithoutTensorsNeedsNoPadding) {
    const GgufFile file = Raw().header(0, 1).text("k").u32(0).number('\3').parse();
    EXPECT_TRUE(file.tensors().empty());
    EXPECT_EQ(file.get<int>("k"), 3);
    EXPECT_TRUE(Raw().header(0, 0).parse().metadata().empty());
}

TEST(Gguf, OpensAFileInPlaceAndMoves) {
    const TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
    write_file(path, good_file());
    GgufFile opened = GgufFile::open(path);
    const std::byte* const data = opened.tensor("blocks").data.data();
    const GgufFile file = std::move(opened);
    EXPECT_EQ(file.tensor("blocks").data.data(), data);
    EXPECT_EQ(file.tensor("blocks").data.front(), std::byte{7});
    EXPECT_EQ(file.name(), path);
    EXPECT_EQ(file.bytes().size(), fs::file_size(path));
    fs::remove(path);
    EXPECT_MENTIONS(error_of([&] { GgufFile::open(path); }), path + ": cannot open");
}

TEST(Gguf, TypedAccess) {
    const Raw raw{good_file()};
    const GgufFile file = raw.parse();
    EXPECT_EQ(file.get<int>("a.u8"), 255);
    EXPECT_EQ(file.get<uint8_t>("a.u8"), 255);
    EXPECT_EQ(file.get<int64_t>("a.i8"), -128);
    EXPECT_EQ(file.get<uint64_t>("a.u64"), std::numeric_limits<uint64_t>::max());
    EXPECT_EQ(file.get<int64_t>("a.i64"), std::numeric_limits<int64_t>::min());
    EXPECT_EQ(file.get<double>("a.f32"), 1.5);
    EXPECT_EQ(file.get<float>("a.f32"), 1.5f);
    EXPECT_EQ(file.get<double>("a.f64"), 1e300);
    EXPECT_TRUE(file.get<bool>("a.true"));
    EXPECT_EQ(file.get<std::string>("a.empty"), "");
    EXPECT_EQ(file.get_or<int>("a.i32", 9), -5);
    EXPECT_EQ(file.get_or<int>("none", 9), 9);
    EXPECT_EQ(file.get_or<std::string>("none", "default"), "default");
    EXPECT_EQ(file.array<std::string>("v.string")[2], "\xE2\x96\x81the");
    EXPECT_EQ(file.array<bool>("v.bool").size(), 4u);

    const auto message = [&](auto&& call) { return error_of(call); };
    EXPECT_EQ(message([&] { file.get<int>("no\nne"); }), "x.gguf: key `no\\x0Ane` is missing");
    EXPECT_EQ(message([&] { file.array<float>("none"); }), "x.gguf: key `none` is missing");
    EXPECT_EQ(message([&] { file.get<int>("a.f32"); }), "x.gguf: key `a.f32` has type f32, expected an integer");
    EXPECT_EQ(message([&] { file.get<unsigned>("a.true"); }), "x.gguf: key `a.true` has type bool, expected an integer");
    EXPECT_EQ(message([&] { file.get<float>("a.u8"); }), "x.gguf: key `a.u8` has type u8, expected f32 or f64");
    EXPECT_EQ(message([&] { file.get<bool>("a.u8"); }), "x.gguf: key `a.u8` has type u8, expected bool");
    EXPECT_EQ(message([&] { file.get<std::string>("v.string"); }),
              "x.gguf: key `v.string` has type array of string, expected string");
    EXPECT_EQ(message([&] { file.array<float>("v.f64"); }),
              "x.gguf: key `v.f64` has type array of f64, expected array of f32");
    EXPECT_EQ(message([&] { file.get<int>("a.u32"); }),
              "x.gguf: key `a.u32` is 4294967295, expected -2147483648 to 2147483647");
    EXPECT_EQ(message([&] { file.get<unsigned>("a.i32"); }), "x.gguf: key `a.i32` is -5, expected 0 to 4294967295");
    EXPECT_EQ(message([&] { file.get_or<uint8_t>("a.u16", 0); }), "x.gguf: key `a.u16` is 65535, expected 0 to 255");
    EXPECT_MENTIONS(message([&] { file.get<float>("a.f64"); }), "key `a.f64` is 1e+300, which is too large");
}

TEST(Gguf, EveryTruncationIsAnError) {
    const std::string whole = good_file();
    ASSERT_EQ(Raw{whole}.error(), "");
    for (size_t size = 0; size < whole.size(); ++size) {
        const std::vector<char> cut(whole.begin(),
                                    whole.begin() + static_cast<ptrdiff_t>(size));  // its end is watched by ASan
        const std::string message = error_of([&] { GgufFile::parse(std::as_bytes(std::span(cut)), "x.gguf"); });
        EXPECT_MENTIONS(message, "x.gguf: ") << size;
        EXPECT_MENTIONS(message, size >= 4 ? "truncated" : "not a GGUF file") << size;
    }
}

TEST(Gguf, EveryByteFlippedIsAnErrorOrAFile) {
    const std::string whole = good_file();
    for (size_t at = 0; at < whole.size(); ++at) {
        for (const char flip : {'\1', '\x80', '\xFF'}) {
            Raw bad{whole};
            bad.bytes[at] = static_cast<char>(bad.bytes[at] ^ flip);
            bad.error();  // neither a crash nor another exception
        }
    }
}

TEST(GgufErrors, NotGguf) {
    EXPECT_EQ(Raw{}.error(), "x.gguf: not a GGUF file: it is empty");
    EXPECT_EQ(Raw{"\x7F"
                  "ELFxx"}
                  .error(),
              "x.gguf: not a GGUF file: it begins with `\\x7FELF` instead of `GGUF`");
    EXPECT_MENTIONS(Raw{"version https://git-lfs.github.com/spec/v1"}.error(), "Git LFS pointer");
    EXPECT_MENTIONS(Raw{"<!DOCTYPE html><html>"}.error(), "a web page");
    EXPECT_MENTIONS(Raw{"PK\3\4........"}.error(), "zip archive");
    EXPECT_MENTIONS(Raw{"\x80\2}q\1."}.error(), "pickle");
    EXPECT_MENTIONS(Raw{"{\"a\": 1}"}.error(), "JSON");
    EXPECT_MENTIONS(Raw{"tjgg\1\2\3\4"}.error(), "from before GGUF");
    EXPECT_MENTIONS(Raw().u64(40).number('{').data(50).error(), "safetensors");
}

TEST(GgufErrors, Version) {
    EXPECT_EQ(Raw().header(0, 0, 1).error(), "x.gguf: has GGUF version 1, but nib reads versions 2 and 3");
    EXPECT_MENTIONS(Raw().header(0, 0, 4).error(), "has GGUF version 4");
    EXPECT_MENTIONS(Raw().header(0, 0, 0).error(), "has GGUF version 0");
    EXPECT_MENTIONS(Raw().header(0, 0, 0x03000000).error(), "is a big-endian GGUF file");
}

TEST(GgufErrors, CountsThatCannotFit) {
    EXPECT_MENTIONS(Raw().header(2, 0).data(40).error(), "claims 2 tensors, but only 40 bytes follow byte 24");
    EXPECT_MENTIONS(Raw().header(~0ull, 0).data(99).error(), "claims 18446744073709551615 tensors");
    EXPECT_MENTIONS(Raw().header(0, 1ull << 40).data(99).error(), "claims 1099511627776 keys");
    const auto array = [](uint32_t type) { return Raw().header(0, 1).text("k").u32(9).u32(type); };
    EXPECT_MENTIONS(array(12).u64(1ull << 61).data(80).error(), "key `k`: claims 2305843009213693952 array elements");
    EXPECT_MENTIONS(array(8).u64(11).data(80).error(), "key `k`: claims 11 array elements, but only 80 bytes");
    EXPECT_MENTIONS(array(0).u64(~0ull).data(80).error(), "key `k`: claims 18446744073709551615 array elements");
}

TEST(GgufErrors, StringsAndNames) {
    EXPECT_MENTIONS(
        Raw().header(0, 1).u64(~0ull).data(80).error(),
        "key 1 of 1: its name (18446744073709551615 bytes from byte 32) lies beyond the end of the file (112 bytes)");
    EXPECT_MENTIONS(Raw().header(0, 1).text("k").u32(8).u64(9).data(8).error(), "key `k`: its text (9 bytes from byte 45)");
    EXPECT_MENTIONS(Raw().header(0, 1).text("").u32(0).data(8).error(), "key 1 of 1 has an empty name");
    EXPECT_MENTIONS(Raw().header(0, 1).text(std::string(65536, 'k')).u32(0).data(8).error(), "has a name of 65536 bytes");
    EXPECT_MENTIONS(tensor_error("", {1}, 0, 0, 32), "tensor 1 of 1 has an empty name");
    EXPECT_MENTIONS(tensor_error(std::string(65536, 't'), {1}, 0, 0, 32), "tensor 1 of 1 has a name of 65536 bytes");
    EXPECT_MENTIONS(tensor_error("a\x1B[31m", {0}, 0, 0, 32), "tensor `a\\x1B[31m`");
}

TEST(GgufErrors, ValueTypes) {
    EXPECT_MENTIONS(Raw().header(0, 1).text("k").u32(13).u64(0).error(), "key `k` has value type 13 at byte 33");
    EXPECT_MENTIONS(Raw().header(0, 1).text("k").u32(9).u32(99).u64(0).error(), "key `k` has value type 99 at byte 37");
    EXPECT_MENTIONS(Raw().header(0, 1).text("k").u32(9).u32(9).u64(1).data(40).error(), "key `k` is an array of arrays");
    EXPECT_MENTIONS(Raw().header(0, 1).text("k").u32(7).number('\2').error(), "key `k`: has a bool of 2, expected 0 or 1");
    EXPECT_MENTIONS(Raw().header(0, 1).text("k").u32(9).u32(7).u64(2).number('\1').number('\3').error(), "has a bool of 3");
}

TEST(GgufErrors, Duplicates) {
    const auto key = [](Raw raw) { return raw.text("key").u32(0).number('\1'); };
    EXPECT_EQ(key(key(Raw().header(0, 2))).error(), "x.gguf: key `key` is there twice");
    EXPECT_EQ(Raw().header(2, 0).tensor("t", {1}, 0, 0).tensor("t", {1}, 0, 32).pad().data(64).error(),
              "x.gguf: tensor `t` is there twice");
}

TEST(GgufErrors, Shapes) {
    EXPECT_EQ(tensor_error("t", {}, 0, 0, 64), "x.gguf: tensor `t`: has 0 dimensions, expected 1 to 4");
    EXPECT_MENTIONS(tensor_error("t", {1, 1, 1, 1, 1}, 0, 0, 64), "has 5 dimensions");
    EXPECT_MENTIONS(Raw().header(1, 0).text("t").u32(~0u).data(99).error(), "has 4294967295 dimensions");
    EXPECT_MENTIONS(tensor_error("t", {4, 0}, 0, 0, 64), "tensor `t`: has a dimension of 0");
    EXPECT_MENTIONS(tensor_error("t", {~0ull}, 0, 0, 64), "tensor `t`: has a dimension of -1");
    EXPECT_MENTIONS(tensor_error("t", {1ull << 32, 1ull << 31}, 0, 0, 64), "tensor `t`: its shape is impossibly large");
    EXPECT_MENTIONS(tensor_error("t", {1ull << 32, 1ull << 30}, 0, 0, 64), "tensor `t`: its shape is impossibly large");
    EXPECT_MENTIONS(tensor_error("t", {33}, 8, 0, 64),
                    "tensor `t`: its rows of 33 elements are not whole blocks of 32, which q8_0 needs");
    EXPECT_MENTIONS(tensor_error("t", {16, 2}, 8, 0, 64), "its rows of 16 elements");
    EXPECT_EQ(tensor_error("t", {32, 2}, 8, 0, 68), "");
}

TEST(GgufErrors, UnknownElementType) {
    EXPECT_EQ(tensor_error("blk.0.attn_q.weight", {32}, 20, 0, 64),
              "x.gguf: tensor `blk.0.attn_q.weight`: has element type number 20, which nib does not know");
    EXPECT_MENTIONS(tensor_error("t", {32}, ~0u, 0, 64), "element type number 4294967295");
}

TEST(GgufErrors, Alignment) {
    const auto with = [](Raw alignment) {
        return Raw{Raw().header(0, 1).text("general.alignment").bytes + alignment.bytes}.error();
    };
    EXPECT_EQ(with(Raw().u32(4).u32(8)), "");
    EXPECT_EQ(with(Raw().u32(10).u64(1 << 20)), "");
    EXPECT_EQ(with(Raw().u32(4).u32(48)),
              "x.gguf: key `general.alignment` is 48, expected a power of two from 8 to 1048576");
    EXPECT_MENTIONS(with(Raw().u32(4).u32(0)), "`general.alignment` is 0,");
    EXPECT_MENTIONS(with(Raw().u32(4).u32(4)), "`general.alignment` is 4,");
    EXPECT_MENTIONS(with(Raw().u32(4).u32(1 << 21)), "`general.alignment` is 2097152,");
    EXPECT_MENTIONS(with(Raw().u32(5).u32(~0u)), "`general.alignment` is -1,");
    EXPECT_MENTIONS(with(Raw().u32(8).text("32")), "`general.alignment` has type string, expected an integer");
}

TEST(GgufErrors, DataPlacement) {
    EXPECT_EQ(tensor_error("t", {8}, 0, 0, 32), "");
    EXPECT_EQ(
        tensor_error("t", {9}, 0, 0, 32),
        "x.gguf: tensor `t`: data at byte 64..100 lies beyond the end of the file (96 bytes); the file is truncated or "
        "damaged");
    EXPECT_MENTIONS(tensor_error("t", {8}, 0, 32, 32), "data at byte 96..128 lies beyond the end");
    EXPECT_MENTIONS(tensor_error("t", {4}, 0, 16, 32), "data offset 16 is not a multiple of the file's alignment of 32");
    EXPECT_MENTIONS(tensor_error("t", {8}, 0, ~0ull - 31, 32), "data offset 18446744073709551584 is impossible");
    EXPECT_MENTIONS(tensor_error("t", {1ull << 60}, 24, 0, 32), "data at byte 64..1152921504606847040 lies beyond");
    EXPECT_EQ(Raw().header(2, 0).tensor("a", {9}, 0, 0).tensor("b", {8}, 0, 32).pad().data(64).error(),
              "x.gguf: the data of the tensors `a` and `b` overlap; the file is damaged");
    EXPECT_MENTIONS(Raw().header(2, 0).tensor("a", {8}, 0, 0).tensor("b", {1}, 0, 0).pad().data(64).error(), "overlap");
}

TEST(GgufWriter, RefusesWhatCannotBeRead) {
    GgufWriter writer;
    const float one = 1;
    const auto data = std::as_bytes(std::span(&one, 1));
    EXPECT_MENTIONS(error_of([&] { writer.set("", true); }), "a key whose name is empty");
    EXPECT_MENTIONS(error_of([&] { writer.set(std::string(65536, 'k'), true); }), "its name has 65536 bytes");
    EXPECT_MENTIONS(error_of([&] { writer.add("", DType::F32, {1}, data); }), "a tensor whose name is empty");
    EXPECT_MENTIONS(error_of([&] { writer.add("t", DType::F32, {}, data); }), "tensor `t`: has 0 dimensions");
    EXPECT_MENTIONS(error_of([&] { writer.add("t", DType::Q8_0, {31}, data); }), "tensor `t`: its rows of 31 elements");
    writer.add("t", DType::F32, {1}, data);
    EXPECT_MENTIONS(error_of([&] { writer.add("t", DType::F32, {1}, data); }), "tensor `t`: cannot be written twice");
    EXPECT_EQ(Raw{written(writer)}.error(), "");
}

TEST(GgufWriter, ProducersStreamAndAreChecked) {
    const TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
    const auto with_pieces = [&](std::initializer_list<size_t> sizes) {
        GgufWriter writer;
        writer.add("t", DType::I8, {100}, [sizes](const GgufWriter::Sink& sink) {
            std::byte value{1};
            for (const size_t size : sizes) {
                sink(std::vector<std::byte>(size, value));
                value = std::byte(int(value) + 1);
            }
        });
        return error_of([&] {
            AtomicFile file(path);
            writer.write(file);
            file.publish();
        });
    };
    EXPECT_EQ(with_pieces({10, 0, 90}), "");
    const GgufFile read = GgufFile::open(path);
    EXPECT_EQ(read.tensor("t").data[9], std::byte{1});
    EXPECT_EQ(read.tensor("t").data[10], std::byte{3});
    EXPECT_EQ(with_pieces({10, 89}), path + ": tensor `t` has 99 bytes of data, but its shape needs 100");
    EXPECT_MENTIONS(with_pieces({10, 91}), "tensor `t` has 101 bytes of data");
    EXPECT_MENTIONS(with_pieces({}), "tensor `t` has 0 bytes of data");
    EXPECT_FALSE(fs::exists(AtomicFile::temporary_name(path)));
}

}  // namespace
}  // namespace nib
