#include "text/sentencepiece_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "io/protobuf.h"
#include "text/llama_cpp_keys.h"
#include "text/unknown_text.h"

namespace nib {
namespace {

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) text.replace(at, from.size(), to);
    return text;
}

constexpr std::string_view kMark = "\u2581";

// ---- tokenizer.model, with the numbers of its fields as in sentencepiece_model.proto
// -----------------------------------------

constexpr const char* kModelTypes[] = {"0", "Unigram", "BPE", "Word", "Char"};
constexpr int64_t kUnigram = 1, kBpe = 2;

class ModelReader {
public:
    ModelReader(std::string_view file, const std::string& name, SpecialNames& names) : name_(name), names_(names) {
        names_.begin = "<s>", names_.end = "</s>", names_.unknown = "<unk>", names_.padding = "<pad>";
        ProtobufReader model(file, name);
        for (ProtobufField field; model.next(field);) {
            if (field.number() == 1) read_piece(field);
            if (field.number() == 2) read_trainer(field);
            if (field.number() == 3) read_normalizer(field);
        }
    }

    TokenizerSpec finish(bool add_prefix) {
        if (spec_.tokens.empty()) fail("%s: there is no token in it", name_.c_str());
        if (model_type_ != kBpe) refuse(std::string("the tokenizer type ") + kModelTypes[model_type_]);
        if (suffix_) refuse("treat_whitespace_as_suffix");
        if (!escape_) refuse("escape_whitespaces = false");
        if (charsmap_) refuse("the normalization " + printable(normalization_, 40));
        const bool bytes = std::any_of(spec_.tokens.begin(), spec_.tokens.end(),
                                       [](const TokenSpec& token) { return fallback_byte(token.text).has_value(); });
        TokenizerSpec spec = llama_cpp_llama(dummy_prefix_ && add_prefix, bytes);
        spec.normalizers = sentencepiece_normalizers(dummy_prefix_ && add_prefix, collapse_);
        spec.tokens = std::move(spec_.tokens);
        spec.scores = std::move(spec_.scores);
        return spec;
    }

private:
    [[noreturn]] void refuse(const std::string& what) const {
        fail("%s: %s is not supported", name_.c_str(), what.c_str());
    }

    void read_piece(const ProtobufField& piece) {
        TokenSpec token;
        float score = 0;
        int64_t type = 1;
        ProtobufReader message(piece);
        for (ProtobufField field; message.next(field);) {
            if (field.number() == 1) token.text = field.bytes();
            if (field.number() == 2) score = field.real();
            if (field.number() == 3) type = field.whole_number(6);
        }
        const size_t id = spec_.tokens.size();
        if (token.text.empty()) fail("%s: token %zu is empty", name_.c_str(), id);
        if (type == 0) fail("%s: token %zu has the type 0", name_.c_str(), id);
        constexpr int64_t kByte = 6;
        if (type != kByte) token.type = static_cast<TokenType>(type);
        if (type == kByte && !fallback_byte(token.text))
            fail("%s: token %zu, \"%s\", stands for a byte, but not for which", name_.c_str(), id,
                 printable(token.text, 40).c_str());
        // These are found in a text whose spaces are spaces.
        if (token.type == TokenType::UserDefined) token.text = replaced(std::move(token.text), kMark, " ");
        spec_.tokens.push_back(std::move(token));
        spec_.scores.push_back(score);
    }

    void read_trainer(const ProtobufField& trainer) {
        ProtobufReader message(trainer);
        for (ProtobufField field; message.next(field);) {
            switch (field.number()) {
                case 3: model_type_ = field.whole_number(std::ssize(kModelTypes) - 1); break;
                case 24: suffix_ = field.truth(); break;
                case 45: names_.unknown = field.bytes(); break;
                case 46: names_.begin = field.bytes(); break;
                case 47: names_.end = field.bytes(); break;
                case 48: names_.padding = field.bytes(); break;
                default: break;
            }
        }
    }

    void read_normalizer(const ProtobufField& normalizer) {
        ProtobufReader message(normalizer);
        for (ProtobufField field; message.next(field);) {
            switch (field.number()) {
                case 1: normalization_ = field.bytes(); break;
                case 2: charsmap_ = !field.bytes().empty(); break;
                case 3: dummy_prefix_ = field.truth(); break;
                case 4: collapse_ = field.truth(); break;
                case 5: escape_ = field.truth(); break;
                default: break;
            }
        }
    }

    const std::string& name_;
    SpecialNames& names_;
    TokenizerSpec spec_;
    int64_t model_type_ = kUnigram;
    std::string normalization_;
    bool suffix_ = false, charsmap_ = false, dummy_prefix_ = true, collapse_ = true, escape_ = true;
};

// ---- llama2.c: the longest token's length (i32), and of each token a score (f32), a length (i32) and the bytes
// ----------------

constexpr size_t kHeader = 4, kTokenHeader = 8;

uint32_t read_u32(std::string_view file, size_t at) {
    uint32_t value = 0;
    for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(file[at + i]);
    return value;
}

}  // namespace

TokenizerSpec read_sentencepiece_file(std::string_view file, const std::string& name, bool add_prefix,
                                      SpecialNames& names) {
    constexpr char kPiece = '\x0A';  // the tag of a token, which SentencePiece writes first
    if (!file.starts_with(kPiece))
        fail("%s: not a model of SentencePiece; of tiktoken's vocabularies nib reads the tokenizer.json", name.c_str());
    return ModelReader(file, name, names).finish(add_prefix);
}

bool is_llama2c_tokenizer(std::string_view file) {
    return file.size() > kHeader + kTokenHeader && file[2] == '\0' && file[3] == '\0';
}

TokenizerSpec read_llama2c_tokenizer(std::string_view file, const std::string& name) {
    TokenizerSpec spec = llama_cpp_llama(true);
    const uint32_t longest = read_u32(file, 0);
    for (size_t at = kHeader; at < file.size();) {
        const auto damaged = [&](const char* what) {
            fail("%s: damaged at byte %zu, token %zu: %s", name.c_str(), at, spec.tokens.size(), what);
        };
        if (file.size() - at < kTokenHeader) damaged("the file ends inside it");
        const auto score = std::bit_cast<float>(read_u32(file, at));
        const uint32_t length = read_u32(file, at + 4);
        if (length > longest) damaged("it is longer than the longest token");
        if (length == 0) damaged("it is empty");
        if (length > file.size() - at - kTokenHeader) damaged("the file ends inside it");
        if (std::isnan(score)) damaged("its score is not a number");
        spec.tokens.push_back({replaced(std::string(file.substr(at + kTokenHeader, length)), " ", kMark)});
        spec.scores.push_back(score);
        at += kTokenHeader + length;
    }
    // The first are always these. llama2.c puts the marks on lines of their own, for the eye.
    const std::pair<std::string_view, TokenType> kMarks[] = {
        {"<unk>", TokenType::Unknown},
        {"<s>",   TokenType::Control},
        {"</s>",  TokenType::Control}
    };
    for (size_t id = 0; id < std::size(kMarks); ++id) {
        const auto& [text, type] = kMarks[id];
        if (id >= spec.tokens.size() || spec.tokens[id].text.find(text) == std::string::npos)
            fail("%s: token %zu is not %s, as in the tokenizer.bin of llama2.c", name.c_str(), id,
                 std::string(text).c_str());
        spec.tokens[id].text = text;
        spec.tokens[id].type = type;
    }
    spec.model.byte_fallback = std::any_of(spec.tokens.begin(), spec.tokens.end(),
                                           [](const TokenSpec& token) { return fallback_byte(token.text).has_value(); });
    spec.specials = {.begin = 1, .end = 2, .unknown = 0, .padding = -1, .add_begin = true, .add_end = false};
    return spec;
}

}  // namespace nib
