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
    return run(text, options, nullptr);
}

PlacedTokens PipelineTokenizer::encode_placed(std::string_view text, const EncodeOptions& options) const {
    if (find_invalid(text) != std::string_view::npos) fail("the text is not valid UTF-8");
    EncodeOptions within = options;
    within.begin = false;
    TokenPlaces places(text, normalizer_);
    PlacedTokens tokens;
    tokens.ids = run(text, within, &places);
    tokens.places = places.take();
    CHECK(tokens.ids.size() == tokens.places.size());
    return tokens;
}

std::vector<int32_t> PipelineTokenizer::run(std::string_view text, const EncodeOptions& options,
                                            TokenPlaces* places) const {
    WordModel::Work work{options.skip_unknown, {}, {}, {}, {}};
    work.ids.reserve(text.size() / 3);
    if (options.begin && begins_texts()) work.ids.push_back(begin_token());
    const auto encode = [&](std::string_view part, int32_t id) {
        if (id < 0) return encode_part(part, part.data() == text.data(), options, work, places);
        work.ids.push_back(id);
        if (places != nullptr) places->add(part);
    };
    added_.split(text, options.special, encode, options.verbatim);
    return std::move(work.ids);
}

void PipelineTokenizer::encode_part(std::string_view text, bool first, const EncodeOptions& options, WordModel::Work& work,
                                    TokenPlaces* places) const {
    if (find_invalid(text) == std::string_view::npos) return encode_valid(text, first, options, work, places);
    if (!byte_level_) {
        Utf8Streamer streamer;
        std::string repaired = streamer.push(text);
        repaired += streamer.finish();
        return encode_valid(repaired, first, options, work, nullptr);
    }
    for (size_t begin = 0; begin < text.size();) {
        const size_t invalid = std::min(find_invalid(text.substr(begin)), text.size() - begin) + begin;
        if (begin < invalid) encode_valid(text.substr(begin, invalid - begin), first && begin == 0, options, work, nullptr);
        begin = invalid;
        while (begin < text.size() && decode_utf8(text, begin).length == 0) ++begin;
        if (invalid < begin) model_->encode(text.substr(invalid, begin - invalid), work);
    }
}

void PipelineTokenizer::encode_valid(std::string_view text, bool first, const EncodeOptions& options, WordModel::Work& work,
                                     TokenPlaces* places) const {
    std::string made;
    std::string_view normalized = text;
    if (!normalizer_.empty()) normalized = made = normalizer_(text);
    if (places != nullptr) places->enter(text, normalized);
    std::vector<TokenInWord> tokens;
    const PieceSink encode_word = [&](std::string_view word, bool) {
        const size_t before = work.ids.size();
        model_->encode(word, work);
        if (places == nullptr) return;
        tokens.clear();
        for (size_t i = before; i < work.ids.size(); ++i) tokens.push_back(in_word(work.ids[i]));
        places->add_word(word, tokens);
    };
    const auto cut = [&](std::string_view part, int32_t id) {
        if (id < 0) return pre_tokenizer_(part, first && part.data() == normalized.data(), encode_word);
        work.ids.push_back(id);
        if (places != nullptr) places->add_normalized(part);
    };
    added_normalized_.split(normalized, options.special, cut, options.verbatim);
}

// A token's text without what only says where in a word it stands.
TokenInWord PipelineTokenizer::in_word(int32_t id) const {
    if (id == specials().unknown || type(id) != TokenType::Normal) return std::nullopt;
    std::string_view text = table_.key(id);
    const WordModelSpec& model = rest_.model;
    if (!model.continuing_prefix.empty() && text.starts_with(model.continuing_prefix))
        text.remove_prefix(model.continuing_prefix.size());
    if (!model.word_suffix.empty() && text.ends_with(model.word_suffix)) text.remove_suffix(model.word_suffix.size());
    return text;
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
