#include "task/metrics/treebank_words.h"

#include "text/python_text.h"
#include "text/regex.h"

namespace nib {
namespace {

// What to find, and what to put there: "&" stands for what was found. An empty match is a place to put a space.
struct Rule {
    Regex find;
    std::string_view put;
};

void apply(const Rule& rule, std::string& text) {
    RegexSplitter parts(rule.find, text);
    std::string result;
    for (RegexSplitter::Part part{}; parts.next(part);) {
        if (!part.is_match) {
            result += part.text;
            continue;
        }
        for (const char c : rule.put) {
            if (c == '&')
                result += part.text;
            else
                result += c;
        }
    }
    text = std::move(result);
}

// In this order: each sees the spaces that those before it have put. The text begins and ends with a space.
const std::vector<Rule>& rules() {
    static const std::vector<Rule> all = [] {
        std::vector<Rule> made;
        const auto add = [&](std::string_view find, std::string_view put) { made.push_back({Regex(find), put}); };
        const auto isolate = [&](std::string_view find) { add(find, " & "); };
        const auto split = [&](std::string_view first, std::string_view second) {
            add("(?<=" + std::string(first) + ")(?=" + std::string(second) + ")", " ");
        };
        isolate("[«“‘„]|`+");
        add("(?<=[ (\\[{<])(?:\"|'')", " `` ");
        split("(?<!\\w)'", "(?!(?:re|ve|ll|m|t|s|d|n)\\b)\\w");
        isolate("(?<=[^.])\\.(?=[\\])}>\"'»”’ ]*$)");
        isolate("[:,](?!\\d)");
        isolate("\\.{2,}");
        isolate("[;@#$%&?!*]|[\u2012-\u2015]");
        isolate("(?<=[^'])'(?= )");
        isolate("[\\[\\](){}<>]");
        isolate("--");
        isolate("[»”’]");
        add("''|\"", " '' ");
        split("[^' ]", "(?:'(?:[smd]|ll|re|ve)?|n't) ");
        for (const auto& [first, second] : {
                 std::pair("\\bcan", "not\\b"),
                 {"\\bd",    "'ye\\b"},
                 {"\\bgim",  "me\\b" },
                 {"\\bgon",  "na\\b" },
                 {"\\bgot",  "ta\\b" },
                 {"\\blem",  "me\\b" },
                 {"\\bmore", "'n\\b" },
                 {"\\bwan",  "na "   },
                 {" 't",     "is\\b" },
                 {" 't",     "was\\b"}
        })
            split(first, second);
        return made;
    }();
    return all;
}

}  // namespace

std::vector<std::string> treebank_words(std::string_view text) {
    std::string spaced;
    for (const std::string_view word : python_split(text)) spaced += " " + std::string(word);
    spaced += ' ';
    for (const Rule& rule : rules()) apply(rule, spaced);
    std::vector<std::string> words;
    for (const std::string_view word : python_split(spaced)) words.emplace_back(word);
    return words;
}

}  // namespace nib
