// PyTorch checkpoints: every tensor and value as saved, nothing executed, no bad input passes or crashes.
// tests/goldens/make_checkpoint_goldens.py says what the goldens hold.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "core/error.h"
#include "io/checkpoint_source.h"
#include "io/torch_file.h"
#include "io/zip.h"

namespace nib {
namespace {

namespace fs = std::filesystem;
using namespace testing_files;
using namespace std::string_literals;
using Kind = PickleValue::Kind;
using Parts = std::vector<ZipPart>;

#define EXPECT_MENTIONS(message, part) EXPECT_PRED_FORMAT2(testing::IsSubstring, part, message)

template <class Action>
std::string error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "";
}

std::string golden(const std::string& name) {
    const fs::path relative = fs::path("tests/goldens/checkpoints") / name;
    if (fs::exists(relative)) return relative.string();
    return (fs::path(__FILE__).parent_path() / "goldens/checkpoints" / name).string();
}

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
}

std::string file_error(const std::string& bytes) {
    return error_of([&] { TorchFile::parse(std::as_bytes(std::span(bytes)), "x.pt"); });
}

// The error for this pickle by itself.
std::string pickle_error(const std::string& bytes) {
    return error_of([&] { Pickle::parse(std::as_bytes(std::span(bytes)), "x.pt: data.pkl"); });
}

// The error for a pickle that holds `body`.
std::string body_error(const std::string& body) { return pickle_error("\x80\x02" + body + "."); }

std::vector<float> values(const SourceTensor& tensor) {
    std::vector<float> all(static_cast<size_t>(tensor.elements()));
    tensor.read(0, all);
    return all;
}

// (i - 3) / 4
std::vector<float> ramp(size_t count) {
    std::vector<float> all;
    for (size_t i = 0; i < count; ++i) all.push_back((static_cast<float>(i) - 3) / 4);
    return all;
}

std::vector<float> ramp_at(std::initializer_list<int> indices) {
    std::vector<float> all;
    for (const int i : indices) all.push_back((static_cast<float>(i) - 3) / 4);
    return all;
}

class Protocols : public testing::TestWithParam<int> {
protected:
    const std::string path_ = golden("protocol" + std::to_string(GetParam()) + ".pt");
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
    EXPECT_EQ(config.find("dtype")->text(), "torch.bfloat16");
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
        const CheckpointSource source = CheckpointSource::open(golden(name));
        ASSERT_EQ(source.tensors().size(), 2u) << name;
        EXPECT_EQ(source.tensors()[0].name, "weight");
        EXPECT_EQ(values(source.tensor("weight")), ramp(6));
        EXPECT_EQ(values(source.tensor("bias")), ramp(2));
    }
    const std::string tensor = p_tensor(p_storage("FloatStorage", "0", 1), 0, {1}, {1});
    const std::string inner = "}(" + p_text("w") + tensor + "u";
    for (const char* key : {"model", "state_dict", "model_state_dict"}) {
        const std::string bytes = torch_zip(p_dict({
                                                {"loss", tensor},
                                                {key,    inner }
        }),
                                            {"1234"})
                                      .bytes;
        const TorchFile file = TorchFile::parse(std::as_bytes(std::span(bytes)), "x.pt");
        ASSERT_EQ(file.tensors.size(), 1u);
        EXPECT_EQ(file.tensors[0].name, "w");
    }
    EXPECT_MENTIONS(file_error(torch_zip(p_dict({
                                             {"epoch", p_int(3)},
                                             {"net",   inner   }
    }),
                                         {"1234"})
                                   .bytes),
                    "x.pt: holds no state dict: expected tensors by name, or a dict of them under `model`, `state_dict` or "
                    "`model_state_dict`; it holds `epoch`, `net`");
    EXPECT_MENTIONS(file_error(torch_zip("\x80\x02N.", {}).bytes), "it holds no names");
    EXPECT_MENTIONS(file_error(torch_zip(p_dict({
                                             {"w", tensor},
                                             {"w", tensor}
    }),
                                         {"1234"})
                                   .bytes),
                    "`w` is there twice");
}

TEST(TorchFile, Shards) {
    const fs::path folder = fs::temp_directory_path() / ("nib_torch_file_test." + std::to_string(getpid()));
    fs::create_directories(folder);
    fs::copy_file(golden("bare.pt"), folder / "pytorch_model-00001-of-00002.bin");
    const std::string tensor = p_tensor(p_storage("HalfStorage", "0", 2), 0, {2}, {1});
    std::ofstream(folder / "pytorch_model-00002-of-00002.bin", std::ios::binary)
        << torch_zip(p_dict({
                         {"x", tensor}
    }),
                     {std::string("\0\x3c\0\x40", 4)})
               .bytes;
    std::ofstream(folder / "pytorch_model.bin.index.json")
        << R"({"weight_map":{"weight":"pytorch_model-00001-of-00002.bin","x":"pytorch_model-00002-of-00002.bin"}})";
    const CheckpointSource source = CheckpointSource::open(folder.string());
    EXPECT_EQ(source.tensors().size(), 3u);
    EXPECT_EQ(source.root(), nullptr);
    EXPECT_EQ(values(source.tensor("x")), (std::vector<float>{1, 2}));
    EXPECT_EQ(values(source.tensor("bias")), ramp(2));
    fs::remove_all(folder);
}

TEST(TorchFile, ModulesAndOldFormatsAreRefusedByName) {
    EXPECT_MENTIONS(
        error_of([] { CheckpointSource::open(golden("module.pt")); }),
        "module.pt: data.pkl: byte 2: wants to import or call `torch.nn.modules.linear.Linear`, which nib refuses");
    EXPECT_MENTIONS(
        error_of([] { CheckpointSource::open(golden("legacy.pt")); }),
        "legacy.pt: has the format of PyTorch before 1.6: load it with a newer PyTorch and torch.save it again");
}

TEST(TorchFile, ArchivesOfOtherKinds) {
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"x/data.pkl",      "\x80\x02N."},
                                       {"x/constants.pkl", ""          }
    })
                                   .bytes),
                    "is a TorchScript archive");
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"a.npy", "x"}
    })
                                   .bytes),
                    "but not a PyTorch checkpoint: it has no data.pkl");
    EXPECT_MENTIONS(file_error(Zip(Parts{
                                       {"data.pkl", "\x80\x02N."}
    })
                                   .bytes),
                    "it has no data.pkl");
    EXPECT_MENTIONS(file_error(Zip(Parts{}).bytes), "it has no data.pkl");
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
                    "tensor `w`: its data `data/1` are missing in the archive");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", 6), std::string(23, 'x')),
                    "its data `data/0` have 23 bytes, but the checkpoint claims 6 elements of 4 bytes");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", 7), std::string(24, 'x')), "have 24 bytes, but");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", int64_t{1} << 62), ""), "have 0 bytes, but");
    EXPECT_MENTIONS(error(p_storage("FloatStorage", "0", -1), ""), "have 0 bytes, but");
    EXPECT_MENTIONS(error(p_storage("UntypedStorage", "0", 4), "1234"), "makes a tensor without a type");
    EXPECT_MENTIONS(error(p_storage("Size", "0", 4), "1234"), "refers to a storage without a type");
}

// ---- zip archives ----

TEST(Zip, EntriesAndComments) {
    Zip zip({
        {"a",  "first"},
        {"b/", ""     },
        {"c",  ""     }
    });
    zip.set(zip.end + 20, uint16_t{7}).bytes += "comment";
    const auto archive = ZipArchive::parse(std::as_bytes(std::span(zip.bytes)), "x.zip");
    EXPECT_EQ(archive.entries().size(), 3u);
    EXPECT_EQ(archive.find("a")->data.size(), 5u);
    EXPECT_EQ(archive.find("aa"), nullptr);
    EXPECT_EQ(archive.find("0"), nullptr);
}

// `change` damages a sound archive of two entries.
template <class Change>
std::string zip_error(Change&& change) {
    Zip zip({
        {"a", "first",  0, 0},
        {"b", "second", 0, 0}
    });
    change(zip);
    const std::vector<char> copy(zip.bytes.begin(), zip.bytes.end());
    return error_of([&] { ZipArchive::parse(std::as_bytes(std::span(copy)), "x.zip"); });
}

TEST(Zip, DamagedDirectory) {
    EXPECT_EQ(zip_error([](Zip&) {}), "");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes += "x"; }), "x.zip: zip archive: it has no end-of-directory record");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes.clear(); }), "it has no end");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes.insert(0, "x"); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.bytes.insert(z.end, "x"); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 4, uint16_t{1}); }), "is split over several files");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 8, uint16_t{1}); }), "is split over several files");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 8, 0x00010001); }), "the directory is longer than its entries");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 8, 0xFFFFFFFFu); }), "claims impossibly many entries");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 12, 0xFFFFFFFFu); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.end + 16, 0xFFFFFFFFu); }), "its directory is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1], 0); }), "its directory is broken");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 28, uint16_t{2}); }), "its directory is broken");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 32, uint16_t{0xFFFF}); }), "its directory is broken");
}

TEST(Zip, DamagedEntries) {
    const auto both = [](Zip& z, size_t at, auto value) {  // in the local header and in the directory
        z.set(z.local[1] + at, value).set(z.central[1] + at + 2, value);
    };
    EXPECT_MENTIONS(zip_error([&](Zip& z) { both(z, 8, uint16_t{8}); }), "x.zip: zip entry `b`: is compressed (method 8)");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { both(z, 6, uint16_t{1}); }), "zip entry `b`: is encrypted");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { both(z, 18, 5); }), "has two sizes though it is not compressed");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 42, 0x7FFFFFFF); }), "is not where the directory says");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 42, uint32_t(z.local[1] + 1)); }), "is not where");
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.central[1] + 42, uint32_t(z.central[0] - 29)); }), "is not where");
    const auto sizes = [&](Zip& z, uint32_t size) {
        both(z, 18, size);
        both(z, 22, size);
    };
    EXPECT_MENTIONS(zip_error([&](Zip& z) { sizes(z, 7); }), "lies beyond the end of the file");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { sizes(z, 0xFFFFFFFE); }), "lies beyond the end of the file");
    EXPECT_MENTIONS(zip_error([&](Zip& z) { sizes(z, 0xFFFFFFFF); }), "its zip64 sizes are missing");
    EXPECT_EQ(zip_error([&](Zip& z) { sizes(z, 5); }), "");
    const char* contradict = "the directory and the entry's own header contradict each other";
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 22, 5); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 18, 0); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 14, 1); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 8, uint16_t{8}); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 30, 'c'); }), contradict);
    EXPECT_MENTIONS(zip_error([](Zip& z) { z.set(z.local[1] + 28, uint16_t{0xFFFF}); }), "lies beyond the end");
    EXPECT_MENTIONS(zip_error([](Zip& z) {
                        z.set(z.central[1] + 42, uint32_t(z.local[0]));
                        z.set(z.local[0] + 30, 'b');
                        z.set(z.central[1] + 20, 5).set(z.central[1] + 24, 5).set(z.central[0] + 46, 'b');
                    }),
                    "overlaps another entry");
    EXPECT_MENTIONS(zip_error([&](Zip& z) {
                        z.set(z.local[0] + 18, 11).set(z.local[0] + 22, 11);
                        z.set(z.central[0] + 20, 11).set(z.central[0] + 24, 11);
                    }),
                    "zip entry `b`: overlaps another entry");
    EXPECT_MENTIONS(zip_error([](Zip& z) {
                        z = Zip(Parts{
                            {"a", "x"},
                            {"a", "y"}
                        });
                    }),
                    "zip entry `a` is there twice");
}

TEST(Zip, DamagedZip64) {
    const std::string bytes = read_file(golden("bare.pt"));  // PyTorch always writes the zip64 records
    const size_t end = bytes.size() - 22, locator = end - 20, end64 = locator - 56;
    ASSERT_EQ(bytes.substr(end64, 4), "PK\6\6");
    const auto error = [&](size_t at, auto value) {
        std::string copy = bytes;
        copy.replace(at, sizeof value, raw(value));
        return file_error(copy);
    };
    EXPECT_EQ(error(end + 16, 0xFFFFFFFFu), "");
    EXPECT_EQ(error(end + 10, uint16_t{0xFFFF}), "");
    EXPECT_MENTIONS(error(end + 10, uint16_t{1}), "contradict each other");
    EXPECT_MENTIONS(error(end + 12, 1), "contradict each other");
    EXPECT_MENTIONS(error(locator + 8, uint64_t{0}), "is not where its locator says");
    EXPECT_MENTIONS(error(locator + 8, ~uint64_t{0}), "is not where its locator says");
    EXPECT_MENTIONS(error(end64 + 4, ~uint64_t{0}), "is not where its locator says");
    EXPECT_MENTIONS(error(end64 + 20, 1), "is split over several files");
    EXPECT_MENTIONS(error(end64 + 24, ~uint64_t{0}), "is split over several files");
    std::string many = bytes;
    many.replace(end64 + 24, 16, raw(~uint64_t{0}) + raw(~uint64_t{0}));
    many.replace(end + 8, 4, raw(0xFFFFFFFFu));
    EXPECT_MENTIONS(file_error(many), "impossibly many entries");
    many = bytes;
    many.replace(end64 + 40, 16, raw(~uint64_t{0}) + raw(uint64_t{2}));
    many.replace(end + 12, 8, raw(~uint64_t{0}));
    EXPECT_MENTIONS(file_error(many), "its directory is not where");
}

TEST(Zip, Sizes64) {
    // An entry as it is written beyond 4 GiB: the numbers of the directory are in an extra field, after one that is
    // unknown.
    const auto made = [](uint64_t size, uint64_t offset) {
        Zip zip(Parts{
            {"a", "first" },
            {"b", "second"}
        });
        const std::string extra = raw<uint16_t>(0x5A5A) + raw<uint16_t>(2) + "zz" + raw<uint16_t>(1) + raw<uint16_t>(24) +
                                  raw(size) + raw(size) + raw(offset);
        zip.set(zip.local[1] + 18, ~uint64_t{0});
        zip.set(zip.central[1] + 20, ~uint64_t{0}).set(zip.central[1] + 42, ~uint32_t{0});
        zip.set(zip.central[1] + 30, static_cast<uint16_t>(extra.size()));
        zip.set(zip.end + 12, static_cast<uint32_t>(zip.end - zip.central[0] + extra.size()));
        zip.bytes.insert(zip.central[1] + 46 + 1, extra);
        return zip;
    };
    const uint64_t offset = made(0, 0).local[1];
    const Zip zip = made(6, offset);
    const auto archive = ZipArchive::parse(std::as_bytes(std::span(zip.bytes)), "x.zip");
    const auto data = archive.find("b")->data;
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(data.data()), data.size()), "second");
    const auto error = [](const Zip& damaged) {
        return error_of([&] { ZipArchive::parse(std::as_bytes(std::span(damaged.bytes)), "x.zip"); });
    };
    EXPECT_MENTIONS(error(made(~uint64_t{0}, offset)), "lies beyond the end of the file");
    EXPECT_MENTIONS(error(made(6, ~uint64_t{0})), "is not where the directory says");
    Zip shorter = made(6, offset);
    shorter.set(shorter.central[1] + 47 + 8, uint16_t{23});
    EXPECT_MENTIONS(error(shorter), "its zip64 sizes are missing");
    shorter.set(shorter.central[1] + 47 + 8, uint16_t{25});
    EXPECT_MENTIONS(error(shorter), "its zip64 sizes are missing");
}

// ---- pickles ----

TEST(Pickle, ImportsAndCallsAreRefusedByName) {
    const auto refused = [](const std::string& body, const std::string& name) {
        EXPECT_MENTIONS(body_error(body), "wants to import or call `" + name + "`, which nib refuses");
    };
    refused(p_global("os", "system") + p_text("rm -rf /") + "\x85R", "os.system");
    refused(p_global("builtins", "eval"), "builtins.eval");
    refused(p_global("builtins", "getattr"), "builtins.getattr");
    refused(p_global("__builtin__", "exec"), "__builtin__.exec");
    refused(p_global("copyreg", "_reconstructor"), "copyreg._reconstructor");
    refused(p_global("copy_reg", "_reconstructor"), "copy_reg._reconstructor");
    refused(p_global("torch", "load"), "torch.load");
    refused(p_global("torch._utils", "_rebuild_sparse_tensor"), "torch._utils._rebuild_sparse_tensor");
    refused(p_global("torch.FloatStorage", ""), "torch.FloatStorage.");
    refused(p_global("", "torch.FloatStorage"), ".torch.FloatStorage");
    refused(p_global("numpy.core.multiarray", "scalar"), "numpy.core.multiarray.scalar");
    refused(p_global("a\x1b[2J", "b"), "a\\x1B[2J.b");
    refused(p_text("os") + p_text("system") + "\x93", "os.system");
    refused("(" + p_text("ls") + "ios\nsystem\n", "os.system");
    refused("(" + p_global("torch", "float32") + "o", "a class of the stack");
    refused(p_global("torch", "float32") + ")R", "torch.float32");
    refused(p_global("torch", "FloatStorage") + ")R", "torch.FloatStorage");
    refused(p_global("argparse", "Namespace") + ")R", "argparse.Namespace");
    refused(p_global("collections", "OrderedDict") + ")\x81", "collections.OrderedDict");
    refused(p_global("argparse", "Namespace") + ")}\x92", "argparse.Namespace");
    refused("N)}\x92", "a class with keyword arguments");
    refused("\x82\x01", "a registered extension");
    refused("Pid\n", "a persistent object by its text");
    EXPECT_MENTIONS(file_error(torch_zip("\x80\x02" + p_global("posix", "system") + ".", {}).bytes),
                    "x.pt: data.pkl: byte 2: wants to import or call `posix.system`");
}

TEST(Pickle, KnownCallsWithOtherArguments) {
    const auto strange = [](const std::string& body, const std::string& name) {
        EXPECT_MENTIONS(body_error(body), "calls `" + name + "` with arguments that PyTorch does not give it");
    };
    strange(p_global("collections", "OrderedDict") + "]\x85R", "collections.OrderedDict");
    strange(p_global("argparse", "Namespace") + "N\x85\x81", "argparse.Namespace");
    strange(p_global("__builtin__", "set") + "N\x85R", "__builtin__.set");
    strange(p_global("__builtin__", "bytes") + "N\x85R", "__builtin__.bytes");
    strange(p_global("_codecs", "encode") + p_text("a") + p_text("rot13") + "\x86R", "_codecs.encode");
    strange(p_global("torch", "Size") + "N\x85R", "torch.Size");
    strange(p_global("torch._utils", "_rebuild_tensor_v2") + ")R", "torch._utils._rebuild_tensor_v2");
    strange(p_global("torch._utils", "_rebuild_tensor_v3") + ")R", "torch._utils._rebuild_tensor_v3");
    strange(p_global("torch._utils", "_rebuild_parameter") + "NNN\x87R", "torch._utils._rebuild_parameter");
}

TEST(Pickle, Damaged) {
    const std::pair<std::string, const char*> cases[] = {
        {"",                                     "takes a value from an empty stack"                      },
        {"0",                                    "takes a value from an empty stack"                      },
        {"2",                                    "takes a value from an empty stack"                      },
        {"q\x01",                                "takes a value from an empty stack"                      },
        {"N(\x85",                               "takes a value from an empty stack"                      }, // not below a mark
        {"](a",                                  "takes a value from an empty stack"                      },
        {"(u",                                   "takes a value from an empty stack"                      },
        {"}((u",                                 "takes a value from an empty stack"                      },
        {"t",                                    "needs a mark"                                           },
        {"1",                                    "needs a mark"                                           },
        {"u",                                    "needs a mark"                                           },
        {"}(Nu",                                 "sets a key without a value"                             },
        {")NNs",                                 "sets an item of what is not a dict"                     },
        {")Na",                                  "appends to what is not a list"                          },
        {"}(Ne",                                 "appends to what is not a list"                          },
        {"h\x01",                                "recalls a value that was never remembered"              },
        {"j\xff\xff\xff\xff",                    "recalls a value that was never remembered"              },
        {"Nr\xff\xff\xff\xff",                   "remembers a value under an impossible number"           },
        {"NN\x93",                               "imports what is not a name"                             },
        {"NNR",                                  "calls what is not a function"                           },
        {"N)R",                                  "calls what is not a function"                           },
        {p_global("torch",                       "Size") + "NR",                                            "without a tuple of arguments"},
        {"NQ",                                      "refers to something that is no storage"                                                                                           },
        {")Q",                                      "refers to something that is no storage"},
        {"(NNNNNtQ",                                      "refers to something that is no storage"                                                                                     },
        {"N}b",                                      "gives a state to what has none"     },
        {p_global("argparse",                                      "Namespace") + ")\x81Nb",                                                                        "a state that is not a dict"},
        {p_global("torch._utils",          "_rebuild_tensor_v2") + "(NNNNNNtR","makes a tensor of something that is no storage"},
        {"I1\n","has opcode 0x49, which PyTorch does not write"       },
        {"\xff",                                 "has opcode 0xff"                                                 },
        {"X\xff\xff\xff\xff",                                 "reaches beyond the end of the pickle"                                        },
        {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",                    "reaches beyond the end of the pickle"      },
        {"\x8b\xff\xff\xff\xff", "reaches beyond the end of the pickle"},
        {"cos",                 "reaches beyond the end of the pickle"                                   },
        {"N.N",                                  "goes on after its end"                                    },
    };
    for (const auto& [body, part] : cases) {
        EXPECT_MENTIONS(body_error(body), part) << testing::PrintToString(body);
        EXPECT_MENTIONS(body_error(body), "x.pt: data.pkl: byte ") << testing::PrintToString(body);
    }
    EXPECT_MENTIONS(pickle_error(""), "does not begin as a pickle");
    EXPECT_MENTIONS(pickle_error("N."), "does not begin as a pickle");
    EXPECT_MENTIONS(pickle_error(std::string("\x80\x01N.")), "is a pickle of protocol 1");
    EXPECT_MENTIONS(pickle_error(std::string("\x80\x06N.")), "is a pickle of protocol 6");
    EXPECT_MENTIONS(pickle_error(std::string(16'777'217, 'N')), "has 16777217 bytes, more than 16777216");
}

TEST(Pickle, StrangeTensors) {
    const std::string make =
        p_global("torch._utils", "_rebuild_tensor_v2") + "(" + p_storage("FloatStorage", "0", 1) + "K\0"s;
    const auto error = [&](const std::string& shape_and_strides) {
        return body_error(make + shape_and_strides + "\x89NtR");
    };
    EXPECT_EQ(error("))"), "");
    EXPECT_MENTIONS(error("])"), "whose shape is not a tuple");
    EXPECT_MENTIONS(error("N\x85N\x85"), "whose shape is not of integers");
    EXPECT_MENTIONS(error("\x88\x85\x88\x85"), "whose shape is not of integers");
    EXPECT_MENTIONS(error("K\x01\x85)"), "more sizes than strides or fewer");
    const std::string third =
        p_global("torch._utils", "_rebuild_tensor_v3") + "(" + p_storage("UntypedStorage", "0", 1) + "K\0))\x89N"s;
    EXPECT_EQ(body_error(third + p_global("torch", "float32") + "tR"), "");
    EXPECT_MENTIONS(body_error(third + "NtR"), "makes a tensor of what is no type");
    EXPECT_MENTIONS(body_error(third + p_global("torch", "Size") + "tR"), "makes a tensor of what is no type");
}

TEST(Pickle, AnyDepthAndCyclesAreFine) {
    constexpr size_t depth = 1'000'000;
    const std::string nested = "\x80\x02" + std::string(depth, ']') + std::string(depth - 1, 'a') + ".";
    const Pickle pickle = Pickle::parse(std::as_bytes(std::span(nested)), "x");
    size_t levels = 1;
    for (const PickleValue* at = &pickle.root(); !at->elements().empty(); at = at->elements()[0]) ++levels;
    EXPECT_EQ(levels, depth);
    EXPECT_EQ(body_error("N" + std::string(depth, '\x85')), "");
    EXPECT_EQ(body_error(std::string(depth, '(') + "N"), "");
    const std::string cycle =
        "\x80\x02]q\x01h\x01"
        "a.";
    const Pickle circle = Pickle::parse(std::as_bytes(std::span(cycle)), "x");
    EXPECT_EQ(circle.root().elements()[0], &circle.root());
}

TEST(Pickle, SharedValuesAreNotCopied) {
    // Each level holds the one below twice: 2^200 leaves if they were copied.
    std::string body = "]";
    for (int i = 0; i < 200; ++i)
        body +=
            "q\x01"
            "0]h\x01"
            "ah\x01"
            "a";
    EXPECT_EQ(body_error(body), "");
    // A large tuple, as the shape or state of many things.
    std::string big = "(" + std::string(100'000, 'N') +
                      "tq\x01"
                      "0";
    for (int i = 0; i < 100'000; ++i) big += p_global("torch", "Size") + "h\x01\x85R0";
    EXPECT_EQ(body_error(big + "N"), "");
}

TEST(Pickle, LastOfSeveralKeysCounts) {
    const std::string bytes = p_dict({
        {"a", p_int(1)},
        {"b", p_int(2)},
        {"a", p_int(3)}
    });
    const Pickle pickle = Pickle::parse(std::as_bytes(std::span(bytes)), "x");
    EXPECT_EQ(pickle.root().find("a")->integer(), 3);
    EXPECT_EQ(pickle.root().find("b")->integer(), 2);
}

}  // namespace
}  // namespace nib
