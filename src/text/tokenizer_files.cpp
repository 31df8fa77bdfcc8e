#include "text/tokenizer_files.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "io/json_value.h"
#include "io/mapped_file.h"
#include "text/character_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/sentencepiece_file.h"
#include "text/token_list.h"
#include "text/tokenizer_json.h"

namespace nib {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Files = std::map<std::string, std::string_view>;
using Kind = WordModelSpec::Kind;

// Files that hold a vocabulary, or a part of it, and files beside them.
constexpr const char* kVocabularyFiles[] = {"tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json",
                                            "merges.txt",     "encoder.json",    "vocab.bpe",    "vocab.txt"};
constexpr const char* kSmallFiles[] = {"added_tokens.json", "special_tokens_map.json", "tokenizer_config.json",
                                       "config.json"};

// The files of one tokenizer, parsed when they are asked for.
class TokenizerFolder {
public:
    TokenizerFolder(const Files& files, std::string folder, std::string only)
        : files_(files), folder_(std::move(folder)), only_(std::move(only)) {}

    bool has(const char* name) const { return files_.contains(name); }
    std::string_view text(const char* name) const { return files_.at(name); }
    std::string path(const char* name) const {
        const bool small =
            std::find(std::begin(kSmallFiles), std::end(kSmallFiles), std::string_view(name)) != std::end(kSmallFiles);
        return small || only_.empty() ? printable(folder_, 400) + "/" + name : printable(only_, 400);
    }
    std::optional<JsonValue> open(const char* name) {
        if (!has(name)) return std::nullopt;
        if (!parsed_.contains(name)) parsed_.emplace(name, parse_json(text(name), path(name)));
        return JsonValue(parsed_.at(name), path(name) + ":");
    }

private:
    const Files& files_;
    std::string folder_, only_;
    std::map<std::string, json> parsed_;
};

// ---- the older files ----------------------------------------------------------------------------------------------------

std::vector<std::string> lines_of(std::string_view text) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        const size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        lines.emplace_back(line);
    }
    return lines;
}

std::vector<std::string> read_merges_txt(std::string_view text) {
    std::vector<std::string> lines = lines_of(text);
    std::erase_if(lines, [](const std::string& line) { return line.empty() || line.starts_with("#version"); });
    return lines;
}

// A special token is given as its text or as an object with it.
std::optional<std::string> token_text(const std::optional<JsonValue>& value) {
    if (!value) return std::nullopt;
    return value->raw().is_object() ? value->get("content").text() : value->text();
}

// What tokenizer_config.json and special_tokens_map.json say; the first that names a token counts. BERT's tokens around a
// text have names of their own.
void read_names(const JsonValue& file, SpecialNames& named, std::set<std::string>& specials) {
    const auto name = [&](const char* key, std::optional<std::string>& into) {
        const auto text = token_text(file.find(key));
        if (!text) return;
        specials.insert(*text);
        if (!into) into = text;
    };
    name("bos_token", named.begin);
    name("eos_token", named.end);
    name("cls_token", named.begin);
    name("sep_token", named.end);
    name("unk_token", named.unknown);
    name("pad_token", named.padding);
    name("mask_token", named.mask);
    if (const auto more = file.find("additional_special_tokens")) {
        for (size_t i = 0; i < more->items(); ++i) specials.insert(*token_text(more->at(i)));
    }
    if (const auto add = file.find("add_bos_token"); add && add->truth()) named.add_begin = true;
    if (const auto add = file.find("add_eos_token"); add && add->truth()) named.add_end = true;
}

// Tokens that were added to a vocabulary: added_tokens.json and the added_tokens_decoder of tokenizer_config.json.
void read_added(const std::optional<JsonValue>& config, const std::optional<JsonValue>& list,
                const std::set<std::string>& specials, TokenList& tokens) {
    std::set<int32_t> seen;
    if (const auto decoder = config ? config->find("added_tokens_decoder") : std::nullopt) {
        if (!decoder->raw().is_object()) decoder->wrong("an object");
        for (const auto& [key, value] : decoder->raw().items()) {
            const JsonValue token(value, decoder->where() + "." + printable(key, 20));
            const bool digits = !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
            if (!digits) fail("%s: the key is not a token id", token.where().c_str());
            const auto id = static_cast<int32_t>(std::stol(key));
            if (!seen.insert(id).second) fail("%s: that id is there twice", token.where().c_str());
            tokens.add_added(token, id);
        }
    }
    if (!list) return;
    if (!list->raw().is_object()) list->wrong("an object of tokens and ids");
    for (const auto& [text, value] : list->raw().items()) {
        const int32_t id = read_token_id(JsonValue(value, list->where() + " \"" + printable(text, 60) + "\""));
        const bool special = specials.contains(text);
        TokenSpec token{text, special ? TokenType::Control : TokenType::UserDefined};
        token.normalized = !special;
        if (seen.insert(id).second) tokens.add_added(std::move(token), id);
    }
}

// The name of a class in tokenizer_config.json, without "Fast".
std::string class_name(const std::optional<JsonValue>& config) {
    std::string name = config ? config->text_or("tokenizer_class", "") : "";
    if (name.ends_with("Fast")) name.resize(name.size() - 4);
    return name;
}

// The name of the file with the vocabulary, if it is there; else what it should be.
const char* vocabulary_name(const TokenizerFolder& folder) {
    for (const char* name : {"tokenizer.json", "tokenizer.model", "spiece.model"})
        if (folder.has(name)) return name;
    if (folder.has("merges.txt") || folder.has("vocab.bpe")) {
        const bool openai = folder.has("encoder.json") || !folder.has("merges.txt");
        return folder.has("vocab.json") || !openai ? "vocab.json" : "encoder.json";
    }
    return "vocab.txt";
}

// vocab.json and merges.txt: GPT-2's byte-level BPE, or what else their class says.
void read_bpe_files(TokenizerFolder& folder, const std::optional<JsonValue>& config, TokenizerSpec& spec,
                    TokenList& tokens) {
    const char* const vocab = vocabulary_name(folder);
    const char* const merges = folder.has("merges.txt") ? "merges.txt" : "vocab.bpe";
    if (!folder.has(vocab)) fail("%s is missing beside %s", folder.path(vocab).c_str(), merges);
    tokens.add_normal(*folder.open(vocab));
    spec.merges = read_merges_txt(folder.text(merges));
    const std::string name = class_name(config);
    const bool words_end =
        std::any_of(spec.merges.begin(), spec.merges.begin() + std::min<ptrdiff_t>(64, std::ssize(spec.merges)),
                    [](const std::string& merge) { return merge.ends_with("</w>"); });
    if (words_end) {
        static const std::set<std::string> kKin = {"", "OpenAIGPTTokenizer", "PreTrainedTokenizer", "TokenizersBackend"};
        if (!kKin.contains(name)) config->refuse(name + " without a tokenizer.json");
        spec.model.word_suffix = "</w>";
        spec.normalizers = bert_normalizers(true);
        spec.pre_tokenizers = bert_pre_tokenizers();
        spec.decoders = bpe_decoders("</w>");
        return;
    }
    const bool qwen = name == "Qwen2Tokenizer";
    spec.decoders = byte_level_decoders();
    if (qwen) spec.normalizers = R"([{"type":"NFC"}])";
    spec.pre_tokenizers =
        qwen ? qwen2_pre_tokenizers() : gpt2_pre_tokenizers(config && config->truth_or("add_prefix_space", false));
}

// tokenizer.model, as transformers' Llama reads it, or spiece.model, as its T5 does; other classes change texts or ids
// beforehand. `own`: the names that it gives.
void read_sentencepiece(const TokenizerFolder& folder, const std::optional<JsonValue>& config, TokenizerSpec& spec,
                        TokenList& tokens, SpecialNames& own) {
    const char* const file = vocabulary_name(folder);
    const bool add_prefix = !config || config->truth_or("add_prefix_space", true);
    const std::string name = class_name(config);
    for (const char* other :
         {"Albert", "Barthez", "BigBird", "Camembert", "FNet", "MBart", "RemBert", "XLMRoberta", "XLNet"})
        if (name.starts_with(other)) config->refuse(name + " without a tokenizer.json");
    spec = read_sentencepiece_file(folder.text(file), folder.path(file), add_prefix, own);
    for (size_t id = 0; id < spec.tokens.size(); ++id) tokens.add(std::move(spec.tokens[id]), static_cast<int32_t>(id));
    const bool unigram = spec.model.kind == Kind::Unigram;
    own.add_begin = config ? config->truth_or("add_bos_token", !unigram) : !unigram;
    own.add_end = unigram && name != "LlamaTokenizer";
}

// A token a line. Of a token that is there twice the last counts.
void read_vocab_txt(const TokenizerFolder& folder, TokenList& tokens) {
    std::map<std::string, int32_t> ids;
    const std::vector<std::string> lines = lines_of(folder.text("vocab.txt"));
    if (lines.size() > INT32_MAX) fail("%s: the vocabulary is too large", folder.path("vocab.txt").c_str());
    for (size_t id = 0; id < lines.size(); ++id) {
        if (find_invalid(lines[id]) != std::string::npos)
            fail("%s: line %zu is not UTF-8", folder.path("vocab.txt").c_str(), id + 1);
        if (!lines[id].empty()) ids[lines[id]] = static_cast<int32_t>(id);
    }
    for (const auto& [text, id] : ids) tokens.add_normal(text, id);
}

// vocab.txt, as transformers' BertTokenizer and its kin read it.
void read_wordpiece_file(TokenizerFolder& folder, const std::optional<JsonValue>& config, TokenizerSpec& spec,
                         TokenList& tokens) {
    static const std::set<std::string> kKin = {"",
                                               "BertTokenizer",
                                               "ConvBertTokenizer",
                                               "DistilBertTokenizer",
                                               "ElectraTokenizer",
                                               "LayoutLMTokenizer",
                                               "MobileBertTokenizer",
                                               "PreTrainedTokenizer",
                                               "SqueezeBertTokenizer",
                                               "TokenizersBackend"};
    const std::string name = class_name(config);
    if (!kKin.contains(name)) config->refuse(name + " without a tokenizer.json");
    spec.model.kind = Kind::WordPiece;
    spec.model.continuing_prefix = "##";
    std::optional<bool> strip_accents;
    if (const auto strip = config ? config->find("strip_accents") : std::nullopt) strip_accents = strip->truth();
    const auto truth = [&](const char* key) { return !config || config->truth_or(key, true); };
    spec.normalizers = bert_normalizers(truth("do_lower_case"), strip_accents, truth("tokenize_chinese_chars"));
    spec.pre_tokenizers = bert_pre_tokenizers();
    spec.decoders = wordpiece_decoders();
    read_vocab_txt(folder, tokens);
}

void name_if_missing(std::optional<std::string>& name, const char* text, std::set<std::string>& specials) {
    if (!name) name = text;
    specials.insert(*name);
}

// The older files do not say what a class takes for granted. `own`: what a tokenizer.model says.
void add_standard_names(const TokenizerSpec& spec, const SpecialNames& own, SpecialNames& names,
                        std::set<std::string>& specials) {
    if (spec.model.kind == Kind::SentencePiece || spec.model.kind == Kind::Unigram) {
        for (auto name : {&SpecialNames::begin, &SpecialNames::end, &SpecialNames::unknown, &SpecialNames::padding})
            name_if_missing(names.*name, (own.*name)->c_str(), specials);
        names.add_begin = own.add_begin;
        names.add_end = names.add_end || own.add_end;
        names.pairs = own.pairs;
    } else if (spec.model.kind == Kind::WordPiece) {
        name_if_missing(names.begin, "[CLS]", specials);
        name_if_missing(names.end, "[SEP]", specials);
        name_if_missing(names.unknown, "[UNK]", specials);
        name_if_missing(names.padding, "[PAD]", specials);
        name_if_missing(names.mask, "[MASK]", specials);
        names.add_begin = names.add_end = true;
        names.pairs = kBertPairs;
    } else if (!spec.model.word_suffix.empty()) {
        name_if_missing(names.unknown, "<unk>", specials);
    } else {
        for (auto* name : {&names.begin, &names.end, &names.unknown}) name_if_missing(*name, kEndOfText, specials);
        specials.insert(kEndOfText);
    }
}

void mark_specials(const std::set<std::string>& specials, std::vector<TokenSpec>& tokens) {
    for (TokenSpec& token : tokens) {
        if (token.type == TokenType::Unused || !specials.contains(token.text)) continue;
        if (!token.is_added()) token.normalized = false;
        if (token.type != TokenType::Unknown) token.type = TokenType::Control;
    }
}

// The ids of special tokens: by name, by config.json's numbers, or GPT-2's own token for everything.
void set_specials(const SpecialNames& named, const std::optional<JsonValue>& config, TokenizerSpec& spec) {
    const auto ids = ids_by_text(spec.tokens);
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
        return id < spec.tokens.size() ? static_cast<int32_t>(id) : -1;
    };
    SpecialTokens& to = spec.specials;
    to.begin = id_of(named.begin);
    to.end = id_of(named.end);
    to.unknown = id_of(named.unknown);
    to.padding = id_of(named.padding);
    to.mask = id_of(named.mask);
    to.pairs = named.pairs;
    const int32_t fallback = id_of(kEndOfText);
    const bool marked = fallback >= 0 && spec.tokens[static_cast<size_t>(fallback)].type == TokenType::Control;
    const auto fill = [&](int32_t& id, const char* key) {
        if (id < 0) id = from_config(key);
        if (id < 0 && marked) id = fallback;
    };
    fill(to.begin, "bos_token_id");
    fill(to.end, "eos_token_id");
    to.add_begin = named.add_begin && to.begin >= 0;
    to.add_end = named.add_end && to.end >= 0;
}

std::unique_ptr<Tokenizer> read_folder(TokenizerFolder& folder) {
    const bool whole = folder.has("tokenizer.json");
    const bool sentencepiece = folder.has("tokenizer.model") || folder.has("spiece.model");
    const bool bpe = folder.has("merges.txt") || folder.has("vocab.bpe");
    if (!whole && !sentencepiece && !bpe && folder.has("encoder.json"))
        fail("%s is missing beside encoder.json", folder.path("vocab.bpe").c_str());
    if (!whole && !sentencepiece && !bpe && !folder.has("vocab.txt")) return nullptr;
    const auto config = folder.open("tokenizer_config.json");
    SpecialNames names, own;
    std::set<std::string> specials;
    TokenizerSpec spec;
    const std::string name = folder.path(vocabulary_name(folder));
    TokenList tokens(name);
    if (whole) {
        const JsonValue root = *folder.open("tokenizer.json");
        if (auto characters = parse_character_files(root, config)) return characters;
        spec = read_tokenizer_json(root, names);
    } else if (sentencepiece) {
        read_sentencepiece(folder, config, spec, tokens, own);
    } else if (bpe) {
        read_bpe_files(folder, config, spec, tokens);
    } else {
        read_wordpiece_file(folder, config, spec, tokens);
    }
    const auto unknown = names.unknown;
    for (const auto& file : {config, folder.open("special_tokens_map.json")})
        if (file) read_names(*file, names, specials);
    if (whole) {
        names.unknown = unknown;  // what the model does counts, not what its class is told
    } else {
        add_standard_names(spec, own, names, specials);
        read_added(config, folder.open("added_tokens.json"), specials, tokens);
        spec.tokens = tokens.finish();
        mark_specials(specials, spec.tokens);
    }
    set_specials(names, folder.open("config.json"), spec);
    if (spec.model.kind == Kind::WordPiece && !whole && !spec.tokens.empty() && spec.specials.unknown < 0)
        fail("%s: has no token %s, as a vocabulary of WordPiece has; a list of characters is JSON or a pickle",
             name.c_str(), printable(*names.unknown, 40).c_str());
    try {
        return std::make_unique<PipelineTokenizer>(spec);
    } catch (const Error& error) {
        fail("%s: %s", name.c_str(), error.what());
    }
}

std::unique_ptr<Tokenizer> load_files(const std::string& folder,
                                      const std::vector<std::pair<std::string, std::string>>& names,
                                      const std::string& only = "") {
    std::vector<MappedFile> mapped;
    Files files;
    for (const auto& [name, path] : names) {
        std::error_code error;
        if (!fs::is_regular_file(path, error)) continue;
        const auto bytes = mapped.emplace_back(path).bytes();
        files[name] = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    return parse_tokenizer(files, folder, only);
}

bool has_line(const std::string& path, std::string_view line) {
    std::error_code error;
    if (!fs::is_regular_file(path, error)) return false;
    const MappedFile mapped(path);
    const auto lines = lines_of({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()});
    return std::find(lines.begin(), lines.end(), line) != lines.end();
}

}  // namespace

std::unique_ptr<Tokenizer> parse_tokenizer(const Files& files, const std::string& folder, const std::string& only) {
    try {
        TokenizerFolder all(files, folder, only);
        return read_folder(all);
    } catch (const Error& error) {
        throw Error(error.what(), Remedy::LeaveOutVocabulary);
    }
}

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& folder) {
    std::vector<std::pair<std::string, std::string>> names;
    for (const char* name : kVocabularyFiles) names.emplace_back(name, folder + "/" + name);
    for (const char* name : kSmallFiles) names.emplace_back(name, folder + "/" + name);
    return load_files(folder, names);
}

std::unique_ptr<Tokenizer> load_tokenizer_file(const std::string& path) {
    const std::string file = fs::path(path).filename().string();
    const fs::path parent = fs::path(path).parent_path();
    const std::string folder = parent.empty() ? "." : parent.string();
    const auto there = [&](const char* name) {
        std::error_code error;
        return fs::is_regular_file(folder + "/" + name, error);
    };
    std::vector<std::pair<std::string, std::string>> names;
    const auto add = [&](const char* name) { names.emplace_back(name, folder + "/" + name); };
    const bool bpe_vocabulary = file == "vocab.json" && (there("merges.txt") || there("vocab.bpe"));
    const bool sentencepiece = file.ends_with(".model");
    const bool wordpiece =
        file == "vocab.txt" || (file.ends_with(".txt") && file != "merges.txt" && has_line(path, "[UNK]"));
    if (file == "tokenizer.json") {
        add("tokenizer.json");
    } else if (sentencepiece) {
        names.emplace_back("tokenizer.model", path);
    } else if (bpe_vocabulary || file == "merges.txt" || file == "encoder.json" || file == "vocab.bpe") {
        for (const char* name : {"vocab.json", "merges.txt", "encoder.json", "vocab.bpe"}) add(name);
    } else if (wordpiece) {
        names.emplace_back("vocab.txt", path);
    } else {
        return nullptr;
    }
    for (const char* name : kSmallFiles) add(name);
    return load_files(folder, names, sentencepiece || wordpiece ? path : "");
}

}  // namespace nib
