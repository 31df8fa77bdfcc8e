// Pickles: nothing is executed, no bad input passes or crashes.
#include <gtest/gtest.h>

#include <string>

#include "checkpoint_files.h"
#include "io/pickle.h"
#include "io/torch_file.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;
using Kind = PickleValue::Kind;

// The error for this pickle by itself.
std::string pickle_error(const std::string& bytes) {
    return error_of([&] { Pickle::parse(std::as_bytes(std::span(bytes)), "x.pt: data.pkl"); });
}

// The error for a pickle that holds `body`.
std::string body_error(const std::string& body) { return pickle_error("\x80\x02" + body + "."); }

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
    const Zip file = torch_zip("\x80\x02" + p_global("posix", "system") + ".", {});
    EXPECT_MENTIONS(error_of([&] { TorchFile::parse(std::as_bytes(std::span(file.bytes)), "x.pt"); }),
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
