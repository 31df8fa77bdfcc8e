#include "train/trainer.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "io/atomic_file.h"
#include "train/base_model.h"
#include "train/task_texts.h"

namespace nib {
namespace {

double seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::optional<TokenDropout> token_dropout_of(const TrainSetup& setup) {
    const TrainOptions& o = setup.options;
    if (o.token_dropout == 0) return {};
    return TokenDropout(o.token_dropout, static_cast<uint64_t>(o.seed), *setup.tokenizer);
}

// The first few.
std::string joined_labels(const std::vector<std::string>& labels) {
    constexpr size_t kMost = 20;
    std::string text;
    for (size_t i = 0; i < std::min(labels.size(), kMost); ++i) text += (i > 0 ? ", " : "") + printable(labels[i], 40);
    return text + (labels.size() > kMost ? ", ..." : "");
}

// "  accuracy 0.9123"
std::string scores_text(const std::vector<Score>& scores) {
    std::string text;
    for (const Score& score : scores) text += strprintf("  %s %.4f", score.name.c_str(), score.value);
    return text;
}

std::string base_name(const std::string& path) { return std::filesystem::path(path).filename().string(); }

}  // namespace

Trainer::Trainer(Backend& backend, TrainSetup setup, Progress& progress, TrainHooks hooks)
    : setup_(std::move(setup)),
      options_(setup_.options),
      state_(setup_.state),
      progress_(progress),
      hooks_(std::move(hooks)),
      schedule_(options_.learning_rate()),
      task_(make_task(options_.task, texts_of(setup_))),
      token_dropout_(token_dropout_of(setup_)),
      train_(backend, setup_.config, setup_.shape),
      log_(setup_.files.log, make_event_log(setup_.files, options_)),
      samples_(setup_.files.samples),
      batch_(setup_.config, setup_.shape, task_->ragged(), numbers_of(setup_)) {
    const bool resumed = setup_.checkpoint != nullptr;
    if (resumed) {
        restore(*setup_.checkpoint, train_, sum_);
        try {
            task_->recall(state_.task);
        } catch (const Error& error) {
            throw error.within(printable(setup_.files.state));
        }
        setup_.checkpoint.reset();
        saved_ = state_.step;
        log_.resume(state_.step);  // only after the checkpoint has proved intact
        samples_.resume(state_.step);
        best_ = read_best(setup_.files);
        if (!log_.val().empty()) val_loss_ = log_.val().back().loss;
    } else if (setup_.base) {
        load_weights(setup_.base->file(), static_cast<uint64_t>(options_.seed), train_);
    } else {
        train_.initialise(static_cast<uint64_t>(options_.seed));
    }
    if (!resumed) task_->start(model());
    if (setup_.shape.frozen.all().empty() && options_.kl == 0) setup_.base.reset();
    first_step_ = state_.step;
    validated_ = state_.evaluated;
}

// What the task sees of the model.
TaskModel Trainer::model() {
    const Weights* reference = nullptr;
    if (setup_.shape.lora)
        reference = &setup_.shape.frozen;
    else if (setup_.base)
        reference = &setup_.base->weights();
    return {train_.backend(), setup_.config, train_.weights(), reference,
            [this](const char* what, int64_t done, int64_t all) {
                progress_.status(strprintf("step %lld/%lld  %s: %lld of %lld texts", static_cast<long long>(state_.step),
                                           static_cast<long long>(options_.iters), what, static_cast<long long>(done),
                                           static_cast<long long>(all)));
            }};
}

TrainResult Trainer::run() {
    introduce();
    if (saved_ >= 0 && state_.step >= options_.iters) {
        progress_.line(strprintf("nothing to do: %s has had %s; ask for more to go on",
                                 printable(setup_.files.model).c_str(), counted(state_.step, "step").c_str()));
        if (!std::filesystem::exists(setup_.files.mean)) publish_mean();  // its end was cut off
        return {TrainEnd::NothingToDo, state_.step, val_loss_, scores_, best_, best_of_};
    }
    try {
        const TrainEnd end = loop();
        draw_curve();
        return {end, state_.step, val_loss_, scores_, best_, best_of_};
    } catch (const Error& error) {
        progress_.clear();
        if (saved_ < 0) fail("%s; nothing was saved", error.what());
        fail("%s; the checkpoint of step %lld in %s is kept and can be resumed", error.what(),
             static_cast<long long>(saved_), printable(setup_.files.model).c_str());
    } catch (...) {
        progress_.clear();
        throw;
    }
}

TrainEnd Trainer::loop() {
    begin_ = Clock::now();
    for (;;) {
        validate_if_due();
        finish_line();
        sum_if_due();
        const bool may_save = task_->may_save(state_.step);
        const bool early = stopped_early() && may_save, done = state_.step >= options_.iters, stop = may_save && stopping();
        const bool last = early || done || stop;
        save_due_ = save_due_ || (state_.step > 0 && state_.step % options_.save_every == 0);
        const bool save_now = last || (save_due_ && may_save);
        if (save_now) save_due_ = false;
        if (!last) sample_if_due();
        const bool save_first = save_now && saved_ != state_.step;
        Clock::time_point begin = Clock::now();
        // A step that will not be taken needs nothing new: it only shows whether the loss is finite.
        if (!last || state_.step == first_step_) begin_step(save_first);
        const double loss = gradients(last ? 1 : options_.accumulate, !save_first && !last);
        if (save_first) {  // only after the weights have given a finite loss
            const Clock::time_point save_begin = Clock::now();
            save();
            begin += Clock::now() - save_begin;
        }
        if (last) publish_mean();
        if (last) return done ? TrainEnd::Finished : early ? TrainEnd::StoppedEarly : TrainEnd::Interrupted;
        if (save_first) train_.update(next_update());
        report(loss, Clock::now() - begin);
    }
}

// Lets the task prepare the next step. If that fails, the weights that were to be saved now are none the worse for it.
void Trainer::begin_step(bool save_first) {
    try {
        task_->begin_step(static_cast<uint32_t>(state_.step), model());
    } catch (const Error&) {
        if (save_first && state_.step > first_step_) {
            gradients(1, false);
            save();
        }
        throw;
    }
}

// Computes the gradients of the next step and updates the weights if asked to. Returns the loss before the update.
double Trainer::gradients(int64_t micro_batches, bool update) {
    const int64_t B = options_.batch;
    const auto step = static_cast<uint32_t>(state_.step);
    double loss = 0, norm = 0, weight = 0;
    std::vector<Figure> figures;
    TargetCounts counted{};
    for (int64_t row = 0; row < micro_batches * B; ++row) {
        const TargetCounts of_row = task_->counted(step, static_cast<uint32_t>(row));
        for (size_t i = 0; i < counted.size(); ++i) counted[i] += of_row[i];
        if (batch_.is_weighted()) weight += task_->weight(step, static_cast<uint32_t>(row));
    }
    // Padding is not computed, and counts for nothing.
    const bool ragged_rows = batch_.is_ragged();
    tokens_ = setup_.config.has_encoder() ? counted[0] : ragged_rows ? 0 : train_.rows() * micro_batches;
    for (int64_t micro = 0; micro < micro_batches; ++micro) {
        for (int64_t b = 0; b < B; ++b) {
            TaskRow to = batch_.row(b);
            const auto number = static_cast<uint32_t>(micro * B + b);
            task_->fill(step, number, to);
            if (token_dropout_) token_dropout_->apply(step, number, to);
            batch_.note(b, to);
            if (ragged_rows) tokens_ += to.length;
        }
        TrainStep::MicroBatch which = batch_.micro_batch();
        which.seed = static_cast<uint64_t>(options_.seed);
        which.index = static_cast<uint32_t>(state_.step * options_.accumulate + micro);
        which.counted = counted;
        which.first = micro == 0;
        which.weight = weight;
        if (update && micro == micro_batches - 1) {
            const TrainStep::Outcome all =
                train_.last_micro_step(batch_.ids(), batch_.targets(), which, options_.clip, next_update());
            loss += all.loss;
            norm = all.norm;
        } else {
            loss += train_.micro_step(batch_.ids(), batch_.targets(), which);
        }
        add_figures(figures);
        check_finite("loss", loss);
    }
    if (!update) norm = train_.gradient_norm(options_.clip);
    check_finite("norm of the gradients", norm);
    line_ = LogLine{.step = state_.step + 1, .loss = loss, .grad_norm = norm};
    tell(task_->step_scores(state_.step));
    for (const Figure& figure : figures) line_->others.push_back({figure.name, figure.sum / std::max(1.0, figure.count)});
    return *line_->loss;
}

// Adds those of the last micro-batch to the ones before it.
void Trainer::add_figures(std::vector<Figure>& sums) const {
    const std::vector<Figure> figures = train_.figures();
    if (sums.empty()) sums.resize(figures.size());
    for (size_t i = 0; i < figures.size(); ++i)
        sums[i] = {figures[i].name, sums[i].sum + figures[i].sum, sums[i].count + figures[i].count};
}

// Of what was written for a step, in the log and in the live line.
void Trainer::tell(const std::vector<Score>& scores) {
    if (scores.empty()) return;
    told_.clear();
    for (const Score& score : scores) {
        line_->others.push_back({"rollout_" + score.name, score.value});
        if (score.name == "reward" || score.name == "kl")
            told_ += strprintf("%s%s %.3f", told_.empty() ? "" : "  ", score.name.c_str(), score.value);
    }
}

// Suggests only what would make a difference.
void Trainer::check_finite(const char* what, double value) const {
    if (std::isfinite(value)) return;
    const bool clips = options_.clip > 0 && options_.clip <= 1;
    const std::string clip = clips ? "" : strprintf(", clipping the gradients at 1 (it is %g)", options_.clip);
    fail("the %s became %s at step %lld; try a lower learning rate (it is %g)%s or a longer warm-up (%lld)", what,
         std::isnan(value) ? "nan" : "infinite", static_cast<long long>(state_.step + 1), options_.lr, clip.c_str(),
         static_cast<long long>(options_.warmup));
}

TrainStep::Update Trainer::next_update() const {
    TrainStep::Update u;
    u.step = state_.step;
    u.lr = schedule_.at(state_.step);
    u.weight_decay = options_.weight_decay;
    u.beta1 = options_.beta1;
    u.beta2 = options_.beta2;
    u.eps = options_.adam_eps;
    u.momentum = options_.momentum;
    return u;
}

// Reports a step that took `time`.
void Trainer::report(double loss, Clock::duration time) {
    const double tok_s = static_cast<double>(tokens_) / std::max(1e-9, seconds(time));
    line_->lr = schedule_.at(state_.step);
    ++state_.step;
    line_->tok_s = tok_s;
    line_->seconds = seconds(time);
    const auto done = static_cast<double>(state_.step - first_step_),
               left = static_cast<double>(options_.iters - state_.step);
    tok_s_ = done <= 2 ? tok_s : 0.9 * tok_s_ + 0.1 * tok_s;  // drops the first step, which also commits its memory
    const double elapsed = seconds(Clock::now() - begin_);
    progress_.step({state_.step, options_.iters, loss, *line_->lr, tok_s_, val_loss_, told_, elapsed / done * left});
}

// Every eval_every steps, and at the end.
void Trainer::validate_if_due() {
    const bool regular = state_.step % options_.eval_every == 0;
    if (setup_.data.val.size() == 0 || (state_.step > 0 && validated_ == state_.step)) return;
    // What a policy wrote before it learned anything is worth seeing.
    const bool before = state_.step == 0;
    if (before && (saved_ >= 0 || setup_.shape.objectives.front().loss != Loss::Policy)) return;
    if (!regular && state_.step < options_.iters) return;
    const std::optional<Validation> found = validation();
    if (!found) return;  // interrupted; validates when the run is resumed
    if (found->loss) check_finite("validation loss", *found->loss);
    val_loss_ = found->loss;
    scores_ = found->scores;
    best_of_ = found->decides();
    validated_ = state_.step;
    if (!line_ || line_->step != state_.step) line_ = LogLine{.step = state_.step};
    line_->val_loss = found->loss;
    line_->scores = found->scores;
    const bool best = !before && note_best(*found, regular);
    progress_.line(strprintf("step %lld/%lld  validation%s%s%s", static_cast<long long>(state_.step),
                             static_cast<long long>(options_.iters),
                             found->loss ? strprintf(" loss %.4f", *found->loss).c_str() : "",
                             scores_text(found->scores).c_str(), best ? "  (best so far)" : ""));
    samples_.add(state_.step, task_->samples());
    finish_line();
    draw_curve();
}

std::optional<Trainer::Validation> Trainer::validation() {
    if (auto scores = task_->validate(model())) return Validation{{}, std::move(*scores), true};
    const int64_t count = task_->validation_rows();
    const int64_t B = options_.batch;
    const std::unique_ptr<Judge> judge = task_->judge();
    std::array<double, kMostObjectives> sums{}, weights{};
    for (int64_t first = 0; first < count; first += B) {
        if (first > 0 && stopping()) return std::nullopt;
        batch_.clear();
        for (int64_t i = first; i < std::min(first + B, count); ++i) {
            TaskRow to = batch_.row(i - first);
            task_->fill_validation(i, to);
            batch_.note(i - first, to);
        }
        const auto batch = batch_.evaluate(train_);
        for (size_t i = 0; i < batch.size(); ++i) sums[i] += batch[i].sum, weights[i] += batch[i].weight;
        if (judge) hand_over(batch, first, *judge);
        progress_.status(strprintf("step %lld/%lld  validating", static_cast<long long>(state_.step),
                                   static_cast<long long>(options_.iters)));
    }
    double loss = 0;
    const auto mean = [&](size_t i) { return weights[i] > 0 ? sums[i] / weights[i] : 0; };
    for (size_t i = 0; i < setup_.shape.objectives.size(); ++i) loss += setup_.shape.objectives[i].weight * mean(i);
    Validation found{loss};
    if (judge) found.scores = judge->scores(), found.by_score = judge->decides();
    for (size_t i = 0; i < setup_.shape.objectives.size() && setup_.shape.objectives.size() > 1; ++i)
        found.scores.push_back({setup_.shape.objectives[i].head + "_loss", mean(i)});
    return found;
}

// The predictions for each row of a batch of the validation, whose first row is number `first`.
void Trainer::hand_over(const std::array<LossSum, kMostObjectives>& batch, int64_t first, Judge& judge) const {
    std::array<size_t, kMostObjectives> at{};
    for (int64_t b = 0; b < std::min(options_.batch, task_->validation_rows() - first); ++b) {
        Judge::Predicted predicted;
        for (size_t i = 0; i < setup_.shape.objectives.size(); ++i) {
            const std::span<const int32_t> targets = batch_.targets(i, b);
            const auto of_tokens = static_cast<size_t>(count_targets(targets));
            const size_t count = setup_.shape.objectives[i].of_rows ? std::min<size_t>(of_tokens, 1) : of_tokens;
            if (!batch[i].predicted.empty()) predicted.labels[i] = batch[i].predicted.subspan(at[i], count);
            const bool spans = setup_.shape.objectives[i].loss == Loss::Span;  // all tokens have numbers
            const auto targets_of_batch = static_cast<size_t>(std::max<int64_t>(batch[i].rows, 1));
            const size_t N = spans ? 2 : batch[i].numbers.size() / targets_of_batch,
                         numbered = spans ? static_cast<size_t>(batch_.length(b)) : count;
            if (!batch[i].numbers.empty()) predicted.numbers = batch[i].numbers.subspan(at[i] * N, numbered * N);
            at[i] += numbered;
        }
        judge.add(first + b, predicted);
    }
}

// NAME.best.gguf has its own loss: it may be from the end of a run, or from steps after the last checkpoint.
bool Trainer::note_best(const Validation& validation, bool regular) {
    const bool best = !best_ || validation.beats(*best_);
    if (best) {
        best_file_.reset();
        best_file_ = write_best(setup_.files, train_, *setup_.tokenizer, setup_.info, state_.step, validation.decisive());
        best_ = validation.decisive();
        publish_best();
    }
    if (!regular) return best;
    state_.evaluated = state_.step;
    if (state_.best_step == 0 || validation.beats(state_.best)) {
        state_.best_step = state_.step;
        state_.best = validation.decisive();
        state_.worse = 0;
    } else {
        ++state_.worse;
    }
    return best;
}

void Trainer::finish_line() {
    if (line_ && line_->step <= state_.step) log_.add(*line_);
    line_.reset();
}

void Trainer::publish_best() {
    if (saved_ < 0 || !best_file_) return;
    best_file_->publish();
    best_file_.reset();
}

void Trainer::save() {
    const bool first = saved_ < 0;
    log_.flush();
    state_.task = task_->kept(state_.step);
    save_checkpoint(setup_.files, train_, *setup_.tokenizer, setup_.info, options_, state_, sum_, first);
    saved_ = state_.step;
    if (first) log_.start();
    publish_best();
    if (first || setup_.data.val.size() == 0) draw_curve();
}

// The last step, those save_every steps before it and so on: `average` of them. Sums that more or other steps have made
// of another series begin anew.
void Trainer::sum_if_due() {
    const int64_t left = options_.iters - state_.step, every = options_.save_every;
    const int64_t number = options_.average - 1 - left / every;  // of the series, from 0
    if (left < 0 || left % every != 0 || number < 0 || state_.step == 0 || state_.summed_at == state_.step) return;
    if (state_.summed != number || (number > 0 && state_.summed_at != state_.step - every)) {
        sum_.clear();
        state_.summed = 0;
    }
    sum_.add(train_);
    ++state_.summed;
    state_.summed_at = state_.step;
}

// At the end of a run, after its checkpoint.
void Trainer::publish_mean() {
    if (state_.step < options_.iters || state_.summed == 0 || state_.summed_at != state_.step) return;
    write_mean(setup_.files, train_, *setup_.tokenizer, setup_.info, state_.step, sum_, state_.summed)->publish();
    progress_.line(strprintf("mean   of %s in %s", nib::counted(state_.summed, "checkpoint").c_str(),
                             printable(setup_.files.mean).c_str()));
}

void Trainer::sample_if_due() {
    if (options_.sample_every > 0 && state_.step > first_step_ && state_.step % options_.sample_every == 0) sample();
}

void Trainer::sample() {
    const Objective& objective = setup_.shape.objectives[0];
    if (!hooks_.sample || objective.head != "lm") return;  // others do not write
    if (objective.loss == Loss::Policy) return;            // whose samples are in a file
    progress_.clear();
    const Tokenizer& reads = *setup_.tokenizer;
    hooks_.sample(train_, reads, setup_.info.target_tokenizer ? *setup_.info.target_tokenizer : reads, state_.step);
}

void Trainer::draw_curve() {
    log_.flush();
    if (saved_ < 0) return;
    samples_.write();
    if (log_.train().empty()) return;
    write_file_atomically(setup_.files.curve, loss_curve_svg("Loss of " + base_name(setup_.files.model), log_.train(),
                                                             log_.val(), log_.scores()));
}

void Trainer::introduce() const {
    const ModelConfig& c = setup_.config;
    const auto integer = [](int64_t n) { return static_cast<long long>(n); };
    progress_.line(
        strprintf("model  %s, %s, %s, context %lld, vocabulary %lld: %.2f million "
                  "parameters",
                  counted(c.layers, "layer").c_str(), counted(c.heads, "head").c_str(), counted(c.embd, "channel").c_str(),
                  integer(c.context), integer(c.vocab), static_cast<double>(parameter_count(c)) / 1e6));
    const TaskExtent text = task_->extent();
    progress_.line(
        strprintf("text   %s train, %lld validate", nib::counted(text.train, text.unit).c_str(), integer(text.validation)));
    const HeadConfig* const head = c.find_head(setup_.shape.objectives.front().head);
    if (head != nullptr && (head->labels.size() > 1 || head->multi_label))
        progress_.line(strprintf("labels %zu: %s", head->labels.size(), joined_labels(head->labels).c_str()));
    progress_.line(strprintf("run    %s, about %s of memory%s", train_.backend().name().c_str(),
                             human_bytes(setup_.memory.total()).c_str(),
                             saved_ >= 0 ? strprintf("; goes on after step %lld", integer(saved_)).c_str() : ""));
    if (saved_ >= schedule_.horizon && saved_ < options_.iters &&
        (schedule_.kind == Schedule::Kind::Linear || schedule_.kind == Schedule::Kind::Cosine))
        progress_.line(strprintf("rate   stays at %.2e: its decay ended with step %lld", schedule_.min_lr,
                                 integer(schedule_.horizon)));
}

}  // namespace nib
