#include "eval_labels.h"

#include <algorithm>
#include <string>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/op.h"  // kIgnore
#include "infer/encoder.h"
#include "task/label_scores.h"
#include "task/metrics/correlation.h"

namespace nib {

namespace {

// What a head says in the labels of a text.
enum class Kind { Class, Labels, Number, Tags };

struct Predicted {
    std::vector<LabelledExample> examples;     // their tokens are gone
    std::vector<std::vector<int32_t>> labels;  // of each example, those of its places in order
    std::vector<double> numbers;               // of a head of numbers, instead
    double texts_per_second = 0;
};

// Takes what a head says of examples from the one numbered `first` on, whose tokens go.
void predict_some(std::span<LabelledExample> examples, Kind kind, SequenceEncoder& encoder, const Head& head,
                  std::span<std::vector<int32_t>> labels, std::vector<double>& numbers) {
    std::vector<TextTokens> texts;
    for (LabelledExample& example : examples) texts.push_back({std::move(example.text.ids), std::move(example.text.types)});
    std::vector<TokenPlace> places;
    if (kind != Kind::Tags) places = SequenceEncoder::places_of(head, texts);
    for (size_t i = 0; i < examples.size() && kind == Kind::Tags; ++i)
        for (size_t t = 0; t < examples[i].tags.size(); ++t)
            if (examples[i].tags[t] != kIgnore) places.push_back({i, static_cast<int64_t>(t)});
    const std::vector<float> logits = encoder.logits(head.name, texts, places);
    const auto N = static_cast<size_t>(head.outputs);
    for (size_t i = 0; i < places.size(); ++i) {
        const auto row = std::span(logits).subspan(i * N, N);
        std::vector<int32_t>& of_text = labels[places[i].text];
        if (kind == Kind::Number)
            numbers.push_back(static_cast<double>(row[0]));
        else if (kind == Kind::Labels)
            of_text = labels_above(row);
        else
            of_text.push_back(static_cast<int32_t>(std::max_element(row.begin(), row.end()) - row.begin()));
    }
}

// So many examples at a time, so that not all logits are there at once.
Predicted predict(std::vector<LabelledExample> examples, Kind kind, Backend& backend, const LoadedModel& model) {
    constexpr size_t kAtOnce = 1024;
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const Head& head = encoder.model().head(kind == Kind::Tags ? "tag" : "class");
    Predicted all;
    all.labels.resize(examples.size());
    const double start = seconds_since_start();
    for (size_t first = 0; first < examples.size(); first += kAtOnce) {
        const size_t count = std::min(kAtOnce, examples.size() - first);
        predict_some(std::span(examples).subspan(first, count), kind, encoder, head,
                     std::span(all.labels).subspan(first, count), all.numbers);
    }
    all.texts_per_second = static_cast<double>(examples.size()) / (seconds_since_start() - start);
    all.examples = std::move(examples);
    return all;
}

void print_scores(const std::vector<Score>& scores, int64_t count, double per_second, const char* unit) {
    std::string line;
    for (const Score& score : scores) line += strprintf("%s %.4f  ", score.name.c_str(), score.value);
    print(line + strprintf("%s  %.0f/s\n", counted(count, unit).c_str(), per_second));
}

void print_scores(const std::vector<Score>& scores, const Predicted& predicted, const char* unit) {
    print_scores(scores, std::ssize(predicted.examples), predicted.texts_per_second, unit);
}

nlohmann::ordered_json json_of(const std::vector<Score>& scores, int64_t count, double per_second, const char* unit) {
    nlohmann::ordered_json all = {
        {std::string(unit) + "s", count}
    };
    for (const Score& score : scores) all[score.name] = score.value;
    all[std::string(unit) + "s_per_second"] = per_second;
    return all;
}

nlohmann::ordered_json json_of(const std::vector<Score>& scores, const Predicted& predicted, const char* unit) {
    return json_of(scores, std::ssize(predicted.examples), predicted.texts_per_second, unit);
}

nlohmann::ordered_json json_of(const std::string& label, const F1& of) {
    return {
        {"label",     label         },
        {"count",     of.actual     },
        {"precision", of.precision()},
        {"recall",    of.recall()   },
        {"f1",        of.f1()       },
    };
}

void eval_classes(const Predicted& predicted, const std::vector<std::string>& labels, bool json) {
    ConfusionMatrix matrix(std::ssize(labels));
    for (size_t i = 0; i < predicted.examples.size(); ++i)
        matrix.add(predicted.examples[i].label, predicted.labels[i].front());
    print_classes(matrix, labels, predicted.texts_per_second, json);
}

// How well each label is told.
void print_label(const std::string& name, const F1& of) {
    print(strprintf("%-12s precision %.4f  recall %.4f  f1 %.4f  of %lld\n", printable(name, 40).c_str(), of.precision(),
                    of.recall(), of.f1(), static_cast<long long>(of.actual)));
}

void eval_label_sets(const Predicted& predicted, const std::vector<std::string>& labels, bool json) {
    MultiLabelScores found(std::ssize(labels));
    for (size_t i = 0; i < predicted.examples.size(); ++i) found.add(predicted.examples[i].labels, predicted.labels[i]);
    const std::vector<Score> scores = multi_label_scores(found);
    if (json) {
        nlohmann::ordered_json all = json_of(scores, predicted, "text");
        for (size_t i = 0; i < labels.size(); ++i)
            all["labels"].push_back(json_of(labels[i], found.of(static_cast<int64_t>(i))));
        print_json(all);
        return;
    }
    print_scores(scores, predicted, "text");
    for (size_t i = 0; i < labels.size(); ++i) print_label(labels[i], found.of(static_cast<int64_t>(i)));
}

void eval_tags(const Predicted& predicted, const std::vector<std::string>& labels, bool json) {
    TagScores tags;
    for (size_t i = 0; i < predicted.examples.size(); ++i) {
        std::vector<std::string> actual, found;
        for (const int32_t tag : predicted.examples[i].tags)
            if (tag != kIgnore) actual.push_back(labels[static_cast<size_t>(tag)]);
        for (const int32_t tag : predicted.labels[i]) found.push_back(labels[static_cast<size_t>(tag)]);
        tags.add(actual, found);
    }
    const std::vector<Score> scores = tag_scores(tags);
    if (json) {
        nlohmann::ordered_json all = json_of(scores, predicted, "sentence");
        for (const auto& [type, of] : tags.by_type()) all["labels"].push_back(json_of(type, of));
        print_json(all);
        return;
    }
    print_scores(scores, predicted, "sentence");
    for (const auto& [type, of] : tags.by_type()) print_label(type, of);
}

void eval_numbers(const Predicted& predicted, bool json) {
    std::vector<double> actual;
    for (const LabelledExample& example : predicted.examples) actual.push_back(static_cast<double>(example.number));
    std::vector<Score> scores = number_scores(actual, predicted.numbers);
    scores.push_back({"mse", mean_squared_error(actual, predicted.numbers)});
    print_scores(scores, std::ssize(predicted.examples), predicted.texts_per_second, "text", json);
}

}  // namespace

void print_scores(const std::vector<Score>& scores, int64_t count, double per_second, const char* unit, bool json) {
    if (json)
        print_json(json_of(scores, count, per_second, unit));
    else
        print_scores(scores, count, per_second, unit);
}

void print_classes(const ConfusionMatrix& matrix, const std::vector<std::string>& labels, double texts_per_second,
                   bool json) {
    const std::vector<Score> scores = class_scores(matrix);
    if (json) {
        nlohmann::ordered_json all = json_of(scores, matrix.total(), texts_per_second, "text");
        for (size_t i = 0; i < labels.size(); ++i)
            all["labels"].push_back(json_of(labels[i], matrix.of(static_cast<int64_t>(i))));
        print_json(all);
        return;
    }
    print_scores(scores, matrix.total(), texts_per_second, "text");
    constexpr int64_t kMostShown = 20;
    if (matrix.classes() <= kMostShown) print("\n" + matrix.table(labels));
}

void eval_labels(const std::vector<std::string>& paths, const LabelColumns& columns, bool skip_bad, bool json,
                 Backend& backend, const LoadedModel& model) {
    const HeadConfig* const classes = model.config().find_head("class");
    const Kind kind = classes == nullptr      ? Kind::Tags
                      : classes->multi_label  ? Kind::Labels
                      : classes->outputs == 1 ? Kind::Number
                                              : Kind::Class;
    std::vector<std::string> labels = (classes != nullptr ? classes : model.config().find_head("tag"))->labels;
    const LabelledFileOptions how{columns, model.config().context, skip_bad, {}, [](const std::string& note) {
                                      std::fprintf(stderr, "nib: %s\n", note.c_str());
                                  }};
    const auto read = kind == Kind::Tags     ? read_tagged
                      : kind == Kind::Labels ? read_label_sets
                      : kind == Kind::Number ? read_numbered
                                             : read_labelled;
    const Predicted predicted = predict(read(paths, model.tokenizer(), how, labels), kind, backend, model);
    switch (kind) {
        case Kind::Tags: return eval_tags(predicted, labels, json);
        case Kind::Labels: return eval_label_sets(predicted, labels, json);
        case Kind::Number: return eval_numbers(predicted, json);
        case Kind::Class: return eval_classes(predicted, labels, json);
    }
}

}  // namespace nib
