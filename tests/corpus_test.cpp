// The training text: reading by character across index strides and files, what it refuses, and the split.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "test_errors.h"
#include "test_files.h"
#include "text/corpus.h"
#include "text/text_files.h"

namespace nib {
namespace {

using namespace test;
using namespace std::string_literals;

class CorpusTest : public ::testing::Test {
protected:
    // Writes a file below the test's folder and returns its path.
    std::string file(const std::string& name, const std::string& text) {
        const fs::path path = folder_ / name;
        fs::create_directories(path.parent_path());
        write_file(path, text);
        return path.string();
    }

    TempFolder folder_;
};

std::string utf8(const std::u32string& characters) {
    std::string text;
    for (const char32_t code : characters) append_utf8(text, code);
    return text;
}

// Text of `size` characters out of `alphabet`; `ascii` of 100 characters are ASCII, in runs.
std::u32string random_text(std::mt19937& random, size_t size, unsigned ascii) {
    const std::u32string rare = U"é你好红楼梦\uFEFF😀\r\n𠀀，。";
    std::u32string text;
    while (text.size() < size) {
        if (random() % 100 < ascii) {
            for (size_t n = random() % 30; n > 0; --n) text += static_cast<char32_t>(' ' + random() % 90);
        } else {
            text += rare[random() % rare.size()];
        }
    }
    text.resize(size);
    return text;
}

std::u32string read(const Corpus& corpus, const CharTokenizer& tokenizer, int64_t begin, size_t count) {
    std::vector<int32_t> ids(count);
    corpus.read(begin, ids, tokenizer);
    const std::vector<char32_t> codes = tokenizer.code_points();
    std::u32string text;
    for (const int32_t id : ids) text += codes[static_cast<size_t>(id)];
    return text;
}

void expect_reads_as(const Corpus& corpus, const std::u32string& expected, std::mt19937& random) {
    ASSERT_EQ(corpus.size(), static_cast<int64_t>(expected.size()));
    const std::set<char32_t> distinct(expected.begin(), expected.end());
    EXPECT_EQ(corpus.characters(), std::vector<char32_t>(distinct.begin(), distinct.end()));
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(corpus.characters());
    EXPECT_EQ(read(corpus, tokenizer, 0, expected.size()), expected);
    EXPECT_EQ(read(corpus, tokenizer, corpus.size(), 0), U"");
    for (int i = 0; i < 2000; ++i) {
        const size_t begin = random() % expected.size();
        const size_t count = random() % std::min<size_t>(300, expected.size() - begin + 1);
        ASSERT_EQ(read(corpus, tokenizer, static_cast<int64_t>(begin), count), expected.substr(begin, count)) << begin;
    }
    corpus.require_known(tokenizer);
}

TEST_F(CorpusTest, WindowsAcrossStridesAndFiles) {
    std::mt19937 random(1);
    const size_t stride = Corpus::kStride;
    const std::vector<std::u32string> texts = {
        random_text(random, 5 * stride + 17, 80),
        random_text(random, 3 * stride, 0),                                           // ends on a stride
        random_text(random, 2 * stride + 1, 100),                                     // ASCII: no index
        U"😀",                                                                         // one character
        U"",                                                                          // nothing
        std::u32string(3 * stride, U'x') + U"你" + std::u32string(2 * stride, U'y'),  // the index begins late
        std::u32string(stride - 1, U'x') + U"é",  // not ASCII in the last place of a stride
        random_text(random, stride - 1, 50),
    };
    std::vector<std::string> paths;
    std::u32string all;
    for (const std::u32string& text : texts) {
        paths.push_back(file("part" + std::to_string(paths.size()), utf8(text)));
        all += text;
        if (text.empty()) continue;
        SCOPED_TRACE(paths.back());
        expect_reads_as(Corpus({paths.back()}), text, random);
    }
    expect_reads_as(Corpus(paths), all, random);
    std::reverse(paths.begin(), paths.end());
    EXPECT_EQ(Corpus(paths).size(), static_cast<int64_t>(all.size()));
}

TEST_F(CorpusTest, EveryCodePointIsACharacter) {
    // Byte order marks that begin no file, CRLF, NUL, Chinese, emoji with joiners and variation marks.
    const std::u32string first = std::u32string(U"第一回\r\n\uFEFF甄士隐\r\r\n\0", 13),
                         second = U"👩\u200D🚀❤\uFE0F e\u0301\uFEFF";
    std::mt19937 random(2);
    expect_reads_as(Corpus({file("a", utf8(first)), file("b", utf8(second))}), first + second, random);
}

// One that begins a file is no part of the text; only one.
TEST_F(CorpusTest, ByteOrderMarksAreSkipped) {
    std::mt19937 random(3);
    const std::u32string long_text = random_text(random, 3 * Corpus::kStride + 5, 60), ascii(3 * Corpus::kStride, U'x');
    for (const std::u32string& text : {std::u32string(U"a"), std::u32string(U"\uFEFFab"), ascii, long_text}) {
        const std::string marked = file("marked", "\xEF\xBB\xBF" + utf8(text)), plain = file("plain", utf8(text));
        const Corpus corpus({marked, plain, marked});
        if (!text.starts_with(U'\uFEFF')) expect_reads_as(corpus, text + text + text, random);
        if (text.starts_with(U'\uFEFF')) expect_reads_as(Corpus({marked}), text, random);
    }
    const std::string only = file("only", "\xEF\xBB\xBF");
    expect_contains(error_of([&] { Corpus corpus({only}); }), {only, "empty"});
    const std::string bad = file("bad", "\xEF\xBB\xBFxy\xC0");
    expect_contains(error_of([&] { Corpus corpus({bad}); }), {"byte offset 5 "});
    const Corpus corpus({file("marked", "\xEF\xBB\xBFxyé")});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(std::vector<char32_t>{U'x', U'y'});
    expect_contains(error_of([&] { corpus.require_known(tokenizer); }), {"character 3 ", "byte offset 5)"});
}

TEST_F(CorpusTest, FoldersGiveTheirTextFilesInOrder) {
    file("d/b.txt", "B");
    file("d/a.txt", "A");
    file("d/sub/deep/c.TXT", "C");
    file("d/note.md", "N");
    file("d/page.html", "no");
    file("d/.hidden.txt", "no");
    file("d/.git/x.txt", "no");
    file("d/txt", "no");
    fs::create_directory(folder_ / "d/folder.txt");
    fs::create_symlink("nowhere", folder_ / "d/broken.txt");
    fs::create_symlink("a.txt", folder_ / "d/z.txt");
    const std::string other = file("other.md", "X");
    const Corpus corpus({other, (folder_ / "d").string(), other});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(corpus.characters());
    EXPECT_EQ(read(corpus, tokenizer, 0, static_cast<size_t>(corpus.size())), U"XABNCAX");
}

TEST_F(CorpusTest, RefusesWhatIsNoText) {
    const std::string good = file("good.txt", "good"), empty = file("empty.txt", "");
    const auto open = [](const std::vector<std::string>& paths) { return error_of([&] { Corpus corpus(paths); }); };
    EXPECT_EQ(open({good, empty}), "");
    expect_contains(open({}), {"no text"});
    expect_contains(open({empty}), {empty, "empty"});
    expect_contains(open({empty, empty}), {empty, "others", "empty"});
    expect_contains(open({good, (folder_ / "missing.txt").string()}), {"missing.txt", "no such file"});
    expect_contains(open({(folder_ / "missing\n\x1B[31m").string()}), {"missing\\x0A\\x1B[31m", "no such file"});
    file("nothing/a.html", "text");
    expect_contains(open({(folder_ / "nothing").string()}), {(folder_ / "nothing").string(), ".txt"});
}

TEST_F(CorpusTest, RefusesWhatIsNotUtf8) {
    const std::string good = file("good.txt", "good");
    for (const std::string bytes :
         {"\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\x80", "\xE4\xBD", "\xFF"}) {
        for (const size_t before : {0u, 1u, 8u, 1023u, 1024u, 5000u}) {
            for (const char* after : {"", "after it"}) {
                const std::string bad = file("bad.txt", std::string(before, 'x') + bytes + after);
                const std::string message = error_of([&] { Corpus corpus({good, bad}); });
                expect_contains(message, {bad + ":", "UTF-8", "byte offset " + std::to_string(before) + " ", "iconv"});
            }
        }
    }
    const std::string chinese = file("gbk.txt", "你好\xC4\xE3");
    expect_contains(error_of([&] { Corpus corpus({chinese}); }), {"byte offset 6 ", "0xC4"});
}

std::string utf16(const std::u16string& text) { return {reinterpret_cast<const char*>(text.data()), 2 * text.size()}; }

TEST_F(CorpusTest, RefusesUtf16) {
    const auto message = [&](const std::string& bytes) {
        const std::string path = file("wide.txt", bytes);
        return error_of([&] { Corpus corpus({path}); });
    };
    expect_contains(message(utf16(u"\uFEFFhi")),
                    {"wide.txt: ", "UTF-16LE", "byte offset 0 ", "iconv -f UTF-16LE -t UTF-8"});
    expect_contains(message(utf16(u"the old miller")), {"UTF-16LE", "byte offset 0 ", "iconv"});
    const std::string before(5000, 'x');
    expect_contains(message(before + "\n" + utf16(u"appended by a shell\r\n")), {"UTF-16LE", "byte offset 5001 "});
    expect_contains(message(before + "\n" + utf16(u"\uFEFFwith a mark\r\n")), {"UTF-16LE", "byte offset 5001 "});
    EXPECT_EQ(message("names\0and\0more\0names\0"s), "") << "NUL is a character";
    EXPECT_EQ(message("\0"s), "");
    EXPECT_EQ(message("a\0"s), "");
}

TEST_F(CorpusTest, NamesTheCharacterThatTheModelDoesNotKnow) {
    std::u32string text(3000, U'你');
    text[2500] = U'é';
    const std::string first = file("first.txt", "abc"), second = file("second.txt", utf8(text));
    const Corpus corpus({first, second});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(std::vector<char32_t>{U'a', U'b', U'c', U'你'});
    std::vector<int32_t> ids(10);
    corpus.read(3 + 2490, ids, tokenizer);
    corpus.read(3 + 2501, ids, tokenizer);
    const std::initializer_list<std::string> parts = {second + ":", "\"é\" (U+00E9)", "character 2501 ",
                                                      "byte offset 7500"};
    expect_contains(error_of([&] { corpus.read(3 + 2491, ids, tokenizer); }), parts);
    expect_contains(error_of([&] { corpus.require_known(tokenizer); }), parts);
    corpus.require_known(CharTokenizer::from_code_points(std::vector<char32_t>{U'a', U'b', U'c', U'é', U'你', U'好'}));
}

TEST_F(CorpusTest, SplitsAtTheEnd) {
    const Corpus corpus({file("text", std::string(1003, 'x'))});
    const CharTokenizer tokenizer = CharTokenizer::from_code_points(corpus.characters());
    const CharacterText text(corpus, tokenizer);
    const auto [train, val] = split(text, 0.1, 64);
    EXPECT_EQ(train.begin, 0);
    EXPECT_EQ(train.end, 902);  // int(1003 * 0.9)
    EXPECT_EQ(val.begin, 902);
    EXPECT_EQ(val.end, 1003);
    EXPECT_EQ(val.size(), 101);

    const auto [all, none] = split(text, 0, 1002);
    EXPECT_EQ(all.size(), 1003);
    EXPECT_EQ(none.size(), 0);

    split(text, 0.1, 100);
    expect_contains(error_of([&] { split(text, 0.1, 101); }), {"1003", "902", "101 validate", "context of 101", "102"});
    expect_contains(error_of([&] { split(text, 0.95, 100); }), {"50 train", "at least 101"});
    expect_contains(error_of([&] { split(text, 0, 1003); }), {"1003", "1004"});
    EXPECT_EQ(remedy_of([&] { split(text, 0, 1003); }), Remedy::ShortenContext);
    EXPECT_EQ(remedy_of([&] { split(text, 0.1, 101); }), Remedy::ShortenContext);
    EXPECT_NE(error_of([&] { split(text, 1e-9, 1); }).find("1 validate"), std::string::npos);
    EXPECT_NE(error_of([&] { split(text, 1e-20, 1); }).find("0 validate"), std::string::npos);
    for (const double fraction : {1.0, -0.1, 2.0, std::nan("")}) {
        expect_contains(error_of([&] { split(text, fraction, 8); }), {"fraction", "at least 0 and below 1"});
    }
}

// A process may have some ten thousands of mappings; a folder may have more files.
TEST_F(CorpusTest, SmallFilesTakeNoMapping) {
    for (int i = 0; i < 20; ++i) file("texts/" + std::to_string(i) + ".txt", "a text, " + std::to_string(i));
    file("texts/large.txt", std::string(Corpus::kSmall + 1, 'x'));
    const Corpus corpus({(folder_ / "texts").string()});
    EXPECT_EQ(corpus.size(), 10 * 9 + 10 * 10 + static_cast<int64_t>(Corpus::kSmall) + 1);
    int mappings = 0;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) mappings += line.find(folder_.path().string()) != std::string::npos;
    EXPECT_EQ(mappings, 1);
}

}  // namespace
}  // namespace nib
