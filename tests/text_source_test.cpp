// Corpora read from front to back: documents, pieces of large ones, JSON Lines, gzip, and what is wrong with them.
#include "text/text_source.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "reader_case.h"

namespace nib {
namespace {

using test::error_of;
using test::gzip;
using Texts = std::vector<std::string>;

class TextSourceTest : public test::ReaderTest {
protected:
    // Documents, and how many pieces they came in.
    static Texts documents(const Texts& paths, size_t* pieces = nullptr) {
        TextSource source(paths);
        Texts all;
        bool open = false;
        for (TextPiece piece; source.next(piece); open = !piece.ends_document) {
            if (!open) all.emplace_back();
            all.back() += piece.text;
            if (pieces != nullptr) ++*pieces;
        }
        EXPECT_FALSE(open);
        EXPECT_EQ(source.bytes_read(), source.total_bytes());
        return all;
    }
    std::string error(const std::string& name, std::string_view bytes) {
        const std::string path = file(name, bytes);
        return error_of([&] { documents({path}); });
    }
};

TEST_F(TextSourceTest, FilesAndFolders) {
    file("b.txt", "second");
    file("a.MD", "\xEF\xBB\xBF first");
    file("c.json", "no text");
    file(".hidden.txt", "no");
    file("d.txt.gz", gzip("packed"));
    EXPECT_EQ(documents({folder_.path().string(), (folder_ / "c.json").string()}),
              (Texts{" first", "second", "packed", "no text"}));
}

TEST_F(TextSourceTest, WhatIsNotTextAsItStands) {
    const std::string plain = file("a.txt", "a"), packed = file("b.txt", gzip("b")), records = file("c.JSONL", "");
    EXPECT_FALSE(TextSource({plain, packed}).has_records());
    EXPECT_TRUE(TextSource({plain, records}).has_records());
    EXPECT_TRUE(TextSource({file("d.jsonl.gz", gzip(""))}).has_records());
    EXPECT_EQ(TextSource({plain, records}).find_packed(), "");
    EXPECT_EQ(TextSource({plain, packed, records}).find_packed(), packed) << "whatever its name";
}

TEST_F(TextSourceTest, EmptyFilesAreEmptyDocuments) {
    EXPECT_EQ(documents({file("a.txt", ""), file("b.txt", "b"), file("c.jsonl", "\n")}), (Texts{"", "b"}));
}

TEST_F(TextSourceTest, RecordsAreDocuments) {
    const std::string lines = "{\"text\": \"a\\nb\"}\r\n\n{\"id\": 1, \"text\": \"\"}\n{\"text\":\"\\u00e9\"}";
    const Texts expected = {"a\nb", "", "é"};
    EXPECT_EQ(documents({file("x.jsonl", lines)}), expected);
    EXPECT_EQ(documents({file("x.jsonl.gz", gzip(lines))}), expected);
    const std::string text(3 * TextSource::kPiece, 'x');
    EXPECT_EQ(documents({file("long.jsonl", "{\"text\":\"" + text + "\"}\n{\"text\":\"y\"}\n")}), (Texts{text, "y"}));
}

TEST_F(TextSourceTest, LargeFilesComeInPiecesCutBetweenWords) {
    std::string text;
    for (int i = 0; text.size() < 5 * TextSource::kPiece; ++i)
        text += i % 3 == 0 ? "你好。it's\n\n" : i % 3 == 1 ? "don't  12 " : "né!\r\n";
    for (const bool packed : {false, true}) {
        const std::string path = file("a.txt", packed ? gzip(text) : text);
        size_t pieces = 0;
        EXPECT_EQ(documents({path}, &pieces), Texts{text});
        EXPECT_GE(pieces, 4U);
        TextSource source({path});
        for (TextPiece piece; source.next(piece) && !piece.ends_document;) {
            EXPECT_LE(piece.text.size(), 2 * TextSource::kPiece);
            const bool letter = piece.text.ends_with("好") || piece.text.ends_with("é") ||
                                std::isalpha(static_cast<unsigned char>(piece.text.back()));
            EXPECT_TRUE(letter) << piece.text.substr(piece.text.size() - 10);
        }
    }
}

TEST_F(TextSourceTest, GzipOfSeveralMembersFilledUpWithZeros) {
    EXPECT_EQ(documents({file("a.txt.gz", gzip("one ") + gzip("") + gzip("two") + std::string(1000, '\0'))}),
              Texts{"one two"});
}

TEST_F(TextSourceTest, DamagedGzip) {
    std::string text;
    for (int i = 0; i < 20000; ++i) text += std::to_string(i * 7919) + " ";
    const std::string packed = gzip(text);
    EXPECT_MENTIONS(error("a.gz", packed.substr(0, packed.size() / 2)),
                    "a.gz: the gzip data is cut short at byte offset " + std::to_string(packed.size() / 2));
    EXPECT_MENTIONS(error("a.gz", packed.substr(0, packed.size() - 1)), "is cut short");
    std::string damaged = packed;
    damaged[damaged.size() - 5] = static_cast<char>(damaged[damaged.size() - 5] ^ 1);  // of the check sum
    EXPECT_MENTIONS(error("a.gz", damaged), "a.gz: the gzip data is damaged before byte offset");
    EXPECT_MENTIONS(error("a.gz", packed + "and text"), "is damaged");
}

TEST_F(TextSourceTest, WhatIsNotText) {
    const std::string ascii(TextSource::kPiece, 'a');
    const std::string at = std::to_string(ascii.size() + 2);
    EXPECT_MENTIONS(error("a.txt", "ab\xFFgh"), "a.txt: not UTF-8 text: malformed at byte offset 2 (byte 0xFF)");
    EXPECT_MENTIONS(error("a.txt", ascii + "ab\xE4\xBD"), "malformed at byte offset " + at + " (byte 0xE4)");
    EXPECT_MENTIONS(error("a.txt", ascii + ascii.substr(3) + "\xE4\xBD\xA0" + ascii + "\xC0"), "malformed at byte offset");
    EXPECT_MENTIONS(error("a.txt", gzip("ab\xFF")), "malformed at byte offset 2");
    EXPECT_MENTIONS(error("a.txt", std::string("a\0b\0c\0d\0", 8)), "is UTF-16LE from byte offset 0 on");
    std::string wide;
    for (int i = 0; i < 100; ++i) wide += std::string("w\0", 2);
    EXPECT_MENTIONS(error("a.txt", "plain text" + wide), "is UTF-16LE from byte offset 10 on");
}

TEST_F(TextSourceTest, WrongRecords) {
    const std::string good = "{\"text\": \"a\"}\n";
    EXPECT_MENTIONS(error("x.jsonl", good + "\n" + "{\"text\": \"a\"\n"), "x.jsonl: line 3: not valid JSON");
    EXPECT_MENTIONS(error("x.jsonl", good + "{\"body\": \"a\"}"), "x.jsonl: line 2 has no \"text\"");
    EXPECT_MENTIONS(error("x.jsonl", good + "{\"text\": 5}\n" + good), "x.jsonl: line 2: text is 5; nib expects text");
    EXPECT_MENTIONS(error("x.jsonl", good + "\"text\""), "x.jsonl: line 2");
    EXPECT_MENTIONS(error("x.jsonl", "{\"text\": \"\\ud800\"}"), "x.jsonl: line 1: not valid JSON");
}

TEST_F(TextSourceTest, MissingFiles) {
    EXPECT_MENTIONS(error_of([&] { TextSource({(folder_ / "none.txt").string()}); }), "none.txt: no such file or folder");
    EXPECT_MENTIONS(error_of([&] { TextSource({folder_.path().string()}); }), "no .txt, .md, .jsonl, .txt.gz");
    EXPECT_MENTIONS(error_of([&] { TextSource({}); }), "no text was given");
}

}  // namespace
}  // namespace nib
