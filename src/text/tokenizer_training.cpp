#include "text/tokenizer_training.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "text/bpe_trainer.h"
#include "text/char_tokenizer.h"
#include "text/pipeline_tokenizer.h"
#include "text/tokenizer_spec.h"
#include "text/utf8.h"

namespace nib {
namespace {

using Type = TokenizerTraining::Type;
using Split = TokenizerTraining::Split;

constexpr const char* kWordSuffix = "</w>";
constexpr const char* kContinuing = "##";

void check_options(const TokenizerTraining& options) {
    if (options.threads < 1) fail_usage_option("threads", "is %d; it must be at least 1", options.threads);
    if (options.min_frequency < 1)
        fail_usage_option("min-frequency", "is %lld; it must be at least 1", static_cast<long long>(options.min_frequency));
    std::set<std::string_view> seen;
    for (const std::string& special : options.specials) {
        if (special.empty()) fail_option("special", "is empty");
        if (find_invalid(special) != std::string_view::npos) fail_option("special", "is not UTF-8 text");
        if (!seen.insert(special).second) fail_option("special", "names `%s` twice", printable(special, 60).c_str());
    }
}

// The steps around the model.
TokenizerSpec steps_of(const TokenizerTraining& options) {
    TokenizerSpec spec;
    if (options.type == Type::WordPiece || options.split == Split::Gpt1) {
        spec.normalizers = bert_normalizers(options.lowercase);
        spec.pre_tokenizers = bert_pre_tokenizers();
    } else {
        spec.pre_tokenizers = options.split == Split::Llama3 ? llama3_pre_tokenizers() : gpt2_pre_tokenizers();
        if (options.lowercase) spec.normalizers = lowercase_normalizers();
    }
    if (options.type == Type::WordPiece) {
        spec.model.kind = WordModelSpec::Kind::WordPiece;
        spec.model.continuing_prefix = kContinuing;
        spec.decoders = wordpiece_decoders();
    } else if (options.split == Split::Gpt1) {
        spec.model.word_suffix = kWordSuffix;
        spec.decoders = bpe_decoders(kWordSuffix);
    } else {
        spec.decoders = byte_level_decoders();
    }
    return spec;
}

// Gives the special tokens, which have the first ids, their purposes.
void set_purposes(TokenizerSpec& spec, const std::vector<std::string>& names) {
    const auto id_of = [&](const char* name) {
        const auto found = std::find(names.begin(), names.end(), name);
        return found == names.end() ? -1 : static_cast<int32_t>(found - names.begin());
    };
    const bool wordpiece = spec.model.kind == WordModelSpec::Kind::WordPiece;
    const char* const unknown = wordpiece ? "[UNK]" : "<unk>";
    SpecialTokens& specials = spec.specials;
    if (!spec.is_byte_level()) {
        specials.unknown = id_of(unknown);
        if (specials.unknown < 0)
            fail_option("special", "does not name %s, which stands for characters that have no token", unknown);
        spec.tokens[static_cast<size_t>(specials.unknown)].type = TokenType::Unknown;
    }
    if (!wordpiece) {
        specials.begin = specials.end = id_of(kEndOfText);
        return;
    }
    specials.begin = id_of("[CLS]");
    specials.end = id_of("[SEP]");
    specials.padding = id_of("[PAD]");
    specials.mask = id_of("[MASK]");
    specials.add_begin = specials.begin >= 0;
    specials.add_end = specials.end >= 0;
    specials.pairs = kBertPairs;
}

std::unique_ptr<Tokenizer> train_characters(DocumentSource& source, const TokenizerTraining& options,
                                            const TrainingProgress& progress) {
    CharModel model;
    for (const std::string& special : options.specials) model.tokens.push_back({special, TokenType::Control});
    const auto end = std::find(options.specials.begin(), options.specials.end(), kEndOfText);
    if (end != options.specials.end())
        model.specials.begin = model.specials.end = static_cast<int32_t>(end - options.specials.begin());
    for (const char32_t code : distinct_characters(source, progress)) {
        model.tokens.emplace_back();
        append_utf8(model.tokens.back().text, code);
    }
    return std::make_unique<CharTokenizer>(std::move(model));
}

}  // namespace

std::vector<std::string> default_specials(Type type, Split split) {
    if (type == Type::WordPiece) return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    if (type == Type::Bpe && split == Split::Gpt1) return {"<unk>"};
    return {};
}

std::vector<char32_t> distinct_characters(DocumentSource& source, const TrainingProgress& progress) {
    std::vector<bool> seen(kCodePointLimit);
    for (TextPiece piece; source.next(piece);) {
        for (size_t at = 0; at < piece.text.size();) {
            const Decoded next = decode_utf8(piece.text, at);
            seen[next.code] = true;
            at += static_cast<size_t>(next.length);
        }
        progress("reading", source.bytes_read(), source.total_bytes());
    }
    std::vector<char32_t> found;
    for (char32_t code = 0; code < kCodePointLimit; ++code)
        if (seen[code]) found.push_back(code);
    if (found.empty()) fail("%s: empty, there is no text to read", source.description().c_str());
    return found;
}

std::unique_ptr<Tokenizer> train_tokenizer(DocumentSource& source, const TokenizerTraining& options,
                                           const TrainingProgress& progress) {
    check_options(options);
    if (options.type == Type::Char) return train_characters(source, options, progress);
    TokenizerSpec spec = steps_of(options);
    for (const std::string& special : options.specials) spec.tokens.push_back({special, TokenType::Control});
    set_purposes(spec, options.specials);
    const bool byte_level = spec.is_byte_level();

    const WordCounts counts =
        count_words(source, Normalizer(spec.normalizers), PreTokenizer(spec.pre_tokenizers, byte_level), options.threads,
                    [&](uint64_t done, uint64_t total) { progress("counting words", done, total); });
    const std::vector<CountedWord> words = counts.sorted();
    if (words.empty()) fail("%s: empty, there is no text to read", source.description().c_str());
    TrainedBpe trained = train_bpe(words,
                                   {.size = options.size,
                                    .least_count = static_cast<uint64_t>(options.min_frequency),
                                    .max_token_length = options.max_token_length,
                                    .largest_alphabet = options.limit_alphabet,
                                    .byte_level = byte_level,
                                    .continuing_prefix = spec.model.continuing_prefix,
                                    .word_suffix = spec.model.word_suffix,
                                    .specials = options.specials},
                                   [&](uint64_t done, uint64_t total) { progress("merging", done, total); });
    if (spec.model.kind == WordModelSpec::Kind::Bpe)
        for (const auto& [left, right] : trained.merges)
            spec.merges.push_back(
                join_merge(trained.tokens[static_cast<size_t>(left)], trained.tokens[static_cast<size_t>(right)]));
    for (size_t id = spec.tokens.size(); id < trained.tokens.size(); ++id)
        spec.tokens.push_back({std::move(trained.tokens[id])});
    return std::make_unique<PipelineTokenizer>(spec);
}

}  // namespace nib
