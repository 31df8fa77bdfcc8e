// The stack machine that pickles are programs for.
#include "io/pickle.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "io/pickle_format.h"

namespace nib {
namespace {

using namespace pickle;

constexpr size_t kMostBytes = size_t{16} << 20;  // checkpoints of any size have a few hundred KB
constexpr size_t kMostDimensions = 64;

using Kind = PickleValue::Kind;

}  // namespace

// Values are never copied or freed: each opcode makes at most one, and containers hold pointers.
class PickleMachine {
public:
    PickleMachine(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

    Pickle run() {
        if (bytes_.size() > kMostBytes) {
            fail("%s: has %zu bytes, more than %zu; a checkpoint keeps its tensors outside", where_.c_str(), bytes_.size(),
                 kMostBytes);
        }
        none_ = make(Kind::None);
        true_ = make(Kind::Bool, true);
        false_ = make(Kind::Bool, false);
        no_elements_ = make(Kind::Tuple);
        if (bytes_.size() < 2 || number<uint8_t>() != kProto) damaged("does not begin as a pickle of protocol 2 to 5");
        if (const auto protocol = number<uint8_t>(); protocol < 2 || protocol > 5) {
            fail("%s: is a pickle of protocol %u, but nib reads 2 to 5", where_.c_str(), unsigned(protocol));
        }
        while (step(number<uint8_t>())) {
        }
        if (at_ != bytes_.size()) damaged("goes on after its end");
        return std::move(pickle_);
    }

private:
    using Value = const PickleValue*;

    // ---- reading ----

    [[noreturn]] void damaged(const char* what) const {
        fail("%s: byte %zu: %s; the file is damaged", where_.c_str(), opcode_at_, what);
    }

    [[noreturn]] void refuse(std::string_view name) const {
        fail(
            "%s: byte %zu: wants to import or call `%s`, which nib refuses: it reads tensors, dicts, lists, numbers and "
            "strings and runs nothing (save model.state_dict() and plain values)",
            where_.c_str(), opcode_at_, printable(name).c_str());
    }

    std::string_view take(uint64_t size) {
        if (size > bytes_.size() - at_) damaged("reaches beyond the end of the pickle");
        const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(size));
        at_ += taken.size();
        return taken;
    }

    template <class T>
    T number() {
        T value;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return value;
    }

    std::string_view line() {
        const auto rest = std::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()).substr(at_);
        const size_t length = rest.find('\n');
        if (length == rest.npos) damaged("reaches beyond the end of the pickle");
        return take(length + 1).substr(0, length);
    }

    // ---- values and the stack ----

    template <class... Content>
    PickleValue* make(Kind kind, Content&&... content) {
        PickleValue& value = pickle_.values_.emplace_back();
        value.kind_ = kind;
        if constexpr (sizeof...(Content) > 0) value.content_ = (std::forward<Content>(content), ...);
        return &value;
    }

    bool push(Value value) {
        stack_.push_back(const_cast<PickleValue*>(value));  // all are ours; only containers are ever changed
        return true;
    }

    size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }  // the stack below belongs to earlier marks

    PickleValue* top() const {
        if (stack_.size() <= bottom()) damaged("takes a value from an empty stack");
        return stack_.back();
    }

    PickleValue* pop() {
        PickleValue* value = top();
        stack_.pop_back();
        return value;
    }

    // The values since the last mark; drop() removes them.
    std::span<PickleValue* const> since_mark() {
        if (marks_.empty()) damaged("needs a mark");
        return std::span(stack_).subspan(marks_.back());
    }

    bool drop() {
        stack_.resize(marks_.back());
        marks_.pop_back();
        return true;
    }

    std::span<PickleValue* const> top_values(size_t count) {
        if (stack_.size() - bottom() < count) damaged("takes a value from an empty stack");
        return std::span(stack_).last(count);
    }

    Value tuple(std::span<PickleValue* const> values) {
        if (values.empty()) return no_elements_;
        std::pmr::polymorphic_allocator<Value> allocator(pickle_.memory_.get());
        Value* elements = allocator.allocate(values.size());
        std::copy(values.begin(), values.end(), elements);
        return make(Kind::Tuple, std::span<const Value>(elements, values.size()));
    }

    Value list(std::span<PickleValue* const> values) {
        PickleValue* made = make(Kind::List);
        append(*made, values);
        return made;
    }

    void append(PickleValue& list, std::span<PickleValue* const> values) {
        if (values.empty()) return;
        if (std::holds_alternative<std::monostate>(list.content_))
            list.content_ = std::make_unique<PickleValue::Elements>();
        auto& elements = *std::get<std::unique_ptr<PickleValue::Elements>>(list.content_);
        elements.insert(elements.end(), values.begin(), values.end());
    }

    void append_to_list(PickleValue* list, std::span<PickleValue* const> values) {
        if (list->kind_ != Kind::List) damaged("appends to what is not a list");
        append(*list, values);
    }

    void set_items(PickleValue* dict, std::span<PickleValue* const> values) {
        if (dict->kind_ != Kind::Dict) damaged("sets an item of what is not a dict");
        if (values.size() % 2 != 0) damaged("sets a key without a value");
        if (values.empty()) return;
        if (std::holds_alternative<std::monostate>(dict->content_)) {
            dict->content_ = std::make_unique<PickleValue::Entries>();
        }
        auto& entries = *std::get<std::unique_ptr<PickleValue::Entries>>(dict->content_);
        for (size_t i = 0; i < values.size(); i += 2) entries.push_back({values[i], values[i + 1]});
    }

    void put(uint64_t index) {
        if (index >= bytes_.size()) damaged("remembers a value under an impossible number");
        if (index >= memo_.size()) memo_.resize(index + 1);
        memo_[index] = top();
        memoized_ = std::max(memoized_, static_cast<size_t>(index) + 1);
    }

    bool get(uint64_t index) {
        if (index >= memo_.size() || memo_[index] == nullptr) damaged("recalls a value that was never remembered");
        return push(memo_[index]);
    }

    // ---- opcodes ----

    // Executes one; false when it was the last.
    bool step(uint8_t opcode) {
        opcode_at_ = at_ - 1;
        switch (opcode) {
            case kStop: pickle_.root_ = pop(); return false;
            case kFrame: number<uint64_t>(); return true;
            case kMark: marks_.push_back(stack_.size()); return true;
            case kPop:
                if (stack_.size() == bottom() && !marks_.empty()) return drop();  // as Python has it
                pop();
                return true;
            case kPopMark: since_mark(); return drop();
            case kDup: return push(top());
            case kBinPut: put(number<uint8_t>()); return true;
            case kLongBinPut: put(number<uint32_t>()); return true;
            case kMemoize: put(memoized_); return true;
            case kBinGet: return get(number<uint8_t>());
            case kLongBinGet: return get(number<uint32_t>());
            default: return step_value(opcode) || step_container(opcode) || step_call(opcode);
        }
    }

    // Opcodes that push a plain value. False, as below, when it is another one.
    bool step_value(uint8_t opcode) {
        switch (opcode) {
            case kNone: return push(none_);
            case kNewTrue: return push(true_);
            case kNewFalse: return push(false_);
            case kBinInt: return push(make(Kind::Int, int64_t{number<int32_t>()}));
            case kBinInt1: return push(make(Kind::Int, int64_t{number<uint8_t>()}));
            case kBinInt2: return push(make(Kind::Int, int64_t{number<uint16_t>()}));
            case kLong1: return push(long_integer(take(number<uint8_t>())));
            case kLong4: return push(long_integer(take(number<uint32_t>())));  // a negative length is beyond the end
            case kBinFloat: return push(make(Kind::Float, std::bit_cast<double>(__builtin_bswap64(number<uint64_t>()))));
            case kShortBinUnicode: return push(make(Kind::Text, take(number<uint8_t>())));
            case kBinUnicode: return push(make(Kind::Text, take(number<uint32_t>())));
            case kBinUnicode8: return push(make(Kind::Text, take(number<uint64_t>())));
            case kShortBinBytes: return push(make(Kind::Bytes, take(number<uint8_t>())));
            case kBinBytes: return push(make(Kind::Bytes, take(number<uint32_t>())));
            case kBinBytes8:
            case kByteArray8: return push(make(Kind::Bytes, take(number<uint64_t>())));
            default: return false;
        }
    }

    // Little-endian two's complement.
    Value long_integer(std::string_view digits) {
        if (digits.size() > sizeof(int64_t)) return make(Kind::Other);
        uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
        for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
        return make(Kind::Int, static_cast<int64_t>(value));
    }

    bool step_container(uint8_t opcode) {
        switch (opcode) {
            case kEmptyTuple: return push(no_elements_);
            case kEmptyList:
            case kEmptySet: return push(make(Kind::List));
            case kEmptyDict: return push(make(Kind::Dict));
            case kTuple1: return tuple_of_top(1);
            case kTuple2: return tuple_of_top(2);
            case kTuple3: return tuple_of_top(3);
            case kTuple:
            case kFrozenSet: {
                const Value made = opcode == kTuple ? tuple(since_mark()) : list(since_mark());
                return drop() && push(made);
            }
            case kAppend: {
                const auto values = top_values(2);
                append_to_list(values[0], values.subspan(1));
                stack_.pop_back();
                return true;
            }
            case kSetItem: {
                const auto values = top_values(3);
                set_items(values[0], values.subspan(1));
                stack_.resize(stack_.size() - 2);
                return true;
            }
            case kAppends:
            case kAddItems: append_to_list(below_mark(), since_mark()); return drop();
            case kSetItems: set_items(below_mark(), since_mark()); return drop();
            default: return false;
        }
    }

    bool tuple_of_top(size_t count) {
        const Value made = tuple(top_values(count));
        stack_.resize(stack_.size() - count);
        return push(made);
    }

    // The value just below the last mark.
    PickleValue* below_mark() {
        if (marks_.empty()) damaged("needs a mark");
        const size_t lower = marks_.size() > 1 ? marks_[marks_.size() - 2] : 0;
        if (marks_.back() == lower) damaged("takes a value from an empty stack");
        return stack_[marks_.back() - 1];
    }

    bool step_call(uint8_t opcode) {
        switch (opcode) {
            case kGlobal: {
                const std::string_view module = line(), name = line();
                return push(global(module, name));
            }
            case kStackGlobal: {
                const Value name = pop(), module = pop();
                if (name->kind_ != Kind::Text || module->kind_ != Kind::Text) damaged("imports what is not a name");
                return push(global(*module->text(), *name->text()));
            }
            case kReduce:
            case kNewObj: {
                const Value arguments = pop(), callee = pop();
                if (callee->kind_ != Kind::Global) damaged("calls what is not a function");
                if (arguments->kind_ != Kind::Tuple) damaged("calls a function without a tuple of arguments");
                const KnownGlobal& function = known(callee);
                if ((opcode == kNewObj) != (function.role == Role::Namespace)) refuse(function.name);
                return push(call(function, arguments->elements()));
            }
            case kBuild: {
                const Value state = pop();
                return build(*top(), state);
            }
            case kBinPersId: return push(storage(pop()));
            case kInst: {
                const std::string_view module = line(), name = line();
                refuse(std::string(module) + "." + std::string(name));
            }
            case kNewObjEx: {
                pop(), pop();
                const Value callee = pop();
                refuse(callee->kind_ == Kind::Global ? known(callee).name : "a class with keyword arguments");
            }
            case kObj: refuse("a class of the stack");
            case kPersId: refuse("a persistent object by its text");
            case kExt1:
            case kExt2:
            case kExt4: refuse("a registered extension");
            default:
                fail(
                    "%s: byte %zu: has opcode 0x%02x, which PyTorch does not write in protocols 2 to 5; the file is "
                    "damaged",
                    where_.c_str(), opcode_at_, unsigned(opcode));
        }
    }

    // ---- what PyTorch's names and calls mean ----

    Value global(std::string_view module, std::string_view name) {
        const auto matches = [&](const KnownGlobal& known) {
            const std::string_view full = known.name;
            return full.size() == module.size() + 1 + name.size() && full.starts_with(module) &&
                   full[module.size()] == '.' && full.ends_with(name);
        };
        const auto* found = std::find_if(std::begin(kGlobals), std::end(kGlobals), matches);
        if (found == std::end(kGlobals)) refuse(std::string(module) + "." + std::string(name));
        return make(Kind::Global, static_cast<int64_t>(found - std::begin(kGlobals)));
    }

    static const KnownGlobal& known(Value value) {
        return kGlobals[static_cast<size_t>(std::get<int64_t>(value->content_))];
    }

    using Arguments = std::span<const PickleValue* const>;

    Value call(const KnownGlobal& function, Arguments arguments) {
        const size_t count = arguments.size();
        switch (function.role) {
            case Role::OrderedDict:
                if (count == 0) return make(Kind::Dict);
                break;
            case Role::Namespace:
                if (count == 0) return make(Kind::Object);
                break;
            case Role::Set:
                if (count == 0) return make(Kind::List);
                if (count == 1 && arguments[0]->kind_ == Kind::List) return arguments[0];
                break;
            case Role::NoBytes:
                if (count == 0) return make(Kind::Other);
                break;
            case Role::Encode:
                if (count == 2 && arguments[0]->kind_ == Kind::Text && arguments[1]->text() == "latin1") {
                    return make(Kind::Other);
                }
                break;
            case Role::Size:
                if (count == 1 && arguments[0]->kind_ == Kind::Tuple) return arguments[0];
                break;
            case Role::TensorV2:
                if (count == 6 || count == 7) return tensor(arguments, nullptr, count == 7 ? arguments[6] : none_);
                break;
            case Role::TensorV3:
                if (count == 7 || count == 8) return tensor(arguments, arguments[6], count == 8 ? arguments[7] : none_);
                break;
            case Role::Parameter:
                if (count >= 3 && count <= 4 && arguments[0]->kind_ == Kind::Tensor) return arguments[0];
                break;
            case Role::Untyped:
            case Role::Storage:
            case Role::Type: refuse(function.name);
        }
        fail("%s: byte %zu: calls `%s` with arguments that PyTorch does not give it; nib reads it as data only",
             where_.c_str(), opcode_at_, std::string(function.name).c_str());
    }

    // _rebuild_tensor_v2(storage, offset, size, strides, requires_grad, hooks[, metadata]); v3 has a type before the last.
    Value tensor(Arguments arguments, Value type, Value metadata) {
        const PickleStorage* storage = arguments[0]->storage();
        const auto offset = arguments[1]->integer();
        if (storage == nullptr || !offset) damaged("makes a tensor of something that is no storage and offset");
        const bool lazy = !metadata->entries().empty();
        PickleTensor tensor{storage, storage->type, storage->type_name, *offset, arguments[2], arguments[3], lazy};
        if (check_integers(tensor.shape) != check_integers(tensor.strides)) {
            damaged("makes a tensor with more sizes than strides or fewer");
        }
        if (type != nullptr) {
            if (type->kind_ != Kind::Global || known(type).role != Role::Type) damaged("makes a tensor of what is no type");
            tensor.type = known(type).type;
            tensor.type_name = known(type).name;
        } else if (storage->untyped) {
            damaged("makes a tensor without a type");
        }
        return make(Kind::Tensor, std::make_unique<PickleTensor>(tensor));
    }

    // Returns how many there are.
    size_t check_integers(Value tuple) const {
        if (tuple->kind_ != Kind::Tuple) damaged("makes a tensor whose shape is not a tuple");
        if (tuple->elements().size() > kMostDimensions) damaged("makes a tensor with more than 64 dimensions");
        for (const Value value : tuple->elements()) {
            if (value->kind_ != Kind::Int) damaged("makes a tensor whose shape is not of integers");
        }
        return tuple->elements().size();
    }

    // ("storage", type, key, device, count of elements)
    Value storage(Value id) {
        const Arguments parts = id->kind_ == Kind::Tuple ? id->elements() : Arguments();
        if (parts.size() != 5 || parts[0]->kind_ != Kind::Text || parts[0]->text() != "storage" ||
            parts[1]->kind_ != Kind::Global || parts[2]->kind_ != Kind::Text || parts[4]->kind_ != Kind::Int) {
            damaged("refers to something that is no storage");
        }
        const KnownGlobal& type = known(parts[1]);
        if (type.role != Role::Storage && type.role != Role::Untyped) damaged("refers to a storage without a type");
        const PickleStorage storage{*parts[2]->text(), type.type, type.name, *parts[4]->integer(),
                                    type.role == Role::Untyped};
        return make(Kind::Storage, std::make_unique<PickleStorage>(storage));
    }

    // Gives an object its state.
    bool build(PickleValue& object, Value state) const {
        if (object.kind_ == Kind::Dict) return true;  // attributes of a state dict (`_metadata`), which say nothing to us
        if (object.kind_ != Kind::Object) damaged("gives a state to what has none");
        if (state->kind_ != Kind::Dict) damaged("gives an argparse.Namespace a state that is not a dict");
        object.content_.emplace<Value>(state);
        return true;
    }

    std::span<const std::byte> bytes_;
    const std::string& where_;
    size_t at_ = 0, opcode_at_ = 0;
    Pickle pickle_;
    std::vector<PickleValue*> stack_, memo_;
    std::vector<size_t> marks_;  // sizes of the stack
    size_t memoized_ = 0;        // numbers in use
    Value none_ = nullptr, true_ = nullptr, false_ = nullptr, no_elements_ = nullptr;
};

Pickle Pickle::parse(std::span<const std::byte> bytes, const std::string& where) {
    return PickleMachine(bytes, where).run();
}

}  // namespace nib
