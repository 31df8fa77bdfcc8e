// The values of Jinja, and what it can do with them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nib::jinja {

/// A value of Python's. Texts, lists and objects are never changed, so that copies share them.
class Value {
public:
    enum class Kind : uint8_t { Undefined, None, Boolean, Integer, Text, List, Object };
    using List = std::vector<Value>;
    using Object = std::vector<std::pair<std::string, Value>>;  // in the order in which members were set

    Value();  // undefined
    ~Value();
    Value(const Value&);
    Value(Value&&) noexcept;
    Value& operator=(const Value&);
    Value& operator=(Value&&) noexcept;
    static Value none();
    static Value boolean(bool value);
    static Value integer(int64_t value);
    Value(std::string text);
    Value(const char* text);
    // Error when they are nested too deeply.
    Value(List list);
    Value(Object object);

    Kind kind() const { return kind_; }
    bool is(Kind kind) const { return kind_ == kind; }
    bool is_undefined() const { return is(Kind::Undefined); }

    // Error for a value of another kind.
    const std::string& text() const;
    int64_t number() const;
    const List& list() const;
    const Object& object() const;

    /// The member of an object, nullptr if there is none.
    const Value* find(std::string_view name) const;
    /// How many characters, elements or members it has.
    size_t size() const;
    bool is_true() const;

private:
    Kind kind_ = Kind::Undefined;
    int depth_ = 0;
    int64_t number_ = 0;
    std::shared_ptr<const std::string> text_;
    std::shared_ptr<const List> list_;
    std::shared_ptr<const Object> object_;
};

/// Takes `cost` from the steps that are still to be taken. Error when there are fewer.
void spend(size_t& steps, size_t cost);

/// Whether two values are equal. Takes what that costs from `steps`.
bool equal(const Value& a, const Value& b, size_t& steps);
/// What writing the value writes.
std::string to_text(const Value& value);

/// What a loop goes through: a list's elements, a text's characters, an object's keys.
Value::List elements(const Value& value);
/// A member of an object, undefined if there is none; Error for one of what is undefined itself.
Value member(const Value& value, const std::string& name);
/// The same by a value in brackets.
Value item(const Value& value, const Value& index);
/// value[start:stop:step]
Value sliced(const Value& value, std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step);

// Operators, methods, filters and tests by their names; Error for one that nib does not know, and for values that it is
// not for. `steps`: see spend().
Value binary(const std::string& what, const Value& a, const Value& b, size_t& steps);
Value method(const Value& value, const std::string& name, const Value::List& arguments);
Value filtered(const Value& value, const std::string& name, const Value::List& arguments);
bool passes(const Value& value, const std::string& test, const Value::List& arguments, size_t& steps);

}  // namespace nib::jinja
