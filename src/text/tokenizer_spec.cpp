#include "text/tokenizer_spec.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "core/error.h"
#include "io/base64.h"

namespace nib {
namespace {

using nlohmann::json;

constexpr size_t kMostSteps = 64;
constexpr const char* kMark = "\u2581";  // stands for a space
constexpr const char* kSentencePiece = "SentencePiece";
constexpr int64_t kMostCharacters = 1 << 30;  // that an option can count

// As the models' tokenizer.json have them.
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Option {
    const char* key;
    json standard;  // what counts when it is missing; it has the option's type
};
struct StepKind {
    const char* type;
    std::vector<Option> options;
};
using StepKinds = std::vector<StepKind>;

const StepKinds& normalizer_kinds() {
    static const StepKinds kinds = {
        {"BertNormalizer",
         {{"clean_text", true}, {"handle_chinese_chars", true}, {"lowercase", true}, {"strip_accents", nullptr}}},
        {"ByteLevel",      {}                                                                                   },
        {"Lowercase",      {}                                                                                   },
        {"NFC",            {}                                                                                   },
        {"NFD",            {}                                                                                   },
        {"NFKC",           {}                                                                                   },
        {"NFKD",           {}                                                                                   },
        {"Nmt",            {}                                                                                   },
        {"Precompiled",    {{"precompiled_charsmap", ""}}                                                       },
        {"Prepend",        {{"prepend", ""}}                                                                    },
        {"Replace",        {{"pattern", json::object()}, {"content", ""}}                                       },
        {"Strip",          {{"strip_left", true}, {"strip_right", true}}                                        },
        {"StripAccents",   {}                                                                                   },
    };
    return kinds;
}

const StepKinds& pre_tokenizer_kinds() {
    static const StepKinds kinds = {
        {"BertPreTokenizer",   {}                                                                        },
        {"ByteLevel",          {{"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}} },
        {"CharDelimiterSplit", {{"delimiter", ""}}                                                       },
        {"Digits",             {{"individual_digits", false}}                                            },
        {"FixedLength",        {{"length", 5}}                                                           },
        {"Metaspace",          {{"prepend_scheme", "always"}, {"replacement", "\u2581"}, {"split", true}}},
        {"Punctuation",        {{"behavior", "Isolated"}}                                                },
        {"Split",              {{"behavior", "Isolated"}, {"invert", false}, {"pattern", json::object()}}},
        {"Whitespace",         {}                                                                        },
        {"WhitespaceSplit",    {}                                                                        },
    };
    return kinds;
}

const StepKinds& decoder_kinds() {
    static const StepKinds kinds = {
        {"BPEDecoder",   {{"suffix", "</w>"}}                                                      },
        {"ByteFallback", {}                                                                        },
        {"ByteLevel",    {{"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}} },
        {"Fuse",         {}                                                                        },
        {"Metaspace",    {{"prepend_scheme", "always"}, {"replacement", "\u2581"}, {"split", true}}},
        {"Replace",      {{"pattern", json::object()}, {"content", ""}}                            },
        {"Strip",        {{"content", " "}, {"start", 0}, {"stop", 0}}                             },
        {"WordPiece",    {{"cleanup", true}, {"prefix", "##"}}                                     },
    };
    return kinds;
}

// One step with all of its options. `what` is its role.
json read_step(const JsonValue& step, const StepKinds& kinds, const char* what) {
    const std::string& type = step.get("type").text();
    for (const StepKind& kind : kinds) {
        if (type != kind.type) continue;
        json result = {
            {"type", type}
        };
        for (const Option& option : kind.options) {
            const auto given = step.find(option.key);
            if (given && option.standard.is_boolean()) given->truth();
            if (given && option.standard.is_string()) given->text();
            if (given && option.standard.is_number()) given->whole_number("a number of characters", kMostCharacters);
            if (given && option.standard.is_null()) given->truth();
            if (given && option.standard.is_object() && !given->raw().is_object()) given->wrong("a pattern");
            result[option.key] = given ? given->raw() : option.standard;
        }
        // Offsets are not nib's business; what follows from another option need not be said; Metaspace had another name
        // for its scheme once.
        if (result.contains("trim_offsets")) result["trim_offsets"] = true;
        if (type == "BertNormalizer" && result["strip_accents"] == result["lowercase"]) result["strip_accents"] = nullptr;
        if (type == "Metaspace" && !step.find("prepend_scheme") && !step.truth_or("add_prefix_space", true))
            result["prepend_scheme"] = "never";
        return result;
    }
    step.refuse("the " + std::string(what) + " " + type);
}

void read_steps(const JsonValue& section, const StepKinds& kinds, const char* list, const char* what, json& steps) {
    if (section.get("type").text() != "Sequence") {
        if (steps.size() == kMostSteps) section.refuse("more than " + std::to_string(kMostSteps) + " steps");
        steps.push_back(read_step(section, kinds, what));
        return;
    }
    const JsonValue parts = section.get(list);
    for (size_t i = 0; i < parts.items(); ++i) read_steps(parts.at(i), kinds, list, what, steps);
}

json byte_level(bool add_prefix_space, bool use_regex) {
    return {
        {"type",             "ByteLevel"     },
        {"add_prefix_space", add_prefix_space},
        {"trim_offsets",     true            },
        {"use_regex",        use_regex       },
    };
}

json split(const char* pattern) {
    return {
        {"type",     "Split"             },
        {"behavior", "Isolated"          },
        {"invert",   false               },
        {"pattern",  {{"Regex", pattern}}},
    };
}

json replace(const char* kind, const char* pattern, const char* content) {
    return {
        {"type",    "Replace"        },
        {"pattern", {{kind, pattern}}},
        {"content", content          },
    };
}

std::string list(const json& step) { return json::array({step}).dump(); }

std::string split_bytes(const char* pattern) { return json::array({split(pattern), byte_level(false, false)}).dump(); }

}  // namespace

const char* const kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool TokenizerSpec::is_byte_level() const {
    if (model.kind != WordModelSpec::Kind::Bpe || !model.continuing_prefix.empty() || !model.word_suffix.empty() ||
        model.byte_fallback)
        return false;
    const json steps = json::parse(pre_tokenizers);
    return !steps.empty() && steps.back().at("type") == "ByteLevel";
}

bool TokenizerSpec::adds_mark() const {
    const auto is_there = [](const std::string& steps, const char* type, const auto& adds) {
        const json list = json::parse(steps);
        return std::any_of(list.begin(), list.end(), [&](const json& step) { return step["type"] == type && adds(step); });
    };
    if (const auto steps = read_sentencepiece_step(normalizers)) return steps->add_prefix && !steps->suffix;
    return is_there(normalizers, "Prepend", [](const json& step) { return step["prepend"] == kMark; }) ||
           is_there(pre_tokenizers, "Metaspace", [](const json& step) { return step["prepend_scheme"] != "never"; });
}

std::string join_merge(const std::string& left, const std::string& right) {
    const bool spaces = (left + right).find(' ') != std::string::npos;
    return left + (spaces ? '\xFF' : ' ') + right;
}

size_t find_merge_separator(std::string_view merge) {
    const size_t other = merge.find('\xFF');
    return other != std::string_view::npos ? other : merge.find(' ');
}

std::string read_normalizers(const JsonValue& section) {
    json steps = json::array();
    read_steps(section, normalizer_kinds(), "normalizers", "normalizer", steps);
    return steps.dump();
}

std::string read_pre_tokenizers(const JsonValue& section) {
    json steps = json::array();
    read_steps(section, pre_tokenizer_kinds(), "pretokenizers", "pre-tokenizer", steps);
    const std::string text = steps.dump();
    return text == split_bytes(kGpt2Pattern) ? gpt2_pre_tokenizers() : text;
}

std::string read_decoders(const JsonValue& section) {
    json steps = json::array();
    read_steps(section, decoder_kinds(), "decoders", "decoder", steps);
    return steps.dump();
}

std::string gpt2_pre_tokenizers(bool add_prefix_space) { return list(byte_level(add_prefix_space, true)); }
std::string gpt2_digits_pre_tokenizers() {
    const json digits = {
        {"type",              "Digits"},
        {"individual_digits", true    }
    };
    return json::array({digits, byte_level(false, true)}).dump();
}
std::string llama3_pre_tokenizers() { return split_bytes(kLlama3Pattern); }
std::string qwen2_pre_tokenizers() { return split_bytes(kQwen2Pattern); }

std::string byte_level_decoders() { return list(byte_level(true, true)); }

std::string lowercase_normalizers() {
    return list({
        {"type", "Lowercase"}
    });
}

std::string bert_normalizers(bool lowercase, std::optional<bool> strip_accents, bool chinese) {
    return list({
        {"type",                 "BertNormalizer"                                                                 },
        {"clean_text",           true                                                                             },
        {"handle_chinese_chars", chinese                                                                          },
        {"lowercase",            lowercase                                                                        },
        {"strip_accents",        strip_accents.value_or(lowercase) == lowercase ? json(nullptr) : json(!lowercase)},
    });
}

std::string bert_pre_tokenizers() {
    return list({
        {"type", "BertPreTokenizer"}
    });
}

std::string wordpiece_decoders() {
    return list({
        {"type",    "WordPiece"},
        {"cleanup", true       },
        {"prefix",  "##"       },
    });
}

std::string sentencepiece_normalizers(bool add_prefix, bool collapse) {
    json steps = json::array();
    if (collapse) {
        steps.push_back(replace("Regex", "(?<![ \u2581])[ \u2581]++\\z|\\A +", ""));  // looks at each space once
        steps.push_back(replace("Regex", " {2,}", " "));
    }
    if (add_prefix)
        steps.push_back({
            {"type",    "Prepend"},
            {"prepend", kMark    }
        });
    steps.push_back(replace("String", " ", kMark));
    return steps.dump();
}

std::string sentencepiece_decoders(bool add_prefix, bool collapse) {
    json steps = {replace("String", kMark, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
    if (add_prefix || collapse)
        steps.push_back({
            {"type",    "Strip"                       },
            {"content", " "                           },
            {"start",   collapse ? kMostCharacters : 1},
            {"stop",    0                             }
        });
    return steps.dump();
}

std::string sentencepiece_step(const SentencePieceSteps& steps) {
    return list({
        {"type",       kSentencePiece           },
        {"add_prefix", steps.add_prefix         },
        {"collapse",   steps.collapse           },
        {"escape",     steps.escape             },
        {"suffix",     steps.suffix             },
        {"charsmap",   to_base64(steps.charsmap)},
    });
}

std::optional<SentencePieceSteps> read_sentencepiece_step(const std::string& normalizers) {
    const json steps = json::parse(normalizers);
    if (steps.size() != 1 || steps[0]["type"] != kSentencePiece) return std::nullopt;
    const json& step = steps[0];
    const auto charsmap = from_base64(step["charsmap"].get<std::string>());
    CHECK(charsmap);
    return SentencePieceSteps{step["add_prefix"], step["collapse"], step["escape"], step["suffix"], *charsmap};
}

std::string sentencepiece_bpe_normalizers(const SentencePieceSteps& steps) {
    const bool others_say_all = steps.charsmap.empty() && steps.escape && !steps.suffix;
    return others_say_all ? sentencepiece_normalizers(steps.add_prefix, steps.collapse) : sentencepiece_step(steps);
}

std::string sentencepiece_step_as_others(const SentencePieceSteps& steps) {
    json others = json::parse(sentencepiece_normalizers(steps.add_prefix && !steps.suffix, steps.collapse));
    const json table = {
        {"type",                 "Precompiled"            },
        {"precompiled_charsmap", to_base64(steps.charsmap)}
    };
    if (!steps.charsmap.empty()) others.insert(others.begin(), table);
    return others.dump();
}

std::string bpe_decoders(const std::string& suffix) {
    return list({
        {"type",   "BPEDecoder"},
        {"suffix", suffix      }
    });
}

}  // namespace nib
