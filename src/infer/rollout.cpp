#include "infer/rollout.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "infer/sampler.h"
#include "infer/token_weights.h"

namespace nib {
namespace {

class RollOut {
public:
    RollOut(Engine& engine, const Tokenizer& tokenizer, std::span<const std::vector<int32_t>> prompts,
            const RolloutOptions& options)
        : engine_(engine),
          prompts_(prompts),
          options_(options),
          texts_(prompts.size()),
          of_slot_(static_cast<size_t>(engine.slots()), kFree),
          slot_of_(prompts.size(), -1),
          weights_(static_cast<size_t>(engine.vocab())) {
        for (const std::vector<int32_t>& prompt : prompts)
            if (prompt.empty() || std::ssize(prompt) + options.longest > engine.context() + 1)
                fail("a prompt of %s and %lld more do not fit into a context of %lld",
                     counted(std::ssize(prompt), "token").c_str(), static_cast<long long>(options.longest),
                     static_cast<long long>(engine.context()));
        for (int32_t id = 0; id < engine.vocab(); ++id)
            if (id >= tokenizer.vocab_size() || !tokenizer.has_token(id)) never_.push_back(static_cast<size_t>(id));
    }

    std::vector<Rollout> run() {
        if (options_.longest < 1) return std::move(texts_);
        engine_.reset();
        while (done_ < prompts_.size() && !(options_.cancelled && options_.cancelled())) {
            rows_.clear(), in_step_.clear();
            for (size_t slot = 0; slot < of_slot_.size(); ++slot)
                if (of_slot_[slot] != kFree) add_newest(slot);
            begin_texts();
            const std::span<const float> logits = engine_.step(rows_);
            const auto V = static_cast<size_t>(engine_.vocab());
            for (size_t i = 0; i < in_step_.size(); ++i) choose(in_step_[i], logits.subspan(i * V, V));
            if (options_.progress) options_.progress(static_cast<int64_t>(done_));
        }
        return std::move(texts_);
    }

private:
    static constexpr size_t kFree = SIZE_MAX;

    void add_newest(size_t slot) {
        const size_t text = of_slot_[slot];
        rows_.push_back(
            {texts_[text].ids.back(), static_cast<int32_t>(slot), engine_.length(static_cast<int64_t>(slot)), true});
        in_step_.push_back(text);
    }

    // Prompts take the slots that are free. One that equals the prompt before it waits until that was read, and copies it.
    void begin_texts() {
        const size_t first = next_;
        for (size_t slot = 0; slot < of_slot_.size() && next_ < prompts_.size(); ++slot) {
            if (of_slot_[slot] != kFree) continue;
            const std::vector<int32_t>& prompt = prompts_[next_];
            const bool again = next_ > 0 && prompt == prompts_[next_ - 1];
            if (again && next_ > first) return;
            const auto to = static_cast<int64_t>(slot);
            int64_t known = 0;
            if (const int64_t from = again ? slot_of_[next_ - 1] : -1; from >= 0 && holds_prompt_of(from, next_ - 1)) {
                known = std::ssize(prompt) - 1;
                from == to ? engine_.truncate(to, known) : engine_.copy(from, to, known);
            } else {
                engine_.truncate(to, 0);
            }
            for (int64_t t = known; t < std::ssize(prompt); ++t)
                rows_.push_back(
                    {prompt[static_cast<size_t>(t)], static_cast<int32_t>(slot), t, t + 1 == std::ssize(prompt)});
            of_slot_[slot] = next_, slot_of_[next_] = to;
            in_step_.push_back(next_++);
        }
    }

    // Whether nothing has taken the slot since.
    bool holds_prompt_of(int64_t slot, size_t text) const {
        const auto same = [&](size_t other) { return other < slot_of_.size() && slot_of_[other] == slot; };
        for (size_t later = text + 1; later < next_; ++later)
            if (same(later)) return false;
        return engine_.length(slot) >= std::ssize(prompts_[text]);
    }

    void choose(size_t number, std::span<const float> logits) {
        Rollout& text = texts_[number];
        weights_.set(logits);
        for (const size_t id : never_) weights_.exclude(id);
        const auto nth = static_cast<uint32_t>(number);
        const size_t chosen = options_.greedy
                                  ? weights_.most_probable()
                                  : weights_.draw(sample_uniform(options_.seed, options_.first + nth, text.ids.size()));
        const auto token = static_cast<int32_t>(chosen);
        text.ids.push_back(token);
        text.logp.push_back(static_cast<float>(weights_.log_probability(logits, chosen)));
        text.ended = std::find(options_.ends.begin(), options_.ends.end(), token) != options_.ends.end();
        if (!text.ended && std::ssize(text.ids) < options_.longest) return;
        of_slot_[static_cast<size_t>(slot_of_[number])] = kFree;
        ++done_;
    }

    Engine& engine_;
    const std::span<const std::vector<int32_t>> prompts_;
    const RolloutOptions& options_;
    std::vector<Rollout> texts_;
    std::vector<size_t> never_;     // ids without a token
    std::vector<size_t> of_slot_;   // the text that is being written there, or kFree
    std::vector<int64_t> slot_of_;  // by text: where it is or was; -1: nowhere yet
    std::vector<EngineRow> rows_;   // of a step
    std::vector<size_t> in_step_;   // the texts that get a token
    TokenWeights weights_;
    size_t next_ = 0, done_ = 0;  // texts that have begun, and that are complete
};

}  // namespace

std::vector<Rollout> roll_out(Engine& engine, const Tokenizer& tokenizer, std::span<const std::vector<int32_t>> prompts,
                              const RolloutOptions& options) {
    return RollOut(engine, tokenizer, prompts, options).run();
}

}  // namespace nib
