// Lines of two files that belong together.
#include "task/parallel_files.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reader_case.h"

namespace nib::test {
namespace {

using Rows = std::vector<std::vector<std::string>>;

class ParallelFilesTest : public ReaderTest {
protected:
    Rows read(std::string_view first, std::string_view second, bool skip_bad = false) {
        ParallelFiles reader(file("a.en", first), file("a.de", second), skip_bad);
        Rows rows;
        for (Example example; reader.next(example);) {
            rows.push_back(example.texts);
            EXPECT_EQ(example.number, rows.size() + reader.bad().count());
            EXPECT_TRUE(example.labels.empty());
        }
        return rows;
    }
    std::string error(std::string_view first, std::string_view second) {
        return error_in([&] { read(first, second); });
    }
};

TEST_F(ParallelFilesTest, Lines) {
    const Rows expected{
        {"a",    "x"},
        {"",     "" },
        {"b\tc", " "}
    };
    EXPECT_EQ(read("a\n\nb\tc\n", "x\r\n\r\n "), expected);
    EXPECT_EQ(read(gzip("\xEF\xBB\xBF"
                        "a\n\nb\tc"),
                   "x\n\n \n"),
              expected);
    EXPECT_EQ(read("", ""), Rows{});
}

TEST_F(ParallelFilesTest, OtherLengths) {
    EXPECT_EQ(error("a\nb\n", "x\n"), "a.en has 2 lines, but a.de has 1 line: their lines do not belong together");
    EXPECT_EQ(error("", "x\ny\n\n"), "a.en has 0 lines, but a.de has 3 lines: their lines do not belong together");
    EXPECT_EQ(error_in([&] { read("a\xFF\nb\n", "x\n", true); }),
              "a.en has 2 lines, but a.de has 1 line: their lines do not belong together");
}

TEST_F(ParallelFilesTest, WrongLines) {
    EXPECT_MENTIONS(error("a\nb\n", "x\n\xC3\n"), "a.de: line 2: not UTF-8 text: malformed at byte offset 2");
    EXPECT_EQ(read("a\nb\nc\n", "x\n\xC3\nz\n", true), (Rows{
                                                           {"a", "x"},
                                                           {"c", "z"}
    }));
    EXPECT_MENTIONS(error_in([&] { ParallelFiles(file("a.en", ""), (folder_ / "none").string()); }), "none: cannot open");
    EXPECT_MENTIONS(error("a\n", gzip("x\n").substr(0, 12)), "the gzip data is cut short");
}

}  // namespace
}  // namespace nib::test
