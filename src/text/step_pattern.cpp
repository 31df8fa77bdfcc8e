#include "text/step_pattern.h"

#include "core/error.h"

namespace nib {

Regex read_pattern(const nlohmann::json& pattern) {
    const auto text = [&](const char* key) -> const std::string* {
        const auto found = pattern.find(key);
        return found != pattern.end() && found->is_string() ? &found->get_ref<const std::string&>() : nullptr;
    };
    if (const std::string* const literal = text("String")) return Regex::literal(*literal);
    const std::string* const regex = text("Regex");
    if (regex == nullptr) fail("the pattern is neither a String nor a Regex");
    try {
        return Regex(*regex);
    } catch (const Error& error) {
        fail("the expression %s: %s", printable(*regex, 60).c_str(), error.what());
    }
}

std::string replace_matches(const Regex& regex, std::string_view text, std::string_view content) {
    std::string result;
    RegexSplitter parts(regex, text);
    for (RegexSplitter::Part part; parts.next(part);) {
        result += part.is_match ? content : part.text;
        if (result.size() > longest_result(text.size())) fail("replacing makes the text more than 64 times as long");
    }
    return result;
}

}  // namespace nib
