// Beam search: the best continuations that keeping a few at each step finds. A model with an encoder translates so.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "infer/engine.h"
#include "model/loaded_model.h"

namespace nib {

struct BeamOptions {
    int64_t beams = 1;           // K; 1: greedy, the most probable token at each step
    double length_penalty = 1;   // a: a hypothesis of n tokens, its end included, scores log p / n^a
    int64_t count = 0;           // tokens at most, its end included; 0: as many as the context has room for
    int32_t start = 0, end = 0;  // tokens; `start` is never written, unless it is the end
};

/// UsageError that names the option which makes no sense.
void check_options(const BeamOptions& options);

/// Sets the tokens with which a model's texts start and end. Error for a model without an encoder, and for one without a
/// token that ends a text.
void set_ends(BeamOptions& options, const LoadedModel& model);

struct Hypothesis {
    std::vector<int32_t> ids;  // without start and end
    double logp = 0;           // in nats, that of the end included
    double score = 0;          // by which they are ranked
    bool ended = false;        // by the end token, else for want of room
};

/// Its text; where tokens make no UTF-8 this has U+FFFD.
std::string text_of(const Hypothesis& hypothesis, const Tokenizer& tokenizer);

/// The search for one text, apart from the model. Each step extends K beams by every token and takes the 2 K best of all:
/// of those an end among the first K makes its beam a finished hypothesis, and the first K others go on. Of equal ones the
/// earlier beam and the smaller token come first. It is over when K hypotheses are finished and the best beam, at its
/// length, scores no more than the worst of the best K (as transformers has it); a greedy search at the first end.
class BeamSearch {
public:
    /// What slot `from` holds, also in slot `to`; a search has slots 0 to K - 1.
    struct Branch {
        int64_t from, to;
    };

    /// `options` are checked, with `count` set.
    explicit BeamSearch(const BeamOptions& options);

    bool done() const { return done_; }
    /// The beams that go on: each by the number of its slot, 0 to K - 1, and its newest token.
    struct Beam {
        int64_t slot;
        std::vector<int32_t> ids;  // with the start
        double logp;
    };
    std::span<const Beam> beams() const { return beams_; }
    /// Takes the logits (beams,V) after each of them. Slots must then be copied as the result says, before the
    /// next tokens are evaluated.
    std::vector<Branch> advance(std::span<const float> logits);
    /// The finished hypotheses, the best first, at most K.
    std::vector<Hypothesis> best() const { return finished_; }

private:
    void finish(const Beam& beam, double logp, bool ended);
    double score(double logp, size_t tokens) const;
    std::vector<Branch> assign_slots(std::vector<Beam>& beams) const;

    const BeamOptions options_;
    std::vector<Beam> beams_;
    std::vector<Hypothesis> finished_;
    bool done_ = false;
};

/// An engine for translate(), with room for so many of `sources` sources, of at most `longest` tokens, side by side as are
/// worth it.
Engine translation_engine(Backend& backend, const LoadedModel& model, const BeamOptions& options, int64_t sources,
                          size_t longest, DType cache = DType::F16);

/// Translates sources, as many side by side as the engine has slots for: K each. `found` gets the number of a source and
/// its hypotheses as soon as they are complete. Error for a source that the engine does not take.
void translate(Engine& engine, std::span<const std::vector<int32_t>> sources, const BeamOptions& options,
               const std::function<void(size_t source, std::vector<Hypothesis>)>& found);

}  // namespace nib
