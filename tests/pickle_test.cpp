// Pickles: nothing is executed, no bad input passes or crashes.
#include <gtest/gtest.h>

#include <deque>
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

Pickle parse_body(const std::string& body) {
    static std::deque<std::string> kept;  // a Pickle refers to its bytes
    kept.push_back("\x80\x02" + body + ".");
    return Pickle::parse(std::as_bytes(std::span(kept.back())), "x.pt: data.pkl");
}

TEST(Pickle, UnknownNamesStayNames) {
    const auto name_of = [](const std::string& body) {
        const Pickle pickle = parse_body(body);
        EXPECT_EQ(pickle.root().kind(), Kind::Global);
        EXPECT_EQ(pickle.root().text(), std::nullopt);
        return std::string(pickle.root().name());
    };
    EXPECT_EQ(name_of(p_global("os", "system")), "os.system");
    EXPECT_EQ(name_of(p_text("os") + p_text("system") + "\x93"), "os.system");
    EXPECT_EQ(name_of(p_global("torch", "float32")), "torch.float32");
    EXPECT_EQ(name_of(p_global("torch.FloatStorage", "")), "torch.FloatStorage.");
    EXPECT_EQ(name_of(p_global("", "torch.FloatStorage")), ".torch.FloatStorage");
    EXPECT_EQ(name_of(p_global("a\x1b[2J", "b")), "a\x1b[2J.b");
    EXPECT_EQ(name_of(p_global(std::string(1000, 'm'), "n")), std::string(200, 'm'));
    EXPECT_EQ(name_of(p_global("m", std::string(1000, 'n'))), "m." + std::string(198, 'n'));
    EXPECT_EQ(name_of("(" + p_text("module") + p_global("m", "Net") + "NNtQ"), "m.Net") << "before PyTorch 1.6";
}

TEST(Pickle, UnknownCallsGiveObjects) {
    const auto maker_of = [](const std::string& body) {
        const Pickle pickle = parse_body(body);
        EXPECT_EQ(pickle.root().kind(), Kind::Object) << testing::PrintToString(body);
        EXPECT_FALSE(pickle.root().holds_weights());
        EXPECT_TRUE(pickle.root().elements().empty());
        EXPECT_TRUE(pickle.root().entries().empty());
        EXPECT_EQ(pickle.root().find("absent"), nullptr);
        return std::string(pickle.root().name());
    };
    EXPECT_EQ(maker_of(p_global("os", "system") + p_text("rm -rf /") + "\x85R"), "os.system");
    EXPECT_EQ(maker_of(p_global("builtins", "getattr") + ")R)R)\x81"), "builtins.getattr") << "what it returns is called";
    EXPECT_EQ(maker_of(p_global("m", "C") + ")\x81"), "m.C");
    EXPECT_EQ(maker_of(p_global("m", "C") + ")}\x92"), "m.C");
    EXPECT_EQ(maker_of("(" + p_text("ls") + "ios\nsystem\n"), "os.system");
    EXPECT_EQ(maker_of("(" + p_global("m", "C") + "K\1o"), "m.C");
    EXPECT_EQ(maker_of(p_global("copy_reg", "_reconstructor") + p_global("m", "C") + "NN\x87R"), "m.C");
    EXPECT_EQ(maker_of(p_global("copyreg", "__newobj_ex__") + p_global("m", "C") + ")}\x87R"), "m.C");
    EXPECT_EQ(maker_of(p_global("copyreg", "__newobj__") + ")R"), "copyreg.__newobj__");
    EXPECT_EQ(maker_of(p_global("m", "f") + "NR"), "m.f") << "no tuple of arguments";
    // Known names that are called as PyTorch does not call them.
    EXPECT_EQ(maker_of(p_global("collections", "OrderedDict") + "K\1\x85R"), "collections.OrderedDict");
    EXPECT_EQ(maker_of(p_global("collections", "OrderedDict") + "]N\x85"s + "a\x85R"), "collections.OrderedDict");
    EXPECT_EQ(maker_of(p_global("__builtin__", "set") + "N\x85R"), "__builtin__.set");
    EXPECT_EQ(maker_of(p_global("builtins", "bytes") + "N\x85R"), "builtins.bytes");
    EXPECT_EQ(maker_of(p_global("_codecs", "encode") + p_text("a") + p_text("rot13") + "\x86R"), "_codecs.encode");
    EXPECT_EQ(maker_of(p_global("torch", "Size") + "N\x85R"), "torch.Size");
    EXPECT_EQ(maker_of(p_global("torch", "float32") + ")R"), "torch.float32");
    EXPECT_EQ(maker_of(p_global("torch", "FloatStorage") + ")R"), "torch.FloatStorage");
}

TEST(Pickle, AttributesAndItemsOfObjects) {
    const std::string made = p_global("m", "C") + ")\x81", state = "}" + p_text("n") + "K\5s";
    const auto found = [](const std::string& body) -> int64_t {
        const Pickle pickle = parse_body(body);
        EXPECT_EQ(pickle.root().kind(), Kind::Object);
        const PickleValue* value = pickle.root().find("n");
        return value != nullptr ? value->integer().value_or(-2) : -1;
    };
    EXPECT_EQ(found(made + state + "b"), 5);
    EXPECT_EQ(found(made + "N" + state + "\x86" + "b"), 5) << "__slots__";
    EXPECT_EQ(found(made + state + "}" + p_text("m") + "K\6s\x86" + "b"), 5) << "__slots__ and __dict__";
    EXPECT_EQ(found(made + p_text("n") + "K\7s"), 7) << "derived from dict";
    EXPECT_EQ(found(made + "(" + p_text("n") + "K\7u"), 7);
    EXPECT_EQ(found(made + "(K\1K\2e" + state + "b"), 5) << "derived from list";
    EXPECT_EQ(found(p_global("m", "C") + state + "\x85R"), 5) << "a dict of a dict";
    EXPECT_EQ(found(made + state + "b" + p_text("n") + "K\7s"), 7) << "the last counts";
    EXPECT_EQ(found(made + "Nb"), -1);
    EXPECT_EQ(found(made + "}b"), -1);
    EXPECT_EQ(found(made + "K\1b"), -1);
}

TEST(Pickle, SetsHaveNoOrder) {
    const std::string list = "](K\1K\2e";
    for (const std::string& body : {"\x8f(K\1K\2\x90"s, "(K\1K\2\x91"s, p_global("builtins", "set") + list + "\x85R",
                                    p_global("__builtin__", "frozenset") + list + "\x85R"}) {
        const Pickle pickle = parse_body(body);
        EXPECT_EQ(pickle.root().kind(), PickleValue::Kind::Set);
        ASSERT_EQ(pickle.root().elements().size(), 2u);
        EXPECT_EQ(pickle.root().elements()[1]->integer(), 2);
    }
    EXPECT_EQ(parse_body(p_global("builtins", "set") + ")R").root().kind(), PickleValue::Kind::Set);
    EXPECT_EQ(parse_body(list).root().kind(), PickleValue::Kind::List);
}

// What the weights went into is known, so that nothing made of them by unknown code is taken for something else.
TEST(Pickle, WeightsInObjects) {
    const auto holds = [](const std::string& body) { return parse_body(body).root().holds_weights(); };
    const std::string storage = p_storage("FloatStorage", "0", 1), tensor = p_tensor(storage, 0, {1}, {1});
    const std::string f = p_global("m", "f"), made = f + ")\x81";
    EXPECT_TRUE(holds(tensor));
    EXPECT_TRUE(holds(storage));
    for (const std::string& weights : {tensor, storage, "]" + tensor + "a", "}" + p_text("w") + tensor + "s",
                                       f + tensor + "\x85R", "]]" + tensor + "aa\x85"}) {
        EXPECT_TRUE(holds(weights));
        EXPECT_TRUE(holds(f + weights + "\x85R"));
        EXPECT_TRUE(holds(f + weights + "\x85\x81"));
        EXPECT_TRUE(holds(f + ")}" + p_text("w") + weights + "s\x92"));
        EXPECT_TRUE(holds("(" + weights + "im\nf\n"));
        EXPECT_TRUE(holds("(" + f + weights + "o"));
        EXPECT_TRUE(holds(made + weights + "b"));
        EXPECT_TRUE(holds(made + weights + "a"));
        EXPECT_TRUE(holds(made + "(" + weights + "\x90"));
        EXPECT_TRUE(holds(made + "K\0"s + weights + "s"));
        EXPECT_TRUE(holds(p_global("copyreg", "_reconstructor") + f + weights + "N\x87R"));
        EXPECT_TRUE(holds(p_global("collections", "OrderedDict") + weights + weights + "\x86R"));
    }
    EXPECT_TRUE(holds(p_global("numpy._core.multiarray", "_reconstruct") + ")R"));
    EXPECT_TRUE(holds(p_global("torch._utils", "_rebuild_meta_tensor_no_storage") + ")R"));
    EXPECT_FALSE(holds(p_global("numpy._core.multiarray", "scalar") + ")R"));
    EXPECT_FALSE(holds(made));
}

TEST(Pickle, TensorsThatNeedUnknownCode) {
    const auto maker_of = [](const std::string& body) {
        const Pickle pickle = parse_body(body);
        EXPECT_EQ(pickle.root().kind(), Kind::Object) << testing::PrintToString(body);
        EXPECT_TRUE(pickle.root().holds_weights());
        return std::string(pickle.root().name());
    };
    const std::string unknown = p_global("m", "f") + ")R", storage = p_storage("FloatStorage", "0", 1);
    const std::string tensor = p_tensor(storage, 0, {1}, {1}), make = p_global("torch._utils", "_rebuild_tensor_v2");
    EXPECT_EQ(maker_of(make + "(" + unknown + "K\0))\x89NtR"s), "m.f") << "a storage";
    EXPECT_EQ(maker_of(make + "(" + storage + "K\0"s + unknown + ")\x89NtR"), "m.f") << "a shape";
    EXPECT_EQ(maker_of(p_global("torch._utils", "_rebuild_parameter") + unknown + "\x89N\x87R"), "m.f");
    const std::string from_type = p_global("torch._tensor", "_rebuild_from_type_v2");
    const auto of_type = [&](const std::string& function, const std::string& type) {
        return from_type + "(" + function + type + "(" + storage + "K\0))\x89Nt}tR"s;
    };
    const std::string plain = p_global("torch", "Tensor");
    EXPECT_EQ(parse_body(of_type(make, plain)).root().kind(), Kind::Tensor);
    EXPECT_EQ(maker_of(of_type(make, p_global("m", "Subclass"))), "m.Subclass");
    EXPECT_EQ(maker_of(of_type(p_global("m", "f"), plain)), "m.f");
    EXPECT_EQ(maker_of(of_type(from_type, plain)), "torch._tensor._rebuild_from_type_v2") << "not one in the other";
    EXPECT_EQ(maker_of(from_type + ")R"), "torch._tensor._rebuild_from_type_v2");
    EXPECT_EQ(maker_of(p_global("torch._utils", "_rebuild_qtensor") + "(" + storage + "tR"),
              "torch._utils._rebuild_qtensor");
}

TEST(Pickle, TensorsOfBadArguments) {
    const auto strange = [](const std::string& body, const std::string& name) {
        EXPECT_MENTIONS(body_error(body), "calls `" + name + "` with arguments that PyTorch does not give it");
    };
    strange(p_global("torch._utils", "_rebuild_tensor") + ")R", "torch._utils._rebuild_tensor");
    strange(p_global("torch._utils", "_rebuild_tensor_v2") + ")R", "torch._utils._rebuild_tensor_v2");
    strange(p_global("torch._utils", "_rebuild_tensor_v3") + ")R", "torch._utils._rebuild_tensor_v3");
    strange(p_global("torch._utils", "_rebuild_parameter") + "NNN\x87R", "torch._utils._rebuild_parameter");
}

// What Python 2 writes in protocol 2: texts and large integers by other opcodes, an OrderedDict as a list of pairs.
TEST(Pickle, Python2) {
    const Pickle texts = parse_body("(U\3abcT\2\0\0\0deI4294967296\nI-7\nI01\nI00\nI99999999999999999999\nt"s);
    const auto values = texts.root().elements();
    EXPECT_EQ(values[0]->text(), "abc");
    EXPECT_EQ(values[1]->text(), "de");
    EXPECT_EQ(values[2]->integer(), int64_t{1} << 32);
    EXPECT_EQ(values[3]->integer(), -7);
    EXPECT_EQ(values[4]->boolean(), true);
    EXPECT_EQ(values[5]->boolean(), false);
    EXPECT_EQ(values[6]->kind(), Kind::Other);
    const std::string ordered = p_global("collections", "OrderedDict");
    const Pickle dict = parse_body(ordered + "]]U\1aaK\1aaU\1bK\2\x86" + "a\x85R"s);
    const Pickle dict2 = parse_body(ordered + "](](U\1aK\1e](U\1bK\2ee\x85R"s);
    ASSERT_EQ(dict2.root().kind(), Kind::Dict);
    EXPECT_EQ(dict2.root().find("b")->integer(), 2);
    const Pickle empty = parse_body(ordered + "]\x85R");
    EXPECT_EQ(empty.root().kind(), Kind::Dict);
    EXPECT_TRUE(empty.root().entries().empty());
    const std::string storage = p_storage("FloatStorage", "0", 1);
    EXPECT_EQ(parse_body(p_global("torch._utils", "_rebuild_tensor") + "(" + storage + "K\0))tR"s).root().kind(),
              Kind::Tensor);
}

TEST(Pickle, PartsOfStorages) {
    const auto storage = [](const std::string& view) {
        return "(" + p_text("storage") + p_global("torch", "HalfStorage") + p_text("7") + p_text("cpu") + p_int(10) + view +
               "tQ";
    };
    const Pickle whole = parse_body(storage("N")),
                 part = parse_body(storage("(" + p_text("8") + p_int(2) + p_int(3) + "t"));
    EXPECT_EQ(whole.root().storage()->used, 10);
    ASSERT_EQ(part.storages().size(), 1u);
    EXPECT_EQ(part.storages()[0]->key, "7");
    EXPECT_EQ(part.storages()[0]->element_bytes, 2);
    EXPECT_EQ(part.storages()[0]->count, 10);
    EXPECT_EQ(part.storages()[0]->first, 2);
    EXPECT_EQ(part.storages()[0]->used, 3);
    EXPECT_MENTIONS(body_error(storage("K\1")), "refers to a part of a storage that is none");
    EXPECT_MENTIONS(body_error(storage("(" + p_text("8") + "NNt")), "refers to a part of a storage that is none");
}

TEST(Pickle, OneAfterTheOther) {
    const std::string two = "\x80\x02K\1.\x80\x04K\2.rest";
    auto bytes = std::as_bytes(std::span(two));
    EXPECT_EQ(Pickle::parse_first(bytes, "x").root().integer(), 1);
    EXPECT_EQ(Pickle::parse_first(bytes, "x").root().integer(), 2);
    EXPECT_EQ(bytes.size(), 4u);
    EXPECT_MENTIONS(error_of([&] { Pickle::parse_first(bytes, "x"); }), "does not begin as a pickle");
}

TEST(Pickle, Damaged) {
    const std::pair<std::string, const char*> cases[] = {
        {"",                      "takes a value from an empty stack"           },
        {"0",                     "takes a value from an empty stack"           },
        {"2",                     "takes a value from an empty stack"           },
        {"q\x01",                 "takes a value from an empty stack"           },
        {"N(\x85",                "takes a value from an empty stack"           }, // not below a mark
        {"](a",                   "takes a value from an empty stack"           },
        {"(u",                    "takes a value from an empty stack"           },
        {"}((u",                  "takes a value from an empty stack"           },
        {"t",                     "needs a mark"                                },
        {"1",                     "needs a mark"                                },
        {"u",                     "needs a mark"                                },
        {"}(Nu",                  "sets a key without a value"                  },
        {")NNs",                  "sets an item of what is not a dict"          },
        {")Na",                   "appends to what is not a list"               },
        {"}(Ne",                  "appends to what is not a list"               },
        {"h\x01",                 "recalls a value that was never remembered"   },
        {"j\xff\xff\xff\xff",     "recalls a value that was never remembered"   },
        {"Nr\xff\xff\xff\xff",    "remembers a value under an impossible number"},
        {"NN\x93",                "imports what is not a name"                  },
        {"NNR",                   "calls what is not a function"                },
        {"N)R",                   "calls what is not a function"                },
        {"N)\x81",                "calls what is not a function"                },
        {"N)}\x92",               "calls what is not a function"                },
        {"(No",                   "calls what is not a function"                },
        {"(o",                    "takes a value from an empty stack"           },
        {"o",                     "needs a mark"                                },
        {"im\nf\n",               "needs a mark"                                },
        {"im\n",                  "reaches beyond the end of the pickle"        },
        {"Ix\n",                  "has an integer that is none"                 },
        {"I\n",                   "has an integer that is none"                 },
        {"I1 \n",                 "has an integer that is none"                 },
        {"\x82\x01",              "has opcode 0x82"                             },
        {"Pid\n",                 "has opcode 0x50"                             },
        {"NQ",                    "refers to something that is no storage"      },
        {")Q",                    "refers to something that is no storage"      },
        {"(NNNNNtQ",              "refers to something that is no storage"      },
        {"N}b",                   "gives a state to what has none"              },
        {p_global("torch._utils", "_rebuild_tensor_v2") + "(NNNNNNtR",            "makes a tensor of something that is no storage"},
        {"F1\n",                       "has opcode 0x46, which PyTorch does not write"                                                               },
        {"\xff",                       "has opcode 0xff"},
        {"X\xff\xff\xff\xff",                       "reaches beyond the end of the pickle"                                                  },
        {"\x8d\xff\xff\xff\xff\xff\xff\xff\xff",                       "reaches beyond the end of the pickle"},
        {"\x8b\xff\xff\xff\xff",                       "reaches beyond the end of the pickle"                                                                  },
        {"cos",                       "reaches beyond the end of the pickle"},
    };
    for (const auto& [body, part] : cases) {
        EXPECT_MENTIONS(body_error(body), part) << testing::PrintToString(body);
        EXPECT_MENTIONS(body_error(body), "x.pt: data.pkl: byte ") << testing::PrintToString(body);
    }
    EXPECT_MENTIONS(body_error("N.N"), "x.pt: data.pkl: goes on after its end");
    EXPECT_MENTIONS(pickle_error(""), "does not begin as a pickle");
    EXPECT_MENTIONS(pickle_error("N."), "does not begin as a pickle");
    EXPECT_MENTIONS(pickle_error(std::string("\x80\x01N.")), "is a pickle of protocol 1");
    EXPECT_MENTIONS(pickle_error(std::string("\x80\x06N.")), "is a pickle of protocol 6");
    EXPECT_MENTIONS(body_error(std::string(16'777'217, 'N')), "is larger than 16777216 bytes");
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
    for (int i = 0; i < 100'000; ++i) big += p_global("m", "f") + "h\x01\x85R0";
    EXPECT_EQ(body_error(big + "N"), "");
    // A list of pairs becomes a dict once.
    std::string pairs = "](";
    for (int i = 0; i < 100'000; ++i) pairs += "NN\x86";
    pairs += "eq\x01";
    for (int i = 0; i < 100'000; ++i) pairs += p_global("collections", "OrderedDict") + "h\x01\x85R0";
    EXPECT_EQ(body_error(pairs), "");
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
