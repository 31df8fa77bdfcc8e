#include "io/pickle_machine.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <memory>

#include "core/error.h"

namespace nib {

using namespace pickle;

constexpr size_t kMaxBytes = size_t{16} << 20;  // checkpoints of any size have a few hundred KB

Pickle PickleMachine::run() {
    bytes_ = bytes_.first(std::min(bytes_.size(), kMaxBytes));
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
    return std::move(pickle_);
}

// ---- reading ----

void PickleMachine::damaged(const char* what) const {
    fail("%s: byte %zu: %s; the file is damaged", where_.c_str(), opcode_at_, what);
}

std::string_view PickleMachine::take(uint64_t size) {
    if (size > bytes_.size() - at_) {
        if (bytes_.size() < kMaxBytes) damaged("reaches beyond the end of the pickle");
        fail("%s: is larger than %zu bytes; a checkpoint keeps its tensors outside", where_.c_str(), kMaxBytes);
    }
    const std::string_view taken(reinterpret_cast<const char*>(bytes_.data()) + at_, static_cast<size_t>(size));
    at_ += taken.size();
    return taken;
}

std::string_view PickleMachine::line() {
    const auto rest = std::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()).substr(at_);
    const size_t length = std::min(rest.find('\n'), rest.size());
    return take(length + 1).substr(0, length);
}

// ---- values and the stack ----

PickleValue* PickleMachine::top() const {
    if (stack_.size() <= bottom()) damaged("takes a value from an empty stack");
    return stack_.back();
}

PickleValue* PickleMachine::pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
}

PickleMachine::Values PickleMachine::top_values(size_t count) {
    if (stack_.size() - bottom() < count) damaged("takes a value from an empty stack");
    return std::span(stack_).last(count);
}

PickleMachine::Values PickleMachine::since_mark() {
    if (marks_.empty()) damaged("needs a mark");
    return std::span(stack_).subspan(marks_.back());
}

bool PickleMachine::drop() {
    stack_.resize(marks_.back());
    marks_.pop_back();
    return true;
}

// The value just below the last mark.
PickleValue* PickleMachine::below_mark() {
    if (marks_.empty()) damaged("needs a mark");
    const size_t lower = marks_.size() > 1 ? marks_[marks_.size() - 2] : 0;
    if (marks_.back() == lower) damaged("takes a value from an empty stack");
    return stack_[marks_.back() - 1];
}

void PickleMachine::put(uint64_t index) {
    if (index >= bytes_.size()) damaged("remembers a value under an impossible number");
    if (index >= memo_.size()) memo_.resize(index + 1);
    memo_[index] = top();
    memoized_ = std::max(memoized_, static_cast<size_t>(index) + 1);
}

bool PickleMachine::get(uint64_t index) {
    if (index >= memo_.size() || memo_[index] == nullptr) damaged("recalls a value that was never remembered");
    return push(memo_[index]);
}

PickleMachine::Value PickleMachine::tuple(Values values) {
    if (values.empty()) return no_elements_;
    std::pmr::polymorphic_allocator<Value> allocator(pickle_.memory_.get());
    Value* elements = allocator.allocate(values.size());
    std::copy(values.begin(), values.end(), elements);
    PickleValue* made = make(Kind::Tuple, std::span<const Value>(elements, values.size()));
    for (const Value value : values) made->holds_weights_ |= value->holds_weights_;
    return made;
}

PickleMachine::Value PickleMachine::set(Values values) {
    PickleValue* made = make(Kind::Set);
    append(made, values);
    return made;
}

void PickleMachine::append(PickleValue* list, Values values) {
    if (values.empty()) return;
    if (list->kind_ == Kind::Object) {
        auto& parts = *std::get<std::unique_ptr<PickleValue::Parts>>(list->content_);
        if (parts.list == nullptr) parts.given.push_back(parts.list = make(Kind::List));
        append(parts.list, values);
        list->holds_weights_ |= parts.list->holds_weights_;
        return;
    }
    if (list->kind_ != Kind::List && list->kind_ != Kind::Set) damaged("appends to what is not a list");
    if (std::holds_alternative<std::monostate>(list->content_)) {
        list->content_ = std::make_unique<PickleValue::Elements>();
    }
    auto& elements = *std::get<std::unique_ptr<PickleValue::Elements>>(list->content_);
    elements.insert(elements.end(), values.begin(), values.end());
    for (const Value value : values) list->holds_weights_ |= value->holds_weights_;
}

void PickleMachine::set_items(PickleValue* dict, Values values) {
    if (values.size() % 2 != 0) damaged("sets a key without a value");
    if (values.empty()) return;
    if (dict->kind_ == Kind::Object) {
        auto& parts = *std::get<std::unique_ptr<PickleValue::Parts>>(dict->content_);
        if (parts.dict == nullptr) parts.given.push_back(parts.dict = make(Kind::Dict));
        set_items(parts.dict, values);
        dict->holds_weights_ |= parts.dict->holds_weights_;
        return;
    }
    if (dict->kind_ != Kind::Dict) damaged("sets an item of what is not a dict");
    if (std::holds_alternative<std::monostate>(dict->content_)) dict->content_ = std::make_unique<PickleValue::Entries>();
    auto& entries = *std::get<std::unique_ptr<PickleValue::Entries>>(dict->content_);
    for (size_t i = 0; i < values.size(); i += 2) entries.push_back({values[i], values[i + 1]});
    for (const Value value : values) dict->holds_weights_ |= value->holds_weights_;
}

// ---- opcodes ----

bool PickleMachine::step(uint8_t opcode) {
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
        default: break;
    }
    if (step_value(opcode) || step_container(opcode) || step_call(opcode)) return true;
    fail("%s: byte %zu: has opcode 0x%02x, which PyTorch does not write in protocols 2 to 5; the file is damaged",
         where_.c_str(), opcode_at_, unsigned(opcode));
}

// Opcodes that push a plain value.
bool PickleMachine::step_value(uint8_t opcode) {
    switch (opcode) {
        case kNone: return push(none_);
        case kNewTrue: return push(true_);
        case kNewFalse: return push(false_);
        case kInt: return push(integer(line()));
        case kBinInt: return push(make(Kind::Int, int64_t{number<int32_t>()}));
        case kBinInt1: return push(make(Kind::Int, int64_t{number<uint8_t>()}));
        case kBinInt2: return push(make(Kind::Int, int64_t{number<uint16_t>()}));
        case kLong1: return push(long_integer(take(number<uint8_t>())));
        case kLong4: return push(long_integer(take(number<uint32_t>())));  // a negative length is beyond the end
        case kBinFloat: return push(make(Kind::Float, std::bit_cast<double>(__builtin_bswap64(number<uint64_t>()))));
        case kShortBinString:
        case kShortBinUnicode: return push(make(Kind::Text, take(number<uint8_t>())));
        case kBinString:
        case kBinUnicode: return push(make(Kind::Text, take(number<uint32_t>())));
        case kBinUnicode8: return push(make(Kind::Text, take(number<uint64_t>())));
        case kShortBinBytes: return push(make(Kind::Bytes, take(number<uint8_t>())));
        case kBinBytes: return push(make(Kind::Bytes, take(number<uint32_t>())));
        case kBinBytes8:
        case kByteArray8: return push(make(Kind::Bytes, take(number<uint64_t>())));
        default: return false;
    }
}

// In decimal; "00" and "01" are False and True.
PickleMachine::Value PickleMachine::integer(std::string_view line) {
    if (line == "00" || line == "01") return line == "01" ? true_ : false_;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
    if (error == std::errc::result_out_of_range) return make(Kind::Other);
    if (error != std::errc() || end != line.data() + line.size()) damaged("has an integer that is none");
    return make(Kind::Int, value);
}

// Little-endian two's complement.
PickleMachine::Value PickleMachine::long_integer(std::string_view digits) {
    if (digits.size() > sizeof(int64_t)) return make(Kind::Other);
    uint64_t value = !digits.empty() && (digits.back() & 0x80) != 0 ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<uint8_t>(digits[i]);
    return make(Kind::Int, static_cast<int64_t>(value));
}

bool PickleMachine::step_container(uint8_t opcode) {
    switch (opcode) {
        case kEmptyTuple: return push(no_elements_);
        case kEmptyList: return push(make(Kind::List));
        case kEmptySet: return push(make(Kind::Set));
        case kEmptyDict: return push(make(Kind::Dict));
        case kTuple1: return tuple_of_top(1);
        case kTuple2: return tuple_of_top(2);
        case kTuple3: return tuple_of_top(3);
        case kTuple:
        case kFrozenSet: {
            const Value made = opcode == kTuple ? tuple(since_mark()) : set(since_mark());
            return drop() && push(made);
        }
        case kAppend: {
            const auto values = top_values(2);
            append(values[0], values.subspan(1));
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
        case kAddItems: append(below_mark(), since_mark()); return drop();
        case kSetItems: set_items(below_mark(), since_mark()); return drop();
        default: return false;
    }
}

bool PickleMachine::tuple_of_top(size_t count) {
    const Value made = tuple(top_values(count));
    stack_.resize(stack_.size() - count);
    return push(made);
}

bool PickleMachine::step_call(uint8_t opcode) {
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
        case kReduce: {
            const Value arguments = pop(), callee = pop();
            return push(call(callee, arguments));
        }
        case kNewObj: {
            const Value arguments = pop(), maker = pop();
            return push(object(maker, arguments));
        }
        case kNewObjEx: {
            const Value named = pop(), arguments = pop(), maker = pop();
            const Value made = object(maker, arguments);
            return push(made) && (give(stack_.back(), named), true);
        }
        case kInst: {
            const std::string_view module = line(), name = line();
            const Value made = object(global(module, name), tuple(since_mark()));
            return drop() && push(made);
        }
        case kObj: {
            const Values values = since_mark();
            if (values.empty()) damaged("takes a value from an empty stack");
            const Value made = object(values[0], tuple(values.subspan(1)));
            return drop() && push(made);
        }
        case kBuild: {
            const Value state = pop();
            build(top(), state);
            return true;
        }
        case kBinPersId: return push(persistent(pop()));
        default: return false;
    }
}

Pickle Pickle::parse(std::span<const std::byte> bytes, const std::string& where) {
    Pickle pickle = parse_first(bytes, where);
    if (!bytes.empty()) fail("%s: goes on after its end; the file is damaged", where.c_str());
    return pickle;
}

Pickle Pickle::parse_first(std::span<const std::byte>& bytes, const std::string& where) {
    PickleMachine machine(bytes, where);
    Pickle pickle = machine.run();
    bytes = bytes.subspan(machine.bytes_read());
    return pickle;
}

}  // namespace nib
