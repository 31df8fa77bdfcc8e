#include "text/marian_files.h"

#include <algorithm>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/error.h"
#include "io/json_value.h"
#include "io/mapped_file.h"
#include "text/pipeline_tokenizer.h"
#include "text/sentencepiece_file.h"
#include "text/token_list.h"

namespace nib {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Files = std::map<std::string, std::string_view>;
using OrderedJson = nlohmann::ordered_json;

constexpr const char* kSource = "source.spm";
constexpr const char* kTarget = "target.spm";
constexpr const char* kVocabulary = "vocab.json";
constexpr const char* kTargetVocabulary = "target_vocab.json";
constexpr const char* kConfig = "tokenizer_config.json";
constexpr double kNotFound = -std::numeric_limits<double>::infinity();

bool is_language_code(std::string_view text) { return text.size() > 4 && text.starts_with(">>") && text.ends_with("<<"); }

// Marks by their texts.
struct Marks {
    std::string end = "</s>", unknown = "<unk>", padding = "<pad>";
};

Marks read_marks(const std::optional<JsonValue>& config) {
    Marks marks;
    const auto read = [&](const char* key, std::string& text) {
        const auto given = config ? config->find(key) : std::nullopt;
        if (given) text = given->raw().is_object() ? given->get("content").text() : given->text();
    };
    read("eos_token", marks.end);
    read("unk_token", marks.unknown);
    read("pad_token", marks.padding);
    return marks;
}

// One side: what a model of SentencePiece cuts, with the numbers of a vocabulary.
TokenizerSpec join(TokenizerSpec pieces, std::vector<TokenSpec> vocabulary, const Marks& marks) {
    TokenizerSpec spec = std::move(pieces);
    std::unordered_map<std::string_view, size_t> found;  // pieces by their texts, but for those that are in no text
    for (size_t i = 0; i < spec.tokens.size(); ++i) {
        const TokenType type = spec.tokens[i].type;
        if (type == TokenType::Normal || type == TokenType::UserDefined) found.emplace(spec.tokens[i].text, i);
    }
    std::vector<double> scores(vocabulary.size(), kNotFound);
    for (size_t id = 0; id < vocabulary.size(); ++id) {
        TokenSpec& token = vocabulary[id];
        if (token.type == TokenType::Unused) continue;
        const auto piece = found.find(token.text);
        if (token.text == marks.unknown) {
            token.type = TokenType::Unknown;
        } else if (token.text == marks.end || token.text == marks.padding) {
            token.type = TokenType::Control;
        } else if (is_language_code(token.text)) {
            token.type = TokenType::UserDefined;
            token.in_vocabulary = false;
        } else if (piece != found.end()) {
            token.type = spec.tokens[piece->second].type;
            scores[id] = spec.scores[piece->second];
        }
        if (piece != found.end()) found.erase(piece);
    }
    for (size_t i = 0; i < spec.tokens.size(); ++i)
        if (found.contains(spec.tokens[i].text)) spec.unlisted.push_back({spec.tokens[i].text, spec.scores[i]});
    const auto ids = ids_by_text(vocabulary);
    const auto id_of = [&](const std::string& text) {
        const auto id = ids.find(text);
        return id == ids.end() ? -1 : id->second;
    };
    spec.specials = {.end = id_of(marks.end), .unknown = id_of(marks.unknown), .padding = id_of(marks.padding)};
    spec.specials.add_end = spec.specials.end >= 0;
    spec.specials.pairs = {0, true, 0};
    spec.tokens = std::move(vocabulary);
    spec.scores = std::move(scores);
    return spec;
}

class MarianFolder {
public:
    MarianFolder(const Files& files, const std::string& folder) : files_(files), folder_(printable(folder, 400)) {}

    TranslationTokenizers read() {
        std::optional<json> parsed;
        if (files_.contains(kConfig)) parsed = parse_json(text(kConfig), path(kConfig));
        std::optional<JsonValue> config;
        if (parsed) config.emplace(*parsed, path(kConfig) + ":");
        const bool separate = config && config->truth_or("separate_vocabs", false);
        const Marks marks = read_marks(config);
        return {read_side(kSource, kVocabulary, marks),
                read_side(kTarget, separate ? kTargetVocabulary : kVocabulary, marks)};
    }

private:
    std::string path(const char* name) const { return folder_ + "/" + name; }
    std::string_view text(const char* name) const {
        const auto file = files_.find(name);
        if (file == files_.end()) fail("%s is missing beside %s", path(name).c_str(), kSource);
        return file->second;
    }

    std::unique_ptr<Tokenizer> read_side(const char* model, const char* vocabulary, const Marks& marks) const {
        SpecialNames own;
        TokenizerSpec pieces = read_sentencepiece_file(text(model), path(model), true, own);
        if (pieces.model.kind != WordModelSpec::Kind::Unigram)
            fail("%s: a model of translation with SentencePiece's BPE is not supported", path(model).c_str());
        const json parsed = parse_json(text(vocabulary), path(vocabulary));
        TokenList tokens(path(vocabulary));
        tokens.add_normal(JsonValue(parsed, path(vocabulary) + ":"));
        TokenizerSpec spec = join(std::move(pieces), tokens.finish(), marks);
        if (spec.specials.unknown < 0)
            fail("%s: has no token %s", path(vocabulary).c_str(), printable(marks.unknown, 40).c_str());
        try {
            return std::make_unique<PipelineTokenizer>(spec);
        } catch (const Error& error) {
            fail("%s: %s", path(model).c_str(), error.what());
        }
    }

    const Files& files_;
    std::string folder_;
};

// ---- writing -----------------------------------------------------------------------------------------------------------

const PipelineTokenizer& checked(const Tokenizer& tokenizer) {
    const auto* const pipeline = dynamic_cast<const PipelineTokenizer*>(&tokenizer);
    if (pipeline == nullptr || pipeline->kind() != std::string_view("unigram"))
        fail("a tokenizer of the kind `%s` cannot be written for Marian", tokenizer.kind());
    return *pipeline;
}

std::string dump(const OrderedJson& value) {
    try {
        return value.dump(2) + "\n";
    } catch (const OrderedJson::exception&) {
        fail("a token of the model is not UTF-8 text, which Marian's files cannot hold");
    }
}

std::string vocabulary_json(const TokenizerSpec& spec) {
    OrderedJson::object_t map;
    for (size_t id = 0; id < spec.tokens.size(); ++id)
        if (spec.tokens[id].type != TokenType::Unused)
            map.OrderedJson::object_t::Container::emplace_back(spec.tokens[id].text, id);
    return dump(OrderedJson(std::move(map)));
}

}  // namespace

std::optional<TranslationTokenizers> parse_translation_tokenizers(const Files& files, const std::string& folder) {
    if (!files.contains(kSource)) return std::nullopt;
    try {
        return MarianFolder(files, folder).read();
    } catch (const Error& error) {
        throw Error(error.what(), Remedy::LeaveOutVocabulary);
    }
}

std::optional<TranslationTokenizers> load_translation_tokenizers(const std::string& folder) {
    std::vector<MappedFile> mapped;
    Files files;
    for (const char* name : {kSource, kTarget, kVocabulary, kTargetVocabulary, kConfig}) {
        const std::string path = folder + "/" + name;
        std::error_code error;
        if (!fs::is_regular_file(path, error)) continue;
        const auto bytes = mapped.emplace_back(path).bytes();
        files[name] = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    }
    return parse_translation_tokenizers(files, folder);
}

std::vector<std::pair<std::string, std::string>> translation_tokenizer_files(const Tokenizer& source,
                                                                             const Tokenizer& target, int64_t context) {
    const TokenizerSpec from = checked(source).spec(), to = checked(target).spec();
    const std::string vocabulary = vocabulary_json(from), target_vocabulary = vocabulary_json(to);
    const bool separate = vocabulary != target_vocabulary;
    const auto text = [&](int32_t id) {
        return id < 0 ? OrderedJson() : OrderedJson(from.tokens[static_cast<size_t>(id)].text);
    };
    const OrderedJson config = {
        {"tokenizer_class",  "MarianTokenizer"          },
        {"model_max_length", context                    },
        {"eos_token",        text(from.specials.end)    },
        {"unk_token",        text(from.specials.unknown)},
        {"pad_token",        text(from.specials.padding)},
        {"separate_vocabs",  separate                   },
    };
    std::vector<std::pair<std::string, std::string>> files = {
        {kSource,     sentencepiece_file(from)},
        {kTarget,     sentencepiece_file(to)  },
        {kVocabulary, vocabulary              },
        {kConfig,     dump(config)            },
    };
    if (separate) files.emplace_back(kTargetVocabulary, target_vocabulary);
    return files;
}

}  // namespace nib
