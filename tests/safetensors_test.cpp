// safetensors files and folders of the Hugging Face hub: every value as stored, no bad input passes or crashes.
// tests/goldens/make_checkpoint_goldens.py says what the goldens hold.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "checkpoint_files.h"
#include "io/checkpoint_source.h"
#include "io/safetensors.h"
#include "test_errors.h"
#include "test_files.h"

namespace nib {
namespace {

using namespace test;

std::vector<SourceTensor> parse(const std::string& bytes) {
    return parse_safetensors(std::as_bytes(std::span(bytes)), "x.safetensors");
}

// The error for a file with this header and `size` bytes of data.
std::string error_for(const std::string& header, size_t size) {
    return error_of([&] { parse(safetensors(header, size)); });
}

struct Folder : TempFolder {
    void write(const std::string& name, const std::string& bytes) const { write_file(path() / name, bytes); }
    std::string error() const {
        return error_of([&] { CheckpointSource::open(path().string()); });
    }
};

std::string one_tensor(const std::string& name) {
    return safetensors("{\"" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
}

TEST(SourceTensor, EveryHalfIsConvertedExactly) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const double sign = (bits & 0x8000) != 0 ? -1 : 1;
        const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
        const float value = half_to_float(static_cast<uint16_t>(bits));
        if (exponent == 31) {
            EXPECT_EQ(std::isnan(value), fraction != 0);
            EXPECT_EQ(std::bit_cast<uint32_t>(value) & 0x7FFFFF, static_cast<uint32_t>(fraction) << 13);
            EXPECT_TRUE(fraction != 0 || std::isinf(value));
        } else {
            const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
            EXPECT_EQ(value, sign * magnitude) << bits;
        }
        EXPECT_EQ(std::signbit(value), sign < 0) << bits;
    }
}

TEST(SourceTensor, Bfloat16IsTheUpperHalf) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        EXPECT_EQ(std::bit_cast<uint32_t>(bfloat16_to_float(static_cast<uint16_t>(bits))), bits << 16);
    }
}

TEST(SourceTensor, AnyPieceOfAnyViewIsRight) {
    std::vector<float> numbers(7 * 40);
    for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<float>(i);
    SourceTensor tensor;
    tensor.type = SourceType::F32;
    tensor.data = std::as_bytes(std::span(numbers));
    // plain, transposed (blocks of rows), batches of transposed, every second, single rows and columns
    const std::pair<std::vector<int64_t>, std::vector<int64_t>> views[] = {
        {{7, 40},      {40, 1}         },
        {{40, 7},      {1, 40}         },
        {{2, 20, 7},   {20, 1, 40}     },
        {{7, 20},      {40, 2}         },
        {{1, 40},      {999, 1}        },
        {{40, 1},      {1, 999}        },
        {{20, 7, 2},   {2, 40, 1}      },
        {{2, 7, 20},   {1, 40, 2}      },
        {{35, 1, 8},   {1, 999, 35}    },
        {{2, 3, 2, 5}, {140, 40, 20, 4}}
    };
    for (const auto& [shape, strides] : views) {
        tensor.shape = shape;
        tensor.strides = strides;
        std::vector<float> expected;
        for (int64_t i = 0; i < tensor.elements(); ++i) {
            int64_t rest = i, offset = 0;
            for (size_t d = shape.size(); d-- > 0; rest /= shape[d]) offset += rest % shape[d] * strides[d];
            expected.push_back(static_cast<float>(offset));
        }
        const auto count = expected.size();
        for (size_t first = 0; first <= count; first += 3) {
            for (size_t size = 0; size <= count - first; size += 1 + size / 4) {
                std::vector<float> piece(size);
                tensor.read(static_cast<int64_t>(first), piece);
                ASSERT_TRUE(std::equal(piece.begin(), piece.end(), expected.begin() + static_cast<std::ptrdiff_t>(first)))
                    << "from " << first << ", " << size << " elements";
            }
        }
    }
}

TEST(SourceTensor, TransposedIsAView) {
    const std::string bytes = read_file(golden("checkpoints/types.safetensors"));
    const auto tensors = parse(bytes);
    for (const SourceTensor& tensor : tensors) {
        if (tensor.name != "bfloat16") continue;
        const SourceTensor view = tensor.transposed();
        EXPECT_EQ(view.shape, (std::vector<int64_t>{3, 2}));
        EXPECT_FALSE(view.contiguous());
        EXPECT_EQ(values(view), (std::vector<float>{-0.75f, 0, -0.5f, 0.25f, -0.25f, 0.5f}));
    }
}

TEST(Safetensors, EveryType) {
    const CheckpointSource source = CheckpointSource::open(golden("checkpoints/types.safetensors"));
    EXPECT_EQ(source.tensors().size(), 16u);
    EXPECT_EQ(source.root(), nullptr);
    for (const char* name : {"float64", "float32", "float16", "bfloat16"}) {
        const SourceTensor& tensor = source.tensor(name);
        EXPECT_TRUE(tensor.readable());
        EXPECT_TRUE(tensor.contiguous());
        EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
        EXPECT_EQ(values(tensor), ramp(6)) << name;
    }
    EXPECT_EQ(values(source.tensor("scalar")), std::vector<float>{2.5f});
    EXPECT_TRUE(source.tensor("scalar").shape.empty());
    EXPECT_EQ(source.tensor("empty").shape, (std::vector<int64_t>{0, 4}));
    EXPECT_TRUE(values(source.tensor("empty")).empty());
    EXPECT_EQ(source.find("absent"), nullptr);
    EXPECT_MENTIONS(error_of([&] { source.tensor("absent"); }), "has no tensor `absent`");

    const float infinity = std::numeric_limits<float>::infinity();
    const auto half = values(source.tensor("special.float16"));
    EXPECT_EQ(std::vector<float>(half.begin(), half.begin() + 5),
              (std::vector<float>{std::ldexp(1.0f, -24), std::ldexp(1.0f, -14), 65504, infinity, -infinity}));
    EXPECT_TRUE(std::isnan(half[5]) && half[6] == 0 && std::signbit(half[6]));
    EXPECT_EQ(half[7], 1365.0f / 4096);
    const auto rounded = values(source.tensor("rounded"));
    EXPECT_EQ(rounded, (std::vector<float>{1.0f / 3, infinity, 0, -std::numeric_limits<float>::denorm_min()}));
}

TEST(Safetensors, OtherTypesAreListedAndRefusedWhenRead) {
    const CheckpointSource source = CheckpointSource::open(golden("checkpoints/types.safetensors"));
    for (const auto& [name, type] : {
             std::pair{"int64",  "i64"    },
             {"int32",  "i32"    },
             {"int16",  "i16"    },
             {"int8",   "i8"     },
             {"uint8",  "u8"     },
             {"bool",   "bool"   },
             {"float8", "F8_E4M3"}
    }) {
        const SourceTensor& tensor = source.tensor(name);
        EXPECT_FALSE(tensor.readable());
        const std::string error = error_of([&] { values(tensor); });
        EXPECT_MENTIONS(error, "types.safetensors: tensor `" + std::string(name) + "`: has type " + type);
    }
}

TEST(Safetensors, TruncatedAnywhere) {
    const std::string bytes = read_file(golden("checkpoints/types.safetensors"));
    ASSERT_GT(bytes.size(), 1000u);
    for (size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<char> copy(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));  // exact for ASan
        EXPECT_NE(error_of([&] { parse_safetensors(std::as_bytes(std::span(copy)), "x.safetensors"); }), "") << size;
    }
}

TEST(Safetensors, LyingHeaderLength) {
    EXPECT_MENTIONS(error_of([&] { parse("1234567"); }), "has only 7 bytes");
    EXPECT_MENTIONS(error_of([&] { parse(raw<uint64_t>(100'000'001) + "{}"); }), "100000001 bytes (the most is 100000000)");
    EXPECT_MENTIONS(error_of([&] { parse(raw<uint64_t>(-1) + "{}"); }), "header length of 18446744073709551615");
    EXPECT_MENTIONS(error_of([&] { parse(raw<uint64_t>(3) + "{}"); }), "lies beyond the end of the file");
    EXPECT_MENTIONS(error_of([&] { parse(raw<uint64_t>(0) + "{}"); }), "begins with `` instead of `{`");
    EXPECT_MENTIONS(error_for(" {}", 0), "begins with ` ` instead of `{`");
    EXPECT_EQ(error_for("{}      ", 0), "");
}

TEST(Safetensors, BrokenHeader) {
    const std::string good = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
    EXPECT_EQ(error_for(good, 8), "");
    EXPECT_EQ(error_for(R"({"__metadata__":{"k":"v"},"a":{"data_offsets":[0,8],"shape":[2],"dtype":"F32"}}  )", 8), "");
    EXPECT_EQ(error_for(R"({"__metadata__":null,"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8), "");
    const std::pair<const char*, const char*> cases[] = {
        {R"({"a":)",                                                         "is not JSON at byte"                                      },
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}} x)",      "is not JSON at byte"                                      },
        {"{\"\xff\":{}}",                                                    "is not JSON at byte"                                      },
        {R"({"a":1e999})",                                                   "is not JSON at byte"                                      },
        {R"({"a":1})",                                                       "holds a number where an object of tensor `a` is expected" },
        {R"({"a":null})",                                                    "holds null where an object of tensor `a` is expected"     },
        {R"({"a":{}})",                                                      "tensor `a`: has no dtype"                                 },
        {R"({"a":{"dtype":"F32","data_offsets":[0,8]}})",                    "tensor `a`: has no shape"                                 },
        {R"({"a":{"dtype":"F32","shape":[2]}})",                             "tensor `a`: has no data_offsets"                          },
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}})",          "has 1 data_offsets instead of 2"                          },
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4,8]}})",      "has 3 data_offsets instead of 2"                          },
        {R"({"a":{"dtype":3}})",                                             "holds a number where a string of tensor `a` is expected"  },
        {R"({"a":{"shape":2}})",                                             "holds a number where an array of tensor `a` is expected"  },
        {R"({"a":{"shape":{}}})",                                            "holds an object where an array of tensor `a` is expected" },
        {R"({"a":{"shape":[[2]]}})",                                         "holds an array where a size of tensor `a` is expected"    },
        {R"({"a":{"shape":["2"]}})",                                         "holds a string where a size of tensor `a` is expected"    },
        {R"({"a":{"shape":[-2]}})",                                          "holds a negative number where a size"                     },
        {R"({"a":{"shape":[2.0]}})",                                         "holds a fraction where a size"                            },
        {R"({"a":{"shape":[9223372036854775808]}})",                         "holds a number beyond 63 bits"                            },
        {R"({"a":{"data_offsets":[0,-1]}})",                                 "holds a negative number where a position"                 },
        {R"({"a":{"dtype":"F32","dtype":"F32"}})",                           "has its dtype twice"                                      },
        {R"({"a":{"extra":"F32"}})",                                         "has an unknown field `extra`"                             },
        {R"({"__metadata__":{"k":null}})",                                   "holds null where a string of __metadata__ is expected"    },
        {R"({"__metadata__":3})",                                            "holds a number where"                                     },
        {R"({"a":{"dtype":null}})",                                          "holds null where a string of tensor `a` is expected"      },
        {R"({"__metadata__":{"k":1}})",                                      "holds a number where a string of __metadata__ is expected"},
        {R"({"__metadata__":{},"__metadata__":{}})",                         "`__metadata__` is there twice"                            },
        {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{}})", "tensor `a` is there twice"                                },
    };
    for (const auto& [header, part] : cases) {
        EXPECT_MENTIONS(error_for(header, 8), part) << header;
        EXPECT_MENTIONS(error_for(header, 8), "x.safetensors: ") << header;
    }
}

TEST(Safetensors, DeepNestingIsRefused) {
    EXPECT_MENTIONS(error_for("{\"a\":" + std::string(3'000'000, '['), 0), "holds an array where an object");
    std::string objects = "{\"a\":";
    for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
    EXPECT_MENTIONS(error_for(objects, 0), "has an unknown field `a`");
    EXPECT_MENTIONS(error_for("{\"__metadata__\":{\"a\":" + std::string(3'000'000, '['), 0),
                    "holds an array where a string");
}

// A header for tensors a and b.
std::string two(const std::string& a, const std::string& b) {
    return R"({"a":{"dtype":)" + a + R"(},"b":{"dtype":)" + b + "}}";
}

TEST(Safetensors, LyingOffsets) {
    const std::string first = R"("F32","shape":[2],"data_offsets":[0,8])";
    EXPECT_EQ(error_for(two(first, R"("F16","shape":[2],"data_offsets":[8,12])"), 12), "");
    EXPECT_EQ(error_for(two(R"("F16","shape":[2],"data_offsets":[8,12])", first), 12), "") << "in any order";
    const std::tuple<const char*, size_t, const char*> cases[] = {
        {R"("F16","shape":[2],"data_offsets":[12,8])",                                      12, "data at 12..8 lies outside the 12 bytes"                   },
        {R"("F16","shape":[2],"data_offsets":[8,13])",                                      12, "data at 8..13 lies outside the 12 bytes"                   },
        {R"("F16","shape":[2],"data_offsets":[18446744073709551612,18446744073709551615])", 12, "lies outside"                                              },
        {R"("F16","shape":[3],"data_offsets":[8,12])",                                      12, "has 4 bytes of data, but its type f16 and shape need 6"    },
        {R"("F16","shape":[],"data_offsets":[8,12])",                                       12, "has 4 bytes of data, but its type f16 and shape need 2"    },
        {R"("F16","shape":[2],"data_offsets":[4,8])",                                       8,  "tensor `b`: its data overlap those of the tensor before it"},
        {R"("F16","shape":[2],"data_offsets":[10,14])",                                     14, "tensor `b`: its data leave unused bytes before it"         },
        {R"("F16","shape":[2],"data_offsets":[8,12])",                                      13, "1 bytes follow the last tensor's data"                     },
        {R"("F16","shape":[4294967296,4294967296],"data_offsets":[8,12])",                  12, "has an impossible shape"                                   },
        {R"("F16","shape":[9223372036854775807],"data_offsets":[8,12])",                    12, "has an impossible shape"                                   },
        {R"("F16","shape":[9223372036854775807,4,0],"data_offsets":[8,12])",                12, "need 0"                                                    },
        {R"("F8_E4M3","shape":[4],"data_offsets":[8,13])",                                  12, "lies outside"                                              },
    };
    for (const auto& [second, size, part] : cases) EXPECT_MENTIONS(error_for(two(first, second), size), part) << second;
    std::string many = "1";
    for (int i = 0; i < 64; ++i) many += ",1";
    EXPECT_MENTIONS(error_for(R"({"a":{"dtype":"F32","shape":[)" + many + R"(],"data_offsets":[0,4]}})", 4),
                    "has 65 dimensions, more than 64");
}

TEST(Safetensors, EmptyTensorOfHugeShape) {
    const std::string bytes =
        safetensors(R"({"a":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807,0],"data_offsets":[0,0]}})", 0);
    const auto tensors = parse(bytes);
    EXPECT_EQ(tensors.at(0).elements(), 0);
    EXPECT_TRUE(tensors[0].contiguous());
    EXPECT_TRUE(values(tensors[0]).empty());
}

TEST(CheckpointFolder, Shards) {
    for (const char* path : {"sharded", "sharded/model.safetensors.index.json"}) {
        const CheckpointSource source = CheckpointSource::open(golden(std::string("checkpoints/") + path));
        ASSERT_EQ(source.tensors().size(), 3u);
        EXPECT_EQ(source.files().size(), 2u);
        EXPECT_EQ(values(source.tensor("a")), ramp(3));
        EXPECT_EQ(values(source.tensor("b")), ramp(4));
        EXPECT_EQ(values(source.tensor("c")), ramp(4));
    }
}

TEST(CheckpointFolder, TheFirstOfTheUsualFiles) {
    EXPECT_MENTIONS(error_of([&] { CheckpointSource::open((Folder().path() / "absent").string()); }), "No such file");
    for (const char* name : {"model.pt", "pytorch_model.bin", "model.safetensors"}) {
        static const Folder folder;
        folder.write(name, one_tensor(name));
        EXPECT_EQ(CheckpointSource::open(folder.path().string()).tensors().at(0).name, name);
    }
}

TEST(CheckpointFolder, WhatElseItHolds) {
    const auto error = [](const std::vector<std::string>& names) {
        const Folder folder;
        for (const std::string& name : names) {
            fs::create_directories((folder.path() / name).parent_path());
            folder.write(name, "x");
        }
        return folder.error();
    };
    const std::string none = ": the folder holds no model.safetensors, pytorch_model.bin or model.pt";
    EXPECT_MENTIONS(error({}), none + "; name the file with the weights");
    EXPECT_MENTIONS(error({"config.json", "README.md", "vocab.json"}), none + "; name the file with the weights");
    const std::pair<std::vector<std::string>, const char*> cases[] = {
        {{"tf_model.h5", "config.json"},
         "TensorFlow weights (`tf_model.h5`): load them with transformers 4 (from_tf=True)"                                                                              },
        {{"weights.h5"},                                                            "TensorFlow weights (`weights.h5`): nib reads safetensors and PyTorch files"         },
        {{"model.ckpt.index", "model.ckpt.meta", "checkpoint"},                     "a TensorFlow checkpoint (`model.ckpt.index`)"                                       },
        {{"flax_model.msgpack"},                                                    "Flax weights (`flax_model.msgpack`): load them with transformers 4 (from_flax=True)"},
        {{"flax_model-00001-of-00002.msgpack"},                                     "Flax weights"                                                                       },
        {{"model.onnx", "model.onnx_data"},                                         "an ONNX graph (`model.onnx`): nib reads what it was exported from"                  },
        {{"adapter_config.json", "adapter_model.safetensors"},
         "a LoRA adapter (`adapter_config.json`): merge it into its base"                                                                                                },
        {{"adapter_model.bin", "README.md"},                                        "a LoRA adapter (`adapter_model.bin`)"                                               },
        {{"latest_checkpointed_iteration.txt"},                                     "a Megatron-LM checkpoint"                                                           },
        {{"mp_rank_00/model_optim_rng.pt"},                                         "a Megatron-LM checkpoint (`mp_rank_00`)"                                            },
        {{"zero_to_fp32.py", "latest"},                                             "a DeepSpeed checkpoint (`zero_to_fp32.py`): gather its weights"                     },
        {{"__0_0.distcp", ".metadata"},                                             "a distributed checkpoint of PyTorch"                                                },
        {{"gpt2-q8.gguf"},                                                          "a model in nib's format (`gpt2-q8.gguf`): use that file"                            },
        {{"ckpt.pt", "config.json"},                                                "but `ckpt.pt`: name that file"                                                      },
        {{"weights.safetensors"},                                                   "but `weights.safetensors`: name that file"                                          },
        {{"a.pth", "b.ckpt", "optimizer.pt"},                                       "but `a.pth` and 1 more: name one of them"                                           },
        {{"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"},
         "without their index: get the file that ends"                                                                                                                   },
        {{"checkpoint-500/model.safetensors", "checkpoint-500/optimizer.pt"},
         "a folder `checkpoint-500` with model.safetensors"                                                                                                              },
        {{"checkpoint-1000/model.safetensors", "checkpoint-500/model.safetensors"},
         "a folder `checkpoint-1000` with model.safetensors"                                                                                                             },
        {{"optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"},    "; name the file with the weights"                                                   },
        {{"a\x1b[2J.pt"},                                                           "but `a\\x1B[2J.pt`"                                                                 },
    };
    for (const auto& [names, part] : cases) {
        EXPECT_MENTIONS(error(names), part);
        EXPECT_MENTIONS(error(names), none);
    }
    const Folder folder;
    folder.write("traced.pt", Zip({
                                      {"x/constants.pkl", ""},
                                      { "x/code/m.py",              "x",  8}
    })
                                  .bytes);
    EXPECT_MENTIONS(folder.error(), none + ", but a TorchScript archive (`traced.pt`): save model.state_dict()");
}

TEST(CheckpointFolder, ShardsThatDisagreeWithTheIndex) {
    const Folder folder;
    const auto error = [&](const std::string& map) {
        folder.write("model.safetensors.index.json", R"({"weight_map":{)" + map + "}}");
        return folder.error();
    };
    folder.write("1", one_tensor("a"));
    folder.write("2", one_tensor("b"));
    EXPECT_EQ(error(R"("a":"1","b":"2")"), "");
    EXPECT_MENTIONS(error(R"("a":"1","b":"3")"), "model.safetensors.index.json: the file `3` that it names is missing");
    EXPECT_MENTIONS(error(R"("a":"1","b":"1")"), "tensor `b`: should be in `1` but is not");
    EXPECT_MENTIONS(error(R"("a":"2","b":"2")"), "tensor `a`: should be in `2` but is not");
    EXPECT_EQ(error(R"("a":"1","b":"2","lm_head.weight":"2")"), "") << "tied";
    EXPECT_MENTIONS(CheckpointSource::open(folder.path().string()).notes().at(0),
                    "model.safetensors.index.json: lists `lm_head.weight`, which no file holds");
    EXPECT_MENTIONS(error(R"("a":"1","b":"2","lm_head.weight":"3")"), "the file `3` that it names is missing");
    EXPECT_MENTIONS(error(R"("a":"1","b":"2","h.0.ln_1.bias":"2")"), "should be in `2` but is not");
    folder.write("2", safetensors(R"({"b":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                                  R"("lm_head.weight":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                                  0));
    EXPECT_MENTIONS(error(R"("a":"1","b":"2","lm_head.weight":"1")"), "`lm_head.weight`: should be in `1` but is in `2`");
    folder.write("2", one_tensor("b"));
    EXPECT_MENTIONS(error(R"("a":"2","b":"1")"), "tensor `a`: should be in `2` but is in `1`");
    EXPECT_MENTIONS(error(R"("a":"1","b":"2","c":"2")"), "tensor `c`: should be in `2` but is not");
    EXPECT_MENTIONS(error(R"("a":"1","a":"2","b":"2")"), "tensor `a` is there twice");
    folder.write("2", one_tensor("a"));
    EXPECT_MENTIONS(error(R"("a":"1","b":"2")"), "tensor `a` is there twice (also in ");
    folder.write("1", safetensors(R"({"c":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                                  R"("x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                                  0));
    folder.write("2", safetensors(R"({"d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                                  R"("x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                                  0));
    EXPECT_MENTIONS(error(R"("c":"1","d":"2")"), "tensor `x` is there twice (also in ");
}

TEST(CheckpointFolder, BrokenIndex) {
    const auto error = [](const std::string& text) { return error_of([&] { parse_shard_index(text, "i.json"); }); };
    EXPECT_EQ(error(R"({"metadata":{"x":[[{"weight_map":[1]}],-1,1.5,null,true]},"weight_map":{"a":"f"},"z":{"y":{}}})"),
              "");
    EXPECT_MENTIONS(error(""), "i.json: is not JSON");
    EXPECT_MENTIONS(error("[]"), "holds an array where an object is expected");
    EXPECT_MENTIONS(error("3"), "holds a number where an object is expected");
    EXPECT_MENTIONS(error("{}"), "has no weight_map");
    EXPECT_MENTIONS(error(R"({"weight_map":{}})"), "has no weight_map, or an empty one");
    EXPECT_MENTIONS(error(R"({"weight_map":[]})"), "holds an array where an object is expected");
    EXPECT_MENTIONS(error(R"({"weight_map":"f"})"), "holds a string where an object is expected");
    EXPECT_MENTIONS(error(R"({"weight_map":{"a":1}})"), "holds a number where the name of a file is expected");
    EXPECT_MENTIONS(error(R"({"weight_map":{"a":{}}})"), "holds an object where the name of a file is expected");
    EXPECT_MENTIONS(error(R"({"weight_map":{"a":["f"]}})"), "holds an array where the name of a file is expected");
    EXPECT_MENTIONS(error(R"({"weight_map":{"a":"f"},"weight_map":{"b":"f"}})"), "has its weight_map twice");
    for (const char* name : {"", ".", "..", "../f", "/etc/passwd", "sub/f", "a\\\\f", "a\\u0000"}) {
        EXPECT_MENTIONS(error(R"({"weight_map":{"a":")" + std::string(name) + "\"}}"), "is not the name of a file beside");
    }
    EXPECT_MENTIONS(error("{\"m\":" + std::string(3'000'000, '[')), "is not JSON");  // no matter how deep
}

TEST(CheckpointFolder, FilesOfOtherKinds) {
    const Folder folder;
    const std::pair<std::string, const char*> cases[] = {
        {"",                                                           "is empty"                                              },
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"                                  },
        {"<!DOCTYPE html><html></html>",                               "is a web page"                                         },
        {"GGUF\3",                                                     "is a GGUF file already"                                },
        {"\x89HDF\r\n",                                                "is an HDF5 file"                                       },
        {"\x1f\x8b\x08",                                               "is a gzip archive"                                     },
        {"nonsense nonsense",                                          "is neither a safetensors file nor a PyTorch checkpoint"},
        {std::string(257,                                              'a') + "ustar " + std::string(300,                        'a'), "is a tar archive, the format of PyTorch before 0.2"},
        {"\x80\x04K\x01.",        "is a bare Python pickle"                                                               },
    };
    for (const auto& [bytes, part] : cases) {
        folder.write("model.safetensors", bytes);
        EXPECT_MENTIONS(folder.error(), part);
        EXPECT_MENTIONS(folder.error(), "model.safetensors: ");
    }
}

TEST(Safetensors, HeaderIsReadBack) {
    const std::vector<SafetensorsEntry> entries{
        {"a", SourceType::F32,  {2, 3}},
        {"b", SourceType::BF16, {5}   },
        {"c", SourceType::F16,  {1, 1}}
    };
    const std::string file = safetensors_header(entries) + std::string(24 + 10 + 2, '\0');
    const auto tensors = parse_safetensors(std::as_bytes(std::span(file)), "x");
    ASSERT_EQ(tensors.size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(tensors[i].name, entries[i].name);
        EXPECT_EQ(tensors[i].type, entries[i].type);
        EXPECT_EQ(tensors[i].shape, entries[i].shape);
    }
    EXPECT_EQ((tensors[0].data.data() - std::as_bytes(std::span(file)).data()) % 8, 0);
}

}  // namespace
}  // namespace nib
