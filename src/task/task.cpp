#include "task/task.h"

#include "core/error.h"

namespace nib {
namespace {

struct TaskKind {
    const char *name, *head;
    std::unique_ptr<Task> (*make)(const TaskTexts& texts);
};
constexpr TaskKind kTasks[] = {
    {kLanguageModel, "lm",  make_language_model_task},
    {kMaskedTokens,  "mlm", make_masked_tokens_task },
    {kPairs,         "lm",  make_pairs_task         },
    {kDialogues,     "lm",  make_dialogues_task     },
};

const TaskKind& find_task(const std::string& name) {
    std::string names;
    for (const TaskKind& kind : kTasks) {
        if (name == kind.name) return kind;
        names += (names.empty() ? "" : ", ") + std::string(kind.name);
    }
    fail("there is no task `%s`; nib knows %s", printable(name, 40).c_str(), names.c_str());
}

}  // namespace

std::unique_ptr<Task> make_task(const std::string& name, const TaskTexts& texts) { return find_task(name).make(texts); }

const char* task_head(const std::string& name) { return find_task(name).head; }

}  // namespace nib
