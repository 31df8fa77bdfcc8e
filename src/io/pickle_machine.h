// The stack machine that runs pickles. Values are never copied or freed: an opcode makes a few at most, and containers hold
// pointers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/pickle.h"
#include "io/pickle_format.h"

namespace nib {

class PickleMachine {
public:
    PickleMachine(std::span<const std::byte> bytes, const std::string& where) : bytes_(bytes), where_(where) {}

    /// Reads one pickle from the start of `bytes`.
    Pickle run();
    size_t bytes_read() const { return at_; }

private:
    using Kind = PickleValue::Kind;
    using Value = const PickleValue*;
    using Values = std::span<PickleValue* const>;
    using Arguments = std::span<const PickleValue* const>;

    // ---- reading ----

    [[noreturn]] void damaged(const char* what) const;
    std::string_view take(uint64_t size);
    std::string_view line();

    template <class T>
    T number() {
        T value;
        std::memcpy(&value, take(sizeof value).data(), sizeof value);
        return value;
    }

    // ---- values and the stack ----

    template <class... Content>
    PickleValue* make(PickleValue::Kind kind, Content&&... content) {
        PickleValue& value = pickle_.values_.emplace_back();
        value.kind_ = kind;
        if constexpr (sizeof...(Content) > 0) value.content_ = (std::forward<Content>(content), ...);
        return &value;
    }

    bool push(Value value) {
        stack_.push_back(const_cast<PickleValue*>(value));  // all belong to pickle_; only containers are ever changed
        return true;
    }

    size_t bottom() const { return marks_.empty() ? 0 : marks_.back(); }  // the stack below belongs to earlier marks

    PickleValue* top() const;
    PickleValue* pop();
    Values top_values(size_t count);
    Values since_mark();  // drop() removes them
    bool drop();
    PickleValue* below_mark();
    void put(uint64_t index);
    bool get(uint64_t index);

    Value tuple(Values values);
    Value set(Values values);
    void append(PickleValue* list, Values values);
    void set_items(PickleValue* dict, Values values);

    // ---- opcodes ----

    bool step(uint8_t opcode);  // executes one; false if it was the last
    // These return false if the opcode is not one of theirs.
    bool step_value(uint8_t opcode);
    bool step_container(uint8_t opcode);
    bool step_call(uint8_t opcode);
    bool tuple_of_top(size_t count);
    Value integer(std::string_view line);
    Value long_integer(std::string_view digits);

    // ---- what names and calls mean: pickle_calls.cpp ----

    static const pickle::KnownGlobal& known(Value global) {
        return *std::get<const pickle::KnownGlobal*>(global->content_);
    }

    Value global(std::string_view module, std::string_view name);
    Value call(Value callee, Value arguments);
    Value call_known(const pickle::KnownGlobal& function, Arguments arguments);
    Value call_tensor_maker(const pickle::KnownGlobal& function, Arguments arguments);
    Value tensor(Arguments arguments, Value type, Value metadata);
    Value from_type(Arguments arguments);
    Value ordered_dict(Value pairs);
    Value set_of(Value list);
    Value persistent(Value id);
    Value storage(Arguments parts);
    size_t check_integers(Value tuple) const;

    PickleValue* object(Value maker);
    Value object(Value maker, Value arguments);
    Value unknown_tensor(Value reason);
    void give(PickleValue* object, Value part);
    void build(PickleValue* object, Value state);

    std::span<const std::byte> bytes_;
    const std::string& where_;
    size_t at_ = 0, opcode_at_ = 0;
    Pickle pickle_;
    std::vector<PickleValue*> stack_, memo_;
    std::vector<size_t> marks_;  // sizes of the stack
    size_t memoized_ = 0;        // numbers in use
    Value none_ = nullptr, true_ = nullptr, false_ = nullptr, no_elements_ = nullptr;
};

}  // namespace nib
