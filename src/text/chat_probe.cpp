#include "text/chat_probe.h"

#include <utility>

#include "core/error.h"

namespace nib {
namespace {

// What messages say: text that no template has in it.
const std::string kSystem = "Qs7", kUser = "Qu1", kAnswer = "Qa2", kSecond = "Qu3";

ChatMessage system(std::string text = kSystem) { return {"system", std::move(text)}; }
ChatMessage user(std::string text = kUser) { return {"user", std::move(text)}; }
ChatMessage answer(std::string text = kAnswer) { return {"assistant", std::move(text)}; }

// The texts before, between and after some others, each of which must be there once, in that order.
std::vector<std::string> around(const std::string& text, std::initializer_list<std::string_view> parts) {
    std::vector<std::string> out;
    size_t begin = 0;
    for (const std::string_view part : parts) {
        const size_t at = text.find(part, begin);
        if (at == std::string::npos || text.find(part, at + 1) != std::string::npos)
            fail("it leaves messages out, or changes or repeats them");
        out.push_back(text.substr(begin, at - begin));
        begin = at + part.size();
    }
    out.push_back(text.substr(begin));
    return out;
}

std::string without_start(const std::string& text, const std::string& start) {
    if (!text.starts_with(start)) fail("what it writes of a message depends on those that follow");
    return text.substr(start.size());
}

std::string without_end(const std::string& text, const std::string& end) {
    if (!text.ends_with(end)) fail("what it writes of a message depends on where it stands");
    return text.substr(0, text.size() - end.size());
}

std::string joined(const std::vector<ChatStretch>& stretches) {
    std::string text;
    for (const ChatStretch& stretch : stretches) text += stretch.text;
    return text;
}

// "sua": the roles of a dialogue. Messages say the texts in turn.
std::vector<ChatMessage> dialogue(std::string_view roles, std::span<const std::string_view> texts) {
    std::vector<ChatMessage> out;
    for (const char role : roles) {
        std::string text(texts[out.size() % texts.size()]);
        out.push_back(role == 's' ? system(text) : role == 'u' ? user(text) : answer(text));
    }
    return out;
}

}  // namespace

ChatProbe::ChatProbe(const std::string& jinja, const std::string& begin, const std::string& end)
    : template_(jinja), begin_(begin), end_(end) {
    found_.jinja_ = jinja;
}

ChatTemplate ChatProbe::run() {
    find_slots();
    find_ends();
    find_system();
    found_.alternates_ = !write({user(), user(kSecond)});
    find_trims();
    verify();
    return std::move(found_);
}

std::optional<std::string> ChatProbe::write(const Messages& messages, bool prompt) const {
    using jinja::Value;
    Value::List list;
    for (const ChatMessage& message : messages)
        list.emplace_back(Value::Object{
            {"role",    message.role   },
            {"content", message.content}
        });
    JinjaTemplate::Variables variables;
    variables["messages"] = std::move(list);
    variables["tools"] = variables["documents"] = Value::none();
    variables["add_generation_prompt"] = Value::boolean(prompt);
    if (!begin_.empty()) variables["bos_token"] = begin_;
    if (!end_.empty()) variables["eos_token"] = end_;
    try {
        return template_.render(variables);
    } catch (const JinjaRaised&) {
        return std::nullopt;
    }
}

std::string ChatProbe::must_write(const Messages& messages, bool prompt) const {
    auto text = write(messages, prompt);
    if (!text) fail("it refuses a usual dialogue");
    return std::move(*text);
}

void ChatProbe::find_slots() {
    const auto one = around(must_write({user()}), {kUser});
    const auto two = around(must_write({user(), answer()}), {kUser, kAnswer});
    const auto two_asked = around(must_write({user(), answer()}, true), {kUser, kAnswer});
    const auto three = around(must_write({user(), answer(), user(kSecond)}), {kUser, kAnswer, kSecond});
    const auto asked = around(must_write({user()}, true), {kUser});
    found_.user_.after = one[1];
    found_.prompt_ = without_start(asked[1], one[1]);
    found_.answer_.before = without_start(two[1], one[1]);
    found_.answer_.after = without_end(two_asked[2], found_.prompt_);
    found_.closing_ = without_start(two[2], found_.answer_.after);
    found_.user_.before = without_start(three[2], found_.answer_.after);
    found_.opening_ = without_end(one[0], found_.user_.before);
    if (const auto first = write({answer()}))
        found_.answer_opening_ = without_end(around(*first, {kAnswer})[0], found_.answer_.before);
    if (!found_.answer_.before.starts_with(found_.prompt_)) fail("answers do not begin with its generation prompt");
}

void ChatProbe::find_ends() {
    for (std::string* const token : {&begin_, &end_}) {
        if (token->empty()) continue;
        const std::string real = std::exchange(*token, "Qt9");
        const std::string text = must_write({user(), answer()});
        if (text.find(std::exchange(*token, real)) != std::string::npos) found_.ends_used_.push_back(real);
    }
}

void ChatProbe::find_system() {
    const auto text = write({system(), user(), answer(), user(kSecond)});
    if (!text || text->find(kSystem) == std::string::npos) return;
    auto& slot = found_.system_;
    if (text->find(kSystem) < text->find(kUser)) {
        const auto parts = around(*text, {kSystem, kUser, kAnswer, kSecond});
        const bool turn = parts[1].ends_with(found_.user_.before);
        found_.system_place_ = turn ? ChatTemplate::SystemPlace::Turn : ChatTemplate::SystemPlace::FirstUser;
        slot.before = parts[0];
        slot.after = parts[1].substr(0, parts[1].size() - (turn ? found_.user_.before.size() : 0));
    } else {
        const auto parts = around(*text, {kUser, kAnswer, kSystem, kSecond});
        const auto answered = must_write({system(), user(), answer()});
        found_.system_place_ = answered.find(kSystem) == std::string::npos ? ChatTemplate::SystemPlace::LastMessage
                                                                           : ChatTemplate::SystemPlace::LastUser;
        slot.before = without_start(parts[2], found_.answer_.after);
        slot.after = parts[3];
    }
}

void ChatProbe::find_trims() {
    const std::string spaced = " \n\u3000" + kSecond + "\u3000\n ";
    find_trim({user(spaced)}, found_.user_);
    find_trim({user(), answer(spaced)}, found_.answer_);
    if (found_.system_place_ == ChatTemplate::SystemPlace::None) return;
    find_trim({system(spaced), user()}, found_.system_);
    if (found_.system_place_ == ChatTemplate::SystemPlace::Turn) return;
    const auto expected = must_write({system(), user(spaced)});
    found_.trim_after_system_ = found_.user_.trim_left;
    if (joined(found_.render(Messages{system(), user(spaced)})) != expected) found_.trim_after_system_ = false;
}

void ChatProbe::find_trim(const Messages& messages, ChatTemplate::Slot& slot) {
    const std::string expected = must_write(messages);
    for (const bool left : {false, true}) {
        for (const bool right : {false, true}) {
            slot.trim_left = left;
            slot.trim_right = right;
            if (joined(found_.render(messages)) == expected) return;
        }
    }
    fail("it changes what messages say");
}

void ChatProbe::verify() const {
    static constexpr std::string_view kPlain[] = {"How are you?", "Fine.", "And\nyou?"};
    static constexpr std::string_view kOdd[] = {" <think>\nHm\n</think>\n\nYes ", "\n<<SYS>>\na\n<</SYS>>\n\nb\t",
                                                "{{ messages }} {% if x %} \\n '\"", "</think> [INST] x [/INST]</s>"};
    const bool system = found_.system_place_ != ChatTemplate::SystemPlace::None;
    for (const std::string_view roles :
         {"u", "ua", "uau", "uaua", "uauaua", "su", "sua", "suau", "suaua", "uu", "uaa", "a", "au"}) {
        if (roles[0] == 's' && !system) continue;
        for (const auto texts : {std::span<const std::string_view>(kPlain), std::span<const std::string_view>(kOdd)}) {
            for (const bool prompt : {false, true}) {
                const Messages messages = dialogue(roles, texts);
                std::optional<std::string> mine;
                try {
                    mine = joined(found_.render(messages, prompt));
                } catch (const Error&) {
                }
                if (mine != write(messages, prompt)) fail("what it writes depends on more than the roles of messages");
            }
        }
    }
}

}  // namespace nib
