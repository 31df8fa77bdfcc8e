#include "infer/generate.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "core/error.h"
#include "infer/stop_filter.h"
#include "text/utf8.h"

namespace nib {
namespace {

using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from, Clock::time_point to) { return std::chrono::duration<double>(to - from).count(); }

constexpr size_t kCharacterTokens = 8;  // more than a character can have
constexpr size_t kPart = 512;           // tokens of a prompt that are evaluated between two looks at `cancelled`
constexpr int64_t kReserved = 1 << 16;  // tokens of output; longer output reallocates

// One continuation of the prompt, in the slot of its number.
struct Stream {
    std::vector<int32_t> history;  // prompt and output
    DecodeState decoding;
    Utf8Streamer characters;
    StopFilter stop;
    bool done = false;
};

class Generator {
public:
    Generator(Engine& engine, const Tokenizer& tokenizer, std::span<const int32_t> prompt, const GenerateOptions& options,
              const TextSink& sink)
        : engine_(engine),
          tokenizer_(tokenizer),
          options_(options),
          sink_(sink),
          sampler_(options.sampler, engine.vocab()),
          logits_(static_cast<size_t>(engine.vocab())) {
        result_.samples.resize(static_cast<size_t>(engine.slots()));
        // The token that begins a text is not part of the text.
        const bool only_begun = prompt.size() == 1 && prompt[0] == tokenizer.begin_token();
        DecodeState decoding;
        decoding.begun = prompt.size() > kCharacterTokens;
        std::string begun;
        for (const int32_t id : prompt.last(only_begun ? 0 : std::min(prompt.size(), kCharacterTokens)))
            begun += tokenizer.decode_next(id, decoding);
        for (size_t s = 0; s < result_.samples.size(); ++s) {
            streams_.push_back({{}, decoding, {}, StopFilter(options.stop), false});
            streams_[s].history.reserve(prompt.size() + static_cast<size_t>(std::min(options.count, kReserved)));
            streams_[s].history.assign(prompt.begin(), prompt.end());
            streams_[s].characters.push(begun);
        }
        for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
            if (!tokenizer.has_token(id)) never_.push_back(static_cast<size_t>(id));
    }

    GenerateResult run(std::span<const int32_t> prompt) {
        const Clock::time_point start = Clock::now();
        const auto tokens = std::min(static_cast<int64_t>(prompt.size()), engine_.context());
        reserve(tokens);
        const bool whole = read(prompt.last(static_cast<size_t>(tokens)));
        const Clock::time_point first = Clock::now();
        for (int64_t i = 1; whole && i < options_.count && !cancelled() && evaluate(); ++i) choose(i);
        for (size_t s = 0; s < streams_.size(); ++s) {
            end(s);
            const std::vector<int32_t>& history = streams_[s].history;
            result_.samples[s].ids.assign(history.begin() + static_cast<std::ptrdiff_t>(prompt.size()), history.end());
        }
        result_.prompt_seconds = seconds(start, first);
        result_.decode_seconds = seconds(first, Clock::now());
        return std::move(result_);
    }

private:
    // Tokens that a sample evaluates when its context is full: the half that stays, and the one that did not fit.
    int64_t kept() const { return options_.overflow == Overflow::Half ? engine_.context() / 2 + 1 : engine_.context(); }

    // Compiles plans and reserves memory, so that nothing is allocated after the first token.
    void reserve(int64_t prompt_tokens) {
        const int64_t samples = engine_.slots();
        int64_t rows = samples;
        if (options_.count > 1) engine_.prepare(rows);
        if (options_.overflow != Overflow::Stop && options_.count > engine_.context() + 1 - prompt_tokens)
            engine_.prepare(rows = samples * kept());
        rows_.reserve(static_cast<size_t>(rows));
    }

    bool cancelled() const { return options_.cancelled && options_.cancelled(); }

    // Evaluates the prompt once for all samples, and chooses the first token of each; false if that was cancelled.
    bool read(std::span<const int32_t> prompt) {
        engine_.truncate(0, options_.cached);
        for (int64_t slot = 1; slot < engine_.slots(); ++slot) engine_.truncate(slot, 0);
        std::span<const int32_t> left = prompt.subspan(static_cast<size_t>(options_.cached));
        for (; options_.cancelled && left.size() > kPart; left = left.subspan(kPart)) {
            if (cancelled()) return false;
            engine_.append(0, left.first(kPart));
        }
        const std::span<const float> logits = engine_.append(0, left);
        result_.prompt_tokens = engine_.length(0) - options_.cached;
        for (size_t s = 0; s < streams_.size(); ++s) {
            engine_.copy(0, static_cast<int64_t>(s), engine_.length(0));
            if (options_.count > 0) choose(s, logits, 0);
        }
        return true;
    }

    // Evaluates the newest token of each unfinished sample, preceded by those that it still sees if its context was full.
    // Returns whether there is any such sample.
    bool evaluate() {
        rows_.clear();
        for (size_t s = 0; s < streams_.size(); ++s) {
            if (streams_[s].done) continue;
            const auto slot = static_cast<int32_t>(s);
            const bool full = engine_.length(slot) == engine_.context();
            if (full && options_.overflow == Overflow::Stop) {
                result_.samples[s].full = true;
                end(s);
                continue;
            }
            int64_t position = full ? 0 : engine_.length(slot);
            for (const int32_t token : std::span(streams_[s].history).last(static_cast<size_t>(full ? kept() : 1)))
                rows_.push_back({token, slot, position++, false});
            rows_.back().logits = true;
        }
        if (!rows_.empty()) chosen_from_ = engine_.step(rows_);
        return !rows_.empty();
    }

    // Chooses token i of each unfinished sample.
    void choose(int64_t i) {
        size_t row = 0;
        for (size_t s = 0; s < streams_.size(); ++s)
            if (!streams_[s].done) choose(s, chosen_from_.subspan(row++ * logits_.size(), logits_.size()), i);
    }

    void choose(size_t s, std::span<const float> logits, int64_t i) {
        Stream& stream = streams_[s];
        std::copy(logits.begin(), logits.end(), logits_.begin());
        for (const size_t id : never_) logits_[id] = -INFINITY;
        const int32_t token = sampler_.sample(logits_, stream.history, static_cast<uint32_t>(s), static_cast<uint64_t>(i));
        stream.history.push_back(token);
        result_.decoded_tokens += i > 0;
        if (std::find(options_.ends.begin(), options_.ends.end(), token) != options_.ends.end()) {
            end(s);
        } else {
            show(s, stream.stop.push(stream.characters.push(tokenizer_.decode_next(token, stream.decoding))));
            stream.done = stream.stop.stopped();
        }
        result_.samples[s].stopped = stream.done;
    }

    // Ends a sample and shows the text that was held back.
    void end(size_t s) {
        Stream& stream = streams_[s];
        if (!stream.done) show(s, stream.stop.push(stream.characters.finish()) + stream.stop.finish());
        stream.done = true;
    }

    void show(size_t s, const std::string& text) const {
        if (!text.empty()) sink_(s, text);
    }

    Engine& engine_;
    const Tokenizer& tokenizer_;
    const GenerateOptions& options_;
    const TextSink& sink_;
    Sampler sampler_;
    std::vector<size_t> never_;  // ids without a token, which are never chosen
    std::vector<Stream> streams_;
    std::vector<EngineRow> rows_;         // of a step
    std::span<const float> chosen_from_;  // (n,V): logits of the n unfinished samples
    std::vector<float> logits_;           // (V) of the current sample
    GenerateResult result_;
};

}  // namespace

void check_options(const GenerateOptions& options) {
    check_options(options.sampler);
    const StopFilter stop(options.stop);
}

GenerateResult generate(Engine& engine, const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                        const GenerateOptions& options, const TextSink& sink) {
    if (prompt.empty()) fail("a prompt needs one token at least");
    if (options.count < 0) fail("%lld tokens cannot be written", static_cast<long long>(options.count));
    const auto tokens = std::min(static_cast<int64_t>(prompt.size()), engine.context());
    const bool cut = options.cached > 0 && static_cast<int64_t>(prompt.size()) > tokens;
    if (cut || options.cached < 0 || options.cached >= tokens || options.cached > engine.length(0))
        fail("slot 0 cannot hold %lld of the %zu tokens of the prompt already", static_cast<long long>(options.cached),
             prompt.size());
    return Generator(engine, tokenizer, prompt, options, sink).run(prompt);
}

}  // namespace nib
