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

constexpr size_t kCharacterTokens = 8;  // more than a character can be made of
constexpr int64_t kReserved = 1 << 16;  // tokens of output; a longer one grows as it comes

// One continuation of the prompt.
struct Stream {
    std::vector<int32_t> history;  // prompt and output
    DecodeState decoding;
    Utf8Streamer characters;
    StopFilter stop;
    bool done = false;
};

class Generator {
public:
    Generator(Session& session, const Tokenizer& tokenizer, std::span<const int32_t> prompt, const GenerateOptions& options,
              const TextSink& sink)
        : session_(session),
          tokenizer_(tokenizer),
          options_(options),
          sink_(sink),
          sampler_(options.sampler, session.vocab()),
          next_(static_cast<size_t>(session.sequences())),
          logits_(next_.size() * static_cast<size_t>(session.vocab())) {
        result_.samples.resize(next_.size());
        // The token that begins a text is none of its text.
        const bool only_begun = prompt.size() == 1 && prompt[0] == tokenizer.begin_token();
        DecodeState decoding;
        decoding.begun = prompt.size() > kCharacterTokens;
        std::string begun;
        for (const int32_t id : prompt.last(only_begun ? 0 : std::min(prompt.size(), kCharacterTokens)))
            begun += tokenizer.decode_next(id, decoding);
        for (size_t s = 0; s < next_.size(); ++s) {
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
        const auto tokens = std::min(static_cast<int64_t>(prompt.size()), session_.context());
        if (options_.count > 1) session_.prepare_decode();  // now, so that nothing is allocated after the first token
        if (options_.count > session_.context() + 1 - tokens) session_.prepare_prefill(kept());
        read(prompt.last(static_cast<size_t>(tokens)));
        if (options_.count > 0) choose(0);
        const Clock::time_point first = Clock::now();
        for (int64_t i = 1; i < options_.count && !all_done(); ++i) {
            if (session_.position() < session_.context())
                keep(session_.decode(next_), 0);
            else
                shift();
            choose(i);
        }
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
    // Evaluates the prompt once, for all samples.
    void read(std::span<const int32_t> prompt) {
        session_.reset();
        const std::span<const float> logits = session_.prefill(prompt);
        for (size_t s = 0; s < streams_.size(); ++s) {
            keep(logits, s);
            session_.copy_to(static_cast<int64_t>(s));
        }
        result_.prompt_tokens = session_.position();
    }

    // Tokens with which a sample begins anew: the newer half of its context and the one that did not fit.
    int64_t kept() const { return session_.context() / 2 + 1; }

    // Sequence 0, through which all samples go, is the last.
    void shift() {
        const auto tokens = static_cast<size_t>(kept());
        for (size_t s = streams_.size(); s-- > 0;) {
            if (streams_[s].done && s > 0) continue;
            session_.reset();
            keep(session_.prefill(std::span(streams_[s].history).last(tokens)), s);
            session_.copy_to(static_cast<int64_t>(s));
        }
    }

    void keep(std::span<const float> logits, size_t sample) {
        std::copy(logits.begin(), logits.end(),
                  logits_.begin() + static_cast<std::ptrdiff_t>(sample * static_cast<size_t>(session_.vocab())));
    }

    // Token number i of each sample.
    void choose(int64_t i) {
        const auto V = static_cast<size_t>(session_.vocab());
        for (size_t s = 0; s < streams_.size(); ++s) {
            Stream& stream = streams_[s];
            if (stream.done) continue;  // the last token again, and nobody reads what follows it
            const auto logits = std::span(logits_).subspan(s * V, V);
            for (const size_t id : never_) logits[id] = -INFINITY;
            next_[s] = sampler_.sample(logits, stream.history, static_cast<uint32_t>(s), static_cast<uint64_t>(i));
            stream.history.push_back(next_[s]);
            result_.decoded_tokens += i > 0;
            if (next_[s] == options_.end) {
                end(s);
            } else {
                show(s, stream.stop.push(stream.characters.push(tokenizer_.decode_next(next_[s], stream.decoding))));
                stream.done = stream.stop.stopped();
            }
            result_.samples[s].stopped = stream.done;
        }
    }

    // Shows what was held back.
    void end(size_t s) {
        Stream& stream = streams_[s];
        if (!stream.done) show(s, stream.stop.push(stream.characters.finish()) + stream.stop.finish());
        stream.done = true;
    }

    void show(size_t s, const std::string& text) const {
        if (!text.empty()) sink_(s, text);
    }

    bool all_done() const {
        return std::all_of(streams_.begin(), streams_.end(), [](const Stream& s) { return s.done; });
    }

    Session& session_;
    const Tokenizer& tokenizer_;
    const GenerateOptions& options_;
    const TextSink& sink_;
    Sampler sampler_;
    std::vector<size_t> never_;  // chosen: ids without a token
    std::vector<Stream> streams_;
    std::vector<int32_t> next_;  // (B) the newest token of each sample
    std::vector<float> logits_;  // (B,V) after it
    GenerateResult result_;
};

}  // namespace

void check_options(const GenerateOptions& options) {
    check_options(options.sampler);
    const StopFilter stop(options.stop);
}

GenerateResult generate(Session& session, const Tokenizer& tokenizer, std::span<const int32_t> prompt,
                        const GenerateOptions& options, const TextSink& sink) {
    CHECK(!prompt.empty() && options.count >= 0);
    return Generator(session, tokenizer, prompt, options, sink).run(prompt);
}

}  // namespace nib
