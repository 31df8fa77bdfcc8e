#include "train/task_texts.h"

#include "core/error.h"

namespace nib {
namespace {

// Where the head of a task's first objective is.
HeadRows labelled_rows(const TrainSetup& setup) {
    const std::string& head = setup.shape.objectives.front().head;
    return head.empty() ? HeadRows::Every : make_model(setup.config)->head(head).rows;
}

// The tokens that end what a policy writes.
std::vector<int32_t> ends_of(const TrainSetup& setup) {
    const Tokenizer& tokenizer = *setup.tokenizer;
    std::vector<int32_t> ends;
    const auto add = [&](int32_t token) {
        if (token >= 0) ends.push_back(token);
    };
    add(tokenizer.end_token());
    if (!setup.info.chat_template.empty())
        add(ChatTemplate::recognize(setup.info.chat_template, tokenizer).answer_end_token(tokenizer));
    if (setup.options.answer_end.empty()) return ends;
    const std::vector<int32_t> ids = tokenizer.encode(setup.options.answer_end);
    if (ids.size() != 1)
        fail_usage_option("answer-end", "must be one token, but is %s", counted(std::ssize(ids), "token").c_str());
    add(ids[0]);
    return ends;
}

TaskChoices choices_of(const TrainSetup& setup) {
    TaskChoices choices = task_choices(setup.options);
    if (task_reads(setup.options.task) == TaskReads::Prompts) choices.policy.ends = ends_of(setup);
    return choices;
}

}  // namespace

TaskTexts texts_of(const TrainSetup& setup) {
    const TrainOptions& o = setup.options;
    return {.train = *setup.data.text,
            .validation = setup.data.validation(),
            .train_span = setup.data.train,
            .validation_span = setup.data.val,
            .tokenizer = *setup.tokenizer,
            .context = o.context,
            .validation_tokens = o.eval_tokens,
            .seed = static_cast<uint64_t>(o.seed),
            .rows = o.batch * o.accumulate,
            .isolate = o.isolate,
            .choices = choices_of(setup),
            .beside = setup.data.beside.get(),
            .start = static_cast<int32_t>(setup.config.encoder_decoder.start),
            .labelled_rows = labelled_rows(setup),
            .metric = o.metric};
}

int64_t numbers_of(const TrainSetup& setup) {
    const Objective& objective = setup.shape.objectives.front();
    if (objective.loss == Loss::Preference) return 2;
    return objective.in_numbers() ? make_model(setup.config)->head(objective.head).outputs : 0;
}

}  // namespace nib
