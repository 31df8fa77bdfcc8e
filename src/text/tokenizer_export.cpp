#include "text/tokenizer_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "text/character_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_json.h"

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

// This class takes tokenizer.json as it is.
Json config_json(int64_t context) {
    return {
        {"tokenizer_class",              "PreTrainedTokenizerFast"},
        {"model_max_length",             context                  },
        {"clean_up_tokenization_spaces", false                    },
    };
}

bool is_gpt1(const TokenizerSpec& spec) {
    return spec.model.word_suffix == "</w>" && spec.model.continuing_prefix.empty() &&
           spec.normalizers == bert_normalizers(true) && spec.pre_tokenizers == bert_pre_tokenizers();
}

// The older files of byte-level BPE, GPT-1's BPE and WordPiece, where they say all.
void add_older_files(const TokenizerSpec& spec, Files& files) {
    if (spec.model.kind == WordModelSpec::Kind::Bpe && (spec.is_byte_level() || is_gpt1(spec))) {
        Vocabulary tokens;
        for (size_t id = 0; id < spec.tokens.size(); ++id)
            if (spec.tokens[id].type != TokenType::Unused) tokens.add(spec.tokens[id].text, id);
        std::string merges = "#version: 0.2\n";
        for (const std::string& merge : spec.merges) merges += merge + "\n";
        files.emplace_back("vocab.json", dump(tokens.take(), -1));
        files.emplace_back("merges.txt", merges);
    }
    if (spec.model.kind == WordModelSpec::Kind::WordPiece) {
        std::string lines;
        for (const TokenSpec& token : spec.tokens) lines += token.text + "\n";
        if (std::count(lines.begin(), lines.end(), '\n') == std::ssize(spec.tokens)) files.emplace_back("vocab.txt", lines);
    }
}

Files pipeline_files(const TokenizerSpec& spec, int64_t context, bool segments) {
    Json config = config_json(context);
    if (segments) config["model_input_names"] = {"input_ids", "token_type_ids", "attention_mask"};
    const SpecialTokens& specials = spec.specials;
    const auto text = [&](int32_t id) { return id < 0 ? Json() : Json(spec.tokens[static_cast<size_t>(id)].text); };
    const bool wordpiece = spec.model.kind == WordModelSpec::Kind::WordPiece;
    config[wordpiece ? "cls_token" : "bos_token"] = text(specials.begin);
    config[wordpiece ? "sep_token" : "eos_token"] = text(specials.end);
    config["unk_token"] = text(specials.unknown);
    config["pad_token"] = text(specials.padding);
    if (specials.mask >= 0) config["mask_token"] = text(specials.mask);
    config["add_bos_token"] = specials.add_begin;
    config["add_eos_token"] = specials.add_end;
    config["add_prefix_space"] = spec.pre_tokenizers == gpt2_pre_tokenizers(true);
    Files files = {
        {"tokenizer.json", nib::tokenizer_json(spec)},
        { "tokenizer_config.json",     dump(config,                        2)}
    };
    add_older_files(spec, files);
    return files;
}

}  // namespace

Files tokenizer_files(const Tokenizer& tokenizer, int64_t context, bool segments) {
    if (const auto* characters = dynamic_cast<const CharTokenizer*>(&tokenizer))
        return character_files(*characters, context, segments);
    if (const auto* other = dynamic_cast<const PipelineTokenizer*>(&tokenizer))
        return pipeline_files(other->spec(), context, segments);
    fail("a tokenizer of the kind `%s` cannot be written for Hugging Face", tokenizer.kind());
}

}  // namespace nib
