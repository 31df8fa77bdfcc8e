// Texts that are tokenized once: their documents, their file, and where long ones are cut.
#include "text/tokenized_text.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "test_errors.h"
#include "test_files.h"
#include "text/char_tokenizer.h"
#include "text/chosen_tokenizer.h"
#include "text/text_key.h"

namespace nib {
namespace {

using namespace test;
using Texts = std::vector<std::string>;

struct TokenizedTextTest : testing::Test {
    std::string file(const std::string& name, std::string_view bytes) {
        write_file(folder / name, bytes);
        return (folder / name).string();
    }
    std::unique_ptr<TokenFile> tokens(const Texts& paths, const Tokenizer& tokenizer,
                                      DocumentEnds ends = DocumentEnds::Files, int threads = 2) const {
        return tokenized_text(paths, tokenizer, folder.path().string(), {ends, threads, {}});
    }
    // The text of each document, "$" where it ends.
    static Texts documents(const TokenFile& file, const Tokenizer& tokenizer) {
        Texts all;
        for (int64_t i = 0; i < file.documents(); ++i) {
            const Span span = file.document(i);
            std::vector<int32_t> ids(static_cast<size_t>(span.size()));
            file.read(span.begin, ids);
            const bool ended = ids.back() == tokenizer.end_token();
            if (ended) ids.pop_back();
            all.push_back(tokenizer.decode(ids) + (ended ? "$" : ""));
        }
        return all;
    }
    size_t token_files() const {
        size_t count = 0;
        for (const auto& entry : fs::directory_iterator(folder.path())) count += entry.path().extension() == ".tokens";
        return count;
    }

    TempFolder folder;
    std::unique_ptr<Tokenizer> bytes =
        choose_tokenizer("bpe:300", {file("words.txt", "the fox and the crow and the fox and the crow")}, 1,
                         [](const char*, uint64_t, uint64_t) {});
};

TEST_F(TokenizedTextTest, DocumentsAreFilesAndRecords) {
    const Texts paths = {file("a.txt", "the fox"),
                         file("b.jsonl", "{\"text\":\"and\"}\n{\"text\":\"\"}\n{\"text\":\"crow\\n\\n\"}\n"),
                         file("c.txt", "")};
    const auto file = tokens(paths, *bytes);
    EXPECT_EQ(documents(*file, *bytes), (Texts{"the fox$", "and$", "crow\n\n$"}));
    EXPECT_EQ(file->bytes(), 7U + 3 + 6);
    EXPECT_EQ(file->document_of(0), 0);
    EXPECT_EQ(file->document_of(file->document(1).begin), 1);
    EXPECT_EQ(file->document_of(file->size() - 1), 2);
}

TEST_F(TokenizedTextTest, DocumentsEndAtBlankLines) {
    const auto file_of = [&](std::string_view text) {
        return documents(*tokens({file("a.txt", text)}, *bytes, DocumentEnds::BlankLines), *bytes);
    };
    EXPECT_EQ(file_of("one\ntwo\n\nthree\n"), (Texts{"one\ntwo$", "three\n$"}));
    EXPECT_EQ(file_of("\n\none\r\n\r\n \t\n\n  two\n\n"), (Texts{"one$", "  two$"}));
    EXPECT_EQ(file_of("one\n  two"), (Texts{"one\n  two$"}));
}

// Pieces of a long document end between words, and so may one paragraph where another begins.
TEST_F(TokenizedTextTest, LongDocumentsAreThoseOfOneText) {
    std::string text;
    for (int i = 0; text.size() < 3 * TextSource::kPiece; ++i)
        text += "the fox" + std::string(i % 7 == 0 ? "\n\n" : " ") + "é 你好。";
    const std::string path = file("long.txt", text);
    for (const int threads : {1, 3}) {
        const auto whole = tokens({path}, *bytes, DocumentEnds::Files, threads);
        std::vector<int32_t> ids(static_cast<size_t>(whole->size())), expected = bytes->encode(text);
        whole->read(0, ids);
        expected.push_back(bytes->end_token());
        EXPECT_EQ(ids, expected);
        for (const auto& entry : fs::directory_iterator(folder.path()))
            if (entry.path().extension() == ".tokens") fs::remove(entry.path());
    }
    Texts paragraphs;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find("\n\n", at), text.size());
        paragraphs.push_back(text.substr(at, end - at) + "$");
        at = end + 2;
    }
    EXPECT_EQ(documents(*tokens({path}, *bytes, DocumentEnds::BlankLines), *bytes), paragraphs);
}

TEST_F(TokenizedTextTest, AFileIsMadeOnceForEachTextAndTokenizer) {
    const std::string path = file("a.txt", "the fox and the crow");
    tokens({path}, *bytes);
    tokens({path}, *bytes);
    EXPECT_EQ(token_files(), 1U);
    const auto other = CharTokenizer::from_code_points(
        std::vector<char32_t>{U' ', U'a', U'c', U'd', U'e', U'f', U'h', U'n', U'o', U'r', U't', U'w', U'x'});
    EXPECT_EQ(documents(*tokens({path}, other), other), Texts{"the fox and the crow"});
    tokens({path}, *bytes, DocumentEnds::BlankLines);
    EXPECT_EQ(token_files(), 3U);
    file("a.txt", "the fox and the cr");
    EXPECT_EQ(documents(*tokens({path}, *bytes), *bytes), Texts{"the fox and the cr$"});
    EXPECT_EQ(token_files(), 4U);
}

// Of files that were changed without another size, time or beginning.
TEST_F(TokenizedTextTest, AChangeAnywhereIsAnotherText) {
    const size_t size = 70'000;
    const std::string path = file("a.txt", std::string(size, 'a'));
    const auto time = fs::last_write_time(path);
    std::set<uint64_t> keys = {tokens({path}, *bytes)->key()};
    for (const size_t at : {size_t{0}, size_t{2 * 4393 + 5}, size - 1}) {  // 4393: pieces are (70000 - 4096) / 15 apart
        std::string changed(size, 'a');
        changed[at] = 'b';
        file("a.txt", changed);
        fs::last_write_time(path, time);
        const auto made = tokens({path}, *bytes);
        EXPECT_TRUE(documents(*made, *bytes) == Texts{changed + "$"}) << at;
        keys.insert(made->key());
    }
    EXPECT_EQ(keys.size(), 4U);
    EXPECT_NE(TextKey("text").value(), TextKey("dialogue").value());
}

// The first piece takes until the other thread stops, or has gone on and on.
class SlowAtFirst : public CharTokenizer {
public:
    SlowAtFirst() : CharTokenizer(from_code_points(std::vector<char32_t>{U'a', U'b'})) {}

    std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options) const override {
        ++begun;
        if (text.starts_with('b')) {
            for (int before = -1; begun < 40 && std::exchange(before, begun.load()) != begun;)
                std::this_thread::sleep_for(std::chrono::milliseconds(200));
            ahead = begun.load();
        }
        return CharTokenizer::encode(text, options);
    }
    mutable std::atomic<int> begun = 0, ahead = 0;
};

TEST_F(TokenizedTextTest, ThreadsWaitForTheOneWhoseTextComesNext) {
    Texts paths;
    for (int i = 0; i < 50; ++i)
        paths.push_back(file(std::to_string(i) + ".txt", (i == 0 ? "b" : "a") + std::string(TextSource::kPiece - 1, 'a')));
    const SlowAtFirst tokenizer;
    const auto file = tokens(paths, tokenizer, DocumentEnds::Files, 3);
    EXPECT_EQ(file->documents(), 50);
    EXPECT_LE(tokenizer.ahead, 6) << "pieces that were encoded before the first was written";
}

TEST_F(TokenizedTextTest, AThreadThatFailsLetsTheOthersGo) {
    const auto few = CharTokenizer::from_code_points(std::vector<char32_t>{U'a'});
    Texts paths;
    for (int i = 0; i < 30; ++i)
        paths.push_back(file(std::to_string(i) + ".txt", std::string(TextSource::kPiece, 'a') + (i == 7 ? "x" : "")));
    for (int again = 0; again < 5; ++again)
        EXPECT_MENTIONS(error_of([&] { tokens(paths, few, DocumentEnds::Files, 4); }), "does not know the character \"x\"");
    EXPECT_EQ(token_files(), 0U);
}

TEST_F(TokenizedTextTest, ADamagedFileIsMadeAgain) {
    const std::string path = file("a.txt", "the fox and the crow");
    fs::path made;
    tokens({path}, *bytes);
    for (const auto& entry : fs::directory_iterator(folder.path()))
        if (entry.path().extension() == ".tokens") made = entry.path();
    const std::string good = test::read_file(made);
    for (size_t size = 0; size < good.size(); size += 3) {
        write_file(made, good.substr(0, size));
        EXPECT_FALSE(error_of([&] { TokenFile damaged(made.string()); }).empty()) << size;
        EXPECT_EQ(documents(*tokens({path}, *bytes), *bytes), Texts{"the fox and the crow$"});
        EXPECT_EQ(test::read_file(made), good);
    }
    // Any other byte is noticed at once, or gives tokens of the vocabulary.
    for (size_t at = 0; at < good.size(); ++at) {
        std::string changed = good;
        changed[at] = static_cast<char>(changed[at] ^ 0x41);
        write_file(made, changed);
        error_of([&] {
            const TokenFile file(made.string());
            std::vector<int32_t> ids(static_cast<size_t>(file.size()));
            file.read(0, ids);
            for (const int32_t id : ids) ASSERT_LT(id, file.vocab());
        });
    }
}

TEST_F(TokenizedTextTest, MarksAndWideIds) {
    for (const int64_t vocab : {1000, 32768, 32769, 200000}) {
        const std::string path = (folder / "t").string();
        TokenFileWriter writer(path, vocab, true);
        const std::vector<int32_t> ids = {0, static_cast<int32_t>(vocab - 1), 5};
        const std::vector<uint8_t> marks = {1, 0, 1};
        writer.add(ids, marks);
        writer.finish(7, 9, {2, 3});
        const TokenFile file(path);
        EXPECT_EQ(file.passed_over().wrong, 2U);
        EXPECT_EQ(file.passed_over().too_long, 3U);
        std::vector<int32_t> read(3);
        std::vector<uint8_t> read_marks(3);
        file.read(0, read, read_marks);
        EXPECT_EQ(read, ids);
        EXPECT_EQ(read_marks, marks);
        EXPECT_EQ(find_token_file(path, 8), nullptr);
        EXPECT_MENTIONS(error_of([&] { file.read(2, read); }), "not within a text of 3");
    }
    TokenFileWriter writer((folder / "u").string(), 10);
    EXPECT_MENTIONS(error_of([&] { writer.add(std::vector<int32_t>{10}); }), "token 10 is not among 10");
    EXPECT_MENTIONS(error_of([&] { writer.finish(0, 0); }), "no token to write");
}

TEST_F(TokenizedTextTest, WhatCannotBe) {
    EXPECT_MENTIONS(error_of([&] { tokens({file("a.txt", "")}, *bytes); }), "empty, there is no text");
    EXPECT_MENTIONS(error_of([&] { tokens({file("a.txt", "a\xFFz")}, *bytes); }), "a.txt");
    const auto few = CharTokenizer::from_code_points(std::vector<char32_t>{U'a'});
    EXPECT_FALSE(error_of([&] { tokens({file("a.txt", "ab")}, few); }).empty());
    const std::string x = std::string(3 * TextSource::kPiece, 'a') + "\nx";
    const std::string place = "after byte offset " + std::to_string(3 * TextSource::kPiece + 1);
    EXPECT_MENTIONS(error_of([&] { tokens({file("x.txt", x)}, few, DocumentEnds::Lines); }), "x.txt: " + place);
    EXPECT_MENTIONS(error_of([&] { tokens({file("x.jsonl", "\n{\"text\":\"ax\"}")}, few); }), "x.jsonl: line 2: the model");
    EXPECT_MENTIONS(error_of([&] { tokens({"/dev/null"}, *bytes); }), "is not a regular file");
    EXPECT_EQ(token_files(), 0U);
    EXPECT_MENTIONS(error_of([&] { choose_tokenizer("bpe:x", {}, 1, {}); }), "such as bpe:8000");
    EXPECT_MENTIONS(error_of([&] { choose_tokenizer((folder / "none.json").string(), {}, 1, {}); }), "none.json");
}

}  // namespace
}  // namespace nib
