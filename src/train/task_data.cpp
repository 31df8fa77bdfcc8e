#include "train/task_data.h"

#include "core/error.h"
#include "text/tokenizer_gguf.h"

namespace nib {
namespace {

// The template of dialogues, which the model's file keeps.
ChatTemplate chat_template_of(TrainSetup& setup) {
    ChatTemplate chosen = ChatTemplate::choose(setup.info.chat_template, setup.options.chat_template, *setup.tokenizer);
    setup.info.chat_template = chosen.jinja();
    return chosen;
}

LabelReader label_reader(TaskReads reads) {
    return reads == TaskReads::Tags          ? read_tagged
           : reads == TaskReads::Numbers     ? read_numbered
           : reads == TaskReads::Texts       ? read_texts_apart
           : reads == TaskReads::LabelSets   ? read_label_sets
           : reads == TaskReads::Preferences ? read_preferences
                                             : read_labelled;
}

// Texts with labels, and the head that names them. load_weights() takes its weights from a model with the same labels.
Dataset labels_of(TrainSetup& setup, const TrainRequest& request, const DatasetOptions& options) {
    const TrainOptions& o = setup.options;
    const std::string name = task_objectives(o.task).front().head;
    const HeadConfig* const known = setup.checkpoint ? setup.config.find_head(name) : nullptr;
    std::optional<ChatTemplate> chat_template;  // answers to compare may be texts, which need none
    if (task_reads(o.task) == TaskReads::Preferences && !(o.chat_template.empty() && setup.info.chat_template.empty()))
        chat_template = chat_template_of(setup);
    Dataset data = labelled_dataset(
        request.inputs, request.validation, *setup.tokenizer,
        {o.text_column, o.second_column, o.label_column, o.header, o.no_header, o.label_separator},
        known != nullptr ? known->labels : std::vector<std::string>(), static_cast<uint64_t>(o.seed), options,
        label_reader(task_reads(o.task, task_choices(o))), o.min_score != 0 ? std::optional(o.min_score) : std::nullopt,
        chat_template ? &*chat_template : nullptr);
    if (known != nullptr || name == "lm") return data;
    if (o.task == kEmbed) {
        setup.config.pooling = Pooling::Mean;
        setup.config.normalize = true;
        return data;
    }
    const std::vector<std::string>& labels = dynamic_cast<const LabelledText&>(*data.text).label_names();
    const HeadConfig* const before = setup.config.find_head(name);
    if (o.lora > 0 && (before == nullptr || before->labels != labels || before->multi_label != o.multi_label))
        fail_usage_option("lora", "trains adapters alone, but the model has no head for these labels");
    setup.config.task_heads = {
        {name, std::ssize(labels), labels, o.multi_label}
    };
    if (o.task != kTag) setup.config.pooler = setup.config.pooler || setup.config.segments > 0;
    return data;
}

// Questions, and the head that finds their answers.
Dataset questions_of(TrainSetup& setup, const TrainRequest& request, const DatasetOptions& options) {
    const TrainOptions& o = setup.options;
    Dataset data = question_dataset(request.inputs, request.validation, *setup.tokenizer, o.stride,
                                    static_cast<uint64_t>(o.seed), options);
    if (setup.checkpoint) return data;
    const std::string name = task_objectives(o.task).front().head;
    if (o.lora > 0 && setup.config.find_head(name) == nullptr)
        fail_usage_option("lora", "trains adapters alone, but the model has no head for answers");
    setup.config.task_heads = {
        {.name = name,
         .outputs = 2,
         .labels = {},
         .may_be_none = dynamic_cast<const QuestionText&>(*data.text).may_be_none()}
    };
    setup.config.pooler = false;  // which no answer needs, and transformers does not have there
    return data;
}

bool same_vocabulary(const Tokenizer& a, const Tokenizer& b) {
    if (a.vocab_size() != b.vocab_size()) return false;
    for (int32_t id = 0; id < a.vocab_size(); ++id)
        if (a.decode({&id, 1}) != b.decode({&id, 1})) return false;
    return true;
}

// Says so where a model that rewards reads texts by other tokens than the policy writes.
void note_reward(const TrainSetup& setup, const DatasetOptions& options) {
    const std::string path = reward_file(task_choices(setup.options).policy.reward);
    if (path.empty() || !options.note) return;
    const auto tokenizer = read_tokenizer(GgufFile::open(path));
    if (tokenizer && !same_vocabulary(*tokenizer, *setup.tokenizer))
        options.note(strprintf("%s: has another tokenizer than the policy: it is handed text", printable(path).c_str()));
}

// Prompts for a policy, with what it is judged by.
Dataset prompts_of(TrainSetup& setup, const TrainRequest& request, const DatasetOptions& options) {
    const TrainOptions& o = setup.options;
    std::optional<ChatTemplate> chat_template;
    if (!o.chat_template.empty() || !setup.info.chat_template.empty()) chat_template = chat_template_of(setup);
    if (o.longest_answer >= o.context)
        fail_usage_option("max-new", "is %lld, which leaves no room for a prompt in a context of %lld",
                          static_cast<long long>(o.longest_answer), static_cast<long long>(o.context));
    note_reward(setup, options);
    LabelledFileOptions how{.context = o.context - o.longest_answer, .skip_bad = options.skip_bad};
    how.note = options.note;
    how.chat_template = chat_template ? &*chat_template : nullptr;
    Dataset data = prompt_dataset(request.inputs, request.validation, *setup.tokenizer, how, options);
    if (o.ptx.empty()) return data;
    DatasetOptions whole = options;
    whole.val_fraction = 0;
    data.beside = std::move(token_dataset({o.ptx}, "", *setup.tokenizer, whole).text);
    return data;
}

}  // namespace

PairFiles training_pairs(const TrainRequest& request, const TrainOptions& o) {
    return {
        request.inputs, request.target, {o.text_column, o.second_column, {}, o.header, o.no_header},
          o.skip_bad
    };
}

PairFiles validation_pairs(const TrainRequest& request, const TrainOptions& o) {
    PairFiles files = training_pairs(request, o);
    files.first.clear();
    if (!request.validation.empty()) files.first.push_back(request.validation);
    files.second = request.validation_target;
    return files;
}

Dataset tokens_of(TrainSetup& setup, const TrainRequest& request, const DatasetOptions& options) {
    const TrainOptions& o = setup.options;
    if (o.task == kTranslate) {
        const Tokenizer& writes = setup.info.target_tokenizer ? *setup.info.target_tokenizer : *setup.tokenizer;
        return pair_dataset(training_pairs(request, o), validation_pairs(request, o), {*setup.tokenizer, writes, o.context},
                            options);
    }
    if (o.task == kAnswer) return questions_of(setup, request, options);
    if (task_reads(o.task) == TaskReads::Prompts) return prompts_of(setup, request, options);
    if (task_has_labels(o.task)) return labels_of(setup, request, options);
    if (o.task == kDialogues)
        return dialogue_dataset(request.inputs, request.validation, *setup.tokenizer, chat_template_of(setup), options);
    return token_dataset(request.inputs, request.validation, *setup.tokenizer, options);
}

}  // namespace nib
