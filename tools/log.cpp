// nib log: how a training goes.
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "options.h"
#include "train/run_plot.h"

namespace nib {
namespace {

constexpr int kLeastColumns = 70, kMostColumns = 1000;
constexpr auto kPause = std::chrono::milliseconds(500);

struct Options {
    std::vector<std::string> names;
    int64_t first_step = 0;
    int64_t width = 0;  // 0: the terminal's
    bool follow = false, json = false, csv = false;
};

using Runs = std::vector<std::unique_ptr<RunLog>>;

// The terminal's size; 80 columns and 24 rows elsewhere.
PageSize page_size(const Options& o) {
    PageSize size;
    size.colors = isatty(STDOUT_FILENO) == 1;
    winsize window = {};
    if (size.colors && ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) {
        size.columns = std::clamp<int>(window.ws_col, kLeastColumns, kMostColumns);
        size.rows = window.ws_row;
    }
    if (o.width > 0) size.columns = static_cast<int>(o.width);
    --size.rows;  // the line of the prompt
    return size;
}

// ---- once ----

// A field in quotes; those within it are doubled (RFC 4180).
std::string csv_field(const std::string& text) {
    std::string field = "\"";
    for (const char c : text) field += c == '"' ? "\"\"" : std::string(1, c);
    return field + "\"";
}

// The same where it needs them.
std::string csv_name(const std::string& name) {
    return name.find_first_of(",\"\r\n") != std::string::npos ? csv_field(name) : name;
}

// The scores that any of the runs has, each once.
std::vector<std::string> score_names(const Runs& runs) {
    std::vector<std::string> names;
    for (const auto& run : runs) {
        RunLog all(run->path(), 0);
        all.read();
        for (const RunLog::ScoreSeries& score : all.scores())
            if (std::find(names.begin(), names.end(), score.name) == names.end()) names.push_back(score.name);
    }
    return names;
}

std::string csv_line(const RunLog& run, const LogLine& line, const std::vector<std::string>& scores, bool name) {
    std::string text = name ? csv_field(run.name()) + "," : "";
    text += std::to_string(line.step);
    for (const auto& [key, tag, value] : kLogColumns) text += "," + (line.*value ? strprintf("%.9g", *(line.*value)) : "");
    for (const std::string& wanted : scores) {
        const auto score =
            std::find_if(line.scores.begin(), line.scores.end(), [&](const Score& one) { return one.name == wanted; });
        text += "," + (score != line.scores.end() ? strprintf("%.9g", score->value) : "");
    }
    return text + "\n";
}

void print_csv(Runs& runs) {
    std::string head = runs.size() > 1 ? "run,step" : "step";
    for (const auto& column : kLogColumns) head += std::string(",") + column.key;
    const std::vector<std::string> scores = score_names(runs);
    for (const std::string& score : scores) head += "," + csv_name("val_" + score);
    print(head + "\n");
    for (const auto& run : runs) {
        std::string text;
        run->read([&](const LogLine& line) {
            text += csv_line(*run, line, scores, runs.size() > 1);
            if (text.size() < size_t{64} << 10) return;
            print(text);
            text.clear();
        });
        print(text);
    }
}

nlohmann::ordered_json summary(const RunLog& run) {
    nlohmann::ordered_json json = {
        {"name", run.name()},
        {"file", run.path()},
        {"step", run.step()},
    };
    for (const auto& column : kLogColumns)
        if (const Series& series = run.of(column.key); !series.empty()) json[column.key] = series.last();
    for (const RunLog::ScoreSeries& score : run.scores()) json["val_" + score.name] = score.values.last();
    if (const auto& best = run.best()) json["best_val_loss"] = best->val_loss, json["best_step"] = best->step;
    if (run.seconds() > 0) json["seconds"] = run.seconds(), json["tokens"] = run.tokens();
    return json;
}

void require_steps(const RunLog& run) {
    if (run.step() == 0) fail("%s: holds no such steps yet", printable(run.path()).c_str());
}

void show(const Options& o, Runs& runs) {
    if (o.csv) return print_csv(runs);
    for (const auto& run : runs) {
        run->read();
        require_steps(*run);
    }
    if (!o.json) return print(run_page(runs, page_size(o)));
    for (const auto& run : runs) print_json(summary(*run));
}

// ---- live ----

// A training that has not made its first checkpoint has no log yet.
bool is_there(const RunLog& run) {
    std::error_code error;
    return std::filesystem::exists(run.path(), error) || error;  // reading it says what is wrong
}

void follow(const Options& o, Runs& runs) {
    for (const auto& run : runs)
        if (!is_there(*run))
            std::fprintf(stderr, "nib: there is no %s yet; waiting for it\n", printable(run->path()).c_str());
    PageSize drawn{0, 0, false};
    for (int lines = 0;; std::this_thread::sleep_for(kPause)) {
        bool changed = false;
        for (const auto& run : runs) changed = (is_there(*run) && run->read()) || changed;
        const PageSize size = page_size(o);
        const bool resized = size.columns != drawn.columns || size.rows != drawn.rows;
        if (!changed && !(resized && size.colors)) continue;
        drawn = size;
        if (!size.colors) {
            for (const auto& run : runs) print(describe(*run) + "\n");
            continue;
        }
        const std::string page = run_page(runs, size);
        print((lines > 0 ? strprintf("\x1b[%dA\x1b[J", lines) : "") + page);
        lines = static_cast<int>(std::count(page.begin(), page.end(), '\n'));
    }
}

}  // namespace

void log_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    app.add_option("NAME", o->names, "models that are or were trained: NAME, NAME.gguf or NAME.log.jsonl")->required();
    auto* const follow_flag = app.add_flag("-f,--follow", o->follow, "stay and show what is added; Ctrl-C ends it");
    auto* const json = app.add_flag("--json", o->json, "print a line of JSON about each instead")->excludes(follow_flag);
    app.add_flag("--csv", o->csv, "print all steps as CSV instead")->excludes(follow_flag)->excludes(json);
    app.add_option("--from", o->first_step, "leave out the steps before")->type_name("STEP")->transform(whole_number(0));
    app.add_option("--width", o->width, "columns (default: the terminal's, 80 in a pipe)")
        ->type_name("N")
        ->transform(whole_number(kLeastColumns, kMostColumns));
    app.footer(
        "Draws training and validation loss, the score by which the best model is chosen, learning rate, gradient norm and "
        "speed over the steps; several trainings in "
        "the same diagrams, told apart by colour or, in a pipe, by letter. Points that are close together are averaged.\n\n"
        "Examples:\n"
        "  nib log shakespeare\n"
        "  nib log a b --from 500\n"
        "  nib log shakespeare --follow");
    app.callback([o] {
        if (o->names.size() > kMostRuns) fail("at most %zu trainings can be shown at once", kMostRuns);
        Runs runs;
        for (const std::string& name : o->names) runs.push_back(std::make_unique<RunLog>(log_file(name), o->first_step));
        o->follow ? follow(*o, runs) : show(*o, runs);
    });
}

}  // namespace nib
