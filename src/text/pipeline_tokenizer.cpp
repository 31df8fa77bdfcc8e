#include "text/pipeline_tokenizer.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "text/bpe_model.h"
#include "text/sentencepiece_bpe.h"
#include "text/unigram.h"
#include "text/utf8.h"

namespace nib {
namespace {

TokenizerSpec steps_of(const TokenizerSpec& spec) {
    TokenizerSpec rest;
    rest.model = spec.model;
    rest.normalizers = spec.normalizers;
    rest.pre_tokenizers = spec.pre_tokenizers;
    rest.decoders = spec.decoders;
    return rest;
}

// What users defined and the model finds.
std::vector<std::string> symbols_of(const TokenizerSpec& spec) {
    std::vector<std::string> symbols;
    for (const TokenSpec& token : spec.tokens)
        if (spec.is_left_to_model(token) && !token.text.empty()) symbols.push_back(token.text);
    return symbols;
}

std::unique_ptr<const WordModel> make_model(TokenTable& table, const TokenizerSpec& spec,
                                            std::span<const std::string> merges) {
    switch (spec.model.kind) {
        case WordModelSpec::Kind::Bpe: return std::make_unique<BpeModel>(table, spec, merges);
        case WordModelSpec::Kind::SentencePiece: return std::make_unique<SentencePieceBpe>(table, spec);
        case WordModelSpec::Kind::Unigram: return std::make_unique<Unigram>(table, spec);
        case WordModelSpec::Kind::WordPiece: return std::make_unique<WordPiece>(table, spec.model, spec.specials.unknown);
        case WordModelSpec::Kind::WordLevel: break;
    }
    return std::make_unique<WordLevel>(table, spec.specials.unknown);
}

// Those that are found before normalization, or after it as it makes them. Special ones come first.
AddedTokens collect_added(const TokenizerSpec& spec, bool after, const Normalizer& normalizer) {
    std::vector<AddedToken> added;
    for (const bool special : {true, false}) {
        for (size_t i = 0; i < spec.tokens.size(); ++i) {
            const TokenSpec& token = spec.tokens[i];
            if (!token.is_added() || spec.is_left_to_model(token) || token.normalized != after ||
                (token.type != TokenType::UserDefined) != special)
                continue;
            const bool changes = after && find_invalid(token.text) == std::string_view::npos;
            added.push_back({changes ? normalizer(token.text) : token.text, static_cast<int32_t>(i), special, token.lstrip,
                             token.rstrip, token.single_word});
        }
    }
    return AddedTokens(std::move(added));
}

}  // namespace

PipelineTokenizer::PipelineTokenizer(const TokenizerSpec& spec, std::span<const std::string> merges)
    : Tokenizer(spec.specials),
      rest_(steps_of(spec)),
      byte_level_(spec.is_byte_level()),
      table_(spec.tokens, byte_level_),
      model_(make_model(table_, spec, merges)),
      normalizer_(spec.normalizers, symbols_of(spec)),
      pre_tokenizer_(spec.pre_tokenizers, byte_level_),
      decoder_(spec.decoders, byte_level_),
      added_(collect_added(spec, false, normalizer_)),
      added_normalized_(collect_added(spec, true, normalizer_)) {
    check_specials();
}

std::vector<int32_t> PipelineTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    WordModel::Work work{options.skip_unknown, {}, {}, {}, {}};
    work.ids.reserve(text.size() / 3);
    if (options.begin && begins_texts()) work.ids.push_back(begin_token());
    const auto encode = [&](std::string_view part, int32_t id) {
        if (id >= 0)
            work.ids.push_back(id);
        else
            encode_part(part, part.data() == text.data(), options, work);
    };
    added_.split(text, options.special, encode, options.verbatim);
    return std::move(work.ids);
}

void PipelineTokenizer::encode_part(std::string_view text, bool first, const EncodeOptions& options,
                                    WordModel::Work& work) const {
    if (find_invalid(text) == std::string_view::npos) return encode_valid(text, first, options, work);
    if (!byte_level_) {
        Utf8Streamer streamer;
        std::string repaired = streamer.push(text);
        repaired += streamer.finish();
        return encode_valid(repaired, first, options, work);
    }
    for (size_t begin = 0; begin < text.size();) {
        const size_t invalid = std::min(find_invalid(text.substr(begin)), text.size() - begin) + begin;
        if (begin < invalid) encode_valid(text.substr(begin, invalid - begin), first && begin == 0, options, work);
        begin = invalid;
        while (begin < text.size() && decode_utf8(text, begin).length == 0) ++begin;
        if (invalid < begin) model_->encode(text.substr(invalid, begin - invalid), work);
    }
}

void PipelineTokenizer::encode_valid(std::string_view text, bool first, const EncodeOptions& options,
                                     WordModel::Work& work) const {
    std::string normalized;
    if (!normalizer_.empty()) text = normalized = normalizer_(text);
    const PieceSink encode_word = [&](std::string_view word, bool) { model_->encode(word, work); };
    const auto cut = [&](std::string_view part, int32_t id) {
        if (id >= 0)
            work.ids.push_back(id);
        else
            pre_tokenizer_(part, first && part.data() == text.data(), encode_word);
    };
    added_normalized_.split(text, options.special, cut, options.verbatim);
}

std::string PipelineTokenizer::decode(int32_t id) const {
    DecodeState amid{.begun = true, .stripped = SIZE_MAX, .held = ""};
    return decode_next(id, amid);
}

const char* PipelineTokenizer::kind() const {
    switch (rest_.model.kind) {
        case WordModelSpec::Kind::Bpe: return "bpe";
        case WordModelSpec::Kind::SentencePiece: return "sentencepiece";
        case WordModelSpec::Kind::Unigram: return "unigram";
        case WordModelSpec::Kind::WordPiece: return "wordpiece";
        case WordModelSpec::Kind::WordLevel: break;
    }
    return "wordlevel";
}

TokenizerSpec PipelineTokenizer::spec() const {
    TokenizerSpec spec = rest_;
    spec.specials = specials();
    spec.tokens.reserve(static_cast<size_t>(vocab_size()));
    for (int32_t id = 0; id < vocab_size(); ++id) spec.tokens.push_back(table_.spec(id));
    spec.merges = model_->merges();
    spec.scores = model_->scores();
    spec.unlisted = model_->unlisted();
    return spec;
}

}  // namespace nib
