// What every tokenizer can do: text to token ids and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

struct EncodeOptions {
    bool special = true;  // marks like "<|endoftext|>" are their tokens (as in Hugging Face); false: text like any other
    bool begin = false;   // first the token that begins a text, if the model wants one
    bool skip_unknown = false;         // leave out what has no token
    const char* advice = "remove it";  // the end of the Error about text that has none
};

/// What decoding a sequence token by token has to remember.
struct DecodeState {
    bool begun = false;   // a token has been decoded: its successors may begin with a space
    size_t stripped = 0;  // characters left out at the beginning
    std::string held;     // comes before the next token, if there is one
};

class Tokenizer {
public:
    virtual ~Tokenizer() = default;

    /// The tokens of a text; throws Error for text that has none.
    virtual std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

    /// The bytes of one token amid others, which may be part of a character (Utf8Streamer puts them together); throws Error
    /// for an id outside the vocabulary.
    virtual std::string decode(int32_t id) const = 0;

    /// What a token adds to the text of those before it, which have been passed with the same `state`.
    virtual std::string decode_next(int32_t id, DecodeState&) const { return decode(id); }

    /// The bytes of a sequence of tokens.
    virtual std::string decode(std::span<const int32_t> ids) const {
        std::string text;
        DecodeState state;
        for (const int32_t id : ids) text += decode_next(id, state);
        return text;
    }

    /// Number of tokens; ids are 0 to vocab_size() - 1.
    virtual int32_t vocab_size() const = 0;

    /// Whether `id`, one of the vocabulary, has a token: others only fill a model's embedding up to its size.
    virtual bool has_token(int32_t) const { return true; }
    /// How many ids have one.
    int32_t token_count() const {
        int32_t count = 0;
        for (int32_t id = 0; id < vocab_size(); ++id) count += has_token(id);
        return count;
    }

    /// Which tokenizer this is, in a word for people: "char", ...
    virtual const char* kind() const = 0;

    /// What a model continues when there is no prompt.
    virtual int32_t first_token() const { return 0; }
    /// Whether the model wants that token before every text (EncodeOptions::begin).
    virtual bool begins_texts() const { return false; }
    /// The token that begins a text, and the one that ends it; -1: none.
    virtual int32_t begin_token() const { return -1; }
    virtual int32_t end_token() const { return -1; }
};

}  // namespace nib
