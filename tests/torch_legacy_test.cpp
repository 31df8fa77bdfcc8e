// PyTorch's format before 1.6: every tensor as saved, no bad input passes or crashes.
// tests/goldens/make_pickle_goldens.py says what the goldens hold.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/checkpoint_source.h"
#include "io/torch_container.h"
#include "io/torch_file.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;

std::string legacy_error(const std::string& bytes) {
    return error_of([&] { TorchFile::parse(std::as_bytes(std::span(bytes)), "x.bin"); });
}

class TorchLegacy : public testing::TestWithParam<int> {
protected:
    const std::string path_ = golden("checkpoints/legacy" + std::to_string(GetParam()) + ".pt");
};
INSTANTIATE_TEST_SUITE_P(Protocols, TorchLegacy, testing::Values(2, 4));

TEST_P(TorchLegacy, Tensors) {
    const CheckpointSource source = CheckpointSource::open(path_);
    for (const char* name : {"float64", "float32", "float16", "bfloat16"}) {
        EXPECT_EQ(source.tensor(name).shape, (std::vector<int64_t>{2, 3})) << name;
        EXPECT_EQ(values(source.tensor(name)), ramp(6)) << name;
    }
    EXPECT_EQ(values(source.tensor("scalar")), std::vector<float>{2.5f});
    EXPECT_EQ(source.tensor("empty").shape, (std::vector<int64_t>{0, 4}));
    EXPECT_EQ(values(source.tensor("parameter")), ramp(5));
    EXPECT_EQ(values(source.tensor("base")), ramp(24));
    EXPECT_EQ(source.tensor("shared").data.data(), source.tensor("base").data.data());
    EXPECT_EQ(values(source.tensor("transposed").transposed()), ramp(24));
    EXPECT_EQ(values(source.tensor("slice")), (std::vector<float>{1.25f, 1.5f, 1.75f, 2.75f, 3.0f, 3.25f}));
    EXPECT_FALSE(source.tensor("int64").readable());
    EXPECT_MENTIONS(error_of([&] { values(source.tensor("complex")); }), "has type torch.ComplexFloatStorage");
    EXPECT_EQ(source.find("version"), nullptr) << "no tensor";
    EXPECT_EQ(source.root()->find("epoch")->integer(), 3);
    EXPECT_EQ(source.root()->find("config")->find("n_head")->integer(), 4);
}

TEST_P(TorchLegacy, TruncatedAnywhere) {
    const std::string bytes = read_file(path_);
    ASSERT_GT(bytes.size(), 2000u);
    for (size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<char> copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));  // exact for ASan
        EXPECT_NE(error_of([&] { TorchFile::parse(std::as_bytes(std::span(copy)), "x.pt"); }), "") << size;
    }
}

TEST(TorchLegacyFile, BareStateDict) {
    const CheckpointSource source = CheckpointSource::open(golden("checkpoints/legacy.pt"));
    ASSERT_EQ(source.tensors().size(), 2u);
    EXPECT_EQ(values(source.tensor("weight")), ramp(6));
    EXPECT_EQ(values(source.tensor("bias")), ramp(2));
}

TEST(TorchLegacyFile, ModulesAreRefusedByName) {
    EXPECT_MENTIONS(error_of([] { CheckpointSource::open(golden("checkpoints/legacy_module.pt")); }),
                    "legacy_module.pt: what was saved is made by `net.Model`, which nib does not know and never calls");
    EXPECT_MENTIONS(error_of([] { CheckpointSource::open(golden("checkpoints/legacy_module.pt")); }),
                    "save model.state_dict()");
}

// A pickle of a dict with one tensor "w".
std::string one(const std::string& storage, int64_t offset = 0, const std::vector<int64_t>& shape = {2}) {
    return p_dict({
        {"w", p_tensor(storage, offset, shape, std::vector<int64_t>(shape.size(), 1))}
    });
}

std::string elements(int64_t count, const std::string& data) { return raw(count) + data; }

TEST(TorchLegacyFile, Storages) {
    const std::string two = one(p_old_storage("HalfStorage", "7", 2));
    const std::string data = "\x00\x3c\x00\x40"s;
    EXPECT_EQ(legacy_error(torch_legacy(two, {"7"}, elements(2, data))), "");
    EXPECT_EQ(legacy_error(torch_legacy(two, {"7"}, elements(2, data) + "another file")), "") << "as PyTorch has it";
    EXPECT_MENTIONS(legacy_error(torch_legacy(two, {}, "")), "x.bin: tensor `w`: its storage `7` is missing");
    EXPECT_MENTIONS(legacy_error(torch_legacy(two, {"8"}, elements(2, data))),
                    "x.bin: storage `8`: is one that nothing refers to");
    EXPECT_MENTIONS(legacy_error(torch_legacy(two, {"7", "7"}, elements(2, data) + elements(2, data))),
                    "x.bin: storage `7`: is there twice");
    EXPECT_MENTIONS(legacy_error(torch_legacy(two, {"7"}, "1234567")),
                    "x.bin: storage `7`: is not there; the file is trunc");
    EXPECT_MENTIONS(legacy_error(torch_legacy(two, {"7"}, elements(2, "123"))), "its 2 elements of 2 bytes reach beyond");
    for (const int64_t count : {int64_t{3}, int64_t{-1}, int64_t{0}, std::numeric_limits<int64_t>::max()}) {
        EXPECT_MENTIONS(legacy_error(torch_legacy(two, {"7"}, elements(count, data))), "but the object refers to one of 2");
    }
    for (const int64_t count : {int64_t{1} << 62, std::numeric_limits<int64_t>::max()}) {
        EXPECT_MENTIONS(
            legacy_error(torch_legacy(one(p_old_storage("HalfStorage", "7", count)), {"7"}, elements(count, data))),
            "reach beyond the end of the file");
    }
    EXPECT_MENTIONS(legacy_error(torch_legacy(one(p_old_storage("HalfStorage", "7", -1)), {"7"}, elements(-1, data))),
                    "has -1 elements");
    EXPECT_MENTIONS(legacy_error(torch_legacy(one(p_old_storage("HalfStorage", "7", 2), 1), {"7"}, elements(2, data))),
                    "reach beyond its storage of 2 elements");
    const std::string differ = p_dict({
        {"v", p_tensor(p_old_storage("FloatStorage", "7", 2), 0, {2}, {1})},
        {"w", p_tensor(p_old_storage("HalfStorage",  "7", 2), 0, {2}, {1})}
    });
    EXPECT_MENTIONS(legacy_error(torch_legacy(differ, {"7"}, elements(2, data))),
                    "refers to storage `7` as two that differ");
}

// Before PyTorch 0.4 a storage could be a part of another one.
TEST(TorchLegacyFile, PartsOfStorages) {
    const std::string data = raw(1.0f) + raw(2.0f) + raw(3.0f) + raw(4.0f);
    const auto file = [&](int64_t first, int64_t used) {
        const std::string view = "(" + p_text("8") + p_int(first) + p_int(used) + "t";
        return torch_legacy(one(p_old_storage("FloatStorage", "7", 4, view)), {"7"}, elements(4, data));
    };
    const std::string bytes = file(1, 2);
    const TorchFile torch = TorchFile::parse(std::as_bytes(std::span(bytes)), "x.bin");
    EXPECT_EQ(values(torch.tensors.at(0)), (std::vector<float>{2, 3}));
    EXPECT_EQ(legacy_error(file(2, 2)), "");
    EXPECT_MENTIONS(legacy_error(file(1, 1)), "reach beyond its storage of 1 elements");
    constexpr int64_t most = std::numeric_limits<int64_t>::max();
    for (const auto& [first, used] : {
             std::pair<int64_t, int64_t>{3,    2   },
              {-1,   2   },
              {5,    0   },
              {0,    -1  },
              {most, most},
              {1,    most}
    }) {
        EXPECT_MENTIONS(legacy_error(file(first, used)),
                        "its storage `7` is a part of one of 4 elements, but reaches beyond it");
    }
}

// As PyTorch 0.3 under Python 2 wrote it.
TEST(TorchLegacyFile, Python2) {
    const std::string ordered = p_global("collections", "OrderedDict");
    const std::string storage = "(U\7storage"s + p_global("torch", "FloatStorage") + "U\1aU\3cpuK\2NtQ";
    const std::string tensor =
        p_global("torch._utils", "_rebuild_tensor_v2") + "(" + storage + "K\0K\2\x85K\1\x85\x89"s + ordered + "]\x85RtR";
    const std::string old = p_global("torch._utils", "_rebuild_tensor") + "(" + storage + "K\0K\2\x85K\1\x85tR"s;
    for (const std::string& made : {tensor, old}) {
        const std::string object = "\x80\x02" + ordered + "]](U\1w" + made + "ea\x85R.";
        const std::string bytes = torch_legacy(object, {"a"}, elements(2, raw(1.5f) + raw(2.5f)));
        const TorchFile torch = TorchFile::parse(std::as_bytes(std::span(bytes)), "x.bin");
        ASSERT_EQ(torch.tensors.size(), 1u);
        EXPECT_EQ(torch.tensors[0].name, "w");
        EXPECT_EQ(values(torch.tensors[0]), (std::vector<float>{1.5f, 2.5f}));
    }
}

TEST(TorchLegacyFile, HeadsOfOtherKinds) {
    const std::string object = one(p_old_storage("FloatStorage", "a", 2)), data = elements(2, "12345678");
    const std::string good = torch_legacy(object, {"a"}, data);
    EXPECT_EQ(legacy_error(good), "");
    EXPECT_MENTIONS(legacy_error(torch_legacy(object, {"a"}, data, "\x89")), "was saved on a big-endian machine");
    EXPECT_EQ(legacy_error(torch_legacy(object, {"a"}, data, "N")), "");
    std::string version = good;
    version[18] = '\0';
    EXPECT_MENTIONS(legacy_error(version), "has another version of PyTorch's format before 1.6 than 1001");
    const std::string magic = good.substr(0, 15);
    EXPECT_TRUE(is_torch_legacy(std::as_bytes(std::span(magic))));
    EXPECT_MENTIONS(legacy_error(magic), "x.bin: version: byte 0: does not begin as a pickle");
    EXPECT_MENTIONS(legacy_error(magic + "\x80\x02N."), "has another version");
    for (const std::string& other : {""s, "\x80"s, "\x80\x02"s, "\x80\x02\x95"s, "\x80\x02\x95\1\0\0\0\0\0\0\0"s,
                                     "\x80\x02\x8a\x0a\x6c\xfc"s, good.substr(1)}) {
        EXPECT_FALSE(is_torch_legacy(std::as_bytes(std::span(other))));
    }
    std::string keys = torch_legacy(object, {}, "");
    keys = keys.substr(0, keys.size() - 4) + "N.";
    EXPECT_MENTIONS(legacy_error(keys), "has no list of storages");
    EXPECT_MENTIONS(legacy_error(torch_legacy(one(p_old_storage("NewStorage", "a", 2)), {"a"}, data)),
                    "x.bin: object: byte ");
}

}  // namespace
}  // namespace nib
