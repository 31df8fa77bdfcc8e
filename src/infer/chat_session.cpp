#include "infer/chat_session.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/python_text.h"
#include "text/text_encoding.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr size_t kSlot = 0;

void check_text(const std::string& text, const char* what) {
    if (const size_t at = find_invalid(text); at != std::string::npos) refuse_malformed(text, at, what);
}

// Passes on a text that comes in pieces, without the white space around it.
class Trimmed {
public:
    explicit Trimmed(const std::function<void(std::string_view)>& sink) : sink_(sink) {}

    void push(std::string_view piece) {
        held_ += piece;
        const std::string ready(python_strip(held_, text_.empty(), true));
        if (ready.empty()) return;
        const size_t begin = held_.find(ready);
        held_.erase(0, begin + ready.size());
        text_ += ready;
        sink_(ready);
    }
    const std::string& text() const { return text_; }

private:
    const std::function<void(std::string_view)>& sink_;
    std::string text_;
    std::string held_;  // white space that may be followed by more
};

// Whether the tokenizer gives that token for ordinary text, so that messages may have it.
bool is_ordinary(const Tokenizer& tokenizer, int32_t id) {
    const std::vector<int32_t> ids = tokenizer.encode(tokenizer.decode(id), {.special = false, .skip_unknown = true});
    return ids == std::vector<int32_t>{id};
}

}  // namespace

ChatSession::ChatSession(Engine& engine, const Tokenizer& tokenizer, ChatTemplate chat_template, ChatOptions options)
    : engine_(engine), tokenizer_(tokenizer), template_(std::move(chat_template)), options_(std::move(options)) {
    check_options(generate_options({}));
    if (options_.length < 1)
        fail_usage_option("length", "is %lld; an answer needs one token at least", static_cast<long long>(options_.length));
    find_ends();
}

void ChatSession::find_ends() {
    const std::string mark(python_strip(template_.answer_end()));
    if (const int32_t end = template_.answer_end_token(tokenizer_); end >= 0)
        ends_.push_back(end);
    else if (!mark.empty())
        options_.stop.push_back(mark);
    // Models that were trained in several steps may end an answer by another token than the template says.
    if (const int32_t end = tokenizer_.end_token(); end >= 0 && !is_ordinary(tokenizer_, end)) ends_.push_back(end);
}

ChatTokens ChatSession::encode(std::span<const ChatMessage> messages, size_t longest) const {
    return encode_chat(tokenizer_, template_, messages, {.add_generation_prompt = true, .longest = longest});
}

// The messages that the model sees, and one more.
std::vector<ChatMessage> ChatSession::seen_with(const std::string& text) const {
    const auto turns = messages_.begin() + static_cast<std::ptrdiff_t>(first_turn());
    std::vector<ChatMessage> seen(messages_.begin(), turns);
    seen.insert(seen.end(), turns + static_cast<std::ptrdiff_t>(hidden_), messages_.end());
    seen.push_back({"user", text});
    return seen;
}

// The prompt, which leaves a quarter of the context to a long answer.
ChatTokens ChatSession::fit(std::span<const ChatMessage> messages) const {
    const int64_t context = engine_.context();
    const auto room = static_cast<size_t>(context - std::min(options_.length, std::max<int64_t>(context / 4, 1)));
    ChatTokens tokens = encode(messages, room);
    if (tokens.left_out == 0) return tokens;
    // More than has to go is left out: what stays then begins alike for the next turns, which need not evaluate it again.
    std::vector<ChatMessage> last = {messages.back()};
    if (messages[0].role == "system") last.insert(last.begin(), messages[0]);
    return encode(messages, std::max(room / 2, encode(last, room).ids.size()));
}

GenerateOptions ChatSession::generate_options(std::span<const int32_t> prompt) const {
    GenerateOptions o;
    o.sampler = options_.sampler;
    o.sampler.seed += static_cast<uint64_t>(
        std::count_if(messages_.begin(), messages_.end(), [](const auto& message) { return message.role == "assistant"; }));
    o.overflow = Overflow::Stop;
    o.count = options_.length;
    o.stop = options_.stop;
    o.ends = ends_;
    o.cancelled = options_.cancelled;
    // The last token is evaluated in any case: what follows it is chosen from its logits.
    const auto most = static_cast<std::ptrdiff_t>(std::min(cached_.size(), prompt.empty() ? 0 : prompt.size() - 1));
    o.cached = std::mismatch(prompt.begin(), prompt.begin() + most, cached_.begin()).first - prompt.begin();
    return o;
}

ChatAnswer ChatSession::ask(const std::string& text, const std::function<void(std::string_view)>& sink) {
    check_text(text, "the message");
    if (python_strip(text).empty()) fail("the message is empty");
    const ChatTokens prompt = fit(seen_with(text));
    const GenerateOptions options = generate_options(prompt.ids);
    cached_.resize(static_cast<size_t>(options.cached));  // should an Error end this
    Trimmed shown(sink);
    ChatAnswer answer;
    answer.speed =
        generate(engine_, tokenizer_, prompt.ids, options, [&](size_t, std::string_view piece) { shown.push(piece); });
    const GenerateResult::Sample& sample = answer.speed.samples[kSlot];
    cached_ = prompt.ids;
    cached_.insert(cached_.end(), sample.ids.begin(), sample.ids.end());
    cached_.resize(
        static_cast<size_t>(engine_.length(kSlot)));  // without the last, and with what of a cancelled prompt was read
    answer.text = shown.text();
    answer.ended = sample.stopped, answer.full = sample.full;
    answer.cached = options.cached;
    if (answer.text.empty()) return answer;
    messages_.push_back({"user", text});
    messages_.push_back({"assistant", answer.text});
    hidden_ += answer.left_out = prompt.left_out;
    return answer;
}

void ChatSession::set_messages(std::vector<ChatMessage> messages) {
    template_.render(messages);
    if (messages.back().role != "assistant") fail("the dialogue ends without an answer");
    for (const ChatMessage& message : messages) check_text(message.content, "the dialogue");
    messages_ = std::move(messages);
    hidden_ = 0;
}

void ChatSession::set_system(const std::string& text) {
    check_text(text, "the system prompt");
    std::vector<ChatMessage> changed(messages_.begin() + static_cast<std::ptrdiff_t>(first_turn()), messages_.end());
    if (!python_strip(text).empty()) {
        const std::vector<ChatMessage> probe = {
            {"system", text},
            {"user",   "?" }
        };
        template_.render(probe);
        changed.insert(changed.begin(), probe[0]);
    }
    messages_ = std::move(changed);
}

void ChatSession::reset() {
    messages_.resize(first_turn());
    hidden_ = 0;
}

bool ChatSession::undo() {
    if (messages_.size() == first_turn()) return false;
    const auto drop = [&](const char* role) {
        while (messages_.size() > first_turn() && messages_.back().role == role) messages_.pop_back();
    };
    drop("assistant");
    drop("user");
    if (hidden_ >= messages_.size() - first_turn()) hidden_ = 0;  // none of the turns that are left was seen
    return true;
}

void ChatSession::set_temperature(double temperature) {
    SamplerOptions changed = options_.sampler;
    changed.temperature = temperature;
    check_options(changed);
    options_.sampler = changed;
}

}  // namespace nib
