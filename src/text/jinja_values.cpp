#include "text/jinja_values.h"

#include <algorithm>
#include <cctype>

#include "core/error.h"
#include "text/jinja.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {

namespace {
bool is_python_space(char32_t code) { return is_whitespace(code) || (code >= 0x1C && code <= 0x1F); }
}  // namespace

std::string_view python_strip(std::string_view text, bool left, bool right) {
    for (Decoded next; left && (next = decode_utf8(text, 0)).length > 0 && is_python_space(next.code);)
        text.remove_prefix(static_cast<size_t>(next.length));
    while (right && !text.empty()) {
        size_t begin = text.size() - 1;
        while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0u) == 0x80u) --begin;
        const Decoded last = decode_utf8(text, begin);
        if (begin + static_cast<size_t>(last.length) != text.size() || !is_python_space(last.code)) break;
        text.remove_suffix(text.size() - begin);
    }
    return text;
}

namespace jinja {
namespace {

[[noreturn]] void not_for(const std::string& what, const json& value) {
    fail("it uses %s on %s", printable(what, 40).c_str(), value.is_discarded() ? "what is undefined" : value.type_name());
}

// As str.strip() with an argument does it, for characters of ASCII.
std::string strip_of(std::string text, const std::string& characters, bool left, bool right) {
    if (left) text.erase(0, std::min(text.find_first_not_of(characters), text.size()));
    if (right) text.erase(text.find_last_not_of(characters) + 1);
    return text;
}

json split(const std::string& text, const std::vector<json>& arguments) {
    const std::string& by = to_string(arguments.at(0));
    if (by.empty()) fail("it splits at nothing");
    int64_t most = arguments.size() > 1 ? to_integer(arguments[1]) : -1;
    json out = json::array();
    size_t begin = 0;
    for (size_t at; most-- != 0 && (at = text.find(by, begin)) != std::string::npos; begin = at + by.size())
        out.push_back(text.substr(begin, at - begin));
    out.push_back(text.substr(begin));
    return out;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
    if (from.empty()) fail("it replaces nothing");
    if (text.size() > 4096) fail("it takes too long");
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
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
        if (static_cast<unsigned char>(text[i]) >= 0x80) fail("it changes the case of letters that are not ASCII");
        const auto c = static_cast<unsigned char>(text[i]);
        const bool begins_word = i == 0 || !std::isalpha(static_cast<unsigned char>(text[i - 1]));
        text[i] = static_cast<char>(only_first && !begins_word ? std::tolower(c) : std::toupper(c));
    }
    return text;
}

json key_values(const json& value) {
    json out = json::array();
    for (const auto& [key, member] : value.items()) out.push_back(json::array({key, member}));
    return out;
}

}  // namespace

bool is_true(const json& value) {
    if (value.is_discarded() || value.is_null()) return false;
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number()) return value.get<double>() != 0;
    return value.is_string() ? !value.get_ref<const std::string&>().empty() : !value.empty();
}

bool equal(const json& a, const json& b) {
    return a.is_discarded() || b.is_discarded() ? a.is_discarded() && b.is_discarded() : a == b;
}

std::string to_text(const json& value) {
    if (value.is_discarded()) return "";
    if (value.is_string()) return value.get<std::string>();
    if (value.is_null()) return "None";
    if (value.is_boolean()) return value.get<bool>() ? "True" : "False";
    if (value.is_number_integer()) return value.dump();
    not_for("output", value);
}

const std::string& to_string(const json& value) {
    if (!value.is_string()) not_for("what is for text", value);
    return value.get_ref<const std::string&>();
}

int64_t to_integer(const json& value) {
    constexpr int64_t kMost = int64_t{1} << 31;
    if (!value.is_number_integer()) not_for("what is for whole numbers", value);
    const auto number = value.get<int64_t>();
    if (number < -kMost || number > kMost) fail("it uses the number %s", value.dump().c_str());
    return number;
}

json elements(const json& value) {
    if (value.is_array()) return value;
    json out = json::array();
    if (value.is_object()) {
        for (const auto& [key, member] : value.items()) out.push_back(key);
    } else if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        for (size_t at = 0, length; at < text.size(); at += length) {
            length = static_cast<size_t>(std::max(decode_utf8(text, at).length, 1));
            out.push_back(text.substr(at, length));
        }
    } else if (!value.is_discarded()) {
        not_for("a loop", value);
    }
    return out;
}

json member(const json& value, const std::string& name) {
    if (value.is_discarded()) not_for("." + name, value);
    if (!value.is_object()) return undefined();
    const auto found = value.find(name);
    return found == value.end() ? undefined() : *found;
}

json item(const json& value, const json& index) {
    if (index.is_string()) return member(value, index.get_ref<const std::string&>());
    const int64_t i = to_integer(index);
    if (!value.is_array() && !value.is_string()) not_for("[" + index.dump() + "]", value);
    const json list = elements(value);
    const auto size = static_cast<int64_t>(list.size());
    return i < -size || i >= size ? undefined() : list[static_cast<size_t>(i < 0 ? i + size : i)];
}

json sliced(const json& value, std::optional<int64_t> start, std::optional<int64_t> stop, int64_t step) {
    if (step == 0) fail("it slices by steps of 0");
    if (!value.is_array() && !value.is_string()) not_for("[:]", value);
    const json list = elements(value);
    const auto size = static_cast<int64_t>(list.size());
    const int64_t least = step > 0 ? 0 : -1, most = step > 0 ? size : size - 1;
    const auto bound = [&](std::optional<int64_t> at, int64_t fallback) {
        return at ? std::clamp(*at < 0 ? *at + size : *at, least, most) : fallback;
    };
    const int64_t begin = bound(start, step > 0 ? least : most), end = bound(stop, step > 0 ? most : least);
    json out = json::array();
    for (int64_t i = begin; step > 0 ? i < end : i > end; i += step) out.push_back(list[static_cast<size_t>(i)]);
    if (value.is_array()) return out;
    std::string text;
    for (const json& character : out) text += character.get_ref<const std::string&>();
    return text;
}

json binary(const std::string& what, const json& a, const json& b) {
    if (what == "==") return equal(a, b);
    if (what == "!=") return !equal(a, b);
    if (what == "~") return to_text(a) + to_text(b);
    if (what == "in" || what == "not in") {
        const bool negated = what != "in";
        if (b.is_string()) return (b.get_ref<const std::string&>().find(to_string(a)) != std::string::npos) != negated;
        if (b.is_object()) return b.contains(to_string(a)) != negated;
        if (!b.is_array()) not_for(what, b);
        return std::any_of(b.begin(), b.end(), [&](const json& element) { return equal(a, element); }) != negated;
    }
    if (what == "+" && a.is_string() && b.is_string()) return a.get<std::string>() + b.get_ref<const std::string&>();
    if (what == "+" && a.is_array() && b.is_array()) {
        json out = a;
        out.insert(out.end(), b.begin(), b.end());
        return out;
    }
    if (!a.is_number_integer() || !b.is_number_integer()) not_for(what, a.is_number_integer() ? b : a);
    const int64_t x = to_integer(a), y = to_integer(b);
    if (what == "+") return x + y;
    if (what == "-") return x - y;
    if (what == "<") return x < y;
    if (what == ">") return x > y;
    if (what == "<=") return x <= y;
    if (what == ">=") return x >= y;
    if (what == "*") return to_integer(x * y);
    if ((what != "%" && what != "//") || y == 0) not_for(what, b);
    const int64_t rest = (x % y + y) % y;  // has the sign of y, as in Python
    return what == "%" ? rest : (x - rest) / y;
}

json method(const json& value, const std::string& name, const std::vector<json>& arguments) {
    const size_t given = arguments.size();
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        if (name == "strip" || name == "lstrip" || name == "rstrip") {
            const bool left = name != "rstrip", right = name != "lstrip";
            if (given == 0) return std::string(python_strip(text, left, right));
            return strip_of(text, to_string(arguments[0]), left, right);
        }
        if (name == "startswith" && given == 1) return text.starts_with(to_string(arguments[0]));
        if (name == "endswith" && given == 1) return text.ends_with(to_string(arguments[0]));
        if (name == "split" && given >= 1) return split(text, arguments);
        if (name == "replace" && given == 2) return replaced(text, to_string(arguments[0]), to_string(arguments[1]));
        if (name == "lower" && given == 0) return in_lower_case(text);
        if (name == "upper" && given == 0) return in_upper_case(text, false);
        if (name == "title" && given == 0) return in_upper_case(text, true);
    }
    if (value.is_object()) {
        if (name == "items" && given == 0) return key_values(value);
        if (name == "keys" && given == 0) return elements(value);
        if (name == "get" && given >= 1) {
            json found = member(value, to_string(arguments[0]));
            return found.is_discarded() ? given > 1 ? arguments[1] : json() : found;
        }
    }
    not_for("." + name + "()", value);
}

json filtered(const json& value, const std::string& name, const std::vector<json>& arguments) {
    if (name == "trim" && arguments.empty()) return std::string(python_strip(to_string(value)));
    if (name == "length" || name == "count") return elements(value).size();
    if (name == "list") return elements(value);
    if (name == "string") return to_text(value);
    if (name == "safe") return value;
    if (name == "items" && value.is_object()) return key_values(value);
    if (name == "lower" || name == "upper" || name == "title" || name == "replace") return method(value, name, arguments);
    if ((name == "first" || name == "last") && value.is_array()) return item(value, name == "first" ? 0 : -1);
    if (name == "default" || name == "d") {
        const bool replaces = value.is_discarded() || (arguments.size() > 1 && is_true(arguments[1]) && !is_true(value));
        return !replaces ? value : arguments.empty() ? json("") : arguments[0];
    }
    not_for("the filter \"" + name + "\"", value);
}

bool passes(const json& value, const std::string& test, const std::vector<json>& arguments) {
    if (test == "defined") return !value.is_discarded();
    if (test == "undefined") return value.is_discarded();
    if (test == "none") return value.is_null();
    if (test == "string") return value.is_string();
    if (test == "mapping") return value.is_object();
    if (test == "number") return value.is_number();
    if (test == "boolean") return value.is_boolean();
    if (test == "true" || test == "false") return value.is_boolean() && value.get<bool>() == (test == "true");
    if (test == "iterable" || test == "sequence") return value.is_array() || value.is_string() || value.is_object();
    if ((test == "equalto" || test == "eq" || test == "==") && arguments.size() == 1) return equal(value, arguments[0]);
    not_for("the test \"" + test + "\"", value);
}

}  // namespace jinja
}  // namespace nib
