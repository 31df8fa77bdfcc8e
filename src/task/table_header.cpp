// Whether a table has a header.
#include <algorithm>
#include <set>

#include "task/table_file.h"
#include "text/python_text.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr size_t kLongestName = 40;

// Words that are hardly ever data. What could as well be an example's whole text or label is not among them.
constexpr std::string_view kNames[] = {
    "id",        "idx",       "index",     "label",      "labels",  "class",      "category", "target",   "score",
    "rating",    "stars",     "sentiment", "text",       "text1",   "text2",      "text_a",   "text_b",   "sentence",
    "sentence1", "sentence2", "review",    "comment",    "content", "title",      "body",     "question", "question1",
    "question2", "answer",    "premise",   "hypothesis", "query",   "document",   "context",  "passage",  "source",
    "src",       "tgt",       "tweet",     "message",    "quality", "similarity", "标签",     "文本",     "内容",
    "评论",      "标题",      "类别",      "句子",       "问题",    "答案"};

bool is_number(const std::string& field) {
    try {
        label_number(std::string(python_strip(field)));
        return true;
    } catch (const Error&) {
        return false;
    }
}

bool looks_like_name(const std::string& field) {
    if (field.empty() || field.size() > kLongestName || is_number(field)) return false;
    for (const std::string_view character : python_characters(field)) {
        const char32_t code = decode_utf8(character, 0).code;
        const bool first = character.data() == field.data();
        if (!is_word(code) && (first || code != U'-')) return false;
        if (first && is_numeric(code)) return false;
    }
    return true;
}

}  // namespace

bool has_header(const std::vector<std::string>& first, const std::vector<std::string>& second) {
    if (!std::all_of(first.begin(), first.end(), looks_like_name)) return false;
    std::set<std::string> lower;
    for (const std::string& field : first) lower.insert(python_lower(field));
    if (lower.size() < first.size()) return false;
    const auto used = std::count_if(lower.begin(), lower.end(), [](const std::string& name) {
        return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
    });
    return lower.contains("label") || 2 * static_cast<size_t>(used) >= lower.size() ||
           std::any_of(second.begin(), second.end(), is_number);
}

}  // namespace nib
