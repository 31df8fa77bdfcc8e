// What every tokenizer can do: text to token ids and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// GPT-2's token that ends a text, and so usually that of byte-pair encoding which has it.
inline constexpr const char* kEndOfText = "<|endoftext|>";

/// What a token is for; the numbers are llama.cpp's.
enum class TokenType : int32_t {
    Normal = 1,       // from the vocabulary that was trained
    Unknown = 2,      // stands for what has no token
    Control = 3,      // a mark like the end of a text: found in a text, not part of what it says
    UserDefined = 4,  // added later; found in a text as it stands
    Unused = 5,       // an id without a token
};

/// What stands around two texts that are one to the model, beside the tokens that begin and end them.
struct PairForm {
    int32_t ends_between = 1;  // how many tokens that end a text stand between the two; -1: in a way that nib does not know
    bool begins_second = true;  // the second has a token that begins it, too
    int32_t second_type = 1;    // the segment of the second and its marks; that of the first is 0

    bool operator==(const PairForm&) const = default;
};
inline constexpr PairForm kBertPairs = {1, false, 1};  // [CLS] A [SEP] B [SEP]

/// Ids of tokens with a purpose, -1 where there is none, and what belongs around a text.
struct SpecialTokens {
    int32_t begin = -1, end = -1, unknown = -1, padding = -1;
    bool add_begin = false, add_end = false;
    int32_t mask = -1;
    PairForm pairs = {};

    bool operator==(const SpecialTokens&) const = default;
};

struct EncodeOptions {
    bool special = true;  // marks like "<|endoftext|>" are their tokens (as in Hugging Face); false: text like any other
    bool begin = false;   // first the token that begins a text, if the model wants one
    bool skip_unknown = false;  // leave out what has no token
    // Parts of the text, in order, in which marks are text like any other: those with a byte there. Marks that are found
    // only after a normalization of the text are not among them.
    std::span<const std::string_view> verbatim = {};
};

/// Texts with what belongs around them, as BERT takes them.
struct MarkedText {
    std::vector<int32_t> ids;
    std::vector<int32_t> types;  // the segment of each
};

/// Tokens, and which bytes of the text each of them is of.
struct PlacedTokens {
    struct Place {
        size_t begin = 0, end = 0;
        bool operator==(const Place&) const = default;
    };
    std::vector<int32_t> ids;
    std::vector<Place> places;
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

    /// The tokens of a text; Error with Remedy::SkipUnknown for text that has none.
    virtual std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

    /// The same tokens of a text, which must be UTF-8, and their places: whole characters, without white space around them
    /// unless the token is nothing else. Both ends never decrease; tokens that share a character share its bytes. Error for
    /// a tokenizer whose tokens are of no text.
    virtual PlacedTokens encode_placed(std::string_view text, const EncodeOptions& options = {}) const;

    /// One text, or two that belong together, with the tokens that the model wants around them; `begin` of the options does
    /// not matter. Error if nib does not know how this tokenizer puts two together.
    MarkedText encode_marked(std::string_view text, const EncodeOptions& options = {}) const;
    MarkedText encode_marked(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;
    /// The same of tokens.
    MarkedText mark(std::span<const int32_t> first, std::span<const int32_t> second) const;

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

    /// What a token of the vocabulary is for.
    virtual TokenType type(int32_t) const { return TokenType::Normal; }
    /// Whether `id`, one of the vocabulary, has a token: others only fill a model's embedding up to its size.
    bool has_token(int32_t id) const { return type(id) != TokenType::Unused; }
    /// Whether it goes on with a word that has begun, as "##s" of WordPiece does.
    virtual bool continues_word(int32_t) const { return false; }
    /// How many ids have one.
    int32_t token_count() const {
        int32_t count = 0;
        for (int32_t id = 0; id < vocab_size(); ++id) count += has_token(id);
        return count;
    }

    /// Which tokenizer this is, in a word for people: "char", ...
    virtual const char* kind() const = 0;

    const SpecialTokens& specials() const { return specials_; }
    /// What a model continues when there is no prompt.
    virtual int32_t first_token() const;
    /// Whether the model wants that token before every text (EncodeOptions::begin).
    bool begins_texts() const { return specials_.add_begin && specials_.begin >= 0; }
    /// Likewise the token after it, in encode_marked().
    bool ends_texts() const { return specials_.add_end && specials_.end >= 0; }
    /// The token that begins a text, and the one that ends it; -1: none.
    int32_t begin_token() const { return specials_.begin; }
    int32_t end_token() const { return specials_.end; }
    /// The token that stands for a hidden word.
    int32_t mask_token() const { return specials_.mask; }

    /// Takes the token with this text for the one that ends a text, no token if `text` is empty. It also begins texts,
    /// unless the vocabulary has another token for that than for the end. Error when there is no such token.
    void set_end_token(std::string_view text);
    /// From now on every text ends with that token. Error when there is none.
    void end_texts();

protected:
    explicit Tokenizer(const SpecialTokens& specials = {}) : specials_(specials) {}

    /// Error for an id of `specials()` outside the vocabulary.
    void check_specials() const;

private:
    SpecialTokens specials_;
};

}  // namespace nib
