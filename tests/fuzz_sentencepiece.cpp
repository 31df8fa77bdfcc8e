// libFuzzer target: no file of SentencePiece's or llama2.c's may crash nib, and no text. The seeds are in
// tests/fuzz_corpus/sentencepiece: the file, and after a line of "--" a text to encode. After an "M" come Marian's: a
// model, and after lines of "--" a vocab.json and a text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "text/marian_files.h"
#include "text/pipeline_tokenizer.h"
#include "text/score_merges.h"
#include "text/sentencepiece_file.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_files.h"
#include "text/vocabulary.h"

namespace {

constexpr nib::EncodeOptions kOptions{.skip_unknown = true};

// Both must give the same ids, and read them alike.
void compare(const nib::Tokenizer& one, const nib::Tokenizer& other, std::string_view text) {
    const auto ids = one.encode(text, kOptions);
    for (const int32_t id : ids) CHECK(id >= 0 && id < one.vocab_size());
    CHECK(other.encode(text, kOptions) == ids);
    CHECK(one.decode(ids) == other.decode(ids));
}

// Marian's files must be what is written of them.
void check_marian(std::string_view input, std::string_view text) {
    const size_t end = std::min(input.find("\n--\n"), input.size());
    const std::string_view model = input.substr(0, end), vocabulary = input.substr(std::min(end + 4, input.size()));
    const auto both = nib::parse_translation_tokenizers(
        {
            {"source.spm", model     },
            {"target.spm", model     },
            {"vocab.json", vocabulary}
    },
        "fuzz");
    compare(*both->source, *both->target, text);
    const auto written = nib::translation_tokenizer_files(*both->source, *both->target, 16);
    const auto again = nib::parse_translation_tokenizers({written.begin(), written.end()}, "fuzz");
    compare(*both->source, *again->source, text);
}

// A tokenizer must be made again from what it says of itself, and its merges from what is exported; scores that say all
// that merges do must give what they give.
void check(const nib::PipelineTokenizer& tokenizer, std::string_view text) {
    const nib::TokenizerSpec spec = tokenizer.spec();
    compare(tokenizer, nib::PipelineTokenizer(spec), text);
    if (spec.model.kind == nib::WordModelSpec::Kind::Unigram) {
        const std::string written = nib::sentencepiece_file(spec);
        const auto again = nib::parse_tokenizer(
            {
                {"tokenizer.model", written}
        },
            "fuzz");
        const auto exported = nib::tokenizer_files(tokenizer, 16);
        nib::parse_tokenizer({exported.begin(), exported.end()}, "fuzz")->encode(text, kOptions);
        return;
    }
    const nib::TokenizerSpec merges = nib::with_merges(spec);
    const nib::PipelineTokenizer merged(merges);
    const auto exported = nib::tokenizer_files(tokenizer, 16);
    const auto again = nib::parse_tokenizer({exported.begin(), exported.end()}, "fuzz");
    if (const auto* other = dynamic_cast<const nib::PipelineTokenizer*>(again.get()))
        CHECK(other->spec().merges == merges.merges);
    if (const auto scores = nib::with_scores(merges)) compare(merged, nib::PipelineTokenizer(*scores), text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t end = std::min(input.rfind("\n--\n"), size);
    const std::string_view file = input.substr(0, end), text = input.substr(std::min(end + 4, size));
    try {
        if (file.starts_with('M')) {
            check_marian(file.substr(1), text);
            return 0;
        }
        std::vector<std::string> notes;
        const auto tokenizer = nib::is_llama2c_tokenizer(file) ? nib::parse_vocabulary(file, "fuzz", -1, -1, notes)
                                                               : nib::parse_tokenizer(
                                                                     {
                                                                         {"tokenizer.model", file}
        },
                                                                     "fuzz");
        check(dynamic_cast<const nib::PipelineTokenizer&>(*tokenizer), text);
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
    }
    return 0;
}
