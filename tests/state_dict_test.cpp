// Which of a checkpoint's dicts is taken for the weights.
#include "io/state_dict.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "checkpoint_files.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using Items = std::vector<std::pair<std::string, std::string>>;

const std::string kTensor = p_tensor(p_storage("FloatStorage", "0", 2), 0, {2}, {1});
const std::string kScalar = p_tensor(p_storage("FloatStorage", "0", 1), 0, {}, {});
const std::string kBytes = p_tensor(p_storage("ByteStorage", "0", 9), 0, {9}, {1});

std::string dict(const Items& items) {
    std::string body = "}(";
    for (const auto& [key, value] : items) body += p_text(key) + value;
    return body + "u";
}
const std::string kDict = dict({
    {"w", kTensor}
});

// An object of class m.C that holds `value`.
std::string object(const std::string& value) { return p_global("m", "C") + value + "\x85R"; }

// Where the weights are found in what `body` makes, and after a colon where others are; or the error.
std::string found(const std::string& body) {
    const std::string bytes = "\x80\x02" + body + ".";
    const Pickle pickle = Pickle::parse(std::as_bytes(std::span(bytes)), "x");
    std::string place;
    const std::string error = error_of([&] {
        const StateDict found = find_state_dict(pickle.root(), "x.pt");
        place = "/" + found.key;
        for (const std::string& other : found.others) place += ":" + other;
    });
    return error.empty() ? place : error;
}

TEST(StateDict, TheOnlyDictOfTensors) {
    EXPECT_EQ(found(kDict), "/");
    for (const char* key : {"model", "state", "net", "weights", "params", "whatever", "a.b"}) {
        EXPECT_EQ(found(dict({
                      {"epoch", p_int(3)},
                      {key,     kDict   }
        })),
                  "/" + std::string(key));
    }
    EXPECT_EQ(found(dict({
                  {"a", dict({{"b", dict({{"c", kDict}})}})}
    })),
              "/a.b.c");
    EXPECT_EQ(found(kDict + p_int(3) + "\x86"), "/[0]") << "a tuple of the weights and the epoch";
    EXPECT_EQ(found("](" + p_int(3) +
                    dict({
                        {"net", kDict}
    }) +
                    "e"),
              "/[1].net");
    EXPECT_EQ(found(dict({
                  {"w",     kTensor         },
                  {"other", "N"             },
                  {"note",  object(p_int(1))}
    })),
              "/");
}

TEST(StateDict, OtherTensorsDoNotCount) {
    const std::string optimizer = dict({
        {"state",        dict({{"exp_avg", kTensor}})},
        {"param_groups", "]"                         }
    });
    EXPECT_EQ(found(dict({
                  {"net", kDict    },
                  {"opt", optimizer}
    })),
              "/net");
    EXPECT_EQ(found(dict({
                  {"net",              kDict  },
                  {"Optimizer_states", kDict  },
                  {"loss",             kScalar},
                  {"rng",              kBytes }
    })),
              "/net");
    EXPECT_EQ(found(dict({
                  {"net",     kDict                    },
                  {"metrics", dict({{"loss", kScalar}})},
                  {"rng",     dict({{"cpu", kBytes}})  }
    })),
              "/net");
    EXPECT_EQ(found(dict({
                  {"net", dict({{"step", kScalar}})}
    })),
              "/net")
        << "where there is nothing else";
    EXPECT_MENTIONS(found(dict({
                        {"optimizer", kDict   },
                        {"epoch",     p_int(1)}
    })),
                    "x.pt: holds no state dict (tensors by name, or a dict of them under a key such as `model`), but "
                    "`optimizer`, `epoch`");
    EXPECT_MENTIONS(found("N"), "but no names");
    EXPECT_MENTIONS(found("]" + kTensor + "a"), "holds no state dict");
}

TEST(StateDict, OfSeveralTheUsualKey) {
    EXPECT_EQ(found(dict({
                  {"ema",   kDict},
                  {"model", kDict}
    })),
              "/model:ema");
    EXPECT_EQ(found(dict({
                  {"state_dict", kDict},
                  {"model",      kDict}
    })),
              "/model:state_dict");
    EXPECT_EQ(found(dict({
                  {"params_ema", kDict},
                  {"params",     kDict}
    })),
              "/params:params_ema");
    EXPECT_EQ(found(dict({
                  {"model", kDict                   },
                  {"old",   dict({{"model", kDict}})}
    })),
              "/model:old.model");
    EXPECT_MENTIONS(found(dict({
                        {"policy", kDict},
                        {"value",  kDict}
    })),
                    "x.pt: holds several dicts of tensors (`policy`, `value`): save the one to be taken by itself");
    EXPECT_MENTIONS(found(dict({
                        {"a", dict({{"model", kDict}})},
                        {"b", dict({{"model", kDict}})}
    })),
                    "(`a.model`, `b.model`)");
    EXPECT_MENTIONS(found(dict({
                        {"w",   kTensor},
                        {"ema", kDict  }
    })),
                    "(the top, `ema`)");
    EXPECT_EQ(found(dict({
                  {"model", kDict + "q\1"},
                  {"best",  "h\1"        }
    })),
              "/model")
        << "the same dict twice";
}

// Weights that unknown code would have made are never taken, nor passed over for others.
TEST(StateDict, WeightsInObjects) {
    const std::string refusal = "is made by `m.C`, which nib does not know and never calls: save model.state_dict()";
    EXPECT_MENTIONS(found(object(kDict)), "x.pt: what was saved " + refusal);
    EXPECT_MENTIONS(found(object(kTensor)), refusal);
    EXPECT_MENTIONS(found(dict({
                        {"model", object(kDict)}
    })),
                    "x.pt: `model` " + refusal);
    EXPECT_MENTIONS(found(dict({
                        {"thing", object(kDict)},
                        {"loss",  kScalar      }
    })),
                    "x.pt: `thing` " + refusal);
    EXPECT_MENTIONS(found(dict({
                        {"model", object(kDict)},
                        {"best",  kDict        }
    })),
                    "x.pt: `model` " + refusal);
    EXPECT_MENTIONS(found(dict({
                        {"model", dict({{"w", object(kTensor)}})}
    })),
                    "x.pt: `model.w` " + refusal);
    EXPECT_MENTIONS(found(dict({
                        {"model", dict({{"w", p_global("numpy._core.multiarray", "_reconstruct") + ")R"}})}
    })),
                    "x.pt: `model.w` is a NumPy array: make a tensor of it");
    EXPECT_EQ(found(dict({
                  {"model",      object(kDict)},
                  {"state_dict", kDict        }
    })),
              "/state_dict")
        << "some save both";
    EXPECT_EQ(found(dict({
                  {"weights",   kDict          },
                  {"criterion", object(kTensor)},
                  {"optimizer", object(kTensor)}
    })),
              "/weights");
    EXPECT_EQ(found(dict({
                  {"my_weights", kDict          },
                  {"criterion",  object(kTensor)}
    })),
              "/my_weights");
}

TEST(StateDict, MegatronByName) {
    EXPECT_MENTIONS(found(dict({
                        {"model", dict({{"language_model", dict({{"embedding", kDict}})}})}
    })),
                    "x.pt: is a checkpoint of Megatron-LM: convert it");
    EXPECT_MENTIONS(found(dict({
                        {"model",              kDict                   },
                        {"checkpoint_version", "G\x40\x08\0\0\0\0\0\0"s}
    })),
                    "Megatron-LM");
}

TEST(StateDict, AnyDepthAndCyclesAreFine) {
    constexpr size_t depth = 100'000;
    std::string deep;
    for (size_t i = 0; i < depth; ++i) deep += "}" + p_text("a");
    deep += kDict + std::string(depth, 's');
    EXPECT_MENTIONS(found(deep), "holds no state dict");
    EXPECT_EQ(found("}q\1(" + p_text("self") + "h\1" + p_text("w") + kTensor + "u"), "/");
    std::string shared = kDict;
    for (int i = 0; i < 60; ++i) shared = shared + "q\1" + "0}(" + p_text("a") + "h\1" + p_text("b") + "h\1u";
    EXPECT_MENTIONS(found(shared), "holds no state dict") << "each level holds the one below twice";
}

}  // namespace
}  // namespace nib
