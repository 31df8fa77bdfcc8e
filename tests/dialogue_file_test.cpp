// Reading dialogues: shapes of records, and what is wrong with them.
#include "task/dialogue_file.h"

#include "reader_case.h"

namespace nib::test {
namespace {

using Messages = std::vector<ChatMessage>;

class Dialogues : public ReaderTest {
protected:
    std::vector<Messages> read(const std::string& name, const std::string& text, const DialogueOptions& options = {}) {
        DialogueFile reader(file(name, text), options);
        std::vector<Messages> out;
        for (Messages messages; reader.next(messages);) out.push_back(messages);
        EXPECT_EQ(reader.taken(), out.size());
        return out;
    }

    Messages one(const std::string& record, const DialogueOptions& options = {}) {
        const auto all = read("one.jsonl", record + "\n", options);
        EXPECT_EQ(all.size(), 1u);
        return all.at(0);
    }

    std::string error(const std::string& name, const std::string& text) {
        return error_in([&] { read(name, text); });
    }
};

const Messages kTwo = {
    {"user",      "a"},
    {"assistant", "b"}
};

TEST_F(Dialogues, Shapes) {
    EXPECT_EQ(one(R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "id": 7})"),
              kTwo);
    EXPECT_EQ(one(R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, )"
                  R"({"role": "assistant", "content": [{"type": "text", "value": "b"}, " c"]}]})"),
              (Messages{
                  {"user",      "a"  },
                  {"assistant", "b c"}
    }));
    EXPECT_EQ(one(R"({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]})"), kTwo);
    EXPECT_EQ(one(R"({"conversations": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})"), kTwo);
    EXPECT_EQ(
        one(R"({"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}], "tools": ""})"),
        (Messages{
            {"system",    "s"},
            {"user",      "a"},
            {"assistant", "b"}
    }));
    EXPECT_EQ(one(R"({"prompt": "a", "completion": "b"})"), kTwo);
    EXPECT_EQ(one(R"({"prompt": "a", "response": "b"})"), kTwo);
    EXPECT_EQ(
        one(R"({"prompt": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}, {"role": "user", "content": "a"}], "completion": [{"role": "assistant", "content": "b"}]})"),
        (Messages{
            {"user",      "x"},
            {"assistant", "y", false},
            {"user",           "a"        },
            {"assistant",           "b"}
    }));
}

TEST_F(Dialogues, Instructions) {
    const std::string without = R"({"instruction": "a", "input": "", "output": "b"})";
    const std::string with = R"({"instruction": "a", "input": "i", "output": "b"})";
    EXPECT_EQ(one(R"({"instruction": "a", "output": "b"})"), kTwo);
    EXPECT_EQ(one(without), kTwo);
    EXPECT_EQ(one(with), (Messages{
                             {"user",      "a\ni"},
                             {"assistant", "b"   }
    }));
    EXPECT_EQ(one(R"({"instruction": "a", "output": "b", "history": [["x", "y"]]})"),
              (Messages{
                  {"user",      "x"},
                  {"assistant", "y"},
                  {"user",      "a"},
                  {"assistant", "b"}
    }));
    const DialogueOptions alpaca{.alpaca = true};
    EXPECT_EQ(one(without, alpaca)[0].content,
              "Below is an instruction that describes a task. Write a response that appropriately completes the request.");
    const Messages worded = one(with, alpaca);
    EXPECT_EQ(worded[0].content,
              "Below is an instruction that describes a task, paired with an input that provides further context. Write a "
              "response that appropriately completes the request.");
    EXPECT_EQ(worded[1].content, "a\n\n### Input:\ni");
}

TEST_F(Dialogues, Weights) {
    const Messages messages = one(
        R"({"messages": [{"role": "user", "content": "a", "loss_weight": 0.0}, {"role": "assistant", "content": "b", "weight": 0}, )"
        R"({"role": "user", "content": "c"}, {"role": "assistant", "content": "d", "loss_weight": 1.0}]})");
    EXPECT_FALSE(messages[1].learnt);
    EXPECT_TRUE(messages[3].learnt);
    EXPECT_EQ(
        error("w.jsonl",
              R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]})"),
        "w.jsonl: line 1: messages[1].weight is 0.5; it must be 0 or 1");
}

TEST_F(Dialogues, Files) {
    const std::string a = R"({"prompt": "a", "completion": "b"})", c = R"({"prompt": "[c,\"]", "completion": "}\\"})";
    const std::vector<Messages> both = {
        kTwo, {{"user", "[c,\"]"}, {"assistant", "}\\"}}
    };
    EXPECT_EQ(read("x.jsonl", a + "\n\n" + c), both);
    EXPECT_EQ(read("x.jsonl", "\xEF\xBB\xBF" + a + "\r\n \r\n" + c + "\r\n"), both);
    EXPECT_EQ(read("x.json", "[" + a + "," + c + "]"), both);
    EXPECT_EQ(read("x.JSON", "\xEF\xBB\xBF \n[\n " + a + " ,\n\n" + c + "\n]\n\n"), both);
    EXPECT_EQ(read("x.json", a + "\n" + c + "\n"), both);
    EXPECT_EQ(read("x.json.gz", gzip("[" + a + "," + c + "]")), both);
    EXPECT_EQ(read("x.jsonl.gz", gzip(a + "\n" + c)), both);
    EXPECT_EQ(read("x.tsv", "a\tb\n\n[c,\"]\t}\\\r\n"), both);
    EXPECT_TRUE(read("x.jsonl", "").empty());
    EXPECT_TRUE(read("x.json", " [ ] ").empty());
}

// Much longer than what is read at once.
TEST_F(Dialogues, LongFiles) {
    std::string lines, list = "[";
    for (int i = 0; i < 3000; ++i) {
        const std::string record = R"({"prompt": ")" + std::to_string(i) + R"(", "completion": ")" +
                                   std::string(static_cast<size_t>(i), 'x') + "y\"}";
        lines += record + "\n";
        list += (i > 0 ? ",\n" : "") + record;
    }
    for (const auto& [name, text] : {
             std::pair("l.jsonl", lines), {"l.json", list + "]"}
    }) {
        const auto all = read(name, text);
        ASSERT_EQ(all.size(), 3000u);
        for (size_t i = 0; i < 3000; ++i) {
            EXPECT_EQ(all[i][0].content, std::to_string(i));
            EXPECT_EQ(all[i][1].content.size(), i + 1);
        }
    }
}

TEST_F(Dialogues, WrongRecordsAreNamed) {
    const std::string good = R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})";
    const auto second = [&](const std::string& record) {
        return error("c.jsonl", good + "\n" + record + "\n" + good + "\n");
    };
    const auto messages = [&](const std::string& list) { return second(R"({"messages": [)" + list + "]}"); };
    const std::string user = R"({"role": "user", "content": "a"})", answer = R"({"role": "assistant", "content": "b"})";
    EXPECT_MENTIONS(second("{\"messages\": [}"), "c.jsonl: line 2: not valid JSON");
    EXPECT_MENTIONS(second(std::string(100'000, '[')), "c.jsonl: line 2: ");
    EXPECT_EQ(
        second(R"({"text": "x"})"),
        "c.jsonl: line 2 is no dialogue: it has none of \"messages\", \"conversations\", \"prompt\" and \"instruction\"");
    EXPECT_EQ(second(R"({"prompt": "x", "completion": "y"})"),
              "c.jsonl: line 2 is of another shape than the records before it: it has \"prompt\", not \"messages\"");
    EXPECT_EQ(second("[1]"), "c.jsonl: line 2: is array where nib expects an object");
    EXPECT_EQ(second("\"x\""), "c.jsonl: line 2: is string where nib expects an object");
    EXPECT_EQ(second(R"({"messages": "x"})"), "c.jsonl: line 2: messages is string where nib expects a list");
    EXPECT_EQ(messages(""), "c.jsonl: line 2: the dialogue has no messages");
    EXPECT_EQ(messages("1"), "c.jsonl: line 2: messages[0] is 1; nib expects an object");
    EXPECT_EQ(messages(user), "c.jsonl: line 2: the dialogue has no answer: no message is the assistant's");
    EXPECT_EQ(messages(user + "," + answer + "," + answer), "c.jsonl: line 2: messages 2 and 3 are both the assistant's");
    EXPECT_EQ(messages(user + R"(,{"role": "assistant", "content": " "})"),
              "c.jsonl: line 2: message 2, the assistant's, is empty");
    EXPECT_EQ(messages(user + R"(,{"role": "assistant", "content": null})"),
              "c.jsonl: line 2: messages[1] has no \"content\"");
    EXPECT_EQ(messages(user + R"(,{"role": "assistant", "content": 7})"),
              "c.jsonl: line 2: messages[1].content is 7; nib expects text");
    EXPECT_EQ(messages(user + R"(,{"role": "tool", "content": "x"})"),
              "c.jsonl: line 2: messages[1].role is \"tool\"; the roles are system, user and assistant");
    EXPECT_EQ(messages(user + "," + answer + R"(,{"role": "system", "content": "x"})"),
              "c.jsonl: line 2: message 3 is the system's, which must be the first");
    EXPECT_MENTIONS(messages(R"({"role": "user", "content": [{"type": "image_url", "image_url": "x"}]})"),
                    "c.jsonl: line 2: messages[0].content[0]: content of type image_url is not supported");
    EXPECT_MENTIONS(messages(user + R"(,{"role": "assistant", "content": "x", "tool_calls": [{}]})"),
                    "a dialogue with tool_calls is not supported");
    EXPECT_MENTIONS(second("{\"messages\": [{\"role\": \"user\", \"content\": \"\xFF\"}]}"),
                    "c.jsonl: line 2: not UTF-8 text");
    EXPECT_MENTIONS(second(R"({"messages": [{"role": "user", "content": "\ud800"}]})"), "c.jsonl: line 2: not valid JSON");
    EXPECT_EQ(error("p.jsonl", R"({"prompt": "x", "chosen": "y"})"), "p.jsonl: line 1 has no \"completion\"");
    EXPECT_EQ(error("t.tsv", "a\tb\nno tab\n"), "t.tsv: line 2 is not what is said, a tab and the answer: it has 0 tabs");
    EXPECT_EQ(error("t.tsv", "a\tb\nc\t \n"), "t.tsv: line 2: message 2, the assistant's, is empty");
    EXPECT_MENTIONS(error("t.tsv", "a\tb\nc\t\xC0\n"), "t.tsv: line 2: not UTF-8 text: malformed at byte offset 6");
}

TEST_F(Dialogues, BrokenLists) {
    const std::string good = R"({"prompt": "a", "completion": "b"})";
    EXPECT_EQ(error("l.json", "[" + good + ", {\"prompt\": \"x"), "l.json: record 2: the list is cut short there");
    EXPECT_EQ(error("l.json", "["), "l.json: record 1: the list is cut short there");
    EXPECT_EQ(error("l.json", "[" + good), "l.json: record 1: the list is cut short there");
    EXPECT_EQ(error("l.json", "[" + good + "," + good + "] x"),
              "l.json: there is more after the end of the list, at byte offset 72");
    EXPECT_MENTIONS(error("l.json", "[" + good + ",]"), "l.json: record 2: not valid JSON");
    EXPECT_MENTIONS(error("l.json", "[" + good + ", {\"prompt\": \"a\" \"b\"}, " + good + "]"),
                    "l.json: record 2: not valid JSON");
    EXPECT_MENTIONS(error("l.json", "[" + good + "}," + good + "]"), "l.json: record 1: not valid JSON");
    EXPECT_MENTIONS(error("w.jsonl", std::string("\xFF\xFE{\0\"\0", 6)), "UTF-16LE");
    EXPECT_MENTIONS(error("g.jsonl.gz", gzip(good).substr(0, 20)), "gzip");
    EXPECT_MENTIONS(error_of([&] { DialogueFile missing((folder_ / "none.jsonl").string()); }), "none.jsonl");
}

TEST_F(Dialogues, BadRecordsCanBePassedOver) {
    std::string text;
    for (const char* const record : {R"({"prompt": "a", "completion": "b"})", "{", R"({"text": 1})",
                                     R"({"prompt": "", "completion": "b"})", "x", R"({"prompt": "a", "completion": "b"})"})
        text += std::string(record) + "\n";
    DialogueFile reader(file("s.jsonl", text), {.skip_bad = true});
    Messages messages;
    ASSERT_TRUE(reader.next(messages));
    EXPECT_EQ(messages, kTwo);
    ASSERT_TRUE(reader.next(messages));
    EXPECT_EQ(messages, kTwo);
    reader.refuse(Error("it is too long"));
    EXPECT_FALSE(reader.next(messages));
    EXPECT_EQ(reader.taken(), 1u);
    EXPECT_EQ(reader.skipped(), 5u);
    ASSERT_EQ(reader.reasons().size(), 3u);
    EXPECT_MENTIONS(reader.reasons()[0], "s.jsonl: line 2: not valid JSON");
    DialogueFile strict(file("s.jsonl", text));
    ASSERT_TRUE(strict.next(messages));
    EXPECT_MENTIONS(error_of([&] { strict.refuse(Error("it is too long")); }), "s.jsonl: line 1: it is too long");
}

}  // namespace
}  // namespace nib::test
