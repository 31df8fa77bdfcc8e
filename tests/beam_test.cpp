// Beam search against a plain one, on random models that are functions of what was written.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "infer/beam.h"
#include "op_cases.h"
#include "test_errors.h"

namespace nib {
namespace {

using namespace test;

// The logits after some tokens.
std::vector<float> logits_after(const std::vector<int32_t>& ids, int64_t vocab, uint64_t seed) {
    for (const int32_t id : ids) seed = seed * 6364136223846793005u + static_cast<uint64_t>(id) + 1442695040888963407u;
    Random random(seed);
    std::vector<float> logits(static_cast<size_t>(vocab));
    for (float& x : logits) x = random.uniform(-3, 3);
    return logits;
}

double log_prob(const std::vector<float>& logits, int32_t token) {
    double sum = 0;
    for (const float x : logits) sum += std::exp(static_cast<double>(x));
    return logits[static_cast<size_t>(token)] - std::log(sum);
}

struct Written {
    std::vector<int32_t> ids;
    double logp;
};

// The same search, plainly: everything is sorted, nothing is kept but texts and their probabilities.
std::vector<Hypothesis> plain_search(const BeamOptions& o, int64_t vocab, uint64_t seed) {
    const auto K = static_cast<size_t>(o.beams);
    std::vector<Written> alive{
        {{}, 0}
    };
    std::vector<Hypothesis> ended;
    const auto score = [&](const Written& w) { return w.logp / std::pow(w.ids.size(), o.length_penalty); };
    const auto finish = [&](Written w, bool with_end) {
        Hypothesis h{w.ids, w.logp, score(w), with_end};
        if (with_end) h.ids.pop_back();
        ended.push_back(h);
        std::stable_sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) { return a.score > b.score; });
        ended.resize(std::min(ended.size(), K));
    };
    for (int64_t step = 1; step <= o.count; ++step) {
        std::vector<Written> all;
        for (const Written& w : alive) {
            std::vector<int32_t> seen{o.start};
            seen.insert(seen.end(), w.ids.begin(), w.ids.end());
            const std::vector<float> logits = logits_after(seen, vocab, seed);
            for (int32_t token = 0; token < vocab; ++token) {
                if (token == o.start && token != o.end) continue;
                all.push_back(w);
                all.back().ids.push_back(token);
                all.back().logp += log_prob(logits, token);
            }
        }
        std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.logp > b.logp; });
        alive.clear();
        for (size_t i = 0; i < std::min(all.size(), 2 * K); ++i) {
            if (all[i].ids.back() != o.end && alive.size() < K) alive.push_back(all[i]);
            if (all[i].ids.back() == o.end && i < K) finish(all[i], true);
        }
        if (alive.empty()) break;
        if (step == o.count)
            for (const Written& w : alive) finish(w, false);
        else if (ended.size() == K && (K == 1 || ended.back().score >= score(alive[0])))
            break;
    }
    return ended;
}

std::vector<Hypothesis> search(const BeamOptions& o, int64_t vocab, uint64_t seed) {
    BeamSearch search(o);
    std::map<int64_t, std::vector<int32_t>> slots;  // what a cache would hold
    while (!search.done()) {
        std::vector<float> logits;
        for (const BeamSearch::Beam& beam : search.beams()) {
            std::vector<int32_t>& slot = slots[beam.slot];
            slot.push_back(beam.ids.back());
            EXPECT_EQ(slot, beam.ids) << "slots must have been copied as it said";
            const std::vector<float> row = logits_after(slot, vocab, seed);
            logits.insert(logits.end(), row.begin(), row.end());
        }
        for (const BeamSearch::Branch& branch : search.advance(logits)) slots[branch.to] = slots[branch.from];
    }
    return search.best();
}

TEST(BeamSearch, AgainstAPlainOne) {
    for (const int64_t beams : {1, 2, 3, 4, 7})
        for (const double penalty : {0.0, 0.6, 1.0, 2.0})
            for (const int32_t start : {0, 1})
                for (uint64_t seed = 0; seed < 20; ++seed) {
                    const BeamOptions o{.beams = beams, .length_penalty = penalty, .count = 9, .start = start, .end = 1};
                    const std::vector<Hypothesis> got = search(o, 6, seed), expected = plain_search(o, 6, seed);
                    ASSERT_EQ(got.size(), expected.size());
                    for (size_t i = 0; i < got.size(); ++i) {
                        EXPECT_EQ(got[i].ids, expected[i].ids) << beams << " beams, seed " << seed;
                        EXPECT_NEAR(got[i].score, expected[i].score, 1e-5);
                        EXPECT_EQ(got[i].ended, expected[i].ended);
                    }
                }
}

// With a beam for every text there is, the best of all texts is found.
TEST(BeamSearch, AWideOneIsExhaustive) {
    for (uint64_t seed = 0; seed < 10; ++seed) {
        const BeamOptions o{.beams = 200, .length_penalty = 0, .count = 4, .start = 0, .end = 1};
        double best = -INFINITY;
        const auto visit = [&](const auto& self, const std::vector<int32_t>& ids, double logp) -> void {
            const bool over = ids.size() > 1 && (ids.back() == o.end || std::ssize(ids) > o.count);
            if (over) best = std::max(best, logp);
            for (int32_t token = 1; token < 5 && !over; ++token) {
                std::vector<int32_t> more = ids;
                more.push_back(token);
                self(self, more, logp + log_prob(logits_after(ids, 5, seed), token));
            }
        };
        visit(visit, {o.start}, 0);
        EXPECT_NEAR(search(o, 5, seed).at(0).logp, best, 1e-5);
    }
}

TEST(BeamSearch, WrongOptions) {
    EXPECT_MENTIONS(error_of([] { check_options({.beams = 0}); }), "is 0; it must be between 1 and 1024");
    EXPECT_MENTIONS(error_of([] { check_options({.length_penalty = NAN}); }), "is nan; it must be between 0 and 100");
    EXPECT_MENTIONS(error_of([] { check_options({.count = -1}); }), "is -1; it must be 1 or more");
}

}  // namespace
}  // namespace nib
