// Constants of the pickle format and the names that PyTorch uses in it.
#pragma once

#include <cstdint>
#include <string_view>

#include "io/source_tensor.h"

namespace nib::pickle {

// What calling or naming a known global means.
enum class Role : uint8_t {
    Unknown,  // everything that is not in the table
    Array,    // makes a NumPy array
    OrderedDict,
    Set,
    NoBytes,
    Encode,
    Size,
    NewObject,  // makes an object of the class that is its first argument
    TensorV1,
    TensorV2,
    TensorV3,
    Parameter,
    FromType,
    TensorClass,
    Untyped,
    Storage,
    Type
};

struct KnownGlobal {
    std::string_view name;
    Role role;
    SourceType type;
    int64_t bytes;  // of an element of a Storage
};

constexpr KnownGlobal named(std::string_view name, Role role) { return {name, role, SourceType::Unknown, 0}; }
constexpr KnownGlobal storage(std::string_view name, int64_t bytes, SourceType type = SourceType::Unknown) {
    return {name, Role::Storage, type, bytes};
}
constexpr KnownGlobal dtype(std::string_view name, SourceType type = SourceType::Unknown) {
    return {name, Role::Type, type, 0};
}

inline constexpr KnownGlobal kGlobals[] = {
    named("collections.OrderedDict", Role::OrderedDict),
    named("builtins.set", Role::Set),
    named("builtins.frozenset", Role::Set),
    named("builtins.bytes", Role::NoBytes),
    named("__builtin__.set", Role::Set),
    named("__builtin__.frozenset", Role::Set),
    named("__builtin__.bytes", Role::NoBytes),
    named("_codecs.encode", Role::Encode),
    named("copyreg._reconstructor", Role::NewObject),
    named("copyreg.__newobj__", Role::NewObject),
    named("copyreg.__newobj_ex__", Role::NewObject),
    named("copy_reg._reconstructor", Role::NewObject),
    named("copy_reg.__newobj__", Role::NewObject),
    named("numpy.core.multiarray._reconstruct", Role::Array),
    named("numpy._core.multiarray._reconstruct", Role::Array),
    named("numpy.core.numeric._frombuffer", Role::Array),
    named("numpy._core.numeric._frombuffer", Role::Array),
    named("torch.Size", Role::Size),
    named("torch._utils._rebuild_tensor", Role::TensorV1),
    named("torch._utils._rebuild_tensor_v2", Role::TensorV2),
    named("torch._utils._rebuild_tensor_v3", Role::TensorV3),
    named("torch._utils._rebuild_parameter", Role::Parameter),
    named("torch._utils._rebuild_parameter_with_state", Role::Parameter),
    named("torch._tensor._rebuild_from_type", Role::FromType),
    named("torch._tensor._rebuild_from_type_v2", Role::FromType),
    named("torch.Tensor", Role::TensorClass),
    named("torch._tensor.Tensor", Role::TensorClass),
    named("torch.nn.parameter.Parameter", Role::TensorClass),
    named("torch.nn.parameter.Buffer", Role::TensorClass),
    named("torch.storage.UntypedStorage", Role::Untyped),
    named("torch.UntypedStorage", Role::Untyped),
    storage("torch.DoubleStorage", 8, SourceType::F64),
    storage("torch.FloatStorage", 4, SourceType::F32),
    storage("torch.HalfStorage", 2, SourceType::F16),
    storage("torch.BFloat16Storage", 2, SourceType::BF16),
    storage("torch.LongStorage", 8, SourceType::I64),
    storage("torch.IntStorage", 4, SourceType::I32),
    storage("torch.ShortStorage", 2, SourceType::I16),
    storage("torch.CharStorage", 1, SourceType::I8),
    storage("torch.ByteStorage", 1, SourceType::U8),
    storage("torch.BoolStorage", 1, SourceType::Bool),
    storage("torch.ComplexFloatStorage", 8),
    storage("torch.ComplexDoubleStorage", 16),
    storage("torch.QInt8Storage", 1),
    storage("torch.QUInt8Storage", 1),
    storage("torch.QInt32Storage", 4),
    storage("torch.QUInt4x2Storage", 1),
    storage("torch.QUInt2x4Storage", 1),
    dtype("torch.float64", SourceType::F64),
    dtype("torch.float32", SourceType::F32),
    dtype("torch.float16", SourceType::F16),
    dtype("torch.bfloat16", SourceType::BF16),
    dtype("torch.int64", SourceType::I64),
    dtype("torch.int32", SourceType::I32),
    dtype("torch.int16", SourceType::I16),
    dtype("torch.int8", SourceType::I8),
    dtype("torch.uint8", SourceType::U8),
    dtype("torch.bool", SourceType::Bool),
    dtype("torch.uint16"),
    dtype("torch.uint32"),
    dtype("torch.uint64"),
    dtype("torch.complex64"),
    dtype("torch.complex128"),
    dtype("torch.float8_e4m3fn"),
    dtype("torch.float8_e5m2"),
    dtype("torch.float8_e4m3fnuz"),
    dtype("torch.float8_e5m2fnuz"),
    dtype("torch.float8_e8m0fnu"),
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
    kInt = 'I',  // Python 2 writes it for integers beyond 32 bits
    kBinInt = 'J',
    kBinInt1 = 'K',
    kBinInt2 = 'M',
    kLong1 = 0x8a,
    kLong4 = 0x8b,
    kBinFloat = 'G',
    kBinString = 'T',  // a string of Python 2
    kShortBinString = 'U',
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
};

}  // namespace nib::pickle
