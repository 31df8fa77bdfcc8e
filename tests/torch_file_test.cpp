// PyTorch checkpoints: every tensor and value as saved, nothing executed, no bad input passes or crashes.
// tests/goldens/make_checkpoint_goldens.py says what the goldens hold.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/checkpoint_source.h"
#include "io/torch_file.h"
#include "io/zip.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using Kind = PickleValue::Kind;
using Parts = std::vector<ZipPart>;

std::string file_error(const std::string& bytes) {
    return error_of([&] { TorchFile::parse(std::as_bytes(std::span(bytes)), "x.pt"); });
}

std::vector<float> ramp_at(std::initializer_list<int> indices) {
    std::vector<float> all;
    for (const int i : indices) all.push_back((static_cast<float>(i) - 3) / 4);
    return all;
}

class Protocols : public testing::TestWithParam<int> {
protected:
    const std::string path_ = golden("checkpoints/protocol" + std::to_string(GetParam()) + ".pt");
};
INSTANTIATE_TEST_SUITE_P(TorchFile, Protocols, testing::Values(2, 3, 4, 5));

TEST_P(Protocols, Tensors) {
    const CheckpointSource source = CheckpointSource::open(path_);
    for (const char* name : {"float64", "float32", "float16", "bfloat16"}) {
        EXPECT_EQ(source.tensor(name).shape, (std::vector<int64_t>{2, 3})) << name;
        EXPECT_EQ(values(source.tensor(name)), ramp(6)) << name;
    }
    const auto half = values(source.tensor("special.float16"));
    EXPECT_EQ(half[0], std::ldexp(1.0f, -24));
    EXPECT_EQ(half[4], -std::numeric_limits<float>::infinity());
    EXPECT_TRUE(std::isnan(half[5]));
    EXPECT_EQ(values(source.tensor("scalar")), std::vector<float>{2.5f});
    EXPECT_TRUE(source.tensor("scalar").shape.empty());
    EXPECT_EQ(source.tensor("empty").shape, (std::vector<int64_t>{0, 4}));
    EXPECT_TRUE(values(source.tensor("empty")).empty());
    EXPECT_EQ(values(source.tensor("parameter")), ramp(5));
    EXPECT_EQ(source.find("version"), nullptr) << "no tensor";
}

TEST_P(Protocols, Views) {
    const CheckpointSource source = CheckpointSource::open(path_);
    EXPECT_EQ(values(source.tensor("base")), ramp(24));
    EXPECT_EQ(source.tensor("shared").data.data(), source.tensor("base").data.data());
    EXPECT_EQ(source.tensor("transposed").shape, (std::vector<int64_t>{6, 4}));
    EXPECT_EQ(values(source.tensor("transposed")),
              ramp_at({0, 6, 12, 18, 1, 7, 13, 19, 2, 8, 14, 20, 3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23}));
    EXPECT_EQ(values(source.tensor("transposed").transposed()), ramp(24));
    EXPECT_EQ(values(source.tensor("slice")), ramp_at({8, 9, 10, 14, 15, 16}));
    EXPECT_EQ(values(source.tensor("steps")), ramp_at({0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22}));
    EXPECT_EQ(source.tensor("permuted").shape, (std::vector<int64_t>{3, 4, 2}));
    EXPECT_EQ(values(source.tensor("permuted")),
              ramp_at({0, 12, 1, 13, 2, 14, 3, 15, 4, 16, 5, 17, 6, 18, 7, 19, 8, 20, 9, 21, 10, 22, 11, 23}));
}

TEST_P(Protocols, UnreadableTensorsAreListedAndRefusedWhenRead) {
    const CheckpointSource source = CheckpointSource::open(path_);
    const auto error = [&](const char* name) {
        EXPECT_FALSE(source.tensor(name).readable());
        return error_of([&] { values(source.tensor(name)); });
    };
    for (const auto& [name, type] : {
             std::pair{"int64",  "i64"                },
             {"int32",  "i32"                },
             {"int16",  "i16"                },
             {"int8",   "i8"                 },
             {"uint8",  "u8"                 },
             {"bool",   "bool"               },
             {"float8", "torch.float8_e4m3fn"}
    }) {
        EXPECT_MENTIONS(error(name), ".pt: tensor `" + std::string(name) + "`: has type " + type);
    }
    EXPECT_MENTIONS(error("expanded"), "tensor `expanded`: is an expanded view");
    EXPECT_MENTIONS(error("negated"), "tensor `negated`: is a view that PyTorch has yet to conjugate or negate");
}

TEST_P(Protocols, Values) {
    const CheckpointSource source = CheckpointSource::open(path_);
    const PickleValue& root = *source.root();
    EXPECT_EQ(root.entries().size(), 6u);
    const PickleValue& args = *root.find("model_args");
    EXPECT_EQ(args.find("n_layer")->integer(), 2);
    EXPECT_EQ(args.find("bias")->boolean(), false);
    EXPECT_EQ(args.find("bias")->integer(), std::nullopt);
    EXPECT_EQ(args.find("dropout")->number(), 0.1);
    EXPECT_EQ(args.find("dropout")->integer(), std::nullopt);
    EXPECT_EQ(args.find("n_layer")->number(), 2.0);
    EXPECT_EQ(args.find("absent"), nullptr);
    EXPECT_EQ(root.find("iter_num")->integer(), 2000);
    EXPECT_EQ(root.find("best_val_loss")->kind(), Kind::Tensor);
    const PickleValue& group = *root.find("optimizer")->find("param_groups")->elements()[0];
    EXPECT_EQ(group.find("betas")->elements()[1]->number(), 0.95);
    const PickleValue& config = *root.find("config");
    EXPECT_EQ(config.find("dataset")->text(), "text");
    EXPECT_EQ(config.find("long")->text(), std::string(300, 'x'));
    EXPECT_EQ(config.find("umlaut")->text(), "\xC3\xA4");
    EXPECT_EQ(config.find("none")->kind(), Kind::None);
    EXPECT_EQ(config.find("true")->boolean(), true);
    EXPECT_EQ(config.find("negative")->integer(), -5);
    EXPECT_EQ(config.find("short")->integer(), 65535);
    EXPECT_EQ(config.find("large")->integer(), int64_t{1} << 40);
    EXPECT_EQ(config.find("least")->integer(), std::numeric_limits<int64_t>::min());
    EXPECT_EQ(config.find("huge")->kind(), Kind::Other);
    EXPECT_EQ(config.find("bytes")->kind(), GetParam() == 2 ? Kind::Other : Kind::Bytes);
    EXPECT_EQ(config.find("set")->elements()[0]->integer(), 1);
    EXPECT_EQ(config.find("frozen")->elements()[0]->integer(), 1);
    EXPECT_EQ(config.find("size")->elements()[1]->integer(), 3);
    EXPECT_EQ(config.find("dtype")->kind(), Kind::Global);
    EXPECT_EQ(config.find("dtype")->name(), "torch.bfloat16");
    EXPECT_TRUE(config.find("list")->elements()[1]->elements()[1]->elements().empty());
    const auto tuple = config.find("tuple")->elements();
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(tuple[i]->kind(), i == 0 ? Kind::Int : Kind::Tuple);
    EXPECT_EQ(tuple[3]->elements()[3]->integer(), 8);
    EXPECT_EQ(config.find("namespace")->kind(), Kind::Object);
    EXPECT_EQ(config.find("namespace")->find("n_layer")->integer(), 3);
}

TEST_P(Protocols, TruncatedAnywhere) {
    const std::string bytes = read_file(path_);
    ASSERT_GT(bytes.size(), 5000u);
    for (size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<char> copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));  // exact for ASan
        EXPECT_NE(error_of([&] { TorchFile::parse(std::as_bytes(std::span(copy)), "x.pt"); }), "") << size;
    }
}

TEST_P(Protocols, TruncatedPickle) {
    const std::string bytes = read_file(path_);
    const auto archive = ZipArchive::parse(std::as_bytes(std::span(bytes)), "x.pt");
    const auto pickle = archive.find(fs::path(path_).stem().string() + "/data.pkl")->data;
    for (size_t size = 0; size < pickle.size(); ++size) {
        const std::vector<std::byte> copy(pickle.begin(), pickle.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_NE(error_of([&] { Pickle::parse(copy, "x"); }), "") << size;
    }
}

TEST(TorchFile, StateDictAtTheTopOrBelow) {
    for (const char* name : {"bare.pt", "nested.pt"}) {
        const CheckpointSource source = CheckpointSource::open(golden("checkpoints/" + std::string(name)));
        ASSERT_EQ(source.tensors().size(), 2u) << name;
        EXPECT_EQ(source.tensors()[0].name, "weight");
        EXPECT_EQ(values(source.tensor("weight")), ramp(6));
        EXPECT_EQ(values(source.tensor("bias")), ramp(2));
        EXPECT_TRUE(source.notes().empty());
    }
    const std::string tensor = p_tensor(p_storage("FloatStorage", "0", 1), 0, {1}, {1});
    EXPECT_MENTIONS(file_error(torch_zip(p_dict({
                                             {"w", tensor},
                                             {"w", tensor}
    }),
                                         {"1234"})
                                   .bytes),
                    "`w` is there twice");
}

TEST(TorchFile, Shards) {
    const TempFolder folder;
    fs::copy_file(golden("checkpoints/bare.pt"), folder / "pytorch_model-00001-of-00002.bin");
    const std::string tensor = p_tensor(p_storage("HalfStorage", "0", 2), 0, {2}, {1});
    write_file(folder / "pytorch_model-00002-of-00002.bin", torch_zip(p_dict({
                                                                          {"x", tensor}
    }),
                                                                      {std::string("\0\x3c\0\x40", 4)})
                                                                .bytes);
    write_file(folder / "pytorch_model.bin.index.json",
               R"({"weight_map":{"weight":"pytorch_model-00001-of-00002.bin","x":"pytorch_model-00002-of-00002.bin"}})");
    const CheckpointSource source = CheckpointSource::open(folder.path().string());
    EXPECT_EQ(source.tensors().size(), 3u);
    EXPECT_EQ(source.root(), nullptr);
    EXPECT_EQ(values(source.tensor("x")), (std::vector<float>{1, 2}));
    EXPECT_EQ(values(source.tensor("bias")), ramp(2));
}

TEST(TorchFile, ModulesAreRefusedByName) {
    EXPECT_MENTIONS(error_of([] { CheckpointSource::open(golden("checkpoints/module.pt")); }),
                    "module.pt: what was saved is made by `torch.nn.modules.linear.Linear`, which nib does not know and "
                    "never calls: save model.state_dict()");
}

TEST(TorchFile, ArchivesOfOtherKinds) {
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"x/data.pkl",      "\x80\x02N."},
                                       {"x/constants.pkl", ""          }
    })
                                   .bytes),
                    "is a TorchScript archive");
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"x/version",       "1\n"},
                                       {"x/code/model.py", "x",   8},
                                       {"x/model.json",                 "{}"        }
    })
                                   .bytes),
                    "is a TorchScript archive")
        << "an old one, some of it compressed";
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"a.npy", "x", 8}
    })
                                   .bytes),
                    "is an archive of NumPy arrays");
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"a.txt", "x"}
    })
                                   .bytes),
                    "but not a PyTorch checkpoint: it has no data.pkl");
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"data.pkl", "\x80\x02N."}
    })
                                   .bytes),
                    "it has no data.pkl");
    EXPECT_MENTIONS(file_error(Zip(Parts{}).bytes), "it has no data.pkl");
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"x/data.pkl", "\x80\x02N."},
                                       { "x/data/0",         "x",            8}
    })
                                   .bytes),
                    "x.pt: zip entry `x/data/0`: is compressed (method 8)");
    EXPECT_MENTIONS(file_error(torch_zip("\x80\x02N.", {}, "big").bytes), "was saved with byte order `big`");
}

// The error for a checkpoint with one tensor.
std::string tensor_error(const std::string& storage, int64_t offset, const std::vector<int64_t>& shape,
                         const std::vector<int64_t>& strides, const std::string& data = std::string(24, 'x')) {
    return file_error(torch_zip(p_dict({
                                    {"w", p_tensor(storage, offset, shape, strides)}
    }),
                                {data})
                          .bytes);
}

TEST(TorchFile, LyingTensors) {
    const std::string six = p_storage("FloatStorage", "0", 6);
    const auto error = [&](int64_t offset, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
        return tensor_error(six, offset, shape, strides);
    };
    constexpr int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
    EXPECT_EQ(error(0, {2, 3}, {3, 1}), "");
    EXPECT_EQ(error(5, {}, {}), "");
    EXPECT_EQ(error(0, {0, most}, {most, most}), "");
    EXPECT_EQ(error(99, {0}, {1}), "") << "nothing is read";
    const char* beyond = "tensor `w`: its shape, strides and offset reach beyond its storage of 6 elements";
    EXPECT_MENTIONS(error(1, {2, 3}, {3, 1}), beyond);
    EXPECT_MENTIONS(error(6, {}, {}), beyond);
    EXPECT_MENTIONS(error(-1, {2}, {1}), beyond);
    EXPECT_MENTIONS(error(least, {2}, {1}), beyond);
    EXPECT_MENTIONS(error(0, {2}, {-1}), beyond);
    EXPECT_MENTIONS(error(5, {2}, {-1}), beyond);
    EXPECT_MENTIONS(error(0, {2, 2}, {most, most}), beyond);
    EXPECT_MENTIONS(error(0, {3}, {most}), beyond);
    EXPECT_MENTIONS(error(0, {most / 32, 2}, {1, 1}), beyond);
    EXPECT_MENTIONS(error(0, {-1}, {1}), "has a dimension of -1");
    EXPECT_MENTIONS(error(0, {least, least}, {1, 1}), "has a dimension of");
    EXPECT_MENTIONS(error(0, {most, most}, {0, 0}), "has an impossible shape");
    EXPECT_MENTIONS(error(0, {2, 3}, {1}), "more sizes than strides or fewer");
    EXPECT_MENTIONS(error(0, std::vector<int64_t>(65, 1), std::vector<int64_t>(65, 1)), "more than 64 dimensions");
}

TEST(TorchFile, LyingStorages) {
    const auto error = [](const std::string& storage, const std::string& data) {
        return tensor_error(storage, 0, {1}, {1}, data);
    };
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "1", 6), std::string(24, 'x')),
                    "tensor `w`: its storage `1` is missing");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", 6), std::string(23, 'x')),
                    "its storage `0` has 23 bytes, but the checkpoint claims 6 elements of 4 bytes");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", 7), std::string(24, 'x')), "has 24 bytes, but");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", int64_t{1} << 62), ""), "has 0 bytes, but");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", -1), ""), "has 0 bytes, but");
    EXPECT_MENTIONS(error(p_storage("ComplexFloatStorage", "0", 1), "1234"), "claims 1 elements of 8 bytes");
    EXPECT_MENTIONS(error(p_storage("UntypedStorage", "0", 4), "1234"), "makes a tensor without a type");
    EXPECT_MENTIONS(error(p_storage("Size", "0", 4), "1234"), "refers to a storage without a type");
    EXPECT_MENTIONS(error(p_storage("NewStorage", "0", 4), "1234"), "refers to a storage without a type");
}

}  // namespace
}  // namespace nib
