// Dialogues with a model: what stays cached, what is left out, what can be taken back.
#include "infer/chat_session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "chat_goldens.h"
#include "task/saved_dialogue.h"
#include "test_errors.h"
#include "text/jinja.h"
#include "text/python_text.h"
#include "text/utf8.h"
#include "tiny_model_case.h"

namespace nib::test {
namespace {

// ASCII and ChatML's marks; `end`, if it is not empty, ends texts.
CharTokenizer chat_characters(const std::string& end = "") {
    CharModel model;
    for (char c = ' '; c <= '~'; ++c) model.tokens.push_back({std::string(1, c)});
    model.tokens.push_back({"\n"});
    for (const char* const mark : {"<|im_start|>", "<|im_end|>"}) model.tokens.push_back({mark, TokenType::Control});
    for (size_t i = 0; i < model.tokens.size(); ++i)
        if (model.tokens[i].text == end) model.specials.end = static_cast<int32_t>(i);
    return CharTokenizer(std::move(model));
}

constexpr int64_t kVocab = 98, kLength = 10;

class ChatSessionTest : public TinyModelTest {
protected:
    explicit ChatSessionTest(int64_t context = 400) : TinyModelTest(context, kVocab) {
        options.length = kLength;
        options.sampler.temperature = 1;
        options.sampler.seed = 5;
    }

    // One of an engine of its own.
    ChatSession& session() {
        engines_.push_back(std::make_unique<Engine>(backend_, config_, weights_));
        sessions_.push_back(std::make_unique<ChatSession>(*engines_.back(), characters, chatml, options));
        return *sessions_.back();
    }

    // An answer, which is what was shown of it and what stays.
    static ChatAnswer ask(ChatSession& session, const std::string& text) {
        std::string shown;
        const ChatAnswer answer = session.ask(text, [&](std::string_view piece) {
            EXPECT_FALSE(piece.empty());
            shown += piece;
        });
        EXPECT_EQ(shown, answer.text);
        EXPECT_EQ(session.messages().back().content, answer.text);
        EXPECT_EQ(answer.text, python_strip(answer.text));
        return answer;
    }

    int64_t prompt_size(const Messages& messages) const {
        return static_cast<int64_t>(encode_chat(characters, chatml, messages, {.add_generation_prompt = true}).ids.size());
    }

    const CharTokenizer characters = chat_characters();
    const ChatTemplate chatml = ChatTemplate::find("chatml", characters);
    ChatOptions options;

private:
    std::vector<std::unique_ptr<Engine>> engines_;
    std::vector<std::unique_ptr<ChatSession>> sessions_;
};

TEST_F(ChatSessionTest, CachedAnswersAreThoseOfAFreshSession) {
    ChatSession& talk = session();
    talk.set_system("Be brief.");
    int64_t prompt = 0;
    for (const char* const text : {"Hello there", "  Who are you? ", "x"}) {
        ChatSession& fresh = session();
        if (talk.messages().size() > 1)
            fresh.set_messages(talk.messages());
        else
            fresh.set_system("Be brief.");
        const ChatAnswer cached = ask(talk, text), whole = ask(fresh, text);
        EXPECT_EQ(cached.text, whole.text);
        EXPECT_EQ(talk.messages(), fresh.messages());
        EXPECT_EQ(whole.cached, 0);
        EXPECT_EQ(cached.cached + cached.speed.prompt_tokens, whole.speed.prompt_tokens);
        EXPECT_GE(cached.cached, prompt) << "the dialogue before was evaluated again";
        prompt = whole.speed.prompt_tokens;
    }
}

TEST_F(ChatSessionTest, AnswersDifferBySeedAndTurn) {
    ChatSession& one = session();
    options.sampler.seed = 6;
    ChatSession& other = session();
    EXPECT_NE(ask(one, "a").text, ask(other, "a").text);
    one.reset();
    EXPECT_TRUE(one.messages().empty());
    options.sampler.seed = 5;
    EXPECT_EQ(ask(one, "a").text, ask(session(), "a").text);
}

TEST_F(ChatSessionTest, UndoTakesBackATurn) {
    ChatSession& talk = session();
    EXPECT_FALSE(talk.undo());
    talk.set_system("S");
    EXPECT_FALSE(talk.undo());
    ask(talk, "one");
    const Messages before = talk.messages();
    const std::string second = ask(talk, "two").text;
    EXPECT_TRUE(talk.undo());
    EXPECT_EQ(talk.messages(), before);
    const ChatAnswer again = ask(talk, "two");
    EXPECT_EQ(again.text, second);
    EXPECT_EQ(again.speed.prompt_tokens, 1);
    EXPECT_TRUE(talk.undo() && talk.undo());
    EXPECT_EQ(talk.messages(), Messages({
                                   {"system", "S"}
    }));
    EXPECT_FALSE(talk.undo());
}

TEST_F(ChatSessionTest, SystemPromptsChangeAmidADialogue) {
    ChatSession& talk = session();
    ask(talk, "one");
    talk.set_system("S");
    EXPECT_EQ(talk.messages()[0], (ChatMessage{"system", "S"}));
    EXPECT_EQ(talk.messages().size(), 3u);
    ChatSession& fresh = session();
    fresh.set_messages(talk.messages());
    EXPECT_EQ(ask(talk, "two").text, ask(fresh, "two").text);
    talk.set_system("  \n");
    EXPECT_EQ(talk.messages().size(), 4u);
    EXPECT_MENTIONS(error_of([&] { talk.set_system("a\xff"); }), "the system prompt: not UTF-8");
    EXPECT_EQ(talk.messages().size(), 4u);
}

TEST_F(ChatSessionTest, AnswersEnd) {
    options.length = 60;
    const std::string whole = ask(session(), "a").text;
    ASSERT_GT(whole.size(), 30u);
    options.stop = {whole.substr(20, 3)};
    const ChatAnswer stopped = ask(session(), "a");
    EXPECT_TRUE(stopped.ended);
    EXPECT_EQ(stopped.text, python_strip(whole.substr(0, whole.find(options.stop[0]))));
    // The template's mark.
    options.stop.clear();
    options.length = 100;
    options.sampler.temperature = 1000, options.sampler.top_k = 0, options.sampler.top_p = 1;  // all are as probable
    for (uint64_t seed = 0; seed < 30; ++seed) {
        options.sampler.seed = seed;
        const ChatAnswer answer = ask(session(), "a");
        EXPECT_EQ(answer.text.find("<|im_end|>"), std::string::npos);
        if (answer.ended) return;
    }
    FAIL() << "no answer ended by itself";
}

TEST_F(ChatSessionTest, TheTokenThatEndsATextEndsAnAnswerUnlessMessagesMayHaveIt) {
    options.length = 100;
    options.sampler.temperature = 1000, options.sampler.top_k = 0, options.sampler.top_p = 1;  // all are as probable
    const auto answers = [&](const std::string& end, const char* chat_template) {
        const CharTokenizer tokenizer = chat_characters(end);
        int ended = 0, lines = 0;
        for (options.sampler.seed = 0; options.sampler.seed < 20; ++options.sampler.seed) {
            Engine engine(backend_, config_, weights_);
            ChatSession talk(engine, tokenizer, ChatTemplate::find(chat_template, tokenizer), options);
            const ChatAnswer answer = talk.ask("a", [](std::string_view) {});
            EXPECT_EQ(answer.text.find("<|im_end|>"), std::string::npos);
            ended += answer.ended, lines += answer.text.find('\n') != std::string::npos;
        }
        EXPECT_GT(lines, 0);
        return ended;
    };
    const int by_mark = answers("", "chatml");
    EXPECT_GT(by_mark, 5);
    EXPECT_EQ(answers("\n", "chatml"), by_mark);
    EXPECT_GT(answers("<|im_start|>", "chatml"), by_mark);
    EXPECT_EQ(answers("<|im_end|>", "chatml"), by_mark);
    EXPECT_GT(answers("<|im_end|>", "llama2"), 5);
}

TEST_F(ChatSessionTest, ACancelledAnswerCounts) {
    int asked = 0;
    options.cancelled = [&] { return asked++ == 4; };
    ChatSession& talk = session();
    const std::string some = ask(talk, "a").text;
    options.cancelled = nullptr;
    const std::string whole = ask(session(), "a").text;
    EXPECT_LT(some.size(), whole.size());
    EXPECT_TRUE(whole.starts_with(some));
    ask(talk, "and then?");
    EXPECT_EQ(talk.messages().size(), 4u);
}

TEST_F(ChatSessionTest, ATurnWithoutAnAnswerIsForgotten) {
    options.stop.clear();
    for (char c = ' '; c <= '~'; ++c) options.stop.emplace_back(1, c);
    options.stop.emplace_back("\n");
    options.stop.emplace_back("<|im_start|>");
    ChatSession& talk = session();
    const ChatAnswer answer = talk.ask("a", [](std::string_view) { FAIL(); });
    EXPECT_TRUE(answer.ended);
    EXPECT_TRUE(answer.text.empty());
    EXPECT_TRUE(talk.messages().empty());
}

TEST_F(ChatSessionTest, WrongMessagesChangeNothing) {
    ChatSession& talk = session();
    ask(talk, "one");
    const Messages before = talk.messages();
    const auto refused = [&](const std::string& text) {
        const std::string message = error_of([&] { talk.ask(text, [](std::string_view) {}); });
        EXPECT_EQ(talk.messages(), before);
        return message;
    };
    EXPECT_EQ(refused(" \t"), "the message is empty");
    EXPECT_MENTIONS(refused("caf\xe9"), "the message: not UTF-8 text");
    EXPECT_MENTIONS(refused("\xc3\xa9"), "\"\xc3\xa9\"");  // no token
    EXPECT_MENTIONS(refused(std::string(400, 'x')), "there is room for 390");
    EXPECT_MENTIONS(error_of([&] { talk.set_messages({}); }), "no messages");
    EXPECT_EQ(error_of([&] {
                  talk.set_messages({
                      {"user", "a"}
                  });
              }),
              "the dialogue ends without an answer");
    EXPECT_MENTIONS(error_of([&] {
                        talk.set_messages({
                            {"user",      "\xff"},
                            {"assistant", "b"   }
                        });
                    }),
                    "the dialogue: not UTF-8");
    EXPECT_MENTIONS(error_of([&] { talk.set_temperature(-1); }), "temp");
    EXPECT_EQ(talk.messages(), before);
    EXPECT_GE(ask(talk, "two").cached, prompt_size({before[0]})) << "the cache is as it was, too";
}

TEST_F(ChatSessionTest, WrongOptions) {
    options.length = 0;
    EXPECT_MENTIONS(error_of([&] { session(); }), "length is 0");
    options.length = 5, options.stop = {""};
    EXPECT_MENTIONS(error_of([&] { session(); }), "stop is empty");
    options.stop.clear(), options.sampler.top_p = 2;
    EXPECT_MENTIONS(error_of([&] { session(); }), "top-p");
    // A tokenizer that cannot write the marks.
    Engine engine(backend_, config_, weights_);
    options = {};
    EXPECT_MENTIONS(error_of([&] { ChatSession(engine, *tokenizer_, chatml, options); }),
                    "cannot write the chat template chatml");
}

class SmallContextTest : public ChatSessionTest {
protected:
    SmallContextTest() : ChatSessionTest(160) { options.sampler.temperature = 0; }
};

TEST_F(SmallContextTest, OldTurnsAreLeftOut) {
    ChatSession& talk = session();
    talk.set_system("Be brief.");
    size_t hidden = 0;
    int rolled = 0, kept_after = 0;
    for (int i = 0; i < 20; ++i) {
        // What the model sees: the system prompt and the newest turns.
        const auto expected = [&] {
            Messages seen = talk.messages();
            seen.resize(seen.size() - 2);
            seen.erase(seen.begin() + 1, seen.begin() + 1 + static_cast<std::ptrdiff_t>(hidden));
            ChatSession& fresh = session();
            if (seen.size() > 1)
                fresh.set_messages(seen);
            else
                fresh.set_system("Be brief.");
            return fresh.ask("turn " + std::to_string(i), [](std::string_view) {});
        };
        const ChatAnswer answer = ask(talk, "turn " + std::to_string(i));
        EXPECT_EQ(answer.left_out % 2, 0u);
        hidden += answer.left_out;
        EXPECT_EQ(talk.messages().size(), static_cast<size_t>(2 * i + 3)) << "all that was said stays";
        const ChatAnswer same = expected();
        EXPECT_EQ(same.left_out, 0u);
        EXPECT_EQ(answer.text, same.text);
        EXPECT_EQ(answer.cached + answer.speed.prompt_tokens, same.speed.prompt_tokens);
        rolled += answer.left_out > 0;
        kept_after += rolled > 0 && answer.left_out == 0 &&
                      answer.cached > prompt_size({
                                          {"system", "Be brief."},
                                          {"user",   "turn 0"   }
        });
    }
    EXPECT_GT(rolled, 2);
    EXPECT_GT(kept_after, 2) << "some turns after that use the cache";
    while (talk.undo()) ask(talk, "again"), talk.undo();
    EXPECT_EQ(talk.messages().size(), 1u);
}

TEST_F(SmallContextTest, AnAnswerFillsTheContext) {
    options.length = 1000;
    const ChatAnswer answer = ask(session(), std::string(90, 'x'));
    EXPECT_TRUE(answer.full || answer.ended);
    EXPECT_MENTIONS(error_of([&] { session().ask(std::string(102, 'x'), [](std::string_view) {}); }),
                    "there is room for 120");
}

TEST(SavedDialogue, ThereAndBack) {
    const TempFolder folder;
    Messages messages = dialogue("suaua", {"be \"brief\"", "a\nb", "\u00e9\\", "</s>", "d"});
    messages[2].learnt = false;
    for (const char* const name : {"talk.json", "talk.jsonl", "talk"}) {
        save_dialogue(folder / name, messages);
        EXPECT_EQ(load_dialogue(folder / name, false), messages);
    }
    const std::string before = read_file(folder / "talk");
    EXPECT_EQ(std::count(before.begin(), before.end(), '\n'), 1);
    EXPECT_MENTIONS(error_of([&] { save_dialogue(folder / "talk", messages); }),
                    "talk: already exists; choose another name");
    EXPECT_EQ(read_file(folder / "talk"), before);
    EXPECT_MENTIONS(error_of([&] { save_dialogue(folder / "none" / "talk", messages); }), "talk: ");
    EXPECT_EQ(error_of([&] { save_dialogue(folder / "new", dialogue("su", {"a"})); }),
              "there is no answer in the dialogue yet; nothing is saved");
    EXPECT_FALSE(fs::exists(folder / "new"));
}

TEST(SavedDialogue, WrongFiles) {
    const TempFolder folder;
    const auto load = [&](const std::string& text) {
        write_file(folder / "talk.json", text);
        return error_of([&] { load_dialogue(folder / "talk.json", false); });
    };
    const std::string good = R"({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})";
    EXPECT_EQ(load(good), "");
    EXPECT_EQ(load("[" + good + "]"), "");
    EXPECT_MENTIONS(load(good + "\n" + good), "talk.json: holds more than one dialogue");
    for (const char* const text : {"", "[]", "\n"}) EXPECT_MENTIONS(load(text), "talk.json: holds no dialogue");
    for (const char* const text :
         {"{", "3", "{}", "\xff", R"({"messages": {}})", R"({"messages": [{"role": "cook", "content": "a"}]})",
          R"({"messages": [{"role": "user", "content": ""}]})", R"({"messages": [{"role": "user", "content": 3}]})"})
        EXPECT_MENTIONS(load(text), "talk.json: line 1") << text;
    EXPECT_MENTIONS(load(good.substr(0, 60)), "talk.json: line 1");
    EXPECT_MENTIONS(error_of([&] { load_dialogue(folder / "none.json", false); }), "none.json");
    EXPECT_MENTIONS(error_of([&] { load_dialogue(folder.path(), false); }), folder.path().string());
}

}  // namespace
}  // namespace nib::test
