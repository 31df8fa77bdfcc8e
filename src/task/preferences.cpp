// Which of two answers is better: reward models (Stiennon et al. 2020; Ouyang et al. 2022, section 3.5) and direct
// preference optimization (Rafailov et al. 2023).
#include <algorithm>
#include <vector>

#include "infer/encoder.h"
#include "task/labelled_task.h"
#include "task/preference_scores.h"

namespace nib {
namespace {

class PreferenceJudge : public Judge {
public:
    void add(int64_t, const Predicted& predicted) override {
        of_pairs_.add(static_cast<double>(predicted.numbers[0]), static_cast<double>(predicted.numbers[1]));
    }
    std::vector<Score> scores() const override { return of_pairs_.scores(); }

private:
    PreferenceScores of_pairs_;
};

class PreferenceTask : public LabelledTask {
public:
    explicit PreferenceTask(const TaskTexts& texts) : LabelledTask(texts, "pair") {}
    std::unique_ptr<Judge> judge() const override { return std::make_unique<PreferenceJudge>(); }

protected:
    // Calls take(first token, last + 1) for both texts of an example.
    template <class Take>
    static void for_each_text(const LabelledPart& part, int64_t i, const Take& take) {
        size_t begin = 0;
        for (const int32_t size : part.parts(i)) {
            take(begin, begin + static_cast<size_t>(size));
            begin += static_cast<size_t>(size);
        }
    }
};

// A head of texts scores each by its first or its last token.
class RewardTask : public PreferenceTask {
public:
    using PreferenceTask::PreferenceTask;

protected:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        part.read(i, to);
        for_each_text(part, i, [&](size_t begin, size_t end) {
            to.targets[texts_.labelled_rows == HeadRows::Last ? end - 1 : begin] = 0;
        });
        std::fill(to.numbers.begin(), to.numbers.end(), 0.0f);
    }
};

// Both texts are scored by the log-probability of their answers, less what the model as it was gave them.
class DpoTask : public PreferenceTask {
public:
    using PreferenceTask::PreferenceTask;

    void start(const TaskModel& model) override {
        reference_.clear();
        for (const LabelledPart* part : {&train_, &validation_}) ask(model, *part);
    }
    std::vector<double> kept(int64_t) const override { return {reference_.begin(), reference_.end()}; }
    void recall(std::span<const double> values) override {
        if (std::ssize(values) != 2 * (train_.count() + validation_.count()))
            fail("there are %zu log-probabilities of the model that was started from, but %lld pairs", values.size(),
                 static_cast<long long>(train_.count() + validation_.count()));
        reference_.assign(values.begin(), values.end());
    }

protected:
    void read(const LabelledPart& part, int64_t i, TaskRow& to) const override {
        part.read(i, to);
        const std::span<const int32_t> marks = part.tags(i);
        for_each_text(part, i, [&](size_t begin, size_t end) {
            for (size_t t = begin + 1; t < end; ++t)
                if (marks[t] != kIgnore) to.targets[t - 1] = to.ids[t];
        });
        const int64_t before = &part == &train_ ? 0 : train_.count();
        std::copy_n(reference_.begin() + 2 * (before + i), 2, to.numbers.begin());
    }

private:
    // The log-probabilities of all answers, added up or, for Ipo, averaged.
    void ask(const TaskModel& model, const LabelledPart& part) {
        constexpr int64_t kTogether = 64;  // examples, so that their tokens stay few
        SequenceEncoder encoder(model.backend, model.config, model.weights);
        const bool averages = texts_.choices.preference.kind == Preference::Ipo;
        std::vector<AnswerText> texts;
        for (int64_t first = 0; first < part.count(); first += kTogether) {
            texts.clear();
            for (int64_t i = first; i < std::min(first + kTogether, part.count()); ++i)
                for (AnswerText& text : texts_of_pair(part.ids(i), {}, part.tags(i), part.parts(i)))
                    texts.push_back(std::move(text));
            for (const double logp : answer_log_probs(encoder, texts, averages))
                reference_.push_back(static_cast<float>(logp));
            if (model.progress)
                model.progress("asking the model as it is", std::ssize(reference_),
                               2 * (train_.count() + validation_.count()));
        }
    }

    std::vector<float> reference_;  // two for each pair, of those that train and then those that validate
};

}  // namespace

std::unique_ptr<Task> make_reward_task(const TaskTexts& texts) { return std::make_unique<RewardTask>(texts); }
std::unique_ptr<Task> make_dpo_task(const TaskTexts& texts) { return std::make_unique<DpoTask>(texts); }

}  // namespace nib
