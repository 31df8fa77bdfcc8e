#include "text/tokenizer_files.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/json_value.h"
#include "io/mapped_file.h"
#include "text/bpe_tokenizer.h"
#include "text/character_files.h"

namespace nib {
namespace {

using nlohmann::json;
using Value = JsonValue;
using Files = std::map<std::string, std::string_view>;

constexpr const char* kFileNames[] = {
    "tokenizer.json",        "vocab.json", "merges.txt", "added_tokens.json", "special_tokens_map.json",
    "tokenizer_config.json", "config.json"};
constexpr const char* kEndOfText = "<|endoftext|>";

std::string shown(std::string_view text) { return "\"" + printable(text, 60) + "\""; }

int32_t id_of(const Value& value) {
    return static_cast<int32_t>(value.whole_number("a token id", std::numeric_limits<int32_t>::max() - 1));
}

// Collects tokens in any order.
class TokenList {
public:
    explicit TokenList(std::string name) : name_(std::move(name)) {}

    void add_normal(const std::string& text, int32_t id) { tokens_.emplace_back(id, BpeToken{text}); }

    /// A token of an added_tokens list. It may stand in the vocabulary already, under the same id.
    void add_added(const Value& token, const std::string& text, int32_t id, bool special, bool normalized) {
        if (text.empty()) return;
        for (const char* option : {"single_word", "lstrip", "rstrip"}) {
            if (token.raw().is_object() && token.raw().contains("content") && token.truth_or(option, false))
                token.refuse("the option " + std::string(option) + " of the token " + shown(text));
        }
        tokens_.emplace_back(id, BpeToken{text, special ? TokenType::Control : TokenType::UserDefined, normalized});
    }

    /// All tokens in the order of their ids.
    std::vector<BpeToken> finish() {
        std::stable_sort(tokens_.begin(), tokens_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
        size_t distinct = 0;
        for (size_t i = 0; i < tokens_.size(); ++i) distinct += i == 0 || tokens_[i].first != tokens_[i - 1].first;
        const size_t size = tokens_.empty() ? 0 : static_cast<size_t>(tokens_.back().first) + 1;
        if (size > 2 * distinct)
            fail("%s: ids go up to %zu, but there are only %zu tokens", name_.c_str(), size - 1, distinct);
        std::vector<BpeToken> all(size, BpeToken{"", TokenType::Unused});
        for (auto& [id, token] : tokens_) {
            BpeToken& there = all[static_cast<size_t>(id)];
            const bool again = token.type != TokenType::Normal && there.text == token.text;
            if (there.type != TokenType::Unused && !again) {
                fail("%s: the tokens %s and %s have the same id, %d", name_.c_str(), shown(there.text).c_str(),
                     shown(token.text).c_str(), id);
            }
            there = std::move(token);
        }
        return all;
    }

private:
    std::string name_;
    std::vector<std::pair<int32_t, BpeToken>> tokens_;
};

void read_vocab(const Value& vocab, TokenList& tokens) {
    if (!vocab.raw().is_object()) vocab.wrong("an object of tokens and ids");
    for (const auto& [text, id] : vocab.raw().items()) {
        if (!id.is_number_unsigned()) Value(id, vocab.where() + ": the id of " + shown(text)).wrong("a token id");
        tokens.add_normal(text, id_of(Value(id, vocab.where() + ": the id of " + shown(text))));
    }
}

// ---- tokenizer.json ----------------------------------------------------------------------------------------------------

std::vector<std::string> read_merges(const Value& merges) {
    std::vector<std::string> lines;
    for (size_t i = 0; i < merges.items(); ++i) {
        const json& merge = merges.raw()[i];
        if (merge.is_string()) {
            lines.push_back(merge.get<std::string>());
            continue;
        }
        const Value pair = merges.at(i);
        if (pair.items() != 2) pair.wrong("two tokens");
        lines.push_back(pair.at(0).text() + " " + pair.at(1).text());
        if (pair.at(0).text().find(' ') != std::string::npos) pair.refuse("a space in a token of byte-level BPE");
    }
    return lines;
}

void read_bpe(const Value& model, TokenList& tokens, BpeModel& bpe) {
    const std::string type = model.text_or("type", model.find("merges") ? "BPE" : "unknown");
    if (type != "BPE") model.refuse("the tokenizer type " + type);
    for (const char* option : {"continuing_subword_prefix", "end_of_word_suffix"})
        if (!model.text_or(option, "").empty()) model.refuse(option);
    for (const char* option : {"fuse_unk", "byte_fallback"})
        if (model.truth_or(option, false)) model.refuse(option);
    const auto dropout = model.find("dropout");
    if (dropout && (!dropout->raw().is_number() || dropout->raw().get<double>() != 0)) model.refuse("dropout");
    bpe.ignore_merges = model.truth_or("ignore_merges", false);
    read_vocab(model.get("vocab"), tokens);
    bpe.merges = read_merges(model.get("merges"));
}

void read_split(const Value& split, BpeModel& bpe) {
    const Value pattern = split.get("pattern");
    const auto regex = pattern.find("Regex");
    if (!regex) pattern.refuse("a pattern that is not a Regex");
    const SplitPattern* const known = find_split_regex(regex->text());
    if (known == nullptr) regex->refuse("the pattern " + regex->text());
    if (split.text_or("behavior", "") != "Isolated") split.refuse("the behavior " + split.text_or("behavior", "(none)"));
    if (split.truth_or("invert", false)) split.refuse("invert");
    bpe.split = *known;
}

void read_pre_tokenizer(const Value& pre, BpeModel& bpe) {
    const auto byte_level = [&](const Value& value, bool use_regex) {
        const std::string type = value.get("type").text();
        if (type != "ByteLevel") value.refuse("the pre-tokenizer " + type);
        if (value.truth_or("use_regex", true) != use_regex)
            value.refuse(use_regex ? "ByteLevel without its regex" : "a second split by ByteLevel's regex");
        bpe.add_prefix_space = value.truth_or("add_prefix_space", true);
    };
    if (pre.get("type").text() != "Sequence") return byte_level(pre, true);
    const Value list = pre.get("pretokenizers");
    if (list.items() == 1) return byte_level(list.at(0), true);
    if (list.items() != 2) list.refuse("a sequence of " + std::to_string(list.items()) + " pre-tokenizers");
    const std::string type = list.at(0).get("type").text();
    if (type != "Split") list.at(0).refuse("the pre-tokenizer " + type + " in a sequence");
    read_split(list.at(0), bpe);
    byte_level(list.at(1), false);
    if (bpe.add_prefix_space) list.at(1).refuse("add_prefix_space after a Split");
}

// The one special token that a template puts before or after the text; nothing for a list without one.
std::optional<std::string> only_special(const std::vector<std::string>& names, const Value& where) {
    if (names.size() > 1) where.refuse("more than one token before or after the text");
    if (names.empty()) return std::nullopt;
    return names[0];
}

struct Named {  // special tokens by their texts
    std::optional<std::string> begin, end, unknown, padding;
    bool add_begin = false, add_end = false;
};

void read_post_processor(const Value& post, Named& named) {
    const std::string type = post.get("type").text();
    if (type == "ByteLevel") return;  // concerns offsets, which nib has not
    if (type == "Sequence") {
        const Value list = post.get("processors");
        for (size_t i = 0; i < list.items(); ++i) {
            if (list.at(i).get("type").text() == "Sequence") list.at(i).refuse("a sequence in a sequence");
            read_post_processor(list.at(i), named);
        }
        return;
    }
    if (type != "TemplateProcessing") post.refuse("the post-processor " + type);
    const Value single = post.get("single");
    std::vector<std::string> before, after;
    bool text_seen = false;
    for (size_t i = 0; i < single.items(); ++i) {
        if (single.at(i).find("Sequence")) {
            text_seen = true;
        } else {
            (text_seen ? after : before).push_back(single.at(i).get("SpecialToken").get("id").text());
        }
    }
    if (!before.empty()) named.begin = only_special(before, single), named.add_begin = true;
    if (!after.empty()) named.end = only_special(after, single), named.add_end = true;
}

void read_tokenizer_json(const Value& root, TokenList& tokens, BpeModel& bpe, Named& named) {
    const Value model = root.get("model");
    read_bpe(model, tokens, bpe);
    if (const auto unknown = model.find("unk_token")) named.unknown = unknown->text();
    if (const auto normalizer = root.find("normalizer"))
        normalizer->refuse("the normalizer " + normalizer->text_or("type", "unknown"));
    const auto pre = root.find("pre_tokenizer");
    if (!pre) root.refuse("BPE that is not byte-level (no pre_tokenizer)");
    read_pre_tokenizer(*pre, bpe);
    if (const auto post = root.find("post_processor")) read_post_processor(*post, named);
    if (const auto decoder = root.find("decoder"); decoder && decoder->get("type").text() != "ByteLevel")
        decoder->refuse("the decoder " + decoder->get("type").text());
    if (const auto added = root.find("added_tokens")) {
        for (size_t i = 0; i < added->items(); ++i) {
            const Value token = added->at(i);
            const bool special = token.truth_or("special", false);
            tokens.add_added(token, token.get("content").text(), id_of(token.get("id")), special,
                             token.truth_or("normalized", !special));
        }
    }
}

// ---- vocab.json and merges.txt, and the files beside them --------------------------------------------------------------

std::vector<std::string> read_merges_txt(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (!line.empty() && !line.starts_with("#version")) lines.emplace_back(line);
    }
    return lines;
}

// A special token is given as its text or as an object with it.
std::optional<std::string> token_text(const std::optional<Value>& value) {
    if (!value) return std::nullopt;
    return value->raw().is_object() ? value->get("content").text() : value->text();
}

// What tokenizer_config.json and special_tokens_map.json say; the first that names a token counts.
void read_names(const Value& file, Named& named, std::set<std::string>& specials) {
    const auto name = [&](const char* key, std::optional<std::string>* into) {
        const auto text = token_text(file.find(key));
        if (!text) return;
        specials.insert(*text);
        if (into != nullptr && !*into) *into = text;
    };
    name("bos_token", &named.begin);
    name("eos_token", &named.end);
    name("unk_token", &named.unknown);
    name("pad_token", &named.padding);
    for (const char* key : {"sep_token", "cls_token", "mask_token"}) name(key, nullptr);
    if (const auto more = file.find("additional_special_tokens")) {
        for (size_t i = 0; i < more->items(); ++i) specials.insert(*token_text(more->at(i)));
    }
    if (const auto add = file.find("add_bos_token"); add && add->truth()) named.add_begin = true;
    if (const auto add = file.find("add_eos_token"); add && add->truth()) named.add_end = true;
}

// Tokens that were added to a vocab.json: added_tokens.json and the added_tokens_decoder of tokenizer_config.json.
void read_added(const std::optional<Value>& config, const std::optional<Value>& list, const std::set<std::string>& specials,
                TokenList& tokens) {
    std::set<int32_t> seen;
    if (const auto decoder = config ? config->find("added_tokens_decoder") : std::nullopt) {
        if (!decoder->raw().is_object()) decoder->wrong("an object");
        for (const auto& [key, value] : decoder->raw().items()) {
            const Value token(value, decoder->where() + "." + printable(key, 20));
            const bool digits = !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
            if (!digits) fail("%s: the key is not a token id", token.where().c_str());
            const auto id = static_cast<int32_t>(std::stol(key));
            if (!seen.insert(id).second) fail("%s: that id is there twice", token.where().c_str());
            const bool special = token.truth_or("special", false);
            tokens.add_added(token, token.get("content").text(), id, special, token.truth_or("normalized", !special));
        }
    }
    if (!list) return;
    if (!list->raw().is_object()) list->wrong("an object of tokens and ids");
    for (const auto& [text, value] : list->raw().items()) {
        const Value token(value, list->where() + " " + shown(text));
        const bool special = specials.contains(text);
        if (seen.insert(id_of(token)).second) tokens.add_added(token, text, id_of(token), special, !special);
    }
}

// The ids of special tokens: by name, by config.json's numbers, or GPT-2's own token for everything.
void set_specials(const Named& named, const std::optional<Value>& config, BpeModel& bpe) {
    std::unordered_map<std::string_view, int32_t> ids;
    for (size_t i = 0; i < bpe.tokens.size(); ++i)
        if (bpe.tokens[i].type != TokenType::Unused) ids.emplace(bpe.tokens[i].text, static_cast<int32_t>(i));
    const auto id_of = [&](const std::optional<std::string>& name) {
        const auto found = name ? ids.find(*name) : ids.end();
        return found == ids.end() ? -1 : found->second;
    };
    const auto from_config = [&](const char* key) {
        const auto value = config ? config->find(key) : std::nullopt;
        const json* number = value ? &value->raw() : nullptr;
        if (number != nullptr && number->is_array()) number = number->empty() ? nullptr : &number->front();
        if (number == nullptr || !number->is_number_unsigned()) return -1;
        const auto id = number->get<uint64_t>();
        return id < bpe.tokens.size() ? static_cast<int32_t>(id) : -1;
    };
    SpecialTokens& to = bpe.specials;
    to.begin = id_of(named.begin);
    to.end = id_of(named.end);
    to.unknown = id_of(named.unknown);
    to.padding = id_of(named.padding);
    const int32_t fallback = id_of(kEndOfText);
    const bool marked = fallback >= 0 && bpe.tokens[static_cast<size_t>(fallback)].type == TokenType::Control;
    const auto fill = [&](int32_t& id, const char* key) {
        if (id < 0) id = from_config(key);
        if (id < 0 && marked) id = fallback;
    };
    fill(to.begin, "bos_token_id");
    fill(to.end, "eos_token_id");
    to.add_begin = named.add_begin && to.begin >= 0;
    to.add_end = named.add_end && to.end >= 0;
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer(const Files& files, const std::string& folder, const std::string& only) {
    const bool whole = files.contains("tokenizer.json");
    if (!whole && !files.contains("merges.txt")) return nullptr;
    const auto path = [&](const char* name) {
        return only.empty() ? printable(folder, 400) + "/" + name : printable(only, 400);
    };
    if (!whole && !files.contains("vocab.json")) fail("%s is missing beside merges.txt", path("vocab.json").c_str());

    std::map<std::string, json> parsed;
    const auto open = [&](const char* name) -> std::optional<Value> {
        const auto file = files.find(name);
        if (file == files.end()) return std::nullopt;
        const auto [entry, added] = parsed.emplace(name, parse_json(file->second, path(name)));
        return Value(entry->second, path(name) + ":");
    };
    const auto config = open("tokenizer_config.json"), map = open("special_tokens_map.json"),
               model_config = open("config.json");
    Named named;
    std::set<std::string> specials;
    BpeModel bpe;
    const std::string name = path(whole ? "tokenizer.json" : "vocab.json");
    TokenList tokens(name);
    if (whole) {
        const Value root = *open("tokenizer.json");
        if (auto characters = parse_character_files(root, config)) return characters;
        read_tokenizer_json(root, tokens, bpe, named);
    } else {
        read_vocab(*open("vocab.json"), tokens);
        bpe.merges = read_merges_txt(files.at("merges.txt"));
        if (config) bpe.add_prefix_space = config->truth_or("add_prefix_space", false);
    }
    for (const auto& file : {config, map})
        if (file) read_names(*file, named, specials);
    if (!whole) {
        for (auto* purpose : {&named.begin, &named.end, &named.unknown})
            if (!*purpose) *purpose = kEndOfText;
        specials.insert(kEndOfText);
        read_added(config, open("added_tokens.json"), specials, tokens);
    }
    bpe.tokens = tokens.finish();
    if (!whole) {
        for (BpeToken& token : bpe.tokens)
            if (token.type != TokenType::Unused && specials.contains(token.text)) token.type = TokenType::Control;
    }
    set_specials(named, model_config, bpe);
    try {
        return std::make_unique<BpeTokenizer>(bpe);
    } catch (const Error& error) {
        fail("%s: %s", name.c_str(), error.what());
    }
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& folder) {
    std::vector<MappedFile> mapped;
    Files files;
    for (const char* name : kFileNames) {
        const std::string path = folder + "/" + name;
        std::error_code error;
        if (!std::filesystem::exists(path, error)) continue;
        const auto bytes = mapped.emplace_back(path).bytes();
        files[name] = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    return parse_tokenizer(files, folder);
}

}  // namespace nib
