// libFuzzer target: no file of examples may crash a reader, and what is read can be scored. The first line says what the
// rest is: csv, tsv, jsonl or json (tables), conll, squad, or parallel, whose files have a line "--" between them. Seeds:
// tests/fuzz_corpus/examples.
#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "core/error.h"
#include "task/metrics/answers.h"
#include "task/metrics/bleu.h"
#include "task/metrics/chrf.h"
#include "task/metrics/rouge.h"
#include "task/metrics/tag_spans.h"
#include "task/parallel_files.h"
#include "task/question_file.h"
#include "task/table_file.h"
#include "task/tagged_file.h"
#include "text/utf8.h"

namespace {

namespace fs = std::filesystem;
using Texts = std::vector<std::string>;

// One for all inputs.
struct Folder {
    fs::path path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "nib_fuzz_XXXXXX").string();
        CHECK(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
    std::string file(const std::string& name, std::string_view bytes) const {
        std::ofstream(path / name, std::ios::binary) << bytes;
        return (path / name).string();
    }
};

void check_texts(const Texts& texts) {
    for (const std::string& text : texts) CHECK(nib::find_invalid(text) == std::string::npos);
}

void check_score(double score, double largest) { CHECK(score >= 0 && score <= largest + 1e-9); }

void check_scores(const std::string& text, const Texts& references) {
    if (references.empty()) return;
    for (const auto tokenizer :
         {nib::BleuTokenizer::Mteval13a, nib::BleuTokenizer::Chinese, nib::BleuTokenizer::Character}) {
        nib::Bleu bleu({.tokenizer = tokenizer, .effective_order = true});
        bleu.add(text, references);
        check_score(bleu.score().score, 100);
    }
    nib::Chrf chrf;
    chrf.add(text, references);
    check_score(chrf.score(), 100);
    check_score(nib::rouge_l(text, references), 1);
    for (const auto rules : {nib::AnswerRules::Squad1, nib::AnswerRules::Squad2, nib::AnswerRules::Cmrc2018}) {
        const nib::AnswerScore score = nib::score_answer(rules, text, references);
        check_score(score.exact, 1);
        check_score(score.f1, 1);
    }
}

// How many examples there are.
size_t read_examples(nib::ExampleFile& file) {
    size_t count = 0;
    uint64_t number = 0;
    for (nib::Example example; file.next(example); ++count) {
        check_texts(example.texts);
        check_texts(example.labels);
        CHECK(example.number > number && !file.where(example.number).empty());
        number = example.number;
        check_scores(example.texts[0], example.texts);
    }
    return count;
}

size_t read_tagged(nib::TaggedFile& file) {
    size_t count = 0;
    for (nib::TaggedSentence sentence; file.next(sentence); ++count) {
        CHECK(!sentence.tokens.empty() && sentence.tokens.size() == sentence.tags.size());
        check_texts(sentence.tokens);
        check_texts(sentence.tags);
        nib::TagScores scores;
        scores.add(sentence.tags, sentence.tags);
        CHECK(scores.by_type().empty() || scores.overall().f1() == 1);
    }
    return count;
}

size_t read_questions(nib::QuestionFile& file) {
    size_t count = 0;
    for (nib::Question question; file.next(question); ++count) {
        check_texts({*question.context, question.question, question.title, question.id});
        for (const nib::Answer& answer : question.answers)
            CHECK(answer.begin == nib::Answer::kNowhere || question.context->substr(answer.begin).starts_with(answer.text));
        check_scores(question.question, question.texts());
    }
    return count;
}

size_t read(const Folder& folder, const std::string& kind, std::string_view data, bool skip_bad) {
    if (kind == "conll") {
        nib::TaggedFile file(folder.file("x.conll", data), skip_bad);
        return read_tagged(file);
    }
    if (kind == "squad") {
        nib::QuestionFile file(folder.file("x.json", data), skip_bad);
        return read_questions(file);
    }
    if (kind == "parallel") {
        const size_t between = std::min(data.find("\n--\n"), data.size());
        const std::string_view second = data.substr(std::min(between + 4, data.size()));
        nib::ParallelFiles file(folder.file("x.a", data.substr(0, between)), folder.file("x.b", second), skip_bad);
        return read_examples(file);
    }
    const nib::TableOptions columns{.texts = {"text"}, .label = "label", .header = {}, .skip_bad = skip_bad};
    const nib::TableOptions numbers{.texts = {"1"}, .label = "-1", .header = {}, .skip_bad = skip_bad};
    nib::TableFile file(folder.file("x." + kind, data), kind.starts_with("json") ? columns : numbers);
    return read_examples(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const Folder folder;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t line = input.find('\n');
    if (line == std::string_view::npos) return 0;
    const std::string kind(input.substr(0, line));
    if (kind.find('/') != std::string::npos || kind.find('\0') != std::string::npos || kind.size() > 8) return 0;
    try {
        const size_t good = read(folder, kind, input.substr(line + 1), true);
        CHECK(read(folder, kind, input.substr(line + 1), false) == good);
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0' && std::string_view(error.what()).find('\n') == std::string_view::npos);
    }
    return 0;
}
