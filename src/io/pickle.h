// Python pickles as torch.save writes them, read as data: nothing is imported, called or executed.
//
// A pickle is a program for a little stack machine that builds values and may call any Python function. This reader knows
// the values (numbers, strings, lists, tuples, dicts, tensors) and what the few calls that PyTorch writes amount to; any
// other import or call is refused by its name. Protocols 2 to 5.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <memory_resource>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/source_tensor.h"

namespace nib {

class PickleValue;

/// The bytes of one or more tensors, which lie outside the pickle.
struct PickleStorage {
    std::string_view key;  // their name: the archive's entry data/KEY
    SourceType type;
    std::string_view type_name;
    int64_t count;  // of elements, or of bytes when it is untyped
    bool untyped;
};

/// A view of a storage. Whether it lies inside is not checked here.
struct PickleTensor {
    const PickleStorage* storage;
    SourceType type;
    std::string_view type_name;
    int64_t offset;                      // of the first element, in elements
    const PickleValue *shape, *strides;  // Tuples of as many Ints
    bool lazy;                           // PyTorch would still have to conjugate or negate it
};

struct PickleItem {
    const PickleValue *key, *value;
};

/// A value of the tree. Values that occur in several places are shared, and a list may contain itself: walk with care.
/// Strings are pieces of the pickle.
class PickleValue {
public:
    enum class Kind : uint8_t {
        None,
        Bool,
        Int,
        Float,
        Text,
        Bytes,
        List,    // and sets
        Tuple,   // and torch.Size
        Dict,    // and OrderedDict
        Object,  // argparse.Namespace: read like a dict
        Tensor,  // and Parameter
        Storage,
        Global,  // a name, such as torch.float32
        Other,   // an integer beyond 64 bits, bytes in the clumsy form of protocol 2
    };

    Kind kind() const { return kind_; }

    /// The value if it is of that kind. number: an Int or a Float. text: of a Text, or the name of a Global.
    std::optional<bool> boolean() const;
    std::optional<int64_t> integer() const;
    std::optional<double> number() const;
    std::optional<std::string_view> text() const;
    const PickleTensor* tensor() const;
    const PickleStorage* storage() const;

    /// The elements of a List or Tuple, the entries of a Dict or Object, in order; empty for other kinds.
    std::span<const PickleValue* const> elements() const;
    std::span<const PickleItem> entries() const;
    /// The value under a Text key of a Dict or Object, the last if there are several; nullptr when there is none.
    const PickleValue* find(std::string_view key) const;

private:
    friend class PickleMachine;
    using Elements = std::vector<const PickleValue*>;
    using Entries = std::vector<PickleItem>;

    Kind kind_ = Kind::None;
    // Lists and dicts are allocated with their first element: an empty one costs no more than this. The elements of a Tuple
    // are in the Pickle's memory. An Object points to its state; a Global is an index in the table of known names.
    std::variant<std::monostate, bool, int64_t, double, std::string_view, std::span<const PickleValue* const>,
                 std::unique_ptr<Elements>, std::unique_ptr<Entries>, std::unique_ptr<PickleTensor>,
                 std::unique_ptr<PickleStorage>, const PickleValue*>
        content_;
};

class Pickle {
public:
    /// Reads the pickle in `bytes`, which must outlive the result. Error, beginning with `where`, when it is damaged, wants
    /// something that is not data, or is larger than 16 MiB (memory stays below about 64 times the pickle's size).
    static Pickle parse(std::span<const std::byte> bytes, const std::string& where);

    const PickleValue& root() const { return *root_; }

private:
    friend class PickleMachine;
    std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_ = std::make_unique<std::pmr::monotonic_buffer_resource>();
    std::deque<PickleValue> values_;  // all of them: destroyed one by one, however deep they nest
    const PickleValue* root_ = nullptr;
};

}  // namespace nib
