#include "text/tokenizer_export.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/bpe_tokenizer.h"
#include "text/character_files.h"

namespace nib {
namespace {

using Json = nlohmann::ordered_json;
using Files = std::vector<std::pair<std::string, std::string>>;

std::string dump(const Json& json, int indent) {
    try {
        return json.dump(indent) + "\n";
    } catch (const Json::exception&) {
        fail("a token of the model is not UTF-8 text, which Hugging Face's files cannot hold");
    }
}

Json bpe_section(Json vocab, Json merges, const Json& unknown, bool ignore_merges) {
    return {
        {"type",                      "BPE"            },
        {"dropout",                   nullptr          },
        {"unk_token",                 unknown          },
        {"continuing_subword_prefix", nullptr          },
        {"end_of_word_suffix",        nullptr          },
        {"fuse_unk",                  false            },
        {"byte_fallback",             false            },
        {"ignore_merges",             ignore_merges    },
        {"vocab",                     std::move(vocab) },
        {"merges",                    std::move(merges)},
    };
}

// An object of tokens and ids. Texts are distinct, and adding past the object's own look-up keeps this linear.
class Vocabulary {
public:
    template <class Id>
    void add(const std::string& text, Id id) {
        map_.Json::object_t::Container::emplace_back(text, id);
    }
    Json take() { return Json(std::move(map_)); }

private:
    Json::object_t map_;
};

// Keys in the order in which `tokenizers` writes them.
Json tokenizer_json(Json added, Json pre_tokenizer, Json post_processor, Json decoder, Json model) {
    return {
        {"version",        "1.0"                    },
        {"truncation",     nullptr                  },
        {"padding",        nullptr                  },
        {"added_tokens",   std::move(added)         },
        {"normalizer",     nullptr                  },
        {"pre_tokenizer",  std::move(pre_tokenizer) },
        {"post_processor", std::move(post_processor)},
        {"decoder",        std::move(decoder)       },
        {"model",          std::move(model)         },
    };
}

// This class takes tokenizer.json as it is.
Json config_json(int64_t context) {
    return {
        {"tokenizer_class",              "PreTrainedTokenizerFast"},
        {"model_max_length",             context                  },
        {"clean_up_tokenization_spaces", false                    },
    };
}

Json byte_level(bool add_prefix_space, bool use_regex) {
    return {
        {"type",             "ByteLevel"     },
        {"add_prefix_space", add_prefix_space},
        {"trim_offsets",     true            },
        {"use_regex",        use_regex       },
    };
}

Json pre_tokenizer(const BpeModel& model) {
    if (model.split == SplitPattern::Gpt2) return byte_level(model.add_prefix_space, true);
    const Json split = {
        {"type",     "Split"                              },
        {"pattern",  {{"Regex", split_regex(model.split)}}},
        {"behavior", "Isolated"                           },
        {"invert",   false                                },
    };
    return {
        {"type",          "Sequence"                                    },
        {"pretokenizers", Json::array({split, byte_level(false, false)})},
    };
}

// What stands around a text, if anything.
Json post_processor(const BpeModel& model) {
    Json single = Json::array(), pair = Json::array(), specials = Json::object();
    const auto add_token = [&](Json& list, int32_t id, int type) {
        const std::string& text = model.tokens[static_cast<size_t>(id)].text;
        list.push_back({
            {"SpecialToken", {{"id", text}, {"type_id", type}}}
        });
        specials[text] = {
            {"id",     text               },
            {"ids",    Json::array({id})  },
            {"tokens", Json::array({text})}
        };
    };
    const auto add_text = [&](Json& list, const char* name, int type) {
        if (model.specials.add_begin) add_token(list, model.specials.begin, type);
        list.push_back({
            {"Sequence", {{"id", name}, {"type_id", type}}}
        });
        if (model.specials.add_end) add_token(list, model.specials.end, type);
    };
    if (!model.specials.add_begin && !model.specials.add_end) return byte_level(true, true);
    add_text(single, "A", 0);
    add_text(pair, "A", 0);
    add_text(pair, "B", 1);
    return {
        {"type",           "TemplateProcessing"},
        {"single",         std::move(single)   },
        {"pair",           std::move(pair)     },
        {"special_tokens", std::move(specials) },
    };
}

Json added_token(const BpeToken& token, size_t id) {
    return {
        {"id",          id                                  },
        {"content",     token.text                          },
        {"single_word", false                               },
        {"lstrip",      false                               },
        {"rstrip",      false                               },
        {"normalized",  token.normalized                    },
        {"special",     token.type != TokenType::UserDefined}
    };
}

Files bpe_files(const BpeModel& model, int64_t context) {
    // Added tokens stand in the vocabulary, too: `tokenizers` gives those that do not the next free ids.
    Vocabulary tokens;
    Json added = Json::array(), config = config_json(context);
    for (size_t id = 0; id < model.tokens.size(); ++id) {
        const BpeToken& token = model.tokens[id];
        if (token.type == TokenType::Unused) continue;
        tokens.add(token.text, id);
        if (token.type != TokenType::Normal) added.push_back(added_token(token, id));
    }
    const Json vocab = tokens.take();
    std::string merges = "#version: 0.2\n";
    for (const std::string& merge : model.merges) merges += merge + "\n";
    const SpecialTokens& specials = model.specials;
    const auto text = [&](int32_t id) { return id < 0 ? Json() : Json(model.tokens[static_cast<size_t>(id)].text); };
    config["bos_token"] = text(specials.begin);
    config["eos_token"] = text(specials.end);
    config["unk_token"] = text(specials.unknown);
    config["pad_token"] = text(specials.padding);
    config["add_bos_token"] = specials.add_begin;
    config["add_eos_token"] = specials.add_end;
    config["add_prefix_space"] = model.add_prefix_space;
    const Json whole = tokenizer_json(std::move(added), pre_tokenizer(model), post_processor(model), byte_level(true, true),
                                      bpe_section(vocab, model.merges, text(specials.unknown), model.ignore_merges));
    return {
        {"tokenizer.json", dump(whole,  2)},
        {"tokenizer_config.json",                dump(config,     2)},
        {"vocab.json",              dump(vocab,                     -1)},
        {"merges.txt",merges},
    };
}

}  // namespace

Files tokenizer_files(const Tokenizer& tokenizer, int64_t context) {
    if (const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer))
        return character_files(*characters, context);
    if (const auto* bpe = dynamic_cast<const BpeTokenizer*>(&tokenizer)) return bpe_files(bpe->model(), context);
    fail("a tokenizer of the kind `%s` cannot be written for Hugging Face", tokenizer.kind());
}

}  // namespace nib
