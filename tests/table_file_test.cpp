// Labelled examples in CSV, TSV and JSON: fields, columns, headers, and what is wrong with them.
#include "task/table_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/csv.h"
#include "reader_case.h"

namespace nib::test {
namespace {

using Texts = std::vector<std::string>;
using Rows = std::vector<Texts>;

TEST(Csv, Fields) {
    EXPECT_EQ(csv_fields("a,b"), (Texts{"a", "b"}));
    EXPECT_EQ(csv_fields(""), (Texts{""}));
    EXPECT_EQ(csv_fields(",a,,"), (Texts{"", "a", "", ""}));
    EXPECT_EQ(csv_fields(R"("a,b","say ""hi""","",c)"), (Texts{"a,b", "say \"hi\"", "", "c"}));
    EXPECT_EQ(csv_fields("\"two\r\nlines\",\"\"\"\""), (Texts{"two\r\nlines", "\""}));
    EXPECT_EQ(csv_fields(R"(5" disk, "x",a""b)"), (Texts{"5\" disk", " \"x\"", "a\"\"b"}));
    EXPECT_EQ(error_of([] { csv_fields(R"(a,"b"c,d)"); }), "field 2 goes on after its closing quote");
    EXPECT_EQ(error_of([] { csv_fields(R"(a,"b)"); }), "the quote that opens field 2 never closes");
}

class Tables : public ReaderTest {
protected:
    // Texts, then labels, of each example.
    Rows read(const std::string& name, std::string_view bytes, const TableOptions& options = {}) {
        TableFile reader(file(name, bytes), options);
        Rows rows;
        for (Example example; reader.next(example);) {
            rows.push_back(example.texts);
            rows.back().insert(rows.back().end(), example.labels.begin(), example.labels.end());
        }
        return rows;
    }
    std::string error(const std::string& name, std::string_view bytes, const TableOptions& options = {}) {
        return error_in([&] { read(name, bytes, options); });
    }
    static TableOptions columns(Texts texts, std::string label = "") { return {std::move(texts), std::move(label), {}}; }
};

TEST_F(Tables, ColumnsByNameAndNumber) {
    const std::string csv = "id,label,review\n1,good,\"a, b\"\n2,bad,c\n";
    const Rows expected{
        {"a, b", "good"},
        {"c",    "bad" }
    };
    EXPECT_EQ(read("a.csv", csv, columns({"review"}, "label")), expected);
    EXPECT_EQ(read("a.csv", csv, columns({"3"}, "2")), expected);
    EXPECT_EQ(read("a.csv", csv, columns({"-1"}, "-2")), expected);
    EXPECT_EQ(read("a.csv", csv,
                   columns({
                       "review", "id"
    })),
              (Rows{{"a, b", "1"}, {"c", "2"}}));
    EXPECT_EQ(read("a.csv", csv,
                   columns(
                       {
    },
                       "label")),
              (Rows{{"1", "a, b", "good"}, {"2", "c", "bad"}}));
    EXPECT_EQ(read("a.tsv", "x\ty\nz\t \n",
                   {
    }),
              (Rows{{"x", "y"}, {"z", " "}}));
    // A name goes before a number.
    EXPECT_EQ(read("a.csv", "2,1\na,b\n",
                   {
                       {"2"},
                       "1", true
    }),
              (Rows{{"a", "b"}}));
}

TEST_F(Tables, LinesOfEveryKind) {
    const Rows expected{
        {"a\n\"b\", c", "0"},
        {"d",           "1"}
    };
    const std::string csv = "\"a\n\"\"b\"\", c\",0\r\n\r\n  \nd, 1 ";
    EXPECT_EQ(read("x.csv", csv, columns({"1"}, "2")), expected);
    EXPECT_EQ(read("x.CSV", "\xEF\xBB\xBF" + csv + "\r\n", columns({"1"}, "2")), expected);
    EXPECT_EQ(read("x.csv.gz", gzip(csv), columns({"1"}, "2")), expected);
    EXPECT_EQ(read("x.tsv", "\"a\" b\t\"0\n\nc\"\t1\r\n\t",
                   columns(
                       {
                           "1"
    },
                       "2")),
              (Rows{{"\"a\" b", "\"0"}, {"c\"", "1"}, {"", ""}}));
    EXPECT_EQ(read("x.tsv.gz", gzip("a\t0"),
                   columns(
                       {
                           "1"
    },
                       "2")),
              (Rows{{"a", "0"}}));
    EXPECT_TRUE(read("x.csv", "", columns({"text"}, "label")).empty());
    EXPECT_TRUE(read("x.tsv", "\n\n", columns({"1"})).empty());
    EXPECT_TRUE(read("x.csv", "text,label\n", columns({"text"}, "label")).empty());
}

TEST_F(Tables, Json) {
    const std::string a = R"({"text": "a\n", "pair": "b", "label": "x ", "n": 4.75})",
                      b = R"({"n": -1, "label": "y", "text": "", "pair": "c"})";
    const Rows expected{
        {"a\n", "b", "x"},
        {"",    "c", "y"}
    };
    EXPECT_EQ(read("x.jsonl", a + "\n\n" + b, columns({"text", "pair"}, "label")), expected);
    EXPECT_EQ(read("x.json", " [" + a + ",\n" + b + "]\n", columns({"text", "pair"}, "label")), expected);
    EXPECT_EQ(read("x.json", a + "\n" + b + "\n", columns({"text", "pair"}, "label")), expected);
    EXPECT_EQ(read("x.json.gz", gzip("[" + a + "," + b + "]"), columns({"text", "pair"}, "label")), expected);
    EXPECT_EQ(read("x.jsonl", a + "\n" + b,
                   columns(
                       {
                           "pair"
    },
                       "n")),
              (Rows{{"b", "4.75"}, {"c", "-1"}}));
    EXPECT_EQ(read("x.jsonl",
                   R"({"t": "a", "l": ["p", 3, true]})"
                   "\n"
                   R"({"t": "b", "l": []})",
                   columns(
                       {
                           "t"
    },
                       "l")),
              (Rows{{"a", "p", "3", "true"}, {"b"}}));
    EXPECT_TRUE(read("x.json", "[]", columns({"t"})).empty());
}

TEST_F(Tables, WhereExamplesAre) {
    TableFile lines(file("a.csv", "text,label\n\"a\nb\",1\n\nc,2\n"), columns({"text"}, "label"));
    Example example;
    ASSERT_TRUE(lines.next(example));
    EXPECT_EQ(without_folder(lines.where(example.number)), "a.csv: line 2");
    ASSERT_TRUE(lines.next(example));
    EXPECT_EQ(without_folder(lines.where(example.number)), "a.csv: line 5");
    EXPECT_EQ(error_in([&] { lines.refuse(example, Error("its label is new")); }), "a.csv: line 5: its label is new");
    EXPECT_FALSE(lines.next(example));
    EXPECT_EQ(lines.bytes_read(), 24u);
    TableFile list(file("a.json", R"([{"t": "a"}, {"t": "b"}])"), columns({"t"}));
    ASSERT_TRUE(list.next(example));
    ASSERT_TRUE(list.next(example));
    EXPECT_EQ(without_folder(list.where(example.number)), "a.json: record 2");
}

TEST_F(Tables, Headers) {
    EXPECT_TRUE(has_header({"label", "review"}, {"1", "fine"}));
    EXPECT_TRUE(has_header({"sentence1", "sentence2", "label"}, {"a", "b", "entailment"}));
    EXPECT_TRUE(has_header({"Text", "mood"}, {}));
    EXPECT_TRUE(has_header({"mood", "opinion"}, {"1", "what a film"}));
    EXPECT_TRUE(has_header({"标签", "内容"}, {"x", "y"}));
    EXPECT_FALSE(has_header({"mood", "opinion"}, {"good", "what a film"})) << "could be data";
    EXPECT_FALSE(has_header({"good", "1"}, {"bad", "0"}));
    EXPECT_FALSE(has_header({"text", "a film for all"}, {"1", "2"}));
    EXPECT_FALSE(has_header({"text", "label", ""}, {}));
    EXPECT_FALSE(has_header({"text", "Text"}, {}));
    EXPECT_FALSE(has_header({"ham", "Ok lar"}, {"spam", "645"}));
    EXPECT_FALSE(has_header({"4.5"}, {"4.0"}));

    const std::string csv = "good,mood\nbad,film\n";
    EXPECT_EQ(read("a.csv", csv, {}).size(), 2u);
    EXPECT_EQ(read("a.csv", csv, {{}, "", true}).size(), 1u);
    EXPECT_EQ(read("a.csv", csv, columns({"mood"})), (Rows{{"film"}})) << "a name can only be in a header";
    EXPECT_EQ(read("a.csv", "text,label\na,b\n", {{}, "", false}).size(), 2u);
}

TEST_F(Tables, ColumnsThatAreNotThere) {
    const std::string csv = "label,review\n1,a\n";
    EXPECT_EQ(error("a.csv", csv, columns({"text"}, "label")),
              "a.csv: there is no column \"text\"; there are \"label\", \"review\"");
    EXPECT_EQ(error("a.csv", csv, columns({"3"})), "a.csv: there is no column \"3\"; there are \"label\", \"review\"");
    EXPECT_EQ(error("a.tsv", "a b\t1\n", columns({"1"}, "0")), "a.tsv: there is no column \"0\"; there are \"a b\", \"1\"");
    EXPECT_EQ(error("a.tsv", "a b\t1\n", columns({"-3"})), "a.tsv: there is no column \"-3\"; there are 1 to 2");
    EXPECT_MENTIONS(error("a.tsv", "a\n", columns({"-9223372036854775808"})), "there is no column");
    EXPECT_EQ(error("a.tsv", "a b\n", columns({"2"})), "a.tsv: there is no column \"2\"; there are none but 1");
    EXPECT_EQ(error("a.csv", csv, {{"review"}, "1", false}),
              "a.csv: column \"review\" is no number, and the file is said to have no header");
    EXPECT_EQ(error("a.csv", "a,a\n1,2\n", columns({"a"})),
              "a.csv: two columns are called \"a\"; it must be said by number which");
    EXPECT_EQ(error("a.csv", "label\n1\n", columns({}, "label")), "a.csv: its only column is that of the labels");
    EXPECT_EQ(error("a.jsonl", R"({"a": "x", "b\n": 1, "c": null})", columns({"a"}, "c")),
              "a.jsonl: line 1: there is no column \"c\"; there are \"a\", \"b\\x0A\"");
    EXPECT_EQ(error("a.jsonl", "{}", columns({"a"})), "a.jsonl: line 1: there is no column \"a\"; there are none");
    EXPECT_EQ(error("a.jsonl", "{}"), "a.jsonl: which of its columns are texts must be said");
    EXPECT_MENTIONS(error("a.txt", "a\n"), "a.txt: its name does not say what kind of table it is");
}

TEST_F(Tables, WrongRecords) {
    const std::string good = "a,0\n";
    const auto second = [&](std::string_view line) {
        return error("a.csv", good + std::string(line) + "\n" + good, columns({"1"}, "2"));
    };
    EXPECT_EQ(second("b"), "a.csv: line 2: 1 field where the first line has 2");
    EXPECT_EQ(second("b,c,d"), "a.csv: line 2: 3 fields where the first line has 2");
    EXPECT_EQ(second("\"b\"c,1"), "a.csv: line 2: field 1 goes on after its closing quote");
    EXPECT_EQ(second("b,\"c"), "a.csv: line 2: a quote opens there and never closes");
    EXPECT_EQ(second("\"b\n\n\"\"c\",\"d"), "a.csv: line 4: a quote opens there and never closes");
    EXPECT_MENTIONS(second("b\xC0,1"), "a.csv: line 2: not UTF-8 text: malformed at byte offset 5");
    EXPECT_EQ(second(std::string_view("b\0,1", 4)), "a.csv: line 2: not text: a NUL at byte offset 5");
    EXPECT_MENTIONS(error("a.tsv", std::string_view("\xFF\xFE"
                                                    "a\0\t\0b\0\n\0",
                                                    10)),
                    "a.tsv: line 1: is UTF-16LE");
    EXPECT_MENTIONS(error("a.csv.gz", gzip(good).substr(0, 15)), "the gzip data is cut short");
    EXPECT_MENTIONS(error("a.jsonl", "{\"t\": \"a\"}\n{\"t\": \"b\n", columns({"t"})), "a.jsonl: line 2: not valid JSON");
    EXPECT_EQ(error("a.jsonl", R"({"t": 1})", columns({"t"})), "a.jsonl: line 1: t is 1; nib expects text");
    EXPECT_EQ(error("a.jsonl", R"({"t": "a", "l": {"b": 1}})", columns({"t"}, "l")),
              "a.jsonl: line 1: l is object where nib expects a label: text or a number");
    EXPECT_EQ(error("a.jsonl", R"({"t": "a", "l": [[1]]})", columns({"t"}, "l")),
              "a.jsonl: line 1: l[0] is array where nib expects a label: text or a number");
    EXPECT_EQ(error("a.jsonl", "[1]", columns({"t"})), "a.jsonl: line 1: is array where nib expects an object");
    EXPECT_EQ(error("a.json", "[{\"t\": \"a\"}, {\"t\"", columns({"t"})), "a.json: record 2: the list is cut short there");
    EXPECT_MENTIONS(error("none/a.csv", ""), "none/a.csv: cannot open");
}

TEST_F(Tables, WrongRecordsCanBePassedOver) {
    const std::string csv = "a,0\nb\n\"c\"c,1\nd\xFF,1\ne,1\nf,g,h\n";
    TableOptions options = columns({"1"}, "2");
    options.skip_bad = true;
    TableFile reader(file("a.csv", csv), options);
    Example example;
    ASSERT_TRUE(reader.next(example));
    EXPECT_EQ(example.texts, Texts{"a"});
    ASSERT_TRUE(reader.next(example));
    EXPECT_EQ(example.texts, Texts{"e"});
    reader.refuse(example, Error("it is too long"));
    EXPECT_FALSE(reader.next(example));
    EXPECT_EQ(reader.bad().count(), 5u);
    ASSERT_EQ(reader.bad().reasons().size(), 3u);
    EXPECT_EQ(without_folder(reader.bad().reasons()[1]), "a.csv: line 3: field 1 goes on after its closing quote");
    // Not what leaves nothing to go on with, nor what may be the header.
    EXPECT_EQ(error("a.csv", "a,0\n\"b,1\n", options), "a.csv: line 2: a quote opens there and never closes");
    EXPECT_MENTIONS(error("a.csv", "\xFF,0\na,1\n", options), "a.csv: line 1: not UTF-8");
    options.header = false;
    EXPECT_EQ(read("a.csv", "\xFF,0\na,1\n", options), (Rows{
                                                           {"a", "1"}
    }));
    TableOptions json = columns({"t"});
    json.skip_bad = true;
    EXPECT_EQ(read("a.jsonl", "{\"t\": \"a\"}\n{\n{\"u\": 1}\n{\"t\": \"b\xFF\"}\n{\"t\": \"c\"}", json),
              (Rows{{"a"}, {"c"}}));
}

// Longer than what is read at once, and a field of many lines.
TEST_F(Tables, LargeFiles) {
    std::string csv = "text,label\n", field;
    for (int i = 0; i < 40'000; ++i) field += "line " + std::to_string(i) + "\n";
    csv += "\"" + field + "\",1\n";
    for (int i = 0; i < 20'000; ++i) csv += "\"text \"\"" + std::to_string(i) + "\"\"\"," + std::to_string(i % 7) + "\n";
    TableFile reader(file("a.csv", csv), columns({"text"}, "label"));
    Example example;
    ASSERT_TRUE(reader.next(example));
    EXPECT_EQ(example.texts[0], field);
    int count = 0;
    for (; reader.next(example); ++count) {
        ASSERT_EQ(example.texts[0], "text \"" + std::to_string(count) + "\"");
        ASSERT_EQ(label_number(example.labels[0]), count % 7);
        ASSERT_EQ(example.number, static_cast<uint64_t>(40'003 + count));
    }
    EXPECT_EQ(count, 20'000);
}

TEST(Labels, Numbers) {
    EXPECT_EQ(label_number("4.75"), 4.75);
    EXPECT_EQ(label_number("-1e3"), -1000);
    for (const char* const bad : {"", "x", "1 ", "nan", "inf", "1e999", "0x1", "1,5"})
        EXPECT_EQ(error_of([&] { label_number(bad); }), "the label \"" + std::string(bad) + "\" is not a number");
}

}  // namespace
}  // namespace nib::test
