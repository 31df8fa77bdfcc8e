#include "text/tokenizer_json.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/error.h"
#include "text/score_merges.h"
#include "text/token_list.h"

namespace nib {
namespace {

using nlohmann::json;
using OrderedJson = nlohmann::ordered_json;
using Kind = WordModelSpec::Kind;

// ---- reading ------------------------------------------------------------------------------------------------------------

std::vector<std::string> read_merges(const JsonValue& merges) {
    std::vector<std::string> lines;
    for (size_t i = 0; i < merges.items(); ++i) {
        const json& merge = merges.raw()[i];
        if (merge.is_string()) {
            lines.push_back(merge.get<std::string>());
            continue;
        }
        const JsonValue pair = merges.at(i);
        if (pair.items() != 2) pair.wrong("two tokens");
        lines.push_back(join_merge(pair.at(0).text(), pair.at(1).text()));
    }
    return lines;
}

// Old files do not say the type.
std::string model_type(const JsonValue& model) {
    const auto vocab = model.find("vocab");
    const char* const implied = model.find("merges")                     ? "BPE"
                                : vocab && vocab->raw().is_array()       ? "Unigram"
                                : model.find("max_input_chars_per_word") ? "WordPiece"
                                : vocab                                  ? "WordLevel"
                                                                         : "unknown";
    return model.text_or("type", implied);
}

void read_bpe(const JsonValue& model, TokenizerSpec& spec) {
    const auto dropout = model.find("dropout");
    if (dropout && (!dropout->raw().is_number() || dropout->raw().get<double>() != 0)) model.refuse("dropout");
    spec.model.kind = Kind::Bpe;
    spec.model.continuing_prefix = model.text_or("continuing_subword_prefix", "");
    spec.model.word_suffix = model.text_or("end_of_word_suffix", "");
    spec.model.fuse_unknown = model.truth_or("fuse_unk", false);
    spec.model.byte_fallback = model.truth_or("byte_fallback", false);
    spec.model.ignore_merges = model.truth_or("ignore_merges", false);
    spec.merges = read_merges(model.get("merges"));
}

void read_model(const JsonValue& model, TokenizerSpec& spec) {
    const std::string type = model_type(model);
    if (type == "BPE") {
        read_bpe(model, spec);
    } else if (type == "WordPiece") {
        spec.model.kind = Kind::WordPiece;
        spec.model.continuing_prefix = model.text_or("continuing_subword_prefix", "##");
        if (const auto longest = model.find("max_input_chars_per_word"))
            spec.model.longest_word = longest->whole_number("a number of characters", INT64_MAX);
    } else if (type == "Unigram") {
        spec.model.kind = Kind::Unigram;
        spec.model.fuse_unknown = true;
        spec.model.byte_fallback = model.truth_or("byte_fallback", false);
    } else if (type == "WordLevel") {
        spec.model.kind = Kind::WordLevel;
    } else {
        model.refuse("the tokenizer type " + type);
    }
}

// Unigram's list of tokens and scores, and the token for unknown text.
void read_scored_tokens(const JsonValue& model, TokenizerSpec& spec, SpecialNames& names, TokenList& tokens) {
    const JsonValue vocab = model.get("vocab");
    const size_t count = vocab.items();
    if (count > INT32_MAX) vocab.refuse("a vocabulary of that size");
    spec.scores.reserve(count);
    for (size_t i = 0; i < count; ++i) {
        const JsonValue pair = vocab.at(i);
        if (pair.items() != 2) pair.wrong("a token and its score");
        tokens.add_normal(pair.at(0).text(), static_cast<int32_t>(i));
        spec.scores.push_back(pair.at(1).number());
    }
    if (const auto unknown = model.find("unk_id")) {
        const int64_t id = unknown->whole_number("a token id", INT32_MAX);
        if (static_cast<size_t>(id) >= count) unknown->wrong("the id of a token");
        names.unknown = vocab.at(static_cast<size_t>(id)).at(0).text();
    }
}

// The one special token that a template puts before or after the text; nothing for a list without one.
std::optional<std::string> only_special(const std::vector<std::string>& names, const JsonValue& where) {
    if (names.size() > 1) where.refuse("more than one token before or after the text");
    if (names.empty()) return std::nullopt;
    return names[0];
}

// One part of a template: a token by its name, or a text, "A" or "B".
struct TemplatePart {
    bool is_text;
    std::string name;
    int64_t type;
};

std::vector<TemplatePart> read_parts(const JsonValue& list) {
    std::vector<TemplatePart> parts;
    for (size_t i = 0; i < list.items(); ++i) {
        const auto text = list.at(i).find("Sequence");
        const JsonValue part = text ? *text : list.at(i).get("SpecialToken");
        const auto type = part.find("type_id");
        parts.push_back({text.has_value(), part.get("id").text(),
                         type ? type->whole_number("a segment", std::numeric_limits<int32_t>::max()) : 0});
    }
    return parts;
}

// How a template puts two texts together, as far as PairForm can say it. `names`: what stands around one.
PairForm read_pair(const std::vector<TemplatePart>& parts, const SpecialNames& names) {
    constexpr PairForm kUnknown = {-1, true, 1};
    constexpr int32_t kMostEnds = 16;
    size_t at = 0;
    const auto take = [&](bool is_text, const std::optional<std::string>& name, int64_t type) {
        const bool found =
            at < parts.size() && parts[at].is_text == is_text && parts[at].name == name && parts[at].type == type;
        at += found;
        return found;
    };
    if (names.add_begin && !take(false, names.begin, 0)) return kUnknown;
    if (!take(true, "A", 0)) return kUnknown;
    PairForm form;
    form.second_type = parts.empty() ? 0 : static_cast<int32_t>(parts.back().type);
    int32_t ends = 0;
    while (names.add_end && ends < kMostEnds && take(false, names.end, 0)) ++ends;
    if (names.add_end) form.ends_between = ends;
    if (names.add_begin) form.begins_second = take(false, names.begin, form.second_type);
    if (!take(true, "B", form.second_type)) return kUnknown;
    if (names.add_end && !take(false, names.end, form.second_type)) return kUnknown;
    return at == parts.size() ? form : kUnknown;
}

void read_template(const JsonValue& post, SpecialNames& names) {
    const JsonValue single = post.get("single");
    std::vector<std::string> before, after;
    bool text_seen = false;
    for (const TemplatePart& part : read_parts(single)) {
        if (part.is_text)
            text_seen = true;
        else
            (text_seen ? after : before).push_back(part.name);
    }
    if (!before.empty()) names.begin = only_special(before, single), names.add_begin = true;
    if (!after.empty()) names.end = only_special(after, single), names.add_end = true;
    if (const auto pair = post.find("pair")) names.pairs = read_pair(read_parts(*pair), names);
}

void read_post_processor(const JsonValue& post, SpecialNames& names) {
    const std::string type = post.get("type").text();
    if (type == "ByteLevel") return;  // concerns offsets, which nib does not keep
    if (type == "Sequence") {
        const JsonValue list = post.get("processors");
        for (size_t i = 0; i < list.items(); ++i) {
            if (list.at(i).get("type").text() == "Sequence") list.at(i).refuse("a sequence in a sequence");
            read_post_processor(list.at(i), names);
        }
        return;
    }
    if (type == "TemplateProcessing") return read_template(post, names);
    if (type != "BertProcessing" && type != "RobertaProcessing") post.refuse("the post-processor " + type);
    for (const auto& [key, name] : {std::pair("cls", &names.begin), std::pair("sep", &names.end)}) {
        const JsonValue token = post.get(key);
        if (token.items() != 2) token.wrong("a token and its id");
        *name = token.at(0).text();
    }
    names.add_begin = names.add_end = true;
    names.pairs = type == "BertProcessing" ? kBertPairs : PairForm{2, false, 0};
}

// ---- writing ------------------------------------------------------------------------------------------------------------

// `tokenizers` gives added tokens that are not in the vocabulary the next free ids, whatever the file says. Those that have
// others must stand there.
bool ids_follow_vocabulary(const std::vector<TokenSpec>& tokens) {
    const auto outside = [](const TokenSpec& token) { return token.is_added() && !token.in_vocabulary; };
    const auto unused = [](const TokenSpec& token) { return token.type == TokenType::Unused; };
    const auto first = std::find_if(tokens.begin(), tokens.end(), outside);
    const auto last = std::find_if_not(first, tokens.end(), outside);
    return std::none_of(tokens.begin(), first, unused) && std::all_of(last, tokens.end(), unused);
}

// An object of tokens and ids. Texts are distinct, and adding past the object's own look-up keeps this linear.
OrderedJson vocabulary(const std::vector<TokenSpec>& tokens) {
    const bool with_added = !ids_follow_vocabulary(tokens);
    OrderedJson::object_t map;
    for (size_t id = 0; id < tokens.size(); ++id)
        if (tokens[id].type != TokenType::Unused && (tokens[id].in_vocabulary || with_added))
            map.OrderedJson::object_t::Container::emplace_back(tokens[id].text, id);
    return OrderedJson(std::move(map));
}

// Lists of two only if a token has a space in it: older programs want lines of text.
OrderedJson merge_list(const std::vector<std::string>& merges) {
    const bool pairs = std::any_of(merges.begin(), merges.end(),
                                   [](const std::string& merge) { return merge[find_merge_separator(merge)] != ' '; });
    OrderedJson list = OrderedJson::array();
    for (const std::string& merge : merges) {
        const size_t separator = find_merge_separator(merge);
        list.push_back(pairs ? OrderedJson::array({merge.substr(0, separator), merge.substr(separator + 1)})
                             : OrderedJson(merge));
    }
    return list;
}

OrderedJson or_null(const std::string& text) { return text.empty() ? OrderedJson() : OrderedJson(text); }

OrderedJson token_text(const TokenizerSpec& spec, int32_t id) {
    return id < 0 ? OrderedJson() : OrderedJson(spec.tokens[static_cast<size_t>(id)].text);
}

// A list of all tokens but those at the end that were added: `tokenizers` gives them the next ids. An id without a token
// gets one that is in no text.
OrderedJson scored_vocabulary(const TokenizerSpec& spec) {
    const auto known = [](const TokenSpec& token) { return token.in_vocabulary && token.type != TokenType::Unused; };
    const auto added = [](const TokenSpec& token) { return token.is_added(); };
    const auto unused = [](const TokenSpec& token) { return token.type == TokenType::Unused; };
    const auto begin = spec.tokens.begin();
    auto end = std::find_if(spec.tokens.rbegin(), spec.tokens.rend(), known).base();
    const auto last = std::find_if(spec.tokens.rbegin(), spec.tokens.rend(), added).base();
    if (end < last && std::any_of(end, last, unused)) end = last;
    const auto size = static_cast<size_t>(end - begin);
    double lowest = 0;
    for (const double score : spec.scores) lowest = std::isinf(score) ? lowest : std::min(lowest, score);
    OrderedJson list = OrderedJson::array();
    for (size_t id = 0; id < size; ++id) {
        const TokenSpec& token = spec.tokens[id];
        const bool is_unused = unused(token);
        const double score = id < spec.scores.size() && !std::isinf(spec.scores[id]) ? spec.scores[id] : lowest;
        list.push_back({is_unused ? strprintf("<unused %zu>", id) : token.text, is_unused ? lowest : score});
    }
    return list;
}

// A tokenizer of SentencePiece's as `tokenizers` can have it: what only SentencePiece can do is lost.
TokenizerSpec as_tokenizers_can(TokenizerSpec spec) {
    if (const auto steps = read_sentencepiece_step(spec.normalizers))
        spec.normalizers = sentencepiece_step_as_others(*steps);
    spec.model.as_sentencepiece = false;
    spec.model.fuse_unknown = true;
    spec.unlisted.clear();
    return spec;
}

OrderedJson model_section(const TokenizerSpec& spec) {
    const OrderedJson unknown = token_text(spec, spec.specials.unknown);
    switch (spec.model.kind) {
        case Kind::Bpe:
        case Kind::SentencePiece: break;
        case Kind::Unigram:
            return {
                {"type",          "Unigram"                                                                     },
                {"unk_id",        spec.specials.unknown < 0 ? OrderedJson() : OrderedJson(spec.specials.unknown)},
                {"vocab",         scored_vocabulary(spec)                                                       },
                {"byte_fallback", spec.model.byte_fallback                                                      },
            };
        case Kind::WordPiece:
            return {
                {"type",                      "WordPiece"                 },
                {"unk_token",                 unknown                     },
                {"continuing_subword_prefix", spec.model.continuing_prefix},
                {"max_input_chars_per_word",  spec.model.longest_word     },
                {"vocab",                     vocabulary(spec.tokens)     },
            };
        case Kind::WordLevel:
            return {
                {"type",      "WordLevel"            },
                {"vocab",     vocabulary(spec.tokens)},
                {"unk_token", unknown                },
            };
    }
    return {
        {"type",                      "BPE"                                },
        {"dropout",                   nullptr                              },
        {"unk_token",                 unknown                              },
        {"continuing_subword_prefix", or_null(spec.model.continuing_prefix)},
        {"end_of_word_suffix",        or_null(spec.model.word_suffix)      },
        {"fuse_unk",                  spec.model.fuse_unknown              },
        {"byte_fallback",             spec.model.byte_fallback             },
        {"ignore_merges",             spec.model.ignore_merges             },
        {"vocab",                     vocabulary(spec.tokens)              },
        {"merges",                    merge_list(spec.merges)              },
    };
}

// Steps as a section: none, one, or a sequence.
OrderedJson section(const std::string& steps, const char* list) {
    OrderedJson parsed = OrderedJson::parse(steps);
    if (parsed.empty()) return nullptr;
    if (parsed.size() == 1) return parsed[0];
    return {
        {"type", "Sequence"       },
        {list,   std::move(parsed)}
    };
}

// What stands around a text, if anything.
OrderedJson post_processor(const TokenizerSpec& spec) {
    const SpecialTokens& ids = spec.specials;
    if (!ids.add_begin && !ids.add_end) return nullptr;
    OrderedJson single = OrderedJson::array(), pair = OrderedJson::array(), specials = OrderedJson::object();
    const auto add_token = [&](OrderedJson& list, int32_t id, int type) {
        const std::string& text = spec.tokens[static_cast<size_t>(id)].text;
        list.push_back({
            {"SpecialToken", {{"id", text}, {"type_id", type}}}
        });
        specials[text] = {
            {"id",     text                      },
            {"ids",    OrderedJson::array({id})  },
            {"tokens", OrderedJson::array({text})}
        };
    };
    const auto add_text = [&](OrderedJson& list, const char* name, int type, bool begin, int ends) {
        if (ids.add_begin && begin) add_token(list, ids.begin, type);
        list.push_back({
            {"Sequence", {{"id", name}, {"type_id", type}}}
        });
        for (int i = 0; ids.add_end && i < ends; ++i) add_token(list, ids.end, type);
    };
    const bool known = ids.pairs.ends_between >= 0;  // else what `tokenizers` takes for granted: both without marks
    add_text(single, "A", 0, true, 1);
    add_text(pair, "A", 0, known, known ? ids.pairs.ends_between : 0);
    add_text(pair, "B", known ? ids.pairs.second_type : 1, known && ids.pairs.begins_second, known ? 1 : 0);
    return {
        {"type",           "TemplateProcessing"},
        {"single",         std::move(single)   },
        {"pair",           std::move(pair)     },
        {"special_tokens", std::move(specials) },
    };
}

OrderedJson added_tokens(const std::vector<TokenSpec>& tokens) {
    OrderedJson added = OrderedJson::array();
    for (size_t id = 0; id < tokens.size(); ++id) {
        const TokenSpec& token = tokens[id];
        if (!token.is_added()) continue;
        added.push_back({
            {"id",          id                                  },
            {"content",     token.text                          },
            {"single_word", token.single_word                   },
            {"lstrip",      token.lstrip                        },
            {"rstrip",      token.rstrip                        },
            {"normalized",  token.normalized                    },
            {"special",     token.type != TokenType::UserDefined}
        });
    }
    return added;
}

}  // namespace

TokenizerSpec read_tokenizer_json(const JsonValue& root, SpecialNames& names) {
    TokenizerSpec spec;
    const JsonValue model = root.get("model");
    read_model(model, spec);
    if (const auto unknown = model.find("unk_token")) names.unknown = unknown->text();
    if (const auto normalizer = root.find("normalizer")) spec.normalizers = read_normalizers(*normalizer);
    if (const auto pre = root.find("pre_tokenizer")) spec.pre_tokenizers = read_pre_tokenizers(*pre);
    if (const auto post = root.find("post_processor")) read_post_processor(*post, names);
    if (const auto decoder = root.find("decoder"))
        spec.decoders = read_decoders(*decoder);
    else if (spec.is_byte_level())
        spec.decoders = byte_level_decoders();
    TokenList tokens(root.where().substr(0, root.where().find_last_not_of(':') + 1));
    if (spec.model.kind == Kind::Unigram)
        read_scored_tokens(model, spec, names, tokens);
    else
        tokens.add_normal(model.get("vocab"));
    if (const auto added = root.find("added_tokens")) {
        for (size_t i = 0; i < added->items(); ++i) tokens.add_added(added->at(i), read_token_id(added->at(i).get("id")));
    }
    spec.tokens = tokens.finish();
    return spec;
}

std::string tokenizer_json(const TokenizerSpec& spec) {
    if (spec.model.kind == Kind::SentencePiece) return tokenizer_json(with_merges(spec));
    if (read_sentencepiece_step(spec.normalizers)) return tokenizer_json(as_tokenizers_can(spec));
    const OrderedJson normalizer = section(spec.normalizers, "normalizers");
    const OrderedJson pre_tokenizer = section(spec.pre_tokenizers, "pretokenizers");
    const OrderedJson decoder = section(spec.decoders, "decoders");
    const OrderedJson whole = {
        {"version",        "1.0"                    },
        {"truncation",     nullptr                  },
        {"padding",        nullptr                  },
        {"added_tokens",   added_tokens(spec.tokens)},
        {"normalizer",     normalizer               },
        {"pre_tokenizer",  pre_tokenizer            },
        {"post_processor", post_processor(spec)     },
        {"decoder",        decoder                  },
        {"model",          model_section(spec)      },
    };
    try {
        return whole.dump(2) + "\n";
    } catch (const OrderedJson::exception&) {
        fail("a token of the model is not UTF-8 text, which Hugging Face's files cannot hold");
    }
}

}  // namespace nib
