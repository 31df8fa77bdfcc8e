#include "task/dialogue_text.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "task/dialogue_file.h"
#include "task/dialogue_record.h"
#include "text/chat_encoding.h"
#include "text/text_files.h"
#include "text/text_key.h"
#include "text/text_source.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

// Adds the dialogues of one file. Returns how many are too long.
uint64_t add_file(DialogueFile& file, const Tokenizer& tokenizer, const ChatTemplate& chat_template, size_t longest,
                  TokenFileWriter& to, const std::function<void()>& progress) {
    std::vector<ChatMessage> messages;
    std::vector<uint8_t> marks;
    uint64_t too_long = 0;
    while (file.next(messages)) {
        progress();
        try {
            const ChatTokens tokens = encode_chat(tokenizer, chat_template, messages, {.longest = longest});
            marks.assign(tokens.counted.begin(), tokens.counted.end());
            // Nothing predicts the first token.
            const bool learns = std::find(marks.begin() + 1, marks.end(), 1) != marks.end();
            too_long += !learns && tokens.left_out > 0;  // what was left has no answer
            if (!learns && tokens.left_out > 0) continue;
            if (!learns) fail("there is no answer to learn");
            to.add(tokens.ids, marks);
            to.end_document();
        } catch (const Error& error) {
            if (error.remedy() == Remedy::LengthenContext)
                ++too_long;
            else
                file.refuse(error);
        }
    }
    return too_long;
}

std::string too_long(uint64_t count, int64_t longest) {
    return strprintf("%s with a turn of more than %lld tokens", counted(static_cast<int64_t>(count), "dialogue").c_str(),
                     static_cast<long long>(longest));
}

// What a file of tokens does not have; `reasons`: what was wrong with the first few, if they were just read.
void tell(const PassedOver& passed_over, const std::vector<std::string>& reasons, const DialogueTextOptions& options) {
    if (!options.note) return;
    std::string wrong = "passed over " + counted(static_cast<int64_t>(passed_over.wrong), "record");
    for (const std::string& reason : reasons) wrong += "\n  " + reason;
    if (passed_over.wrong > 0) options.note(wrong);
    if (passed_over.too_long > 0) options.note("passed over: " + too_long(passed_over.too_long, options.longest));
}

constexpr std::string_view kJsonEndings[] = {".json", ".json.gz"};

bool ends_in(const std::string& path, std::span<const std::string_view> endings) {
    return std::any_of(endings.begin(), endings.end(), [&](auto ending) { return has_ending(path, ending); });
}

enum class Content { Nothing, Text, Dialogues };

// By the first record; what is no JSON is text.
Content content_of(const std::string& path) {
    if (!TextSource::is_records(path) && !ends_in(path, kJsonEndings)) return Content::Text;
    try {
        RecordReader records(path, RecordReader::Kind::JsonItems);
        std::string record;
        if (!records.next(record)) return Content::Nothing;
        const nlohmann::json root = parse_json(record, path);
        dialogue_shape(JsonValue(root, path + ":"));
        return Content::Dialogues;
    } catch (const Error&) {
        return Content::Text;
    }
}

}  // namespace

bool hold_dialogues(const std::vector<std::string>& paths) {
    std::vector<std::string_view> endings(std::begin(kCorpusEndings), std::end(kCorpusEndings));
    endings.insert(endings.end(), std::begin(kJsonEndings), std::end(kJsonEndings));
    std::string dialogues, texts;  // the first file of each
    for (const std::string& path : paths)
        for (const std::string& file : files_at(path, endings)) {
            const Content content = content_of(file);
            if (content == Content::Dialogues && dialogues.empty()) dialogues = file;
            if (content == Content::Text && texts.empty()) texts = file;
        }
    if (!dialogues.empty() && !texts.empty())
        fail("%s holds dialogues, but %s does not; a training learns from one or the other", printable(dialogues).c_str(),
             printable(texts).c_str());
    return !dialogues.empty();
}

std::unique_ptr<TokenFile> dialogue_text(const std::vector<std::string>& paths, const Tokenizer& tokenizer,
                                         const ChatTemplate& chat_template, const std::string& folder,
                                         const DialogueTextOptions& options) {
    std::vector<std::string> files;
    uint64_t total = 0, done = 0;
    TextKey key("dialogue");
    key.add(tokenizer);
    key.add(chat_template.jinja());
    key.add(static_cast<uint64_t>(options.longest));
    key.add(uint64_t{options.skip_bad});
    for (const std::string& path : paths)
        for (std::string& file : files_at(path, kDialogueEndings)) {
            key.add_file(file);
            std::error_code error;
            if (const auto size = fs::file_size(file, error); !error) total += size;
            files.push_back(std::move(file));
        }
    const std::string path = key.token_file(folder);
    if (auto found = find_token_file(path, key.value())) {
        tell(found->passed_over(), {}, options);
        return found;
    }

    constexpr bool kMarked = true;
    PassedOver passed_over;
    std::vector<std::string> reasons;
    TokenFileWriter to(path, tokenizer.vocab_size(), kMarked);
    for (const std::string& name : files) {
        DialogueFile file(name, {chat_template.name() == "alpaca", options.skip_bad});
        passed_over.too_long += add_file(file, tokenizer, chat_template, static_cast<size_t>(options.longest), to, [&] {
            if (options.progress) options.progress(done + file.bytes_read(), total);
        });
        done += file.bytes_read();
        passed_over.wrong += file.skipped();
        if (reasons.empty()) reasons = file.reasons();
    }
    if (to.size() == 0 && passed_over.too_long > 0)
        fail_with(Remedy::LengthenContext, "all are too long: %s", too_long(passed_over.too_long, options.longest).c_str());
    if (to.size() == 0) fail("%s: there is no dialogue to learn", printable(paths.front()).c_str());
    to.finish(key.value(), done, passed_over);
    tell(passed_over, reasons, options);
    return std::make_unique<TokenFile>(path);
}

}  // namespace nib
