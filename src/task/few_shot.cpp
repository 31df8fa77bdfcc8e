#include "task/few_shot.h"

#include <algorithm>
#include <string_view>

#include "core/error.h"

namespace nib {
namespace {

constexpr const char *kOption = "prompt", *kText = "{text}", *kSecond = "{second}", *kLabel = "{label}";
constexpr const char* kBetween = "\n\n";  // examples

// Where a part of a form stands. Error unless it is there once.
size_t find_once(const std::string& form, const char* part) {
    const size_t at = form.find(part);
    if (at == form.npos || form.find(part, at + 1) != form.npos)
        fail_usage_option(kOption, "is `%s`, in which %s is to be once", printable(form, 100).c_str(), part);
    return at;
}

void replace(std::string& text, size_t at, std::string_view part, const std::string& with) {
    text.replace(at, part.size(), with);
}

size_t common(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
    return static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).first - a.begin());
}

}  // namespace

PromptForm::PromptForm(const std::string& form, bool two) {
    const size_t label = find_once(form, kLabel);
    bool ordered = find_once(form, kText) < label;
    if (two) ordered = ordered && find_once(form, kSecond) < label;
    if (!two && form.find(kSecond) != form.npos)
        fail_usage_option(kOption, "is `%s`, but examples have no second text", printable(form, 100).c_str());
    if (!ordered)
        fail_usage_option(kOption, "is `%s`, in which %s is to stand behind the text", printable(form, 100).c_str(),
                          kLabel);
    const size_t last = form.find_last_not_of(' ', label - 1);
    before_ = form.substr(0, last + 1);
    space_ = form.substr(last + 1, label - last - 1);
    after_ = form.substr(label + std::string_view(kLabel).size());
}

// The second text first, wherever it stands: the first one might spell its place.
std::string PromptForm::before(const ChoiceQuestion& question) const {
    std::string text = before_;
    const size_t first = text.find(kText), second = text.find(kSecond);
    if (second != text.npos && second > first) replace(text, second, kSecond, question.second);
    replace(text, first, kText, question.text);
    if (second != text.npos && second < first) replace(text, second, kSecond, question.second);
    return text;
}

std::string PromptForm::whole(const ChoiceQuestion& example) const {
    return before(example) + answer(example.choices.at(example.answer)) + after_;
}

std::string PromptForm::lead() const {
    size_t end = before_.find(kText) + std::string_view(kText).size();
    if (const size_t second = before_.find(kSecond); second != before_.npos)
        end = std::max(end, second + std::string_view(kSecond).size());
    const size_t begin = before_.find_first_not_of(" \n", end);
    return begin == before_.npos ? "" : before_.substr(begin);
}

size_t PromptTokens::longest() const {
    size_t most = 0;
    for (const std::vector<int32_t>& choice : choices) most = std::max(most, choice.size());
    return prompt.size() + most;
}

FewShotPrompts::FewShotPrompts(const Tokenizer& tokenizer, PromptForm form, std::vector<ChoiceQuestion> shots,
                               int64_t context)
    : tokenizer_(tokenizer), form_(std::move(form)), shots_(std::move(shots)), context_(static_cast<size_t>(context)) {}

// Tokens may reach over the end of the prompt: what all continuations have in common with it is the prompt, the rest is
// theirs.
PromptTokens FewShotPrompts::tokens_of(const std::string& prompt, const ChoiceQuestion& question) const {
    const EncodeOptions plain{.special = false, .begin = true};  // what spells a mark is text
    PromptTokens tokens;
    tokens.prompt = tokenizer_.encode(prompt, plain);
    size_t kept = tokens.prompt.size();
    for (const std::string& choice : question.choices) {
        tokens.choices.push_back(tokenizer_.encode(prompt + form_.answer(choice), plain));
        kept = std::min(kept, common(tokens.prompt, tokens.choices.back()));
    }
    tokens.prompt.resize(kept);
    for (std::vector<int32_t>& choice : tokens.choices) {
        choice.erase(choice.begin(), choice.begin() + static_cast<std::ptrdiff_t>(kept));
        if (choice.empty()) fail("an answer has no tokens");
    }
    if (kept == 0) tokens.prompt = {tokenizer_.first_token()};
    return tokens;
}

PromptTokens FewShotPrompts::encode(const ChoiceQuestion& question) const {
    for (size_t first = 0; first <= shots_.size(); ++first) {
        std::string prompt;
        for (size_t i = first; i < shots_.size(); ++i) prompt += form_.whole(shots_[i]) + kBetween;
        PromptTokens tokens = tokens_of(prompt + form_.before(question), question);
        tokens.shots = shots_.size() - first;
        if (tokens.longest() <= context_) return tokens;
    }
    fail("the question does not fit into %zu tokens", context_);
}

PromptTokens FewShotPrompts::encode_unconditional(const ChoiceQuestion& question) const {
    return tokens_of(form_.lead(), question);
}

}  // namespace nib
