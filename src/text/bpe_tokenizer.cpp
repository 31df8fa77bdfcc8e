#include "text/bpe_tokenizer.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace nib {
namespace {

bool is_added(const BpeToken& token) { return token.type != TokenType::Normal && token.type != TokenType::Unused; }

// By stage; without `marks` only those that are part of what a text says.
std::array<AddedTokens, 2> collect_added(const std::vector<BpeToken>& tokens, bool marks) {
    std::array<std::vector<std::pair<std::string, int32_t>>, 2> added;
    for (size_t i = 0; i < tokens.size(); ++i) {
        const BpeToken& token = tokens[i];
        if ((marks ? is_added(token) : token.type == TokenType::UserDefined) && !token.text.empty())
            added[token.normalized].emplace_back(token.text, static_cast<int32_t>(i));
    }
    return {AddedTokens(std::move(added[0])), AddedTokens(std::move(added[1]))};
}

std::string quoted(std::string_view text) { return "\"" + printable(text, 60) + "\""; }

}  // namespace

struct BpeTokenizer::Work {
    const EncodeOptions& options;
    std::vector<int32_t> ids;      // the result
    std::vector<int32_t> symbols;  // of the piece at hand
    BpeMerges::Scratch scratch;
};

BpeTokenizer::BpeTokenizer(const BpeModel& model, std::span<const std::string> merges)
    : Tokenizer(model.specials),
      merges_(merges.size()),
      added_(collect_added(model.tokens, true)),
      plain_(collect_added(model.tokens, false)),
      split_(model.split),
      add_prefix_space_(model.add_prefix_space),
      ignore_merges_(model.ignore_merges) {
    add_tokens(model.tokens);
    add_merges(merges);
    check_specials();
    shortcut_ = std::make_unique<std::atomic<uint8_t>[]>(model.tokens.size());
}

void BpeTokenizer::add_tokens(const std::vector<BpeToken>& tokens) {
    if (tokens.empty()) fail("the vocabulary is empty");
    if (tokens.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) fail("the vocabulary is too large");
    const size_t bytes = std::accumulate(tokens.begin(), tokens.end(), size_t{0},
                                         [](size_t sum, const auto& t) { return sum + t.text.size(); });
    if (bytes > std::numeric_limits<uint32_t>::max()) fail("the vocabulary is too large");
    slots_.assign(std::bit_ceil(2 * tokens.size()), -1);
    blob_.reserve(bytes);
    offsets_.reserve(tokens.size() + 1);
    types_.reserve(tokens.size());
    offsets_.push_back(0);
    std::unordered_set<std::string_view> literals;
    for (size_t i = 0; i < tokens.size(); ++i) {
        const BpeToken& token = tokens[i];
        const auto id = static_cast<int32_t>(i);
        const size_t begin = blob_.size();
        bool spelled = true;
        if (token.type != TokenType::Unused) {
            spelled = append_spelled(blob_, token.text);
            if (!spelled) blob_ += token.text;
            const auto bytes = std::string_view(blob_).substr(begin);
            int32_t* const slot = spelled ? &slots_[slot_for(bytes)] : nullptr;
            if (spelled ? *slot >= 0 : !literals.insert(token.text).second)
                fail("the vocabulary is damaged: token %zu is %s, and so is one before it", i, quoted(token.text).c_str());
            if (spelled) *slot = id;
            if (is_added(token) && bytes != token.text) texts_[id] = token.text;
        }
        offsets_.push_back(static_cast<uint32_t>(blob_.size()));
        types_.push_back(token.type);
        literal_.push_back(!spelled);
        normalized_.push_back(token.normalized);
    }
    for (size_t byte = 0; byte < byte_ids_.size(); ++byte) {
        const char text[1] = {static_cast<char>(byte)};
        byte_ids_[byte] = find({text, 1});
        texts_.erase(byte_ids_[byte]);
    }
}

void BpeTokenizer::add_merges(std::span<const std::string> merges) {
    std::string bytes;
    int32_t merged = -1;
    for (size_t i = 0; i < merges.size(); ++i) {
        const std::string_view text = merges[i];
        const size_t space = text.find(' ');
        const auto damaged = [&](const char* reason) {
            fail("the merges are damaged: merge %zu, %s, %s", i, quoted(text).c_str(), reason);
        };
        if (space == std::string_view::npos) damaged("is not two tokens with a space between them");
        bytes.clear();
        const bool left_spelled = append_spelled(bytes, text.substr(0, space));
        const size_t middle = bytes.size();
        if (!left_spelled || !append_spelled(bytes, text.substr(space + 1)))
            damaged("is not two tokens in the alphabet of byte-level BPE");
        const std::string_view both = bytes;
        const BpeMerges::Pair pair{find(both.substr(0, middle)), find(both.substr(middle))};
        if (pair.left < 0 || pair.right < 0) damaged("has a part that is not in the vocabulary");
        // Usually a vocabulary has what merges make in the order of the merges.
        if (++merged >= vocab_size() || literal_[static_cast<size_t>(merged)] || slice(merged) != both) merged = find(both);
        if (merged < 0) damaged("makes a token that is not in the vocabulary");
        merges_.add(pair, merged);
        if (!texts_.empty()) texts_.erase(merged);
    }
}

size_t BpeTokenizer::slot_for(std::string_view bytes) const {
    const size_t mask = slots_.size() - 1;
    size_t at = std::hash<std::string_view>()(bytes) & mask;
    while (slots_[at] >= 0 && slice(slots_[at]) != bytes) at = (at + 1) & mask;
    return at;
}

std::string_view BpeTokenizer::slice(int32_t id) const {
    const auto i = static_cast<size_t>(id);
    return std::string_view(blob_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

std::string_view BpeTokenizer::bytes(int32_t id) const {
    if (id < 0 || id >= vocab_size()) fail("token %d is outside the vocabulary of %d tokens", id, vocab_size());
    if (!texts_.empty()) {
        if (const auto text = texts_.find(id); text != texts_.end()) return text->second;
    }
    return slice(id);
}

TokenType BpeTokenizer::type(int32_t id) const {
    if (id < 0 || id >= vocab_size()) fail("token %d is outside the vocabulary of %d tokens", id, vocab_size());
    return types_[static_cast<size_t>(id)];
}

std::string BpeTokenizer::decode(std::span<const int32_t> ids) const {
    std::string text;
    for (const int32_t id : ids) text += bytes(id);
    return text;
}

std::vector<int32_t> BpeTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
    Work work{options, {}, {}, {}};
    work.ids.reserve(text.size() / 3);
    if (options.begin && begins_texts()) work.ids.push_back(specials().begin);
    encode_added(text, 0, work);
    return std::move(work.ids);
}

// Takes out the added tokens of stage 0, in what is left those of stage 1, and encodes the rest.
void BpeTokenizer::encode_added(std::string_view text, size_t stage, Work& work) const {
    if (stage == added_.size()) return encode_text(text, work);
    for (size_t at = 0; at < text.size();) {
        const AddedTokens::Found found = (work.options.special ? added_ : plain_)[stage].find(text, at);
        if (found.at > at) encode_added(text.substr(at, found.at - at), stage + 1, work);
        if (found.length > 0) work.ids.push_back(found.id);
        at = found.at + found.length;
    }
}

void BpeTokenizer::encode_text(std::string_view text, Work& work) const {
    std::string with_space;
    if (add_prefix_space_ && !text.starts_with(' ')) {
        with_space.append(1, ' ').append(text);
        text = with_space;
    }
    PieceReader pieces(split_, text);
    for (std::string_view piece; pieces.next(piece);) encode_piece(piece, work);
}

void BpeTokenizer::encode_piece(std::string_view piece, Work& work) const {
    const int32_t id = find(piece);
    if (id < 0) {
        merge_piece(piece, work);
        work.ids.insert(work.ids.end(), work.symbols.begin(), work.symbols.end());
        return;
    }
    // Other threads may be finding out the same at the same time; all of them find the same.
    std::atomic<uint8_t>& shortcut = shortcut_[static_cast<size_t>(id)];
    const uint8_t known = ignore_merges_ ? kMergesToItself : shortcut.load(std::memory_order_relaxed);
    if (known == kMergesToItself) {
        work.ids.push_back(id);
        return;
    }
    merge_piece(piece, work);
    work.ids.insert(work.ids.end(), work.symbols.begin(), work.symbols.end());
    if (known == kNotTried) {
        const bool itself = work.symbols.size() == 1 && work.symbols[0] == id;
        shortcut.store(itself ? kMergesToItself : kMergesToOthers, std::memory_order_relaxed);
    }
}

void BpeTokenizer::merge_piece(std::string_view piece, Work& work) const {
    work.symbols.clear();
    for (const char letter : piece) {
        const auto byte = static_cast<unsigned char>(letter);
        int32_t id = byte_ids_[byte];
        if (id < 0) id = specials().unknown;
        if (id < 0 && work.options.skip_unknown) continue;
        if (id < 0)
            fail("the model has no token for %s, and none for unknown text; %s",
                 byte < 0x80 ? describe(byte).c_str() : strprintf("byte 0x%02X", static_cast<unsigned>(byte)).c_str(),
                 work.options.advice);
        work.symbols.push_back(id);
    }
    merges_.apply(work.symbols, work.scratch);
}

BpeModel BpeTokenizer::model() const {
    BpeModel model;
    for (int32_t id = 0; id < vocab_size(); ++id) {
        const auto i = static_cast<size_t>(id);
        const auto text = texts_.find(id);
        BpeToken token{text != texts_.end() ? text->second : std::string(slice(id)), types_[i], normalized_[i]};
        if (!literal_[i] && text == texts_.end()) token.text = spell_bytes(token.text);
        model.tokens.push_back(std::move(token));
    }
    const auto spelled = [&](int32_t id) { return spell_bytes(slice(id)); };
    for (const auto& [left, right] : merges_.pairs()) model.merges.push_back(spelled(left) + " " + spelled(right));
    model.split = split_;
    model.add_prefix_space = add_prefix_space_;
    model.ignore_merges = ignore_merges_;
    model.specials = specials();
    return model;
}

}  // namespace nib
