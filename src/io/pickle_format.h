// Facts of the pickle format and of PyTorch's use of it.
#pragma once

#include <cstdint>
#include <string_view>

#include "io/source_tensor.h"

namespace nib::pickle {

// What calling or naming a known global means.
enum class Role {
    OrderedDict,
    Namespace,
    Set,
    NoBytes,
    Encode,
    Size,
    TensorV2,
    TensorV3,
    Parameter,
    Untyped,
    Storage,
    Type
};

struct KnownGlobal {
    std::string_view name;
    Role role;
    SourceType type = SourceType::Unknown;
};

// Everything that a pickle may name.
inline constexpr KnownGlobal kGlobals[] = {
    {"collections.OrderedDict",                    Role::OrderedDict              },
    {"argparse.Namespace",                         Role::Namespace                },
    {"builtins.set",                               Role::Set                      },
    {"builtins.frozenset",                         Role::Set                      },
    {"builtins.bytes",                             Role::NoBytes                  },
    {"__builtin__.set",                            Role::Set                      },
    {"__builtin__.frozenset",                      Role::Set                      },
    {"__builtin__.bytes",                          Role::NoBytes                  },
    {"_codecs.encode",                             Role::Encode                   },
    {"torch.Size",                                 Role::Size                     },
    {"torch._utils._rebuild_tensor_v2",            Role::TensorV2                 },
    {"torch._utils._rebuild_tensor_v3",            Role::TensorV3                 },
    {"torch._utils._rebuild_parameter",            Role::Parameter                },
    {"torch._utils._rebuild_parameter_with_state", Role::Parameter                },
    {"torch.storage.UntypedStorage",               Role::Untyped                  },
    {"torch.UntypedStorage",                       Role::Untyped                  },
    {"torch.DoubleStorage",                        Role::Storage,                   SourceType::F64},
    {"torch.FloatStorage",                                            Role::Storage,                                                        SourceType::F32},
    {"torch.HalfStorage",                             Role::Storage,     SourceType::F16},
    {"torch.BFloat16Storage",   Role::Storage,               SourceType::BF16},
    {"torch.LongStorage",                      Role::Storage,                                      SourceType::I64},
    {"torch.IntStorage",                                            Role::Storage,                                                         SourceType::I32},
    {"torch.ShortStorage",                             Role::Storage,                       SourceType::I16},
    {"torch.CharStorage",Role::Storage,SourceType::I8},
    {"torch.ByteStorage",                         Role::Storage,               SourceType::U8},
    {"torch.BoolStorage",                                            Role::Storage,                                                         SourceType::Bool},
    {"torch.ComplexFloatStorage",                              Role::Storage                                                                                                                 },
    {"torch.ComplexDoubleStorage",       Role::Storage         },
    {"torch.float64",                          Role::Type, SourceType::F64},
    {"torch.float32",                                            Role::Type,                                                 SourceType::F32},
    {"torch.float16",                                            Role::Type,SourceType::F16},
    {"torch.bfloat16",                                            Role::Type,                                                    SourceType::BF16},
    {"torch.int64",                             Role::Type,                                                            SourceType::I64},
    {"torch.int32",Role::Type,SourceType::I32},
    {"torch.int16",                              Role::Type,        SourceType::I16},
    {"torch.int8",                                            Role::Type,                                                            SourceType::I8},
    {"torch.uint8",                            Role::Type,        SourceType::U8},
    {"torch.bool",      Role::Type,SourceType::Bool},
    {"torch.uint16",                                Role::Type                                                              },
    {"torch.uint32",                                            Role::Type                                                              },
    {"torch.uint64",                             Role::Type                                                    },
    {"torch.complex64",Role::Type},
    {"torch.complex128",                                Role::Type                         },
    {"torch.float8_e4m3fn",                                            Role::Type                                                               },
    {"torch.float8_e5m2",                            Role::Type                                                                                                },
    {"torch.float8_e4m3fnuz",   Role::Type},
    {"torch.float8_e5m2fnuz",Role::Type},
    {"torch.float8_e8m0fnu",      Role::Type},
};

enum Opcode : uint8_t {
    kProto = 0x80,
    kFrame = 0x95,
    kStop = '.',
    kMark = '(',
    kPop = '0',
    kPopMark = '1',
    kDup = '2',
    kNone = 'N',
    kNewTrue = 0x88,
    kNewFalse = 0x89,
    kBinInt = 'J',
    kBinInt1 = 'K',
    kBinInt2 = 'M',
    kLong1 = 0x8a,
    kLong4 = 0x8b,
    kBinFloat = 'G',
    kBinUnicode = 'X',
    kShortBinUnicode = 0x8c,
    kBinUnicode8 = 0x8d,
    kBinBytes = 'B',
    kShortBinBytes = 'C',
    kBinBytes8 = 0x8e,
    kByteArray8 = 0x96,
    kEmptyTuple = ')',
    kTuple = 't',
    kTuple1 = 0x85,
    kTuple2 = 0x86,
    kTuple3 = 0x87,
    kEmptyList = ']',
    kAppend = 'a',
    kAppends = 'e',
    kEmptyDict = '}',
    kSetItem = 's',
    kSetItems = 'u',
    kEmptySet = 0x8f,
    kAddItems = 0x90,
    kFrozenSet = 0x91,
    kBinPut = 'q',
    kLongBinPut = 'r',
    kMemoize = 0x94,
    kBinGet = 'h',
    kLongBinGet = 'j',
    kGlobal = 'c',
    kStackGlobal = 0x93,
    kReduce = 'R',
    kNewObj = 0x81,
    kNewObjEx = 0x92,
    kBuild = 'b',
    kBinPersId = 'Q',
    kInst = 'i',
    kObj = 'o',
    kPersId = 'P',
    kExt1 = 0x82,
    kExt2 = 0x83,
    kExt4 = 0x84,
};

}  // namespace nib::pickle
