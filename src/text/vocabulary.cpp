#include "text/vocabulary.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <span>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "io/json_value.h"
#include "io/mapped_file.h"
#include "io/pickle.h"
#include "io/torch_file.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/sentencepiece_file.h"
#include "text/text_encoding.h"
#include "text/token_list.h"
#include "text/tokenizer_files.h"
#include "text/utf8.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr char kPickle = '\x80';  // begins one, and no JSON

// ---- lists -------------------------------------------------------------------------------------------------------------

// A key such as "12", as JSON has numbers; -1 for any other.
int64_t id_of_key(const std::string& key) {
    const bool digits = !key.empty() && key.size() < 10 && key.find_first_not_of("0123456789") == std::string::npos;
    return digits ? std::stol(key) : -1;
}

// ["a"], {"a": 0} or {"0": "a"}.
std::vector<std::string> read_list(const JsonValue& list) {
    const nlohmann::json& raw = list.raw();
    const std::string where = list.where().substr(0, list.where().find_last_not_of(':') + 1);
    if (!raw.is_object() && !raw.is_array()) list.wrong("a list of tokens or an object of tokens and ids");
    TokenList tokens(where);
    const auto add = [&](const std::string& text, int64_t id) {
        if (text.empty()) fail("%s: the token with the id %lld is empty", where.c_str(), static_cast<long long>(id));
        tokens.add_normal(text, static_cast<int32_t>(id));
    };
    const bool by_id = raw.is_array() || (!raw.empty() && raw.begin()->is_string());
    for (const auto& [key, value] : raw.items()) {  // of a list, the keys are the ids
        const JsonValue entry(value, where + ": \"" + printable(key, 60) + "\"");
        if (!by_id)
            add(key, read_token_id(entry));
        else if (const int64_t id = id_of_key(key); id >= 0)
            add(entry.text(), id);
        else
            fail("%s: the key is not a token id", entry.where().c_str());
    }
    std::vector<std::string> texts;
    for (TokenSpec& token : tokens.finish()) texts.push_back(std::move(token.text));
    if (texts.empty()) fail("%s: the list of tokens is empty", where.c_str());
    return texts;
}

void check_agreement(const std::vector<std::string>& stoi, const std::vector<std::string>& itos, const std::string& where) {
    for (size_t id = 0; id < std::max(stoi.size(), itos.size()); ++id) {
        const std::string a = id < stoi.size() ? stoi[id] : "", b = id < itos.size() ? itos[id] : "";
        if (a != b)
            fail("%s: stoi and itos contradict each other: token %zu is \"%s\" in one and \"%s\" in the other",
                 where.c_str(), id, printable(a, 40).c_str(), printable(b, 40).c_str());
    }
}

// ---- pickles and JSON --------------------------------------------------------------------------------------------------

// Reads dicts, lists and tuples of numbers and texts as JSON, one level deep: values may be shared so that all of a pickle
// would be endless. Whatever else they hold becomes null or, where nothing may be left out, is an Error.
class FlatJson {
public:
    /// Copies at most `budget` bytes of text, since a short pickle may have one long text in many places.
    FlatJson(std::string name, size_t budget) : name_(std::move(name)), budget_(budget) {}

    nlohmann::json read(const PickleValue& value, bool whole) {
        whole_ = whole;
        if (value.kind() == Kind::List || value.kind() == Kind::Tuple) {
            nlohmann::json list = nlohmann::json::array();
            for (const PickleValue* element : value.elements()) list.push_back(scalar(*element));
            return list;
        }
        if (value.kind() != Kind::Dict) return scalar(value);
        nlohmann::json dict = nlohmann::json::object();
        for (const PickleItem& item : value.entries()) {
            const nlohmann::json key = scalar(*item.key);
            if (!key.is_null()) dict[key.is_string() ? key.get<std::string>() : key.dump()] = scalar(*item.value);
        }
        return dict;
    }

private:
    using Kind = PickleValue::Kind;

    nlohmann::json scalar(const PickleValue& from) {
        if (whole_ && from.kind() == Kind::Object)
            fail("%s: holds what `%s` makes; nib reads plain dicts, lists, texts and numbers only", name_.c_str(),
                 printable(from.name(), 100).c_str());
        if (whole_ && from.kind() == Kind::Set)
            fail("%s: holds a set, whose tokens are in no order: save sorted(...), with which the model was trained",
                 name_.c_str());
        if (const auto number = from.integer())
            return *number < 0 ? nlohmann::json(*number) : nlohmann::json(static_cast<uint64_t>(*number));
        if (from.kind() != Kind::Text) return nullptr;
        const std::string_view text = *from.text();
        if (text.size() > budget_) fail("%s: lists the same texts again and again", name_.c_str());
        budget_ -= text.size();
        return std::string(text);
    }

    std::string name_;
    size_t budget_;
    bool whole_ = false;
};

nlohmann::json parse_pickle(std::string_view bytes, const std::string& name) {
    const Pickle pickle = Pickle::parse(std::as_bytes(std::span(bytes)), name);
    FlatJson flat(name, 4 * bytes.size());
    nlohmann::json json;
    for (const char* key : {"stoi", "itos"})
        if (const PickleValue* list = pickle.root().find(key); list != nullptr && !list->integer())  // that is a token
            json[key] = flat.read(*list, true);
    return json.is_null() ? flat.read(pickle.root(), true) : json;
}

// What people give for a list of tokens instead.
void refuse_other_formats(std::string_view bytes, const std::string& path) {
    const std::string name = printable(path, 400);
    if (is_torch_file(std::as_bytes(std::span(bytes))))
        fail("%s: is a file of torch.save; write the list of tokens with json.dump or pickle.dump", name.c_str());
    if (bytes.starts_with(kPickle)) return;
    const std::string_view text = without_mark(bytes, path);
    const size_t first = text.find_first_not_of(" \t\r\n");
    if (first != std::string_view::npos && std::string_view("{[\"-0123456789").find(text[first]) == std::string_view::npos)
        fail("%s: is neither JSON, such as [\"a\", \"b\"], nor a pickle of protocol 2 or later", name.c_str());
}

// ---- what tokens are for -----------------------------------------------------------------------------------------------

enum class Purpose { Any, Begin, End, Unknown, Padding, Mask };

// Names of marks, without their brackets and in lower case.
Purpose purpose_of(const std::string& mark) {
    static const std::map<std::string_view, Purpose> kPurposes = {
        {"bos",           Purpose::Begin  },
        {"s",             Purpose::Begin  },
        {"sos",           Purpose::Begin  },
        {"start",         Purpose::Begin  },
        {"begin",         Purpose::Begin  },
        {"cls",           Purpose::Begin  },
        {"startoftext",   Purpose::Begin  },
        {"begin_of_text", Purpose::Begin  },
        {"eos",           Purpose::End    },
        {"/s",            Purpose::End    },
        {"end",           Purpose::End    },
        {"sep",           Purpose::End    },
        {"eot",           Purpose::End    },
        {"endoftext",     Purpose::End    },
        {"end_of_text",   Purpose::End    },
        {"unk",           Purpose::Unknown},
        {"unknown",       Purpose::Unknown},
        {"oov",           Purpose::Unknown},
        {"pad",           Purpose::Padding},
        {"padding",       Purpose::Padding},
        {"mask",          Purpose::Mask   },
    };
    std::string name;
    for (const char c : mark.substr(1, mark.size() - 2))
        if (c != '|') name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const auto found = kPurposes.find(name);
    return found == kPurposes.end() ? Purpose::Any : found->second;
}

bool is_mark(std::string_view text) {
    return text.size() > 2 && ((text.front() == '<' && text.back() == '>') || (text.front() == '[' && text.back() == ']'));
}

TokenType type_of(const std::string& text) {
    if (text.empty()) return TokenType::Unused;
    if (is_character(text)) return TokenType::Normal;
    if (!is_mark(text)) return TokenType::UserDefined;
    return purpose_of(text) == Purpose::Unknown ? TokenType::Unknown : TokenType::Control;
}

// Whether "." is the first token of a list of letters, as in makemore's for names: in numbers and running text a dot is a
// dot, but then there are digits and line ends.
bool dot_is_boundary(const std::vector<CharToken>& tokens) {
    const auto is_letter = [](const CharToken& token) {
        const auto first = static_cast<unsigned char>(token.text.empty() ? 0 : token.text[0]);
        return token.type == TokenType::Normal && first >= ' ' && !(first >= '0' && first <= '9');
    };
    return tokens.size() > 1 && tokens[0].text == "." && std::all_of(tokens.begin(), tokens.end(), is_letter);
}

// Which marks begin and end texts, and what stands for unknown text.
SpecialTokens find_specials(const std::vector<CharToken>& tokens, int32_t begin, int32_t end) {
    SpecialTokens specials;
    std::vector<int32_t> boundaries;
    int32_t named_begin = -1, named_end = -1;
    const auto take_first = [](int32_t& id, int32_t candidate) { id = id < 0 ? candidate : id; };
    for (size_t i = 0; i < tokens.size(); ++i) {
        const auto id = static_cast<int32_t>(i);
        if (!is_mark(tokens[i].text)) continue;
        const Purpose purpose = purpose_of(tokens[i].text);
        if (purpose == Purpose::Unknown) take_first(specials.unknown, id);
        if (purpose == Purpose::Padding) take_first(specials.padding, id);
        if (purpose == Purpose::Begin) take_first(named_begin, id);
        if (purpose == Purpose::End) take_first(named_end, id);
        if (purpose == Purpose::Any || purpose == Purpose::Begin || purpose == Purpose::End) boundaries.push_back(id);
    }
    const auto choose = [&](int32_t given, int32_t named) {
        if (std::find(boundaries.begin(), boundaries.end(), given) != boundaries.end()) return given;
        return boundaries.size() == 1 ? boundaries[0] : named;
    };
    specials.begin = choose(begin, named_begin);
    specials.end = choose(end, named_end);
    specials.add_begin = specials.begin >= 0;
    return specials;
}

std::unique_ptr<Tokenizer> character_tokenizer(const std::vector<std::string>& tokens, int32_t begin, int32_t end,
                                               const std::string& name, std::vector<std::string>& notes) {
    CharModel model;
    for (const std::string& text : tokens) model.tokens.push_back({text, type_of(text)});
    model.specials = find_specials(model.tokens, begin, end);
    if (dot_is_boundary(model.tokens)) {
        model.specials.begin = model.specials.end = 0;
        model.specials.add_begin = true;
        notes.push_back("the token `.`, number 0 in a list of letters, is taken for the one that begins and ends texts");
    }
    try {
        return std::make_unique<CharTokenizer>(std::move(model));
    } catch (const Error& error) {
        fail("%s: %s", name.c_str(), error.what());
    }
}

std::unique_ptr<Tokenizer> llama2c_tokenizer(std::string_view bytes, const std::string& name) {
    const TokenizerSpec spec = read_llama2c_tokenizer(bytes, name);
    try {
        return std::make_unique<PipelineTokenizer>(spec);
    } catch (const Error& error) {
        fail("%s: %s", name.c_str(), error.what());
    }
}

}  // namespace

std::unique_ptr<Tokenizer> parse_vocabulary(std::string_view bytes, const std::string& path, int32_t begin, int32_t end,
                                            std::vector<std::string>& notes) {
    const std::string name = printable(path, 400);
    if (is_llama2c_tokenizer(bytes)) return llama2c_tokenizer(bytes, name);
    refuse_other_formats(bytes, path);
    const nlohmann::json json = bytes.starts_with(kPickle) ? parse_pickle(bytes, name) : parse_json(bytes, name);
    const auto member = [&](const char* key) {
        const auto found = json.is_object() ? json.find(key) : json.end();
        return found != json.end() && found->is_structured() ? &*found : nullptr;
    };
    if (member("model") != nullptr)
        return parse_tokenizer(
            {
                {"tokenizer.json", bytes}
        },
            "", path);
    std::vector<std::string> lists[2];
    for (const auto& [list, key] : {std::pair(&lists[0], "stoi"), std::pair(&lists[1], "itos")})
        if (const nlohmann::json* value = member(key)) *list = read_list(JsonValue(*value, name + ": " + key));
    if (!lists[0].empty() && !lists[1].empty()) check_agreement(lists[0], lists[1], name);
    if (lists[0].empty()) lists[0] = std::move(lists[1]);
    if (lists[0].empty()) lists[0] = read_list(JsonValue(json, name + ":"));
    return character_tokenizer(lists[0], begin, end, name, notes);
}

std::unique_ptr<Tokenizer> open_vocabulary(const std::string& path, int32_t begin, int32_t end,
                                           std::vector<std::string>& notes) {
    std::error_code error;
    if (fs::is_directory(path, error)) {
        if (auto tokenizer = load_tokenizer(path)) return tokenizer;
        fail("%s: the folder holds no tokenizer.json, no tokenizer.model, no vocab.json with merges.txt and no vocab.txt",
             printable(path, 400).c_str());
    }
    if (auto tokenizer = load_tokenizer_file(path)) return tokenizer;
    const MappedFile mapped(path);
    const std::string_view bytes(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
    return parse_vocabulary(bytes, path, begin, end, notes);
}

}  // namespace nib
