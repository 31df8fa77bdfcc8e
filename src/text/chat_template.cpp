#include "text/chat_template.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "text/chat_probe.h"
#include "text/python_text.h"

namespace nib {
namespace {

constexpr const char* kEnd = nullptr;

struct Row {
    const char* name;
    // What is around messages; of user messages also what is behind them, kEnd: the token that ends a text. "" if it does
    // not matter.
    const char *system, *user, *user_end, *answer;
    std::vector<std::string> marks;
    const char* jinja;
};

#define NIB_ALTERNATE                                                                                                     \
    "{% if messages[0]['role'] == 'system' %}{% set talk = messages[1:] %}{% else %}{% set talk = messages %}{% endif %}" \
    "{% for message in talk %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"                             \
    "{{ raise_exception('user and assistant must take turns') }}{% endif %}{% endfor %}"

// In this order: what is a Llama 2 template would do for a Mistral one, too. The Jinja is nib's own wording, for models
// without any.
const std::vector<Row>& rows() {
    static const std::vector<Row> table = {
        {"chatml",
         "",        "<|im_start|>user\n",
         "<|im_end|>", "<|im_start|>assistant\n",
         {"<|im_start|>", "<|im_end|>"},
         "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' "
         "}}"
         "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"},
        {"llama3",
         "",        "<|start_header_id|>user<|end_header_id|>\n\n",
         "<|eot_id|>", "<|start_header_id|>assistant<|end_header_id|>\n\n",
         {"<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
         "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + "
         "'<|end_header_id|>\\n\\n' + "
         "message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
         "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"               },
        {"zephyr",
         "",        "<|user|>\n",
         kEnd,         "<|assistant|>\n",
         {},
         "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
         "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"        },
        {"llama2",
         "<<SYS>>", "[INST]",
         "[/INST]",    "",
         {},
         NIB_ALTERNATE
         "{% for message in talk %}{% if message['role'] == 'user' %}{{ bos_token }}{{ '[INST] ' }}{% if loop.first and "
         "messages[0]['role'] == 'system' %}{{ '<<SYS>>\\n' + messages[0]['content'].strip() + '\\n<</SYS>>\\n\\n' }}"
         "{% endif %}{{ message['content'].strip() + ' [/INST]' }}{% else %}{{ ' ' + message['content'].strip() + ' ' + "
         "eos_token }}{% endif %}{% endfor %}"                                                  },
        {"mistral",
         "",        "[INST]",
         "[/INST]",    "",
         {},
         NIB_ALTERNATE
         "{{ bos_token }}{% for message in talk %}{% if message['role'] == 'user' %}{{ '[INST] ' }}{% if loop.first and "
         "messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\\n\\n' }}{% endif %}"
         "{{ message['content'] + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor "
         "%}"                                                                                   },
        {"alpaca",
         "",        "### Instruction:\n",
         "",           "### Response:\n",
         {},
         NIB_ALTERNATE
         "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'].strip() + '\\n\\n' }}{% endif %}"
         "{% for message in talk %}{% if message['role'] == 'user' %}{{ '### Instruction:\\n' + message['content'].strip() "
         "+ "
         "'\\n\\n' }}{% else %}{{ '### Response:\\n' + message['content'].strip() + eos_token + '\\n\\n' }}{% endif %}"
         "{% endfor %}{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"        },
    };
    return table;
}

#undef NIB_ALTERNATE

std::string token_text(const Tokenizer& tokenizer, int32_t id) { return id < 0 ? "" : tokenizer.decode(id); }

}  // namespace

void check_messages(std::span<const ChatMessage> messages) {
    if (messages.empty()) fail("the dialogue has no messages");
    for (size_t i = 0; i < messages.size(); ++i) {
        const std::string& role = messages[i].role;
        if (role != "system" && role != "user" && role != "assistant")
            fail("message %zu is of role \"%s\"; the roles are system, user and assistant", i + 1,
                 printable(role, 40).c_str());
        if (python_strip(messages[i].content).empty()) fail("message %zu, the %s's, is empty", i + 1, role.c_str());
        if (role == "system" && i > 0) fail("message %zu is the system's, which must be the first", i + 1);
    }
    if (messages.back().role == "system") fail("the dialogue has no message besides the system's");
}

const std::vector<std::string>& ChatTemplate::names() {
    static const std::vector<std::string> all = [] {
        std::vector<std::string> names;
        for (const Row& row : rows()) names.emplace_back(row.name);
        return names;
    }();
    return all;
}

ChatTemplate ChatTemplate::recognize(const std::string& jinja, const Tokenizer& tokenizer) {
    const std::string begin = token_text(tokenizer, tokenizer.begin_token());
    const std::string end = token_text(tokenizer, tokenizer.end_token());
    try {
        ChatTemplate found = ChatProbe(jinja, begin, end).run();
        for (const Row& row : rows()) {
            const bool fits = found.system_.before.find(row.system) != std::string::npos &&
                              found.user_.before.find(row.user) != std::string::npos &&
                              found.user_.after.find(row.user_end == kEnd ? end : row.user_end) != std::string::npos &&
                              found.answer_.before.find(row.answer) != std::string::npos;
            if (!fits) continue;
            found.name_ = row.name;
            return found;
        }
        fail("it is of another kind");
    } catch (const Error& error) {
        fail_with(Remedy::ChooseTemplate, "the chat template that begins \"%s\" is none that nib knows: %s",
                  printable(jinja, 60).c_str(), printable(error.what()).c_str());
    }
}

ChatTemplate ChatTemplate::find(std::string_view name, const Tokenizer& tokenizer) {
    for (const Row& row : rows()) {
        if (row.name != name) continue;
        if (tokenizer.end_token() < 0 && std::strstr(row.jinja, "eos_token") != nullptr)
            fail("the chat template %s ends answers with the token that ends a text, but the tokenizer has none", row.name);
        return recognize(row.jinja, tokenizer);
    }
    std::string known;
    for (const std::string& one : names()) known += (known.empty() ? "" : ", ") + one;
    fail("there is no chat template \"%s\"; nib knows %s", printable(name, 40).c_str(), known.c_str());
}

ChatTemplate ChatTemplate::choose(const std::string& jinja, const std::string& name, const Tokenizer& tokenizer) {
    if (jinja.empty() && name.empty())
        fail_with(Remedy::ChooseTemplate, "the model has no chat template, which says how dialogues are written");
    if (name.empty()) return recognize(jinja, tokenizer);
    ChatTemplate chosen = find(name, tokenizer);
    if (jinja.empty()) return chosen;
    std::optional<ChatTemplate> own;
    try {
        own = recognize(jinja, tokenizer);
    } catch (const Error&) {
        return chosen;  // as the error advises
    }
    if (own->name() != name)
        fail_option("template", "is `%s`, but the model has its own: %s", printable(name, 40).c_str(), own->name().c_str());
    return *own;
}

std::vector<std::string> ChatTemplate::marks() const {
    std::vector<std::string> out;
    for (const Row& row : rows())
        if (row.name == name_) out = row.marks;
    for (const std::string& token : ends_used_)
        if (std::find(out.begin(), out.end(), token) == out.end()) out.push_back(token);
    return out;
}

void ChatTemplate::check(std::span<const ChatMessage> messages) const {
    check_messages(messages);
    const size_t first = messages[0].role == "system";
    if (first == 1 && system_place_ == SystemPlace::None)
        fail("the chat template %s has no place for a system message", name_.c_str());
    const bool folded = first == 1 && system_place_ == SystemPlace::FirstUser;
    for (size_t i = first; i < messages.size(); ++i) {
        const char* const expected = (i - first) % 2 == 0 ? "user" : "assistant";
        if ((alternates_ || (folded && i == first)) && messages[i].role != expected)
            fail("message %zu is the %s's, but user and assistant must take turns in the chat template %s", i + 1,
                 messages[i].role.c_str(), name_.c_str());
    }
}

// The user message in whose turn the system message is; the number of messages if there is none.
size_t ChatTemplate::sharing_system(std::span<const ChatMessage> messages) const {
    const size_t count = messages.size();
    if (system_place_ == SystemPlace::FirstUser) return 1;
    if (system_place_ == SystemPlace::LastMessage) return messages.back().role == "user" ? count - 1 : count;
    if (system_place_ != SystemPlace::LastUser) return count;
    size_t last = count - 1;
    while (last > 0 && messages[last].role != "user") last--;
    return last > 0 ? last : count;
}

std::vector<ChatStretch> ChatTemplate::render(std::span<const ChatMessage> messages, bool add_generation_prompt) const {
    check(messages);
    std::vector<ChatStretch> out;
    const auto add = [&](std::string_view text, int64_t message, bool content, bool answer) {
        if (!text.empty()) out.push_back({std::string(text), message, content, answer});
    };
    const auto add_message = [&](int64_t i, const Slot& slot, bool before = true, bool trim_left = true) {
        const bool answer = &slot == &answer_;
        const size_t given = answer ? prompt_.size() : slot.before.size();
        if (before) {
            add(slot.before.substr(0, given), i, false, false);
            add(slot.before.substr(given), i, false, answer);
        }
        const std::string_view content = messages[static_cast<size_t>(i)].content;
        add(python_strip(content, slot.trim_left && trim_left, slot.trim_right), i, true, answer);
        add(slot.after, i, false, answer);
    };
    const bool has_system = messages[0].role == "system";
    if (has_system && system_place_ == SystemPlace::Turn)
        add_message(0, system_);
    else if (!has_system || system_place_ != SystemPlace::FirstUser)
        add(messages[has_system].role == "user" ? opening_ : answer_opening_, -1, false, false);
    const auto shared = has_system ? sharing_system(messages) : messages.size();
    for (size_t i = has_system; i < messages.size(); ++i) {
        if (i == shared) add_message(0, system_);
        add_message(static_cast<int64_t>(i), messages[i].role == "user" ? user_ : answer_, i != shared,
                    i != shared || trim_after_system_);
    }
    if (add_generation_prompt)
        add(prompt_, -1, false, false);
    else if (messages.back().role == "assistant")
        add(closing_, std::ssize(messages) - 1, false, true);
    return out;
}

int32_t ChatTemplate::answer_end_token(const Tokenizer& tokenizer) const {
    try {
        const std::vector<int32_t> ids = tokenizer.encode(python_strip(answer_end()));
        return ids.size() == 1 ? ids[0] : -1;
    } catch (const Error& error) {
        fail("the model's tokenizer cannot write the chat template %s: %s", name_.c_str(), error.what());
    }
}

}  // namespace nib
