#include "infer/beam.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "core/error.h"
#include "infer/probabilities.h"
#include "text/utf8.h"

namespace nib {
namespace {

// A token that may follow a beam.
struct Candidate {
    size_t beam;
    int32_t token;
    double logp;
    bool operator<(const Candidate& other) const {  // the better one
        if (logp != other.logp) return logp > other.logp;
        return beam != other.beam ? beam < other.beam : token < other.token;
    }
};

// Calls use(token) for a row's `count` largest logits, of equal ones for the smaller tokens, without `left_out`.
template <class Use>
void for_each_best(std::span<const float> logits, size_t count, int32_t left_out, std::vector<int32_t>& heap,
                   const Use& use) {
    const auto better = [&](int32_t a, int32_t b) {
        const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
        return x != y ? x > y : a < b;
    };
    heap.clear();  // the worst in front
    for (int32_t token = 0; token < static_cast<int32_t>(logits.size()); ++token) {
        if (heap.size() == count && !(logits[static_cast<size_t>(token)] > logits[static_cast<size_t>(heap.front())]))
            continue;
        if (token == left_out) continue;
        if (heap.size() == count) std::pop_heap(heap.begin(), heap.end(), better), heap.pop_back();
        heap.push_back(token);
        std::push_heap(heap.begin(), heap.end(), better);
    }
    for (const int32_t token : heap) use(token);
}

}  // namespace

void check_options(const BeamOptions& o) {
    constexpr int64_t kMost = 1024;
    if (o.beams < 1 || o.beams > kMost)
        fail_usage_option("beam", "is %lld; it must be between 1 and %lld", static_cast<long long>(o.beams),
                          static_cast<long long>(kMost));
    if (!(o.length_penalty >= 0 && o.length_penalty <= 100))
        fail_usage_option("length-penalty", "is %g; it must be between 0 and 100", o.length_penalty);
    if (o.count < 0) fail_usage_option("count", "is %lld; it must be 1 or more", static_cast<long long>(o.count));
}

void set_ends(BeamOptions& options, const LoadedModel& model) {
    const ModelConfig& config = model.config();
    if (!config.has_encoder())
        fail("%s: translating needs a model with an encoder and a decoder, and a %s has not both",
             model.file().name().c_str(), architecture_of(config).title);
    options.start = static_cast<int32_t>(config.encoder_decoder.start);
    options.end = model.target_tokenizer().end_token();
    if (options.end < 0) fail("%s: the model has no token that ends a text", model.file().name().c_str());
}

std::string text_of(const Hypothesis& hypothesis, const Tokenizer& tokenizer) {
    Utf8Streamer characters;
    std::string text = characters.push(tokenizer.decode(hypothesis.ids));
    return text += characters.finish();
}

BeamSearch::BeamSearch(const BeamOptions& options)
    : options_(options),
      beams_{
          {0, {options.start}, 0}
} {}

double BeamSearch::score(double logp, size_t tokens) const {
    return logp / std::pow(static_cast<double>(tokens), options_.length_penalty);
}

// Keeps the K best, the earlier of equal ones.
void BeamSearch::finish(const Beam& beam, double logp, bool ended) {
    Hypothesis h{
        {beam.ids.begin() + 1, beam.ids.end()},
        logp, score(logp, beam.ids.size() - !ended), ended
    };
    const auto after = std::upper_bound(finished_.begin(), finished_.end(), h,
                                        [](const Hypothesis& a, const Hypothesis& b) { return a.score > b.score; });
    finished_.insert(after, std::move(h));
    if (std::ssize(finished_) > options_.beams) finished_.pop_back();
}

// The first beam that goes on from a slot keeps it; the others get those from which none goes on.
std::vector<BeamSearch::Branch> BeamSearch::assign_slots(std::vector<Beam>& beams) const {
    std::vector<bool> taken(static_cast<size_t>(options_.beams));
    std::vector<Beam*> moving;
    for (Beam& beam : beams) {
        if (taken[static_cast<size_t>(beam.slot)]) moving.push_back(&beam);
        taken[static_cast<size_t>(beam.slot)] = true;
    }
    std::vector<Branch> branches;
    for (Beam* beam : moving) {
        const auto free = std::find(taken.begin(), taken.end(), false);
        *free = true;
        branches.push_back({beam->slot, free - taken.begin()});
        beam->slot = branches.back().to;
    }
    return branches;
}

std::vector<BeamSearch::Branch> BeamSearch::advance(std::span<const float> logits) {
    require_numbers(logits);
    const size_t vocab = logits.size() / beams_.size();
    const auto most = static_cast<size_t>(2 * options_.beams);
    const int32_t left_out = options_.start == options_.end ? -1 : options_.start;
    std::vector<Candidate> all;
    std::vector<int32_t> heap;
    for (size_t b = 0; b < beams_.size(); ++b) {
        const std::span<const float> row = logits.subspan(b * vocab, vocab);
        const double whole = log_sum_exp(row);
        for_each_best(row, most, left_out, heap, [&](int32_t token) {
            all.push_back({b, token, beams_[b].logp + (static_cast<double>(row[static_cast<size_t>(token)]) - whole)});
        });
    }
    std::sort(all.begin(), all.end());
    all.resize(std::min(all.size(), most));

    std::vector<Beam> next;
    for (size_t rank = 0; rank < all.size() && std::ssize(next) < options_.beams; ++rank) {
        const Candidate& c = all[rank];
        const Beam& from = beams_[c.beam];
        if (c.token == options_.end) {
            if (static_cast<int64_t>(rank) < options_.beams) finish(from, c.logp, true);
            continue;
        }
        next.push_back({from.slot, from.ids, c.logp});
        next.back().ids.push_back(c.token);
    }
    const std::vector<Branch> branches = assign_slots(next);
    beams_ = std::move(next);

    const bool full = beams_.empty() || std::ssize(beams_[0].ids) > options_.count;
    const bool enough = std::ssize(finished_) >= options_.beams;
    if (full)
        for (const Beam& beam : beams_) finish(beam, beam.logp, false);
    done_ = full ||
            (enough && (options_.beams == 1 || finished_.back().score >= score(beams_[0].logp, beams_[0].ids.size() - 1)));
    return branches;
}

namespace {

// A text that is being translated: its search and the first of its slots, which is K times the number of its source.
struct Running {
    size_t text;
    int64_t source;
    BeamSearch search;
};

}  // namespace

Engine translation_engine(Backend& backend, const LoadedModel& model, const BeamOptions& options, int64_t sources,
                          size_t longest, DType cache) {
    constexpr int64_t kRows = 64;  // of all texts that are written side by side, each with its beam
    const int64_t places = std::clamp<int64_t>(kRows / options.beams, 1, sources);
    return Engine(backend, model.config(), model.weights(),
                  {.slots = places * options.beams,
                   .cache_type = cache,
                   .sources = places,
                   .source_context = static_cast<int64_t>(longest)});
}

void translate(Engine& engine, std::span<const std::vector<int32_t>> sources, const BeamOptions& given,
               const std::function<void(size_t, std::vector<Hypothesis>)>& found) {
    check_options(given);
    BeamOptions o = given;
    const int64_t room = engine.context(), K = o.beams, places = engine.slots() / K;
    o.count = o.count == 0 ? room : std::min(o.count, room);
    if (places < 1)
        fail("a beam of %lld needs as many slots, not %lld", static_cast<long long>(K),
             static_cast<long long>(engine.slots()));
    std::vector<std::optional<Running>> running(static_cast<size_t>(std::min(places, std::ssize(sources))));
    std::vector<EngineRow> rows;
    size_t next = 0;
    std::vector<EngineSource> read;
    const auto begin_texts = [&] {  // in the places that are free
        read.clear();
        for (size_t place = 0; place < running.size() && next < sources.size(); ++place) {
            if (running[place]) continue;
            const auto number = static_cast<int64_t>(place);
            for (int64_t k = 0; k < K; ++k) engine.attend(number * K + k, number);
            read.push_back({number, sources[next]});
            running[place].emplace(Running{next++, number, BeamSearch(o)});
        }
        engine.encode(read);
    };
    for (;;) {
        begin_texts();
        rows.clear();
        for (size_t place = 0; place < running.size(); ++place) {
            auto& text = running[place];
            const auto number = static_cast<int64_t>(place);
            if (!text) continue;
            for (const BeamSearch::Beam& beam : text->search.beams())
                rows.push_back(
                    {beam.ids.back(), static_cast<int32_t>(number * K + beam.slot), std::ssize(beam.ids) - 1, true});
        }
        if (rows.empty()) return;
        std::span<const float> logits = engine.step(rows);
        for (auto& text : running) {
            if (!text) continue;
            const int64_t length = std::ssize(text->search.beams()[0].ids), first = text->source * K;
            const size_t floats = text->search.beams().size() * static_cast<size_t>(engine.vocab());
            for (const auto& branch : text->search.advance(logits.first(floats)))
                engine.copy(first + branch.from, first + branch.to, length);
            logits = logits.subspan(floats);
            if (!text->search.done()) continue;
            found(text->text, text->search.best());
            text.reset();
        }
    }
}

}  // namespace nib
