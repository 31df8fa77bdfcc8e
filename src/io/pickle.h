// Python pickles as torch.save writes them, read as data: nothing is imported, called or executed.
//
// A pickle is a program for a small stack machine that builds values and may call any Python function. This reader knows
// the values (numbers, strings, lists, tuples, dicts, tensors) and the results of the few calls that PyTorch writes.
// Anything else that is imported is only a name, and the result of calling it an Object: that name and the arguments.
// Protocols 2 to 5.
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

namespace pickle {
struct KnownGlobal;
}
class PickleValue;

/// The bytes of one or more tensors, which are outside the pickle. The numbers are not checked here.
struct PickleStorage {
    std::string_view key;  // its name
    SourceType type;
    std::string_view type_name;
    int64_t element_bytes;  // 1 when it is untyped
    int64_t count;          // of elements
    bool untyped;
    int64_t first, used;  // its elements; before PyTorch 0.4 there could be others before and after them
};

/// A view of a storage. Whether it is inside is not checked here.
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

/// A value of the tree. Values that occur in several places are shared, and a list may contain itself, so beware of cycles.
/// Strings point into the pickle.
class PickleValue {
public:
    enum class Kind : uint8_t {
        None,
        Bool,
        Int,
        Float,
        Text,
        Bytes,
        List,
        Set,     // and frozenset; in no particular order
        Tuple,   // and torch.Size
        Dict,    // and OrderedDict
        Object,  // of a class that is not one of these, or the result of an unknown function
        Tensor,  // and Parameter
        Storage,
        Global,  // a class or function, such as torch.float32
        Other,   // an integer beyond 64 bits, or bytes as protocol 2 encodes them
    };

    Kind kind() const { return kind_; }
    /// Whether it contains tensors, storages or NumPy arrays, was made from them, or names a function that returns them.
    bool holds_weights() const { return holds_weights_; }

    /// The value if it is of that kind, else nothing. number: an Int or a Float.
    std::optional<bool> boolean() const;
    std::optional<int64_t> integer() const;
    std::optional<double> number() const;
    std::optional<std::string_view> text() const;
    const PickleTensor* tensor() const;
    const PickleStorage* storage() const;

    /// The name of a Global, or of the class or function that made an Object: "torch.float32" (no more than its first 200
    /// bytes); empty for other kinds.
    std::string_view name() const;

    /// The elements of a List, Set or Tuple, the entries of a Dict, in order; empty for other kinds.
    std::span<const PickleValue* const> elements() const;
    std::span<const PickleItem> entries() const;
    /// The value under a Text key of a Dict, or the attribute or item of an Object; the last if there are several, nullptr
    /// when there is none.
    const PickleValue* find(std::string_view key) const;

private:
    friend class PickleMachine;
    using Elements = std::vector<const PickleValue*>;
    using Entries = std::vector<PickleItem>;

    // What is known of an object: the class or function that makes it, and all that it is given: arguments, states, items.
    struct Parts {
        const PickleValue* maker;  // a Global; if an Object is called to make it, the maker of that
        Elements given;
        PickleValue *list = nullptr, *dict = nullptr;  // the items, once there are some; also in `given`
    };

    static const PickleValue* find_attribute(const Parts& object, std::string_view key);

    Kind kind_ = Kind::None;
    bool holds_weights_ = false;
    // Lists and dicts are allocated with their first element, so empty ones take no more memory than this. The elements of
    // a Tuple and unknown Globals are in the Pickle's memory.
    std::variant<std::monostate, bool, int64_t, double, std::string_view, std::span<const PickleValue* const>,
                 std::unique_ptr<Elements>, std::unique_ptr<Entries>, std::unique_ptr<PickleTensor>,
                 std::unique_ptr<PickleStorage>, std::unique_ptr<Parts>, const pickle::KnownGlobal*>
        content_;
};

class Pickle {
public:
    /// Reads the pickle in `bytes`, which must outlive the result. Error, beginning with `where`, when it is damaged or
    /// larger than 16 MiB (memory stays below about 64 times the pickle's size).
    static Pickle parse(std::span<const std::byte> bytes, const std::string& where);
    /// The same where other bytes may follow; sets `bytes` to those.
    static Pickle parse_first(std::span<const std::byte>& bytes, const std::string& where);

    const PickleValue& root() const { return *root_; }
    /// The storages that it refers to, one for each reference.
    const std::vector<const PickleStorage*>& storages() const { return storages_; }

private:
    friend class PickleMachine;
    std::unique_ptr<std::pmr::monotonic_buffer_resource> memory_ = std::make_unique<std::pmr::monotonic_buffer_resource>();
    std::deque<PickleValue> values_;  // all of them, so that destroying them never recurses
    std::vector<const PickleStorage*> storages_;
    const PickleValue* root_ = nullptr;
};

}  // namespace nib
