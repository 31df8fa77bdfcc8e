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
constexpr int64_t kByte = 6;  // a type of token

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
        if (model_type_ != kBpe && model_type_ != kUnigram)
            refuse(std::string("the tokenizer type ") + kModelTypes[model_type_]);
        const bool bytes = std::any_of(spec_.tokens.begin(), spec_.tokens.end(),
                                       [](const TokenSpec& token) { return fallback_byte(token.text).has_value(); });
        steps_.add_prefix = steps_.add_prefix && add_prefix;
        TokenizerSpec spec =
            model_type_ == kUnigram ? llama_cpp_t5(steps_, bytes) : llama_cpp_llama(steps_.add_prefix, bytes);
        if (model_type_ == kUnigram) names_.pairs.second_type = 0;
        if (model_type_ == kBpe) spec.normalizers = sentencepiece_bpe_normalizers(steps_);
        spec.tokens = std::move(spec_.tokens);
        // These are found in a text whose spaces are spaces.
        for (TokenSpec& token : spec.tokens)
            if (token.type == TokenType::UserDefined && !spec.is_left_to_model(token))
                token.text = replaced(std::move(token.text), kMark, " ");
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
        if (type != kByte) token.type = static_cast<TokenType>(type);
        if (type == kByte && !fallback_byte(token.text))
            fail("%s: token %zu, \"%s\", stands for a byte, but not for which", name_.c_str(), id,
                 printable(token.text, 40).c_str());
        spec_.tokens.push_back(std::move(token));
        spec_.scores.push_back(score);
    }

    void read_trainer(const ProtobufField& trainer) {
        ProtobufReader message(trainer);
        for (ProtobufField field; message.next(field);) {
            switch (field.number()) {
                case 3: model_type_ = field.whole_number(std::ssize(kModelTypes) - 1); break;
                case 24: steps_.suffix = field.truth(); break;
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
                case 2: steps_.charsmap = field.bytes(); break;
                case 3: steps_.add_prefix = field.truth(); break;
                case 4: steps_.collapse = field.truth(); break;
                case 5: steps_.escape = field.truth(); break;
                default: break;
            }
        }
    }

    const std::string& name_;
    SpecialNames& names_;
    TokenizerSpec spec_;
    int64_t model_type_ = kUnigram;
    SentencePieceSteps steps_;
};

class ModelWriter {
public:
    explicit ModelWriter(const TokenizerSpec& spec) {
        const auto text_of = [&](int32_t id, const char* standard) {
            return id < 0 ? std::string(standard) : spec.tokens[static_cast<size_t>(id)].text;
        };
        const std::string unknown = text_of(spec.specials.unknown, "<unk>"), end = text_of(spec.specials.end, "</s>"),
                          begin = text_of(spec.specials.begin, "<s>");
        add_piece(unknown, 0, TokenType::Unknown);
        add_piece(begin, 0, TokenType::Control);
        add_piece(end, 0, TokenType::Control);
        for (size_t i = 0; i < spec.tokens.size(); ++i) {
            const TokenSpec& token = spec.tokens[i];
            const bool text = token.type == TokenType::Normal || spec.is_left_to_model(token);
            if (text && !std::isinf(spec.scores[i])) add_piece(token.text, spec.scores[i], token.type);
        }
        for (const UnlistedPiece& piece : spec.unlisted) add_piece(piece.text, piece.score, TokenType::Normal);
        const auto steps = read_sentencepiece_step(spec.normalizers);
        if (!steps) fail("only a tokenizer that was SentencePiece's can be written as one");
        ProtobufWriter trainer, normalizer;
        trainer.whole_number(3, kUnigram);
        if (steps->suffix) trainer.whole_number(24, 1);
        if (bytes_) trainer.whole_number(35, 1);
        trainer.bytes(45, unknown);
        trainer.bytes(46, begin);
        trainer.bytes(47, end);
        normalizer.bytes(2, steps->charsmap);
        normalizer.whole_number(3, steps->add_prefix);
        normalizer.whole_number(4, steps->collapse);
        normalizer.whole_number(5, steps->escape);
        model_.bytes(2, trainer.message());
        model_.bytes(3, normalizer.message());
    }

    const std::string& file() const { return model_.message(); }

private:
    void add_piece(const std::string& text, double score, TokenType type) {
        const bool byte = type == TokenType::Normal && fallback_byte(text);
        bytes_ = bytes_ || byte;
        ProtobufWriter piece;
        piece.bytes(1, text);
        piece.real(2, static_cast<float>(score));
        if (type != TokenType::Normal || byte) piece.whole_number(3, byte ? kByte : static_cast<uint64_t>(type));
        model_.bytes(1, piece.message());
    }

    ProtobufWriter model_;
    bool bytes_ = false;
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

std::string sentencepiece_file(const TokenizerSpec& spec) { return ModelWriter(spec).file(); }

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
