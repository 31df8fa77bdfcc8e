// Logs read back while they grow, and the pages that show them.
#include "train/run_log.h"

#include <gtest/gtest.h>

#include <limits>
#include <memory>

#include "test_errors.h"
#include "test_files.h"
#include "text/utf8.h"
#include "train/run_plot.h"

namespace nib {
namespace {

using namespace test;

std::string line(int64_t step, double loss) { return log_text({.step = step, .loss = loss}) + "\n"; }

class RunLogTest : public testing::Test {
protected:
    std::string path() const { return (folder_ / "m.log.jsonl").string(); }
    void put(const std::string& text) const { write_file(path(), text); }
    void append(const std::string& text) const { std::ofstream(path(), std::ios::app | std::ios::binary) << text; }
    std::string error_with(const std::string& text) const {
        put(text);
        return error_of([&] { RunLog(path(), 0).read(); });
    }
    TempFolder folder_;
};

// Some of a step's numbers may be missing, and those of other steps are far away.
TEST_F(RunLogTest, CurvesOfDifferentSteps) {
    put("{\"step\":1,\"loss\":1}\n{\"step\":2,\"loss\":2}\n{\"step\":100000000,\"lr\":1}\n");
    std::vector<std::unique_ptr<RunLog>> runs;
    runs.push_back(std::make_unique<RunLog>(path(), 0));
    runs[0]->read();
    EXPECT_NE(run_page(runs, {80, 24, false}).find("loss"), std::string::npos);
}

TEST_F(RunLogTest, HasWhatTheTrainingWrote) {
    const LogLine first{.step = 1, .loss = 4.25, .lr = 1e-3, .grad_norm = 2, .tok_s = 100, .seconds = 0.5};
    const LogLine second{.step = 2, .loss = 4, .val_loss = 3.5, .lr = 2e-3, .grad_norm = 1, .tok_s = 300, .seconds = 0.25};
    put(log_text(first) + "\n" + log_text(second) + "\n" + log_text({.step = 2, .val_loss = 3.75}) + "\n");
    RunLog run(path(), 0);
    EXPECT_TRUE(run.read());
    EXPECT_FALSE(run.read());
    EXPECT_EQ(run.name(), "m");
    EXPECT_EQ(run.step(), 2);
    EXPECT_EQ(run.of("loss").last(), 4);
    EXPECT_EQ(run.of("lr").points().size(), 2u);
    EXPECT_EQ(run.of("val_loss").last(), 3.75);
    EXPECT_EQ(run.best()->val_loss, 3.5);
    EXPECT_EQ(run.best()->step, 2);
    EXPECT_EQ(run.seconds(), 0.75);
    EXPECT_EQ(run.tokens(), 125);
    RunLog late(path(), 2);
    late.read();
    EXPECT_EQ(late.of("loss").points().size(), 1u);
    EXPECT_EQ(late.seconds(), 0.25);
}

TEST_F(RunLogTest, NamesLeadToTheLog) {
    EXPECT_EQ(log_file("dir/m"), "dir/m.log.jsonl");
    EXPECT_EQ(log_file("m.gguf"), "m.log.jsonl");
    EXPECT_EQ(log_file("m.log.jsonl"), "m.log.jsonl");
}

TEST_F(RunLogTest, AHalfWrittenLineIsReadOnceItIsWhole) {
    const std::string second = line(2, 3);
    put(line(1, 4) + second.substr(0, 9));
    RunLog run(path(), 0);
    run.read();
    EXPECT_EQ(run.step(), 1);
    append(second.substr(9));
    EXPECT_TRUE(run.read());
    EXPECT_EQ(run.step(), 2);
    EXPECT_EQ(run.of("loss").last(), 3);
}

// A resumed training cuts the log back, and its next lines may be in the file before anyone looks.
TEST_F(RunLogTest, AFileThatIsCutBackOrReplacedIsReadAgain) {
    put(line(1, 4) + line(2, 3) + line(3, 2));
    RunLog run(path(), 0);
    run.read();
    put(line(1, 4));
    EXPECT_TRUE(run.read());
    EXPECT_EQ(run.step(), 1);
    append(line(2, 3));
    run.read();
    put(line(1, 4) + line(2, 7) + line(3, 8) + line(4, 9));
    run.read();
    EXPECT_EQ(run.step(), 4);
    EXPECT_EQ(run.of("loss").points().at(1).value, 7);
    write_file(folder_ / "other", line(1, 5));
    fs::rename(folder_ / "other", path());
    run.read();
    EXPECT_EQ(run.step(), 1);
    EXPECT_EQ(run.of("loss").points().size(), 1u);
}

TEST_F(RunLogTest, WhatIsNoLogIsRefusedByLine) {
    EXPECT_MENTIONS(error_with(line(1, 4) + "nonsense\n"), "line 2 is not one of a training's log");
    EXPECT_MENTIONS(error_with("\n"), "line 1");
    EXPECT_MENTIONS(error_with("[1, 2]\n"), "line 1");
    EXPECT_MENTIONS(error_with("{\"loss\": 3}\n"), "line 1");
    EXPECT_MENTIONS(error_with("{\"step\": -1}\n"), "line 1");
    EXPECT_MENTIONS(error_with("{\"step\": 1, \"loss\": 1e300}\n"), "line 1");
    EXPECT_MENTIONS(error_with("{\"step\": 1, \"loss\": 1e999}\n"), "line 1");
    EXPECT_MENTIONS(error_with("\xFF\xFE\n"), "line 1");
    EXPECT_MENTIONS(error_with(line(1, 4) + std::string(70000, '[')), "line 2 is longer");
    EXPECT_MENTIONS(error_with(std::string(60000, '[') + "\n"), "line 1 is not one");
    fs::remove(path());
    EXPECT_MENTIONS(error_of([&] { RunLog(path(), 0).read(); }), "cannot open");
    EXPECT_MENTIONS(error_of([&] { RunLog(folder_.path().string(), 0).read(); }), "is a folder");
}

TEST(Series, KeepsMeansOfAnyNumberOfSteps) {
    Series series;
    double sum = 0;
    constexpr int kSteps = 100000;
    for (int step = 1; step <= kSteps; ++step) series.add(step, step % 2 == 0 ? 1 : 3), sum += step;
    const auto points = series.points();
    EXPECT_LE(points.size(), 2048u);
    EXPECT_GE(points.size(), 1000u);
    for (size_t i = 1; i < points.size(); ++i) EXPECT_LT(points[i - 1].step, points[i].step);
    for (size_t i = 1; i + 1 < points.size(); ++i) EXPECT_EQ(points[i].value, 2);
    series.add(std::numeric_limits<int64_t>::max(), 5);
    EXPECT_EQ(series.points().size(), 2u);
    EXPECT_NEAR(series.points()[0].step, sum / kSteps, 1e-6);
    EXPECT_EQ(series.points()[1].value, 5);
}

class RunPage : public testing::Test {
protected:
    void add(const std::string& name, double first, int steps = 400) {
        std::string text;
        for (int step = 1; step <= steps; ++step)
            text += log_text({.step = step,
                              .loss = first / step,
                              .val_loss = step % 100 == 0 ? std::optional(first / step + 0.1) : std::nullopt,
                              .lr = 1e-3,
                              .grad_norm = 1.0 / step,
                              .tok_s = 1000,
                              .seconds = 1}) +
                    "\n";
        write_file(folder_ / (name + ".log.jsonl"), text);
        runs_.push_back(std::make_unique<RunLog>((folder_ / (name + ".log.jsonl")).string(), 0));
        runs_.back()->read();
    }
    // The lines of a page; checks their width in characters.
    std::vector<std::string> page(const PageSize& size) const {
        std::vector<std::string> lines;
        const std::string text = run_page(runs_, size);
        for (size_t at = 0; at < text.size();) {
            const size_t end = text.find('\n', at);
            lines.push_back(text.substr(at, end - at));
            at = end + 1;
            int columns = 0;
            for (size_t i = 0; i < lines.back().size(); ++columns)
                i += static_cast<size_t>(std::max(1, decode_utf8(lines.back(), i).length));
            EXPECT_TRUE(size.colors || columns <= size.columns) << lines.back();
        }
        return lines;
    }
    TempFolder folder_;
    std::vector<std::unique_ptr<RunLog>> runs_;
};

TEST_F(RunPage, FitsItsSize) {
    add("m", 4);
    for (const int columns : {80, 120, 200})
        for (const int rows : {24, 50}) {
            const auto lines = page({columns, rows, false});
            EXPECT_LE(lines.size(), static_cast<size_t>(rows));
            EXPECT_EQ(lines[0], "m  step 400, 06:40, 400000 tokens, 1000/s");
            EXPECT_EQ(lines[1], "  training loss 0.0100, validation 0.1100, best 0.1100 at step 400");
            EXPECT_MENTIONS(lines.back(), "400");
        }
    EXPECT_EQ(page({80, 12, false}).size(), 12u);  // there is room for the losses only
}

TEST_F(RunPage, CurvesAreWhereTheirValuesAre) {
    std::string text;  // from 4 down to 1, with validations at 2
    for (int step = 1; step <= 301; ++step) text += line(step, 4 - (step - 1) / 100.0);
    for (const int step : {100, 300}) text += log_text({.step = step, .val_loss = 2}) + "\n";
    write_file(folder_ / "m.log.jsonl", text);
    runs_.push_back(std::make_unique<RunLog>((folder_ / "m.log.jsonl").string(), 0));
    runs_.back()->read();
    const auto lines = page({80, 15, false});
    ASSERT_EQ(lines.size(), 15u);
    const size_t first = 3, last = 13;  // rows of the diagram
    EXPECT_TRUE(lines[first].starts_with("4┤⠉⠒")) << lines[first];
    EXPECT_TRUE(lines[last].starts_with("1┤   ") && lines[last].ends_with("⠤⣀")) << lines[last];
    EXPECT_TRUE(lines[last - 3].starts_with("2┤                         o ")) << lines[last - 3];
    EXPECT_TRUE(lines[last - 3].ends_with(" o")) << lines[last - 3];
    for (const std::string& shown : lines) EXPECT_EQ(shown.find('\x1b'), std::string::npos);
}

TEST_F(RunPage, TheScoreThatDecidesIsBesideTheLosses) {
    std::string text;
    for (int step = 1; step <= 9; ++step)
        text += log_text({
                    .step = step, .loss = 1, .val_loss = 2, .scores = {{"mlm_loss", 4}, {"f1", step / 10.0}, {"a", 0.5}}
        }) +
                "\n";
    write_file(folder_ / "m.log.jsonl", text);
    runs_.push_back(std::make_unique<RunLog>((folder_ / "m.log.jsonl").string(), 0));
    runs_.back()->read();
    ASSERT_EQ(runs_.back()->scores().size(), 3u);
    EXPECT_EQ(runs_.back()->drawn()->name, "f1");
    const auto lines = page({80, 24, false});
    EXPECT_EQ(lines[2], "  mlm_loss 4.0000, f1 0.9000, a 0.5000");
    EXPECT_TRUE(lines[3].ends_with(" f1")) << lines[3];
    add("n", 4);
    EXPECT_NE(page({80, 24, false}).size(), 0u);
}

TEST_F(RunPage, SeveralRunsAreToldApart) {
    add("one", 4), add("two", 8, 200);
    const auto plain = page({80, 24, false});
    EXPECT_TRUE(plain[0].starts_with("A one  step 400")) << plain[0];
    EXPECT_TRUE(plain[2].starts_with("B two  step 200")) << plain[2];
    std::string all;
    for (const std::string& text : plain) all += text + "\n";
    for (const char* part : {"AAA", "BBB", "a", "b", "small letters"}) EXPECT_MENTIONS(all, part);
    const auto colors = page({80, 24, true});
    EXPECT_TRUE(colors[0].starts_with("\x1b[36m⠿\x1b[0m one  step 400")) << colors[0];
    EXPECT_TRUE(colors[2].starts_with("\x1b[33m⠿\x1b[0m two  step 200")) << colors[2];
}

TEST_F(RunPage, AnyValuesCanBeDrawn) {
    add("flat", 0);
    write_file(folder_ / "m.log.jsonl",
               line(0, -1e100) + line(std::numeric_limits<int64_t>::max(), 1e100) + line(5, 1e-300));
    runs_.push_back(std::make_unique<RunLog>((folder_ / "m.log.jsonl").string(), 0));
    runs_.back()->read();
    page({70, 24, false});
    runs_.erase(runs_.begin());
    page({70, 24, false});
    write_file(folder_ / "m.log.jsonl", line(7, 3));
    runs_.back()->read();
    EXPECT_MENTIONS(page({70, 24, false})[0], "step 7");
    write_file(folder_ / "m.log.jsonl", "");
    runs_.back()->read();
    EXPECT_EQ(page({70, 24, false})[0], "m  step 0");
}

}  // namespace
}  // namespace nib
