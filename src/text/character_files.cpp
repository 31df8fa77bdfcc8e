#include "text/character_files.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/token_list.h"
#include "text/utf8.h"

namespace nib {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::pair<const char*, int32_t SpecialTokens::*> kPurposes[] = {
    {"bos_token", &SpecialTokens::begin  },
    {"eos_token", &SpecialTokens::end    },
    {"unk_token", &SpecialTokens::unknown},
    {"pad_token", &SpecialTokens::padding},
};

// ---- writing -----------------------------------------------------------------------------------------------------------

// The tokens that begin and end texts, where some do, around the text.
Json post_processor(const CharTokenizer& tokenizer) {
    const SpecialTokens& ids = tokenizer.specials();
    Json tokens = Json::object();
    const auto add_special = [&](Json& list, int32_t id, int type) {
        const std::string text = tokenizer.decode(id);
        list.push_back({
            {"SpecialToken", {{"id", text}, {"type_id", type}}}
        });
        tokens[text] = {
            {"id",     text               },
            {"ids",    Json::array({id})  },
            {"tokens", Json::array({text})}
        };
    };
    const auto add_text = [&](Json& list, const char* name, int type) {
        if (tokenizer.begins_texts()) add_special(list, ids.begin, type);
        list.push_back({
            {"Sequence", {{"id", name}, {"type_id", type}}}
        });
        if (tokenizer.ends_texts()) add_special(list, ids.end, type);
    };
    Json single = Json::array(), pair = Json::array();
    add_text(single, "A", 0);
    add_text(pair, "A", 0), add_text(pair, "B", 1);
    if (tokens.empty()) return nullptr;
    return {
        {"type",           "TemplateProcessing"},
        {"single",         single              },
        {"pair",           pair                },
        {"special_tokens", tokens              },
    };
}

// Found in a text before its characters are; the longest first.
Json added_tokens(const CharTokenizer& tokenizer) {
    Json added = Json::array();
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
        const CharToken& token = tokenizer.token(id);
        if (token.type == TokenType::Normal || token.type == TokenType::Unused) continue;
        added.push_back({
            {"id",          id                                  },
            {"content",     token.text                          },
            {"single_word", false                               },
            {"lstrip",      false                               },
            {"rstrip",      false                               },
            {"normalized",  false                               },
            {"special",     token.type != TokenType::UserDefined},
        });
    }
    return added;
}

Json model_section(const CharTokenizer& tokenizer) {
    Json::object_t vocab;  // filled past its own look-up, which would take quadratic time: texts are distinct
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
        if (tokenizer.has_token(id)) vocab.Json::object_t::Container::emplace_back(tokenizer.decode(id), id);
    const int32_t unknown = tokenizer.specials().unknown;
    return {
        {"type",                      "BPE"                                                 },
        {"dropout",                   nullptr                                               },
        {"unk_token",                 unknown < 0 ? Json() : Json(tokenizer.decode(unknown))},
        {"continuing_subword_prefix", nullptr                                               },
        {"end_of_word_suffix",        nullptr                                               },
        {"fuse_unk",                  false                                                 },
        {"byte_fallback",             false                                                 },
        {"ignore_merges",             false                                                 },
        {"vocab",                     std::move(vocab)                                      },
        {"merges",                    Json::array()                                         },
    };
}

// ---- reading -----------------------------------------------------------------------------------------------------------

// Whether the model is BPE without merges or other options, over the text as a whole.
bool cuts_into_characters(const JsonValue& root) {
    const auto model = root.find("model"), decoder = root.find("decoder");
    if (!model || !model->raw().is_object() || !decoder || !decoder->raw().is_object()) return false;
    if (root.find("normalizer") || root.find("pre_tokenizer") || decoder->text_or("type", "") != "Fuse") return false;
    const auto merges = model->find("merges");
    if (model->text_or("type", "BPE") != "BPE" || !merges || !merges->raw().empty()) return false;
    for (const char* option : {"fuse_unk", "byte_fallback", "ignore_merges"})
        if (model->truth_or(option, false)) return false;
    for (const char* option : {"continuing_subword_prefix", "end_of_word_suffix"})
        if (!model->text_or(option, "").empty()) return false;
    return true;
}

// Where in a template the text stands: after one token at most, and with one at most after it. -1: in another one.
int64_t place_of_text(const JsonValue& single) {
    const size_t count = single.items();
    int64_t place = -1;
    for (size_t i = 0; i < count; ++i) {
        if (single.at(i).find("SpecialToken")) continue;
        if (place >= 0 || !single.at(i).find("Sequence")) return -1;
        place = static_cast<int64_t>(i);
    }
    return place <= 1 && static_cast<int64_t>(count) - place <= 2 ? place : -1;
}

// Whether there is no more to it than tokens that are found as they stand and those that begin and end a text.
bool adds_whole_tokens(const JsonValue& root) {
    if (const auto added = root.find("added_tokens"))
        for (size_t i = 0; i < added->items(); ++i)
            for (const char* option : {"single_word", "lstrip", "rstrip", "normalized"})
                if (added->at(i).truth_or(option, false)) return false;
    const auto post = root.find("post_processor");
    if (!post) return true;
    if (post->get("type").text() != "TemplateProcessing") return false;
    return place_of_text(post->get("single")) >= 0;
}

// A token of several characters that is not found as it stands.
bool is_word(const CharToken& token) { return token.type == TokenType::Normal && !is_character(token.text); }

class Reader {
public:
    Reader(const JsonValue& root, const JsonValue& vocab) : root_(root), vocab_(vocab) {}

    CharModel read(const std::optional<JsonValue>& config) {
        TokenList list(vocab_.where());
        list.add_normal(vocab_);
        if (const auto added = root_.find("added_tokens"))
            for (size_t i = 0; i < added->items(); ++i) list.add_added(added->at(i), read_token_id(added->at(i).get("id")));
        tokens_ = list.finish();
        ids_ = ids_by_text(tokens_);
        for (const TokenSpec& token : tokens_) model_.tokens.push_back({token.text, token.type});
        if (const auto unknown = root_.get("model").find("unk_token")) set_unknown(id_of(*unknown));
        if (const auto post = root_.find("post_processor")) read_post_processor(*post);
        if (config) read_config(*config);
        return std::move(model_);
    }

private:
    void read_config(const JsonValue& config) {
        for (const auto& [key, member] : kPurposes) {
            const auto value = config.find(key);
            const bool whole = value && value->raw().is_object();
            if (value && model_.specials.*member < 0)
                model_.specials.*member = id_of(whole ? value->get("content") : *value);
        }
    }

    int32_t id_of(const JsonValue& text) const {
        const auto found = ids_.find(text.text());
        if (found == ids_.end())
            fail("%s: there is no token \"%s\"", text.where().c_str(), printable(text.text(), 60).c_str());
        return found->second;
    }

    void set_unknown(int32_t id) {
        model_.specials.unknown = id;
        TokenType& type = model_.tokens[static_cast<size_t>(id)].type;
        if (type == TokenType::Control) type = TokenType::Unknown;
    }

    void read_post_processor(const JsonValue& post) {
        const JsonValue single = post.get("single");
        const auto text = static_cast<size_t>(place_of_text(single));
        const auto special = [&](size_t i) { return id_of(single.at(i).get("SpecialToken").get("id")); };
        if (text > 0) model_.specials.begin = special(0), model_.specials.add_begin = true;
        if (text + 1 < single.items()) model_.specials.end = special(text + 1), model_.specials.add_end = true;
    }

    const JsonValue& root_;
    const JsonValue& vocab_;
    std::vector<TokenSpec> tokens_;
    std::unordered_map<std::string_view, int32_t> ids_;  // of tokens_
    CharModel model_;
};

}  // namespace

std::vector<std::pair<std::string, std::string>> character_files(const CharTokenizer& tokenizer, int64_t context,
                                                                 bool segments) {
    const Json decoder = {
        {"type", "Fuse"}
    };
    const Json whole = {
  // keys in the order in which `tokenizers` writes them
        {"version",        "1.0"                    },
        {"truncation",     nullptr                  },
        {"padding",        nullptr                  },
        {"added_tokens",   added_tokens(tokenizer)  },
        {"normalizer",     nullptr                  },
        {"pre_tokenizer",  nullptr                  },
        {"post_processor", post_processor(tokenizer)},
        {"decoder",        decoder                  },
        {"model",          model_section(tokenizer) },
    };
    Json config = {
        {"tokenizer_class",              "PreTrainedTokenizerFast"},
        {"model_max_length",             context                  },
        {"clean_up_tokenization_spaces", false                    },
    };
    if (segments) config["model_input_names"] = {"input_ids", "token_type_ids", "attention_mask"};
    for (const auto& [key, member] : kPurposes)
        if (const int32_t id = tokenizer.specials().*member; id >= 0) config[key] = tokenizer.decode(id);
    return {
        {"tokenizer.json",        whole.dump(2) + "\n" },
        {"tokenizer_config.json", config.dump(2) + "\n"},
    };
}

std::unique_ptr<CharTokenizer> parse_character_files(const JsonValue& tokenizer, const std::optional<JsonValue>& config) {
    if (!cuts_into_characters(tokenizer) || !adds_whole_tokens(tokenizer)) return nullptr;
    const JsonValue vocab = tokenizer.get("model").get("vocab");
    CharModel read = Reader(tokenizer, vocab).read(config);
    if (std::any_of(read.tokens.begin(), read.tokens.end(), is_word)) return nullptr;
    try {
        return std::make_unique<CharTokenizer>(std::move(read));
    } catch (const Error& error) {
        fail("%s: %s", vocab.where().c_str(), error.what());
    }
}

}  // namespace nib
