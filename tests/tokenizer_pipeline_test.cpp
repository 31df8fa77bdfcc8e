// Every option of Hugging Face's tokenizers that nib knows, against the ids and texts that they give
// (tests/goldens/make_tokenizer_goldens.py), also after a trip through a GGUF file and through an exported folder.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bpe_goldens.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "test_errors.h"
#include "test_files.h"
#include "text/tokenizer_export.h"
#include "text/tokenizer_gguf.h"
#include "text/utf8.h"

namespace nib {
namespace {

using namespace test;
using nlohmann::json;

struct Case {
    std::string name, base;
    std::string tokenizer;  // a tokenizer.json
    std::vector<Ids> ids;
    std::vector<std::string> decoded;
};

struct Cases {
    std::vector<std::string> texts;
    std::vector<Case> all;
};

const Cases& cases() {
    static const Cases read = [] {
        const json file = json::parse(read_file(golden("tokenizer_cases.json")));
        Cases result;
        for (const json& text : file["texts"]) result.texts.push_back(text);
        std::map<std::string, Case> plain;
        for (const json& variant : file["variants"]) {
            Case one{variant["name"], variant["base"], "", {}, {}};
            const Case& base = plain.emplace(one.base, one).first->second;
            json tokenizer = file["bases"][one.base];
            tokenizer.merge_patch(variant["patch"]);
            one.tokenizer = tokenizer.dump();
            for (size_t i = 0; i < result.texts.size(); ++i) {
                const json &ids = variant["ids"][i], &decoded = variant["decoded"][i];
                one.ids.push_back(ids.is_null() ? base.ids[i] : ids.get<Ids>());
                one.decoded.push_back(decoded.is_null() ? base.decoded[i] : decoded.get<std::string>());
            }
            if (base.ids.empty()) plain[one.base] = one;
            result.all.push_back(std::move(one));
        }
        return result;
    }();
    return read;
}

std::unique_ptr<Tokenizer> make(const Case& one) {
    return parse_files({
        {"tokenizer.json", one.tokenizer}
    });
}

std::string shown(std::string_view bytes) {
    Utf8Streamer streamer;
    const std::string text = streamer.push(bytes);
    return text + streamer.finish();
}

TEST(TokenizerPipeline, IdsOfHuggingFace) {
    for (const Case& one : cases().all) {
        const auto tokenizer = make(one);
        for (size_t i = 0; i < one.ids.size(); ++i) {
            const std::string& text = cases().texts[i];
            EXPECT_EQ(tokenizer->encode(text, {.skip_unknown = true}), one.ids[i]) << one.name << ": " << text;
        }
    }
}

TEST(TokenizerPipeline, TextsOfHuggingFace) {
    for (const Case& one : cases().all) {
        // nib decodes an added token to its text, neither normalized nor taken for bytes that it spells.
        if (one.name.find(": added") != std::string::npos) continue;
        const auto tokenizer = make(one);
        for (size_t i = 0; i < one.ids.size(); ++i)
            EXPECT_EQ(shown(tokenizer->decode(one.ids[i])), one.decoded[i]) << one.name << ": " << cases().texts[i];
    }
}

class TokenizerTrips : public testing::Test {
protected:
    std::string stored(const Tokenizer& tokenizer) {
        GgufWriter writer;
        const bool all = write_tokenizer(writer, tokenizer);
        AtomicFile file(path);
        writer.write(file);
        file.publish();
        EXPECT_EQ(llama_cpp_differs(GgufFile::open(path)), !all);
        return read_file(path);
    }
    std::unique_ptr<Tokenizer> exported(const Tokenizer& tokenizer) {
        const auto files = tokenizer_files(tokenizer, 16);
        return parse_files({files.begin(), files.end()});
    }

    TempFolder folder;
    const std::string path = (folder / "x.gguf").string();
};

TEST_F(TokenizerTrips, GiveTheSameIdsAndFiles) {
    for (const Case& one : cases().all) {
        SCOPED_TRACE(one.name);
        const auto tokenizer = make(one);
        const std::string bytes = stored(*tokenizer);
        const auto back = read_tokenizer(GgufFile::open(path));
        const auto again = exported(*back);
        EXPECT_EQ(stored(*back), bytes);
        EXPECT_EQ(stored(*again), bytes);
        for (size_t i = 0; i < one.ids.size(); ++i) {
            const std::string& text = cases().texts[i];
            EXPECT_EQ(back->encode(text, {.skip_unknown = true}), one.ids[i]) << text;
            EXPECT_EQ(again->encode(text, {.skip_unknown = true}), one.ids[i]) << text;
            EXPECT_EQ(back->decode(one.ids[i]), tokenizer->decode(one.ids[i])) << text;
        }
    }
}

TEST_F(TokenizerTrips, WhatLlamaCppDoesNotKnowIsKept) {
    const auto differs = [&](const std::string& name) {
        for (const Case& one : cases().all) {
            if (one.name != name) continue;
            stored(*make(one));
            return llama_cpp_differs(GgufFile::open(path));
        }
        ADD_FAILURE() << name;
        return false;
    };
    for (const char* name : {"byte: plain", "byte: digits", "wordpiece: plain", "wordpiece: template",
                             "wordpiece: bert 11None0", "wordpiece: bert 11True0", "wordpiece: bert 11False1"})
        EXPECT_FALSE(differs(name)) << name;
    for (const char* name :
         {"byte: nfc", "byte: added lstrip", "byte: digit groups", "byte: no regex", "wordpiece: bert 10None1",
          "wordpiece: bert 01None1", "wordpiece: short words", "wordlevel: plain", "characters: llama", "decorated: plain"})
        EXPECT_TRUE(differs(name)) << name;
}

TEST_F(TokenizerTrips, TheEndTokenThatWasNamedIsKept) {
    for (const Case& one : cases().all) {
        SCOPED_TRACE(one.name);
        const auto tokenizer = make(one);
        const Ids last = {tokenizer->vocab_size() - 1};
        for (const std::string& text : {tokenizer->decode(last), std::string()}) {
            tokenizer->set_end_token(text);
            EXPECT_EQ(tokenizer->end_token() >= 0, !text.empty());
            stored(*tokenizer);
            const auto back = read_tokenizer(GgufFile::open(path));
            EXPECT_EQ(back->specials(), tokenizer->specials()) << text;
            EXPECT_EQ(exported(*back)->specials(), tokenizer->specials()) << text;
        }
    }
}

TEST(TokenizerPipeline, OneTokenAfterTheOther) {
    for (const Case& one : cases().all) {
        const auto tokenizer = make(one);
        for (const Ids& ids : one.ids) {
            DecodeState state;
            std::string text;
            for (const int32_t id : ids) text += tokenizer->decode_next(id, state);
            EXPECT_EQ(text, tokenizer->decode(ids)) << one.name;
        }
    }
}

TEST(TokenizerPipeline, BytesThatAreNotUtf8) {
    for (const Case& one : cases().all) {
        const auto tokenizer = make(one);
        for (const char* text : {"a\xFFz", "\xE4\xBD", "\x80 caf\xC3 \xA9", "\xF0\x9F\x98 the", "\xED\xA0\x80", " \xC3"})
            EXPECT_NO_THROW(tokenizer->encode(text, {.skip_unknown = true})) << one.name;
    }
}

TEST(TokenizerPipeline, LongWordsTakeNoLongTime) {
    std::string marks, mixed;
    for (int i = 0; i < 200'000; ++i) marks += i % 2 ? "\u0301" : "\u0316";
    for (int i = 0; i < 100'000; ++i) mixed += i % 3 ? "\u00e9" : "a ";
    const std::vector<std::string> texts = {std::string(1'000'000, 'a'),
                                            std::string(1'000'000, ' '),
                                            std::string(1'000'000, '.'),
                                            std::string(300'000, '-') + "x",
                                            marks,
                                            mixed};
    for (const Case& one : cases().all) {
        if (one.name.find("plain") == std::string::npos && one.name.find("nf") == std::string::npos &&
            one.name.find("long words") == std::string::npos && one.name.find("spaces") == std::string::npos &&
            one.name.find("llama") == std::string::npos)
            continue;
        const auto tokenizer = make(one);
        for (const std::string& text : texts) EXPECT_NO_THROW(tokenizer->encode(text, {.skip_unknown = true})) << one.name;
    }
}

}  // namespace
}  // namespace nib
