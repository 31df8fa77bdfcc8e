// Chat templates: what they make of dialogues is what transformers makes of them.
#include "text/chat_template.h"

#include <ctime>

#include "chat_goldens.h"
#include "test_errors.h"

namespace nib::test {
namespace {

using nlohmann::json;

// As in make_chat_goldens.py.
const std::vector<std::string> kTexts[] = {
    {"How are you?",  "Fine, thanks.\n\n- and you?",   "So so"            },
    { "  two\n\n", "\u3000三 \t", " {{ four }}\n{% five %}'\"\\n", "six <<SYS>> seven"}
};

std::string with_today(std::string text) {
    const std::time_t now = std::time(nullptr);
    char day[32];
    std::tm local{};
    std::strftime(day, sizeof day, "%d %b %Y", localtime_r(&now, &local));
    if (const size_t at = text.find("TODAY"); at != std::string::npos) text.replace(at, 5, day);
    return text;
}

TEST(ChatTemplate, RendersLikeTransformers) {
    std::map<std::string, ChatTemplate> templates;
    int rendered = 0;
    for (const json& one : chat_cases()["texts"]) {
        const std::string name = one[0];
        if (!templates.contains(name)) templates.emplace(name, golden_template(name));
        const Messages messages = dialogue(one[1].get<std::string>(), kTexts[one[2].get<size_t>()]);
        SCOPED_TRACE(one.dump());
        std::string text;
        const std::string error = error_of([&] { text = joined(templates.at(name).render(messages, one[3])); });
        EXPECT_EQ(error.empty(), !one[4].is_null()) << error;
        EXPECT_EQ(text, one[4].is_null() ? "" : with_today(one[4]));
        rendered += error.empty();
    }
    EXPECT_GT(rendered, 300);
}

TEST(ChatTemplate, Names) {
    for (const auto& [model, one] : chat_templates().items()) {
        SCOPED_TRACE(model);
        if (one["template"].is_null()) continue;
        const ChatTemplate found = golden_template(model);
        EXPECT_EQ(found.name(), one["template"]);
        EXPECT_EQ(found.jinja(), one["jinja"]);
    }
    for (const std::string& name : ChatTemplate::names()) {
        const CharTokenizer tokenizer = tokenizer_with("<s>", "</s>");
        const ChatTemplate found = ChatTemplate::find(name, tokenizer);
        EXPECT_EQ(found.name(), name);
        EXPECT_EQ(joined(ChatTemplate::recognize(found.jinja(), tokenizer).render(dialogue("suau", {"a", "b", "c"}), true)),
                  joined(found.render(dialogue("suau", {"a", "b", "c"}), true)));
    }
}

TEST(ChatTemplate, OwnTemplates) {
    const CharTokenizer tokenizer = tokenizer_with("<s>", "</s>");
    const auto text = [&](const char* name) {
        return joined(ChatTemplate::find(name, tokenizer).render(dialogue("suau", {"S", " U", "A", "V"}), true));
    };
    EXPECT_EQ(text("chatml"),
              "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n U<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n"
              "<|im_start|>user\nV<|im_end|>\n<|im_start|>assistant\n");
    EXPECT_EQ(text("llama2"), "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nU [/INST] A </s><s>[INST] V [/INST]");
    EXPECT_EQ(text("llama3"),
              "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\nU"
              "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|start_header_id|>user"
              "<|end_header_id|>\n\nV<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n");
    EXPECT_EQ(text("zephyr"),
              "<|system|>\nS</s>\n<|user|>\n U</s>\n<|assistant|>\nA</s>\n<|user|>\nV</s>\n<|assistant|>\n");
    EXPECT_EQ(text("mistral"), "<s>[INST] S\n\n U [/INST] A</s>[INST] V [/INST]");
    EXPECT_EQ(text("alpaca"),
              "<s>S\n\n### Instruction:\nU\n\n### Response:\nA</s>\n\n### Instruction:\nV\n\n### Response:\n");
}

TEST(ChatTemplate, StretchesSayWhatTheModelHasToSay) {
    const auto answers = [](const ChatTemplate& one, const char* roles) {
        std::string text;
        for (const ChatStretch& stretch : one.render(dialogue(roles, {"x", "y"}), true))
            text += stretch.answer ? "[" + stretch.text + "]" : stretch.content ? "(" + stretch.text + ")" : "";
        return text;
    };
    EXPECT_EQ(answers(golden_template("SmolLM2"), "uau"), "(x)[y][<|im_end|>\n](x)");
    EXPECT_EQ(answers(golden_template("Llama 2"), "suau"), "(x)(y)[ ][x][ </s>](y)");
    EXPECT_EQ(answers(golden_template("TinyLlama"), "ua"), "(x)[y][</s>\n]");
    EXPECT_EQ(golden_template("Llama 3").answer_end(), "<|eot_id|>");
    const auto stretches = golden_template("SmolLM2").render(dialogue("ua", {"x"}), true);
    std::vector<int64_t> messages;
    for (const ChatStretch& stretch : stretches) messages.push_back(stretch.message);
    EXPECT_EQ(messages, (std::vector<int64_t>{-1, 0, 0, 0, 1, 1, 1, -1}));
    EXPECT_EQ(golden_template("SmolLM2").marks(), (std::vector<std::string>{"<|im_start|>", "<|im_end|>"}));
    EXPECT_EQ(golden_template("Llama 2").marks(), (std::vector<std::string>{"<s>", "</s>"}));
    EXPECT_EQ(golden_template("TinyLlama").marks(), (std::vector<std::string>{"</s>"}));
}

TEST(ChatTemplate, OtherTemplatesAreRefusedByName) {
    for (const auto& [model, one] : chat_templates().items()) {
        if (!one["template"].is_null()) continue;
        SCOPED_TRACE(model);
        const CharTokenizer tokenizer = tokenizer_with(one["begin"], one["end"]);
        const auto recognize = [&, &golden = one] { ChatTemplate::recognize(golden["jinja"], tokenizer); };
        EXPECT_MENTIONS(error_of(recognize), one["jinja"].get<std::string>().substr(0, 20));
        EXPECT_EQ(remedy_of(recognize), Remedy::ChooseTemplate);
    }
    const CharTokenizer tokenizer = tokenizer_with("<s>", "</s>");
    for (const char* const jinja :
         {"", "{{", "text", "{{ messages }}", "{% for m in messages %}{{ m.content }}{% endfor %}",
          "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content[:4] + '<|im_end|>\\n' }}{% endfor %}",
          "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content.split('</think>')[-1] + '<|im_end|>\\n' "
          "}}{% endfor %}",
          "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{{ "
          "'<|im_start|>assistant\\n' }}"}) {
        const auto recognize = [&] { ChatTemplate::recognize(jinja, tokenizer); };
        EXPECT_MENTIONS(error_of(recognize), "is none that nib knows") << jinja;
    }
}

TEST(ChatTemplate, ChangesOfATemplateAreSeen) {
    const auto changed = [](const std::string& from, const std::string& to) {
        std::string jinja = chat_templates()["SmolLM2"]["jinja"];
        const size_t at = jinja.find(from);
        CHECK(at != std::string::npos);
        jinja.replace(at, from.size(), to);
        return joined(
            ChatTemplate::recognize(jinja, tokenizer_with("", "<|im_end|>")).render(dialogue("u", {" hi "}), true));
    };
    EXPECT_EQ(changed("You are a helpful AI assistant named SmolLM, trained by Hugging Face", "Sei kurz. \"你好"),
              "<|im_start|>system\nSei kurz. \"你好<|im_end|>\n<|im_start|>user\n hi <|im_end|>\n<|im_start|>assistant\n");
    EXPECT_EQ(changed("message['content']", "message.content | trim"),
              "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging "
              "Face<|im_end|>\n<|im_start|>user\nhi"
              "<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatTemplate, WrongDialogues) {
    const CharTokenizer tokenizer = tokenizer_with("<s>", "</s>");
    const ChatTemplate chatml = ChatTemplate::find("chatml", tokenizer), llama2 = ChatTemplate::find("llama2", tokenizer);
    const auto error = [&](const ChatTemplate& one, const Messages& messages) {
        return error_of([&] { one.render(messages); });
    };
    EXPECT_EQ(error(chatml, {}), "the dialogue has no messages");
    EXPECT_EQ(error(chatml, dialogue("s", {"x"})), "the dialogue has no message besides the system's");
    EXPECT_EQ(error(chatml, dialogue("us", {"x"})), "message 2 is the system's, which must be the first");
    EXPECT_EQ(error(chatml, dialogue("ua", {"x", " \n\u3000"})), "message 2, the assistant's, is empty");
    EXPECT_EQ(error(chatml,
                    {
                        {"tool", "x"}
    }),
              "message 1 is of role \"tool\"; the roles are system, user and assistant");
    EXPECT_EQ(error(chatml, dialogue("uu", {"x"})), "");
    EXPECT_EQ(error(llama2, dialogue("suu", {"x"})),
              "message 3 is the user's, but user and assistant must take turns in the chat template llama2");
    EXPECT_EQ(error(llama2, dialogue("a", {"x"})),
              "message 1 is the assistant's, but user and assistant must take turns in the chat template llama2");
    EXPECT_EQ(error(golden_template("Mixtral"), dialogue("su", {"x"})),
              "the chat template mistral has no place for a system message");
}

TEST(ChatTemplate, WhatATokenizerLacks) {
    const CharTokenizer none = tokenizer_with("", "");
    EXPECT_EQ(error_of([&] { ChatTemplate::find("chat", none); }),
              "there is no chat template \"chat\"; nib knows chatml, llama3, zephyr, llama2, mistral, alpaca");
    EXPECT_EQ(error_of([&] { ChatTemplate::find("zephyr", none); }),
              "the chat template zephyr ends answers with the token that ends a text, but the tokenizer has none");
    EXPECT_EQ(joined(ChatTemplate::find("chatml", none).render(dialogue("u", {"x"}))), "<|im_start|>user\nx<|im_end|>\n");
    EXPECT_EQ(joined(ChatTemplate::find("mistral", tokenizer_with("", "</s>")).render(dialogue("ua", {"x"}))),
              "[INST] x [/INST] x</s>");
}

// The model's own, the one that the user names, or an error.
TEST(ChatTemplate, Choice) {
    const CharTokenizer tokenizer = tokenizer_with("<s>", "</s>");
    const std::string zephyr = ChatTemplate::find("zephyr", tokenizer).jinja(), strange = "{{ messages | length }}";
    const auto choose = [&](const std::string& own, const std::string& name) {
        return ChatTemplate::choose(own, name, tokenizer);
    };
    EXPECT_EQ(choose(zephyr, "").name(), "zephyr");
    EXPECT_EQ(choose(zephyr, "zephyr").jinja(), zephyr);
    EXPECT_EQ(choose("", "chatml").name(), "chatml");
    EXPECT_EQ(choose(strange, "chatml").name(), "chatml");
    EXPECT_EQ(remedy_of([&] { choose("", ""); }), Remedy::ChooseTemplate);
    EXPECT_EQ(remedy_of([&] { choose(strange, ""); }), Remedy::ChooseTemplate);
    EXPECT_EQ(error_of([&] { choose(zephyr, "chatml"); }), "template is `chatml`, but the model has its own: zephyr");
    EXPECT_MENTIONS(error_of([&] { choose(zephyr, "chat"); }), "there is no chat template \"chat\"");
}

}  // namespace
}  // namespace nib::test
