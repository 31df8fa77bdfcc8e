// Methods and filters.
#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "text/jinja_value.h"
#include "text/python_text.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib::jinja {
namespace {

using Kind = Value::Kind;

// As str.strip() with an argument does it, for characters of ASCII.
std::string strip_of(std::string text, const std::string& characters, bool left, bool right) {
    if (left) text.erase(0, std::min(text.find_first_not_of(characters), text.size()));
    if (right) text.erase(text.find_last_not_of(characters) + 1);
    return text;
}

Value split(const std::string& text, const Value::List& arguments) {
    const std::string& by = arguments[0].text();
    if (by.empty()) fail("it splits at nothing");
    if (by.size() > 256) fail("it takes too long");
    int64_t most = arguments.size() > 1 ? arguments[1].number() : -1;
    Value::List out;
    size_t begin = 0;
    for (size_t at; most-- != 0 && (at = text.find(by, begin)) != std::string::npos; begin = at + by.size())
        out.emplace_back(text.substr(begin, at - begin));
    out.emplace_back(text.substr(begin));
    return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    if (from.empty()) fail("it replaces nothing");
    if (text.size() > 4096) fail("it takes too long");
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
        text.replace(at, from.size(), to);
        if (text.size() > size_t{1} << 16) fail("its texts are too long");
    }
    return text;
}

std::string in_lower_case(const std::string& text) {
    std::string out;
    for (size_t at = 0; at < text.size();) {
        const Decoded next = decode_utf8(text, at);
        if (next.length == 0) fail("it uses text that is not UTF-8");
        append_lower(out, next.code);
        at += static_cast<size_t>(next.length);
    }
    return out;
}

// Only roles are written in capitals, and those are ASCII.
std::string in_upper_case(std::string text, bool only_first) {
    for (size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x80) fail("it changes the case of letters that are not ASCII");
        const bool begins_word = i == 0 || !std::isalpha(static_cast<unsigned char>(text[i - 1]));
        text[i] = static_cast<char>(only_first && !begins_word ? std::tolower(c) : std::toupper(c));
    }
    return text;
}

Value pairs(const Value& object) {
    Value::List out;
    for (const auto& [name, value] : object.object()) out.emplace_back(Value::List{name, value});
    return out;
}

[[noreturn]] void unknown(const std::string& what, const Value& value) {
    fail("it uses %s on %s", printable(what, 40).c_str(), value.is(Kind::Text) ? "text" : "a value that it is not for");
}

Value text_method(const Value& value, const std::string& name, const Value::List& arguments) {
    const std::string& text = value.text();
    const size_t given = arguments.size();
    if (name == "strip" || name == "lstrip" || name == "rstrip") {
        const bool left = name != "rstrip", right = name != "lstrip";
        if (given == 0) return std::string(python_strip(text, left, right));
        return strip_of(text, arguments[0].text(), left, right);
    }
    if (name == "startswith" && given == 1) return Value::boolean(text.starts_with(arguments[0].text()));
    if (name == "endswith" && given == 1) return Value::boolean(text.ends_with(arguments[0].text()));
    if (name == "split" && given >= 1) return split(text, arguments);
    if (name == "replace" && given == 2) return replaced(text, arguments[0].text(), arguments[1].text());
    if (name == "lower" && given == 0) return in_lower_case(text);
    if (name == "upper" && given == 0) return in_upper_case(text, false);
    if (name == "title" && given == 0) return in_upper_case(text, true);
    unknown("." + name + "()", value);
}

}  // namespace

Value method(const Value& value, const std::string& name, const Value::List& arguments) {
    const size_t given = arguments.size();
    if (value.is(Kind::Text)) return text_method(value, name, arguments);
    if (value.is(Kind::Object)) {
        if (name == "items" && given == 0) return pairs(value);
        if (name == "keys" && given == 0) return elements(value);
        if (name == "get" && given >= 1) {
            const Value* const found = value.find(arguments[0].text());
            return found != nullptr ? *found : given > 1 ? arguments[1] : Value::none();
        }
    }
    unknown("." + name + "()", value);
}

Value filtered(const Value& value, const std::string& name, const Value::List& arguments) {
    if (name == "trim" && arguments.empty()) return std::string(python_strip(value.text()));
    if (name == "length" || name == "count") return Value::integer(static_cast<int64_t>(elements(value).size()));
    if (name == "list") return elements(value);
    if (name == "string") return to_text(value);
    if (name == "safe") return value;
    if (name == "items" && value.is(Kind::Object)) return pairs(value);
    if (name == "lower" || name == "upper" || name == "title" || name == "replace")
        return text_method(value, name, arguments);
    if (name == "first" || name == "last") return item(value, Value::integer(name == "first" ? 0 : -1));
    if (name == "default" || name == "d") {
        const bool replaces = value.is_undefined() || (arguments.size() > 1 && arguments[1].is_true() && !value.is_true());
        return !replaces ? value : arguments.empty() ? Value("") : arguments[0];
    }
    unknown("the filter \"" + name + "\"", value);
}

}  // namespace nib::jinja
