#include "text/jinja_value.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "text/utf8.h"

namespace nib::jinja {
namespace {

using Kind = Value::Kind;

constexpr int kDeepest = 100;

[[noreturn]] void not_for(const std::string& what, const Value& value) {
    static constexpr const char* kNames[] = {"what is undefined", "none", "true or false", "a number", "text", "a list",
                                             "an object"};
    fail("it uses %s on %s", printable(what, 40).c_str(), kNames[static_cast<size_t>(value.kind())]);
}

int deeper(int depth) {
    if (depth >= kDeepest) fail("its values are nested too deeply");
    return depth + 1;
}

}  // namespace

// Here, and not in every place where a value is copied.
Value::Value() = default;
Value::~Value() = default;
Value::Value(const Value&) = default;
Value::Value(Value&&) noexcept = default;
Value& Value::operator=(const Value&) = default;
Value& Value::operator=(Value&&) noexcept = default;

Value::Value(std::string text) : kind_(Kind::Text), text_(std::make_shared<const std::string>(std::move(text))) {}
Value::Value(const char* text) : Value(std::string(text)) {}

Value Value::none() {
    Value out;
    out.kind_ = Kind::None;
    return out;
}

Value Value::boolean(bool value) {
    Value out;
    out.kind_ = Kind::Boolean;
    out.number_ = value;
    return out;
}

Value Value::integer(int64_t value) {
    constexpr int64_t kMost = int64_t{1} << 31;  // products of two fit
    if (value < -kMost || value > kMost) fail("it uses the number %lld", static_cast<long long>(value));
    Value out;
    out.kind_ = Kind::Integer;
    out.number_ = value;
    return out;
}

Value::Value(List list) : kind_(Kind::List) {
    for (const Value& element : list) depth_ = std::max(depth_, deeper(element.depth_));
    list_ = std::make_shared<const List>(std::move(list));
}

Value::Value(Object object) : kind_(Kind::Object) {
    for (const auto& [name, value] : object) depth_ = std::max(depth_, deeper(value.depth_));
    object_ = std::make_shared<const Object>(std::move(object));
}

const std::string& Value::text() const {
    if (!is(Kind::Text)) not_for("what is for text", *this);
    return *text_;
}

int64_t Value::number() const {
    if (!is(Kind::Integer)) not_for("what is for numbers", *this);
    return number_;
}

const Value::List& Value::list() const {
    if (!is(Kind::List)) not_for("what is for lists", *this);
    return *list_;
}

const Value::Object& Value::object() const {
    if (!is(Kind::Object)) not_for("what is for objects", *this);
    return *object_;
}

const Value* Value::find(std::string_view name) const {
    for (const auto& [key, value] : object())
        if (key == name) return &value;
    return nullptr;
}

size_t Value::size() const {
    if (is(Kind::List)) return list_->size();
    if (is(Kind::Object)) return object_->size();
    return is(Kind::Text) ? text_->size() : 0;
}

bool Value::is_true() const { return is(Kind::Boolean) || is(Kind::Integer) ? number_ != 0 : size() > 0; }

void spend(size_t& steps, size_t cost) {
    if (steps < cost) fail("it takes too long");
    steps -= cost;
}

bool equal(const Value& a, const Value& b, size_t& steps) {
    spend(steps, 1 + (a.is(Kind::Text) ? a.size() / 64 : 0));
    if (a.kind() != b.kind()) return false;
    const auto same = [&](const Value& x, const Value& y) { return equal(x, y, steps); };
    switch (a.kind()) {
        case Kind::Undefined:
        case Kind::None: return true;
        case Kind::Boolean: return a.is_true() == b.is_true();
        case Kind::Integer: return a.number() == b.number();
        case Kind::Text: return a.text() == b.text();
        case Kind::List: return std::equal(a.list().begin(), a.list().end(), b.list().begin(), b.list().end(), same);
        case Kind::Object: break;
    }
    return a.size() == b.size() && std::all_of(a.object().begin(), a.object().end(), [&](const auto& one) {
               const Value* const other = b.find(one.first);
               return other != nullptr && same(one.second, *other);
           });
}

std::string to_text(const Value& value) {
    switch (value.kind()) {
        case Kind::Undefined: return "";
        case Kind::None: return "None";
        case Kind::Boolean: return value.is_true() ? "True" : "False";
        case Kind::Integer: return std::to_string(value.number());
        case Kind::Text: return value.text();
        default: not_for("output", value);
    }
}

Value::List elements(const Value& value) {
    Value::List out;
    switch (value.kind()) {
        case Kind::Undefined: break;
        case Kind::List: return value.list();
        case Kind::Object:
            for (const auto& one : value.object()) out.emplace_back(one.first);
            break;
        case Kind::Text:
            for (size_t at = 0, length; at < value.text().size(); at += length) {
                length = static_cast<size_t>(std::max(decode_utf8(value.text(), at).length, 1));
                out.emplace_back(value.text().substr(at, length));
            }
            break;
        default: not_for("a loop", value);
    }
    return out;
}

Value member(const Value& value, const std::string& name) {
    if (value.is_undefined()) not_for("." + name, value);
    const Value* const found = value.is(Kind::Object) ? value.find(name) : nullptr;
    return found != nullptr ? *found : Value();
}

Value item(const Value& value, const Value& index) {
    if (index.is(Kind::Text)) return member(value, index.text());
    const int64_t i = index.number();
    if (!value.is(Kind::List) && !value.is(Kind::Text)) not_for("a number in brackets", value);
    const Value::List list = elements(value);
    const auto size = static_cast<int64_t>(list.size());
    return i < -size || i >= size ? Value() : list[static_cast<size_t>(i < 0 ? i + size : i)];
}

Value sliced(const Value& value, std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step) {
    if (step == 0) fail("it slices by steps of 0");
    if (!value.is(Kind::List) && !value.is(Kind::Text)) not_for("[:]", value);
    const Value::List list = elements(value);
    const auto size = static_cast<int64_t>(list.size());
    const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
    const auto bound = [&](std::optional<int64_t> at, int64_t fallback) {
        return at ? std::clamp(*at < 0 ? *at + size : *at, least, most) : fallback;
    };
    const int64_t begin = bound(start, step > 0 ? least : most), end = bound(stop, step > 0 ? most : least);
    Value::List out;
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) out.push_back(list[static_cast<size_t>(i)]);
    if (value.is(Kind::List)) return out;
    std::string text;
    for (const Value& character : out) text += character.text();
    return text;
}

namespace {

bool contains(const Value& all, const Value& one, size_t& steps) {
    if (all.is(Kind::Text)) {
        spend(steps, all.size() * one.text().size() / 4096);  // where all but the last character is everywhere
        return all.text().find(one.text()) != std::string::npos;
    }
    if (all.is(Kind::Object)) return all.find(one.text()) != nullptr;
    return std::any_of(all.list().begin(), all.list().end(),
                       [&](const Value& element) { return equal(element, one, steps); });
}

Value calculated(const std::string& what, int64_t x, int64_t y) {
    if (what == "<") return Value::boolean(x < y);
    if (what == ">") return Value::boolean(x > y);
    if (what == "<=") return Value::boolean(x <= y);
    if (what == ">=") return Value::boolean(x >= y);
    if (what == "+") return Value::integer(x + y);
    if (what == "-") return Value::integer(x - y);
    if (what == "*") return Value::integer(x * y);
    if ((what != "%" && what != "//") || y == 0) fail("it uses %s on numbers", what.c_str());
    const int64_t rest = (x % y + y) % y;  // has the sign of y, as in Python
    return Value::integer(what == "%" ? rest : (x - rest) / y);
}

}  // namespace

Value binary(const std::string& what, const Value& a, const Value& b, size_t& steps) {
    if (what == "==" || what == "!=") return Value::boolean(equal(a, b, steps) == (what == "=="));
    if (what == "in" || what == "not in") return Value::boolean(contains(b, a, steps) == (what == "in"));
    if (what == "~") return to_text(a) + to_text(b);
    if (what == "+" && a.is(Kind::Text) && b.is(Kind::Text)) return a.text() + b.text();
    if (what == "+" && a.is(Kind::List) && b.is(Kind::List)) {
        Value::List out = a.list();
        out.insert(out.end(), b.list().begin(), b.list().end());
        return out;
    }
    if (!a.is(Kind::Integer) || !b.is(Kind::Integer)) not_for(what, a.is(Kind::Integer) ? b : a);
    return calculated(what, a.number(), b.number());
}

bool passes(const Value& value, const std::string& test, const Value::List& arguments, size_t& steps) {
    if (test == "defined") return !value.is_undefined();
    if (test == "undefined") return value.is_undefined();
    if (test == "none") return value.is(Kind::None);
    if (test == "string") return value.is(Kind::Text);
    if (test == "mapping") return value.is(Kind::Object);
    if (test == "number") return value.is(Kind::Integer);
    if (test == "boolean") return value.is(Kind::Boolean);
    if (test == "true" || test == "false") return value.is(Kind::Boolean) && value.is_true() == (test == "true");
    if (test == "iterable" || test == "sequence")
        return value.is(Kind::List) || value.is(Kind::Text) || value.is(Kind::Object);
    if ((test == "equalto" || test == "eq" || test == "==") && arguments.size() == 1)
        return equal(value, arguments[0], steps);
    not_for("the test \"" + test + "\"", value);
}

}  // namespace nib::jinja
