#include "eval_labels.h"

#include <algorithm>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "infer/encoder.h"
#include "task/classify.h"

namespace nib {

void eval_labels(const std::vector<std::string>& paths, const LabelColumns& columns, bool skip_bad, bool json,
                 Backend& backend, const LoadedModel& model) {
    std::vector<std::string> labels = model.config().find_head("class")->labels;
    const LabelledFileOptions how{columns, model.config().context, skip_bad,
                                  [](const std::string& note) { std::fprintf(stderr, "nib: %s\n", note.c_str()); }};
    std::vector<LabelledExample> examples = read_labelled(paths, model.tokenizer(), how, labels);
    std::vector<TextTokens> texts;
    for (LabelledExample& example : examples) texts.push_back({std::move(example.text.ids), std::move(example.text.types)});
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const Head& head = encoder.model().head("class");
    const double start = seconds_since_start();
    const std::vector<float> logits = encoder.logits("class", texts, SequenceEncoder::places_of(head, texts));
    const double seconds = seconds_since_start() - start;
    ConfusionMatrix matrix(head.outputs);
    for (size_t i = 0; i < examples.size(); ++i) {
        const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i) * head.outputs;
        matrix.add(examples[i].label, std::max_element(row, row + head.outputs) - row);
    }
    const std::vector<Score> scores = class_scores(matrix);
    const double speed = static_cast<double>(examples.size()) / seconds;
    if (json) {
        nlohmann::ordered_json all = {
            {"texts", examples.size()}
        };
        for (const Score& score : scores) all[score.name] = score.value;
        for (int64_t i = 0; i < matrix.classes(); ++i) {
            const F1& of = matrix.of(i);
            all["labels"].push_back({
                {"label",     labels[static_cast<size_t>(i)]},
                {"texts",     of.actual                     },
                {"precision", of.precision()                },
                {"recall",    of.recall()                   },
                {"f1",        of.f1()                       },
            });
        }
        all["texts_per_second"] = speed;
        print_json(all);
        return;
    }
    std::string line;
    for (const Score& score : scores) line += strprintf("%s %.4f  ", score.name.c_str(), score.value);
    print(line + strprintf("texts %zu  %.0f texts/s\n", examples.size(), speed));
    constexpr int64_t kMostShown = 20;
    if (matrix.classes() <= kMostShown) print("\n" + matrix.table(labels));
}

}  // namespace nib
