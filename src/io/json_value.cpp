#include "io/json_value.h"

#include <charconv>
#include <iterator>
#include <vector>

#include "core/error.h"

namespace nib {

using nlohmann::json;

json parse_json(std::string_view text, const std::string& name) {
    if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
        fail("%s: is in UTF-16, but JSON is UTF-8; convert it with iconv -f UTF-16 -t UTF-8", name.c_str());
    constexpr int kMaxDepth = 64;  // more than such files need
    std::vector<size_t> keys;      // number of keys so far, of each open object
    const auto check = [&](int depth, json::parse_event_t event, json& parsed) {
        if (depth > kMaxDepth) fail("%s: nested more than %d levels deep", name.c_str(), kMaxDepth);
        if (event == json::parse_event_t::object_start) keys.push_back(0);
        if (event == json::parse_event_t::key) ++keys.back();
        if (event == json::parse_event_t::object_end) {
            if (parsed.size() != keys.back()) fail("%s: an object has the same key twice", name.c_str());
            keys.pop_back();
        }
        return true;
    };
    try {
        return json::parse(text.begin(), text.end(), check);
    } catch (const json::exception& error) {
        const std::string_view what = error.what();
        const size_t prefix = what.find("] ");  // "[json.exception.parse_error.101] "
        const auto reason = prefix == std::string_view::npos ? what : what.substr(prefix + 2);
        fail("%s: not valid JSON: %s", name.c_str(), printable(reason).c_str());
    }
}

double shortest(float value) {
    char text[32];
    const char* const end = std::to_chars(std::begin(text), std::end(text), value).ptr;
    double number = 0;
    std::from_chars(text, end, number);
    return number;
}

std::optional<JsonValue> JsonValue::find(const char* key) const {
    if (!value_->is_object()) wrong("an object");
    const auto found = value_->find(key);
    if (found == value_->end() || found->is_null()) return std::nullopt;
    return JsonValue(*found, where_ + (where_.ends_with(':') ? " " : ".") + key);
}

JsonValue JsonValue::get(const char* key) const {
    if (auto found = find(key)) return *found;
    fail("%s has no \"%s\"", where_.ends_with(':') ? where_.substr(0, where_.size() - 1).c_str() : where_.c_str(), key);
}

size_t JsonValue::items() const {
    if (!value_->is_array()) wrong("a list");
    return value_->size();
}

const std::string& JsonValue::text() const {
    if (!value_->is_string()) wrong("text");
    return value_->get_ref<const std::string&>();
}

bool JsonValue::truth() const {
    if (!value_->is_boolean()) wrong("true or false");
    return value_->get<bool>();
}

double JsonValue::number() const {
    if (!value_->is_number()) wrong("a number");
    return value_->get<double>();
}

int64_t JsonValue::whole_number(const char* what, int64_t largest) const {
    if (!value_->is_number_integer()) wrong(what);
    if (!value_->is_number_unsigned() || value_->get<uint64_t>() > static_cast<uint64_t>(largest))
        fail("%s is %s; nib expects %s from 0 to %lld", where_.c_str(), value_->dump().c_str(), what,
             static_cast<long long>(largest));
    return value_->get<int64_t>();
}

std::string JsonValue::text_or(const char* key, const char* fallback) const {
    const auto found = find(key);
    return found ? found->text() : fallback;
}

bool JsonValue::truth_or(const char* key, bool fallback) const {
    const auto found = find(key);
    return found ? found->truth() : fallback;
}

void JsonValue::wrong(const char* expected) const {
    if (value_->is_number()) fail("%s is %s; nib expects %s", where_.c_str(), value_->dump().c_str(), expected);
    fail("%s is %s where nib expects %s", where_.c_str(), value_->type_name(), expected);
}

void JsonValue::refuse(const std::string& what) const {
    fail("%s: %s is not supported", where_.c_str(), printable(what, 100).c_str());
}

}  // namespace nib
