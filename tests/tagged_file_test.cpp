// Tagged sentences in CoNLL's form, and what is wrong with them.
#include "task/tagged_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "reader_case.h"

namespace nib::test {
namespace {

using Texts = std::vector<std::string>;

class TaggedFiles : public ReaderTest {
protected:
    // "token/tag token/tag" of each sentence.
    Texts read(std::string_view bytes, bool skip_bad = false, const char* name = "a.conll") {
        TaggedFile reader(file(name, bytes), skip_bad);
        Texts all;
        for (TaggedSentence sentence; reader.next(sentence);) {
            all.emplace_back();
            EXPECT_EQ(sentence.tokens.size(), sentence.tags.size());
            for (size_t i = 0; i < sentence.tokens.size(); ++i)
                all.back() += (i > 0 ? " " : "") + sentence.tokens[i] + "/" + sentence.tags[i];
        }
        return all;
    }
    std::string error(std::string_view bytes) {
        return error_in([&] { read(bytes); });
    }
};

TEST_F(TaggedFiles, Sentences) {
    const Texts expected{"Wolff/B-PER ,/O", "Berlin/B-LOC"};
    EXPECT_EQ(read("Wolff B-PER\n, O\n\nBerlin B-LOC\n"), expected);
    EXPECT_EQ(read("\xEF\xBB\xBF\n\nWolff\tB-PER\r\n,\tO\r\n \t\r\n\r\nBerlin\tB-LOC"), expected);
    EXPECT_EQ(
        read("-DOCSTART- -X- -X- O\n\nWolff NNP I-NP B-PER\n, , O O\n\n-DOCSTART- -X- -X- O\n\nBerlin  NN  I-NP B-LOC \n"),
        expected);
    EXPECT_EQ(read("# id = 1\n#\nWolff B-PER\n, O\n\n# text = Berlin\n\nBerlin B-LOC\n"), expected);
    EXPECT_EQ(read(gzip("Wolff B-PER\n, O\n\nBerlin B-LOC\n"), false, "a.conll.gz"), expected);
    EXPECT_EQ(read("New York\tB-LOC\n\xC2\xA0\tO\n"), (Texts{"New York/B-LOC \xC2\xA0/O"})) << "of tabs only tabs separate";
    EXPECT_EQ(read(""), Texts{});
    EXPECT_EQ(read("\n\n# nothing\n"), Texts{});
}

TEST_F(TaggedFiles, NumberSignsAsTokens) {
    EXPECT_EQ(read("a O\n# O\n\n# B-X\n1 I-X\n\n#tag O\n"), (Texts{"a/O #/O", "#/B-X 1/I-X", "#tag/O"}));
    EXPECT_EQ(read("a\tO\n\n#\tO\n1\tO\n"), (Texts{"a/O", "#/O 1/O"}));
}

TEST_F(TaggedFiles, WhereSentencesAre) {
    TaggedFile reader(file("a.conll", "# x\n\na O\nb O\n\n\nc O\n"));
    TaggedSentence sentence;
    ASSERT_TRUE(reader.next(sentence));
    EXPECT_EQ(without_folder(reader.where(sentence.number)), "a.conll: line 3");
    ASSERT_TRUE(reader.next(sentence));
    EXPECT_EQ(without_folder(reader.where(sentence.number)), "a.conll: line 7");
    EXPECT_FALSE(reader.next(sentence));
    EXPECT_EQ(reader.bytes_read(), 19u);
}

TEST_F(TaggedFiles, WrongLines) {
    EXPECT_EQ(error("a O\nb\n"), "a.conll: line 2: there is one column; a token and its tag need two");
    EXPECT_EQ(error("a O\n\nb NN O\n"), "a.conll: line 3: there are 3 columns where there were 2 before");
    EXPECT_EQ(error("a\tO\n\tO\n"), "a.conll: line 2: the token is empty");
    EXPECT_EQ(error("a\tO\nb\t\n"), "a.conll: line 2: the tag is empty");
    EXPECT_MENTIONS(error("a O\nb\xFF O\n"), "a.conll: line 2: not UTF-8 text: malformed at byte offset 5");
    EXPECT_EQ(error(std::string_view("a\0 O\n", 5)), "a.conll: line 1: not text: a NUL at byte offset 1");
}

TEST_F(TaggedFiles, WrongSentencesCanBePassedOver) {
    const std::string text = "a O\nb\nc O\n\nd O\n\ne O\nf\xFF O\n\n\ng O";
    EXPECT_EQ(read(text, true), (Texts{"d/O", "g/O"}));
    TaggedFile reader(file("a.conll", text), true);
    for (TaggedSentence sentence; reader.next(sentence);) {
    }
    EXPECT_EQ(reader.bad().count(), 2u);
    EXPECT_EQ(without_folder(reader.bad().reasons().at(0)),
              "a.conll: line 2: there is one column; a token and its tag need two");
    EXPECT_EQ(read("a O\nb", true), Texts{});
}

}  // namespace
}  // namespace nib::test
