#include "eval_pairs.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/evaluate.h"
#include "io/progress.h"
#include "task/metrics/bleu.h"
#include "task/metrics/chrf.h"
#include "task/pair_text.h"
#include "text/unicode.h"
#include "text/utf8.h"

namespace nib {
namespace {

constexpr int64_t kPairsAtOnce = 16;  // of which targets are predicted

struct Pairs {
    std::vector<TokenPair> tokens;
    std::vector<std::string> references;
    double bytes = 0;  // of these, with the ends of their lines
    size_t longest = 0;
};

Pairs read_pairs(const PairFiles& files, const LoadedModel& model) {
    PairReader reader(files);
    const PairTokens tokens{model.tokenizer(), model.target_tokenizer(), model.config().context};
    Pairs pairs;
    for (Example pair; reader.next(pair);) try {
            pairs.tokens.push_back(encode_pair(pair, tokens));
            pairs.longest = std::max(pairs.longest, pairs.tokens.back().source.size());
            pairs.bytes += static_cast<double>(pair.texts[1].size() + 1);
            pairs.references.push_back(std::move(pair.texts[1]));
        } catch (const Error& error) {
            reader.refuse(pair, error);
        }
    if (reader.passed_over() > 0)
        std::fprintf(stderr, "nib: passed over %s, such as %s\n",
                     counted(static_cast<int64_t>(reader.passed_over()), "pair").c_str(), reader.reasons().front().c_str());
    if (pairs.tokens.empty())
        fail("%s: there is no pair of a source and a target", printable(reader.files().front()).c_str());
    return pairs;
}

// Whether most letters of the texts are Chinese characters.
bool are_chinese(const std::vector<std::string>& texts) {
    int64_t chinese = 0, all = 0;
    for (const std::string& text : texts)
        for (size_t at = 0; at < text.size();) {
            const Decoded next = decode_utf8(text, at);
            at += static_cast<size_t>(next.length);
            chinese += next.code >= 0x4E00 && next.code <= 0x9FFF;
            all += is_word(next.code);
        }
    return 2 * chinese > all;
}

std::vector<std::string> translations(const EvalPairsOptions& o, Backend& backend, const LoadedModel& model,
                                      const Pairs& pairs) {
    std::vector<std::vector<int32_t>> sources;
    for (const TokenPair& pair : pairs.tokens) sources.push_back(pair.source);
    std::vector<std::string> found(sources.size());
    Engine engine = translation_engine(backend, model, o.beam, std::ssize(sources), pairs.longest);
    Progress progress(stderr, stderr_is_terminal(), 1);
    size_t done = 0;
    translate(engine, sources, o.beam, [&](size_t i, const std::vector<Hypothesis>& best) {
        found[i] = text_of(best.at(0), model.target_tokenizer());
        progress.status(strprintf("translating  %zu of %zu", ++done, sources.size()));
    });
    progress.clear();
    return found;
}

Evaluation predictions(Backend& backend, const LoadedModel& model, const Pairs& pairs) {
    Engine engine(backend, model.config(), model.weights(),
                  {.slots = std::min<int64_t>(kPairsAtOnce, std::ssize(pairs.tokens)),
                   .source_context = static_cast<int64_t>(pairs.longest),
                   .logit_rows = kPairRows});
    return evaluate_pairs(engine, pairs.tokens, static_cast<int32_t>(model.config().encoder_decoder.start));
}

}  // namespace

void eval_pairs(const EvalPairsOptions& given, Backend& backend, const LoadedModel& model) {
    EvalPairsOptions o = given;
    set_ends(o.beam, model);
    const Pairs pairs = read_pairs(o.files, model);
    Bleu bleu({.tokenizer = !o.bleu_tokenize.empty()        ? bleu_tokenizer(o.bleu_tokenize)
                            : are_chinese(pairs.references) ? BleuTokenizer::Chinese
                                                            : BleuTokenizer::Mteval13a});
    Chrf chrf;
    const Evaluation result = predictions(backend, model, pairs);
    const double start = seconds_since_start();
    const std::vector<std::string> found = translations(o, backend, model, pairs);
    const double speed = static_cast<double>(found.size()) / (seconds_since_start() - start);
    for (size_t i = 0; i < found.size(); ++i) {
        bleu.add(found[i], {&pairs.references[i], 1});
        chrf.add(found[i], {&pairs.references[i], 1});
    }
    const double loss = result.loss(), bits = loss / std::numbers::ln2 * static_cast<double>(result.tokens) / pairs.bytes;
    if (o.json)
        return print_json({
            {"bleu",             bleu.score().score               },
            {"bleu_signature",   bleu.signature()                 },
            {"chrf",             chrf.score()                     },
            {"chrf_signature",   chrf.signature()                 },
            {"loss",             loss                             },
            {"perplexity",       std::exp(loss)                   },
            {"bits_per_byte",    bits                             },
            {"accuracy",         result.accuracy()                },
            {"pairs",            found.size()                     },
            {"tokens",           result.tokens                    },
            {"bytes",            static_cast<int64_t>(pairs.bytes)},
            {"pairs_per_second", speed                            }
        });
    std::string lines;
    const auto line = [&](const char* name, const std::string& value) {
        lines += strprintf("%-20s%s\n", name, value.c_str());
    };
    line("BLEU", bleu.score().text());
    line("", bleu.signature());
    line("chrF2", strprintf("%.1f", chrf.score()));
    line("", chrf.signature());
    line("loss", strprintf("%.4f", loss));
    line("perplexity", strprintf("%.4f", std::exp(loss)));
    line("bits per byte", strprintf("%.4f", bits));
    line("next-token accuracy", strprintf("%.2f %%", 100 * result.accuracy()));
    line("tokens", std::to_string(result.tokens));
    line("pairs", strprintf("%zu (%.1f/s)", found.size(), speed));
    print(lines);
}

}  // namespace nib
