// Objects beside the weights of a PyTorch checkpoint, and tensors that only code could make.
// tests/goldens/make_pickle_goldens.py says what the goldens hold.
#include <gtest/gtest.h>

#include <string>

#include "checkpoint_files.h"
#include "io/checkpoint_source.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;
using Kind = PickleValue::Kind;

class Objects : public testing::TestWithParam<int> {
protected:
    const CheckpointSource source_ =
        CheckpointSource::open(golden("checkpoints/objects" + std::to_string(GetParam()) + ".pt"));
    const PickleValue& root_ = *source_.root();
    const PickleValue& objects_ = *root_.find("objects");

    void expect_object(const char* key, const char* maker, bool holds_weights = false) const {
        const PickleValue* value = objects_.find(key);
        ASSERT_NE(value, nullptr) << key;
        EXPECT_EQ(value->kind(), Kind::Object) << key;
        EXPECT_EQ(value->name(), maker) << key;
        EXPECT_EQ(value->holds_weights(), holds_weights) << key;
    }
};
INSTANTIATE_TEST_SUITE_P(Protocols, Objects, testing::Values(2, 3, 4, 5));

TEST_P(Objects, WeightsAreRead) {
    ASSERT_EQ(source_.tensors().size(), 2u);
    EXPECT_EQ(values(source_.tensor("weight")), ramp(6));
    EXPECT_EQ(values(source_.tensor("bias")), ramp(2));
    EXPECT_TRUE(source_.notes().empty());
}

TEST_P(Objects, AttributesCanBeRead) {
    const PickleValue& config = *root_.find("config");
    EXPECT_EQ(config.kind(), Kind::Object);
    EXPECT_EQ(config.name(), "__main__.GPTConfig");
    EXPECT_EQ(config.find("n_layer")->integer(), 2);
    EXPECT_EQ(config.find("n_head")->integer(), 4);
    EXPECT_EQ(config.find("bias")->boolean(), false);
    EXPECT_EQ(config.find("absent"), nullptr);
    const auto heads = [&](const char* key) { return objects_.find(key)->find("n_head")->integer(); };
    EXPECT_EQ(heads("namespace"), 2);
    EXPECT_EQ(heads("simple"), 1);
    EXPECT_EQ(heads("attr_dict"), 3);
    EXPECT_EQ(heads("slots"), 5);
    EXPECT_EQ(heads("slots_and_dict"), 5);
    EXPECT_EQ(objects_.find("slots_and_dict")->find("n_embd")->integer(), 7);
    EXPECT_EQ(heads("custom"), 8);
    EXPECT_EQ(objects_.find("custom")->find("key")->integer(), 9);
    EXPECT_EQ(objects_.find("nested")->find("list")->elements()[0]->find("n_head")->integer(), 6);
    EXPECT_EQ(objects_.find("loop")->find("itself"), objects_.find("loop"));
    EXPECT_EQ(objects_.find("default_dict")->find("a")->elements()[0]->integer(), 1);
    EXPECT_EQ(objects_.find("counter")->find("a")->integer(), 2);
}

TEST_P(Objects, OthersArePassedOver) {
    for (const auto& [key, maker] : {
             std::pair{"namespace",    "argparse.Namespace"           },
             {"simple",       "types.SimpleNamespace"        },
             {"names",        "__main__.Names"               },
             {"custom",       "__main__.make_custom"         },
             {"enum",         "__main__.Color"               },
             {"partial",      "functools.partial"            },
             {"path",         "pathlib.PurePosixPath"        },
             {"date",         "datetime.date"                },
             {"now",          "datetime.datetime"            },
             {"zone",         "datetime.datetime"            },
             {"delta",        "datetime.timedelta"           },
             {"device",       "torch.device"                 },
             {"default_dict", "collections.defaultdict"      },
             {"counter",      "collections.Counter"          },
             {"deque",        "collections.deque"            },
             {"chain",        "collections.ChainMap"         },
             {"decimal",      "decimal.Decimal"              },
             {"fraction",     "fractions.Fraction"           },
             {"uuid",         "uuid.UUID"                    },
             {"pattern",      "re._compile"                  },
             {"float64",      "numpy._core.multiarray.scalar"},
             {"int64",        "numpy._core.multiarray.scalar"},
             {"numpy_dtype",  "numpy.dtype"                  }
    }) {
        expect_object(key, maker);
    }
    expect_object("new_ex", GetParam() < 4 ? "functools.partial" : "__main__.WithNew");
    expect_object("array", GetParam() < 5 ? "numpy._core.multiarray._reconstruct" : "numpy._core.numeric._frombuffer",
                  true);
    EXPECT_EQ(objects_.find("class")->name(), "__main__.GPTConfig");
    EXPECT_EQ(objects_.find("class")->kind(), Kind::Global);
    EXPECT_EQ(objects_.find("function")->kind(), Kind::Global);
    EXPECT_EQ(objects_.find("dtype")->name(), "torch.bfloat16");
    EXPECT_EQ(objects_.find("set")->elements()[0]->integer(), 1);
    EXPECT_EQ(objects_.find("frozen")->elements()[0]->integer(), 1);
    EXPECT_EQ(objects_.find("ordered")->find("a")->integer(), 1);
    EXPECT_EQ(root_.find("optimizer_itself")->name(), "torch.optim.adamw.AdamW");
    EXPECT_TRUE(root_.find("optimizer_itself")->holds_weights());
    EXPECT_EQ(root_.find("criterion")->name(), "torch.nn.modules.loss.CrossEntropyLoss");
    EXPECT_EQ(root_.find("optimizer")->find("param_groups")->elements().size(), 1u);
}

TEST(TensorForms, KnownOnesAreRead) {
    const CheckpointSource source = CheckpointSource::open(golden("checkpoints/tensors.pt"));
    for (const char* name : {"plain", "attributed", "parameter", "buffer"}) {
        EXPECT_EQ(values(source.tensor(name)), ramp(3)) << name;
    }
    EXPECT_EQ(source.find("note"), nullptr) << "no tensor";
    EXPECT_MENTIONS(error_of([&] { values(source.tensor("complex")); }), "has type torch.ComplexFloatStorage");
}

TEST(TensorForms, OthersAreListedAndRefusedByName) {
    const CheckpointSource source = CheckpointSource::open(golden("checkpoints/tensors.pt"));
    for (const auto& [name, maker] : {
             std::pair{"subclass",              "__main__.MyTensor"                           },
             {"parameter_of_subclass", "__main__.MyTensor"                           },
             {"quantized",             "torch._utils._rebuild_qtensor"               },
             {"sparse",                "torch._utils._rebuild_sparse_tensor"         },
             {"nested",                "__main__.GPTConfig"                          },
             {"meta",                  "torch._utils._rebuild_meta_tensor_no_storage"},
    }) {
        EXPECT_FALSE(source.tensor(name).readable()) << name;
        EXPECT_TRUE(source.tensor(name).shape.empty()) << name;
        const SourceTensor& tensor = source.tensor(name);
        EXPECT_MENTIONS(error_of([&] { values(tensor); }), "tensors.pt: tensor `" + std::string(name) + "`: is made by `" +
                                                               maker + "`, which nib does not know");
    }
    EXPECT_MENTIONS(error_of([&] { values(source.tensor("array")); }), "tensor `array`: is a NumPy array");
}

}  // namespace
}  // namespace nib
