#include "task/dialogue_record.h"

#include <iterator>
#include <utility>

#include "core/error.h"

namespace nib {
namespace {

// How the 52,000 instructions of Stanford's Alpaca were put, without and with an input.
constexpr const char* kAlpaca =
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.";
constexpr const char* kAlpacaWithInput =
    "Below is an instruction that describes a task, paired with an input that provides further context. Write a response "
    "that appropriately completes the request.";

std::string role_of(const JsonValue& name) {
    static constexpr std::pair<const char*, const char*> kRoles[] = {
        {"system",    "system"   },
        {"user",      "user"     },
        {"human",     "user"     },
        {"assistant", "assistant"},
        {"gpt",       "assistant"},
        {"model",     "assistant"},
        {"bot",       "assistant"}
    };
    for (const auto& [theirs, role] : kRoles)
        if (name.text() == theirs) return role;
    fail("%s is \"%s\"; the roles are system, user and assistant", name.where().c_str(),
         printable(name.text(), 40).c_str());
}

// A string, or a list of parts with text.
std::string content_of(const JsonValue& value) {
    if (!value.raw().is_array()) return value.text();
    std::string text;
    for (size_t i = 0; i < value.items(); ++i) {
        const JsonValue part = value.at(i);
        if (part.raw().is_string()) {
            text += part.text();
            continue;
        }
        if (const std::string type = part.text_or("type", "text"); type != "text") part.refuse("content of type " + type);
        const auto other = part.find("value");
        text += other ? other->text() : part.get("text").text();
    }
    return text;
}

// Whether an answer is to be learnt: 1 or 0.
bool is_learnt(const JsonValue& message) {
    for (const char* const key : {"weight", "loss_weight"}) {
        const auto weight = message.find(key);
        if (!weight) continue;
        const double value = weight->number();
        if (value != 0 && value != 1)
            fail("%s is %s; it must be 0 or 1", weight->where().c_str(), weight->raw().dump().c_str());
        return value == 1;
    }
    return true;
}

// Nothing that nib would have to leave out.
void check_no_tools(const JsonValue& value) {
    for (const char* const key : {"tools", "tool_calls", "functions", "function_call", "images"})
        if (const auto found = value.find(key); found && !found->raw().empty() && found->raw() != "")
            found->refuse(std::string("a dialogue with ") + key);
}

ChatMessage read_message(const JsonValue& message) {
    check_no_tools(message);
    const bool shared = message.find("from").has_value();
    return {role_of(message.get(shared ? "from" : "role")), content_of(message.get(shared ? "value" : "content")),
            is_learnt(message)};
}

void read_messages(const JsonValue& list, std::vector<ChatMessage>& out) {
    for (size_t i = 0; i < list.items(); ++i) out.push_back(read_message(list.at(i)));
}

void read_prompt(const JsonValue& record, std::vector<ChatMessage>& out) {
    const JsonValue prompt = record.get("prompt");
    const auto response = record.find("response");
    const JsonValue completion = response ? *response : record.get("completion");
    read_turns(prompt, "user", out);
    for (ChatMessage& message : out) message.learnt = message.role != "assistant";  // only the completion is
    read_turns(completion, "assistant", out);
}

void read_instruction(const JsonValue& record, bool alpaca, std::vector<ChatMessage>& out) {
    const std::string input = record.text_or("input", "");
    if (alpaca && out.empty()) out.push_back({"system", input.empty() ? kAlpaca : kAlpacaWithInput});
    if (const auto history = record.find("history"))
        for (size_t i = 0; i < history->items(); ++i) {
            const JsonValue pair = history->at(i);
            if (pair.items() != 2) fail("%s is no pair of a message and its answer", pair.where().c_str());
            out.push_back({"user", pair.at(0).text()});
            out.push_back({"assistant", pair.at(1).text()});
        }
    std::string text = record.get("instruction").text();
    if (!input.empty()) text += (text.empty() ? "" : alpaca ? "\n\n### Input:\n" : "\n") + input;
    out.push_back({"user", std::move(text)});
    out.push_back({"assistant", record.get("output").text()});
}

}  // namespace

const char* dialogue_shape(const JsonValue& record) {
    for (const char* const key : {"messages", "conversations", "prompt", "instruction"})
        if (record.find(key)) return key;
    fail("%s is no dialogue: it has none of \"messages\", \"conversations\", \"prompt\" and \"instruction\"",
         record.where().substr(0, record.where().size() - 1).c_str());
}

void read_turns(const JsonValue& value, const char* role, std::vector<ChatMessage>& out) {
    if (value.raw().is_array())
        read_messages(value, out);
    else if (value.raw().is_object())
        out.push_back(read_message(value));
    else
        out.push_back({role, value.text()});
}

std::vector<ChatMessage> read_dialogue(const JsonValue& record, const std::string& shape, bool alpaca) {
    check_no_tools(record);
    std::vector<ChatMessage> out;
    if (const std::string system = record.text_or("system", ""); !system.empty()) out.push_back({"system", system});
    if (shape == "prompt")
        read_prompt(record, out);
    else if (shape == "instruction")
        read_instruction(record, alpaca, out);
    else
        read_messages(record.get(shape.c_str()), out);
    return out;
}

}  // namespace nib
