#include "text/score_merges.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/error.h"
#include "text/unknown_text.h"
#include "text/utf8.h"

namespace nib {
namespace {

using Kind = WordModelSpec::Kind;

// The tokens that texts are merged to, and of, and the ways to cut them into two.
class MergeableTokens {
public:
    explicit MergeableTokens(const TokenizerSpec& spec) {
        for (size_t i = 0; i < spec.tokens.size(); ++i) {
            const TokenSpec& token = spec.tokens[i];
            if (token.type != TokenType::Normal || (spec.model.byte_fallback && fallback_byte(token.text))) continue;
            ids_.emplace(token.text, static_cast<int32_t>(i));
            lengths_.insert(token.text.size());
        }
    }

    const std::unordered_map<std::string_view, int32_t>& ids() const { return ids_; }
    int32_t find(std::string_view text) const {
        const auto found = ids_.find(text);
        return found == ids_.end() ? -1 : found->second;
    }

    // Calls `found(left, right)`, of longer left parts first, until it returns false; false then.
    template <class Found>
    bool each_split(std::string_view text, const Found& found) const {
        for (size_t at = text.size(); at-- > 1;) {
            if (!lengths_.contains(at) || !lengths_.contains(text.size() - at)) continue;  // saves reading long texts
            const int32_t left = find(text.substr(0, at)), right = left < 0 ? -1 : find(text.substr(at));
            if (right >= 0 && !found(left, right)) return false;
        }
        return true;
    }

private:
    std::unordered_map<std::string_view, int32_t> ids_;
    std::unordered_set<size_t> lengths_;
};

uint64_t pair_of(int32_t left, int32_t right) {
    return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

bool has_all_bytes(const TokenizerSpec& spec) {
    std::unordered_set<std::string_view> texts;
    for (const TokenSpec& token : spec.tokens)
        if (token.type == TokenType::Normal) texts.insert(token.text);
    for (unsigned byte = 0; byte < 256; ++byte)
        if (!texts.contains(fallback_token(static_cast<unsigned char>(byte)))) return false;
    return true;
}

// Whether each character of the text is a token, so that merges begin with tokens only.
bool is_spelled(std::string_view text, const MergeableTokens& tokens) {
    for (size_t at = 0; at < text.size();) {
        const size_t length = std::max<size_t>(static_cast<size_t>(decode_utf8(text, at).length), 1);
        if (tokens.find(text.substr(at, length)) < 0) return false;
        at += length;
    }
    return true;
}

// The merges of a BPE by the tokens that they give.
class MergeGroups {
public:
    MergeGroups(const TokenizerSpec& spec, const MergeableTokens& tokens) : spec_(spec), order_(spec.tokens.size(), -1) {
        std::unordered_set<std::string_view> added;
        for (const TokenSpec& token : spec.tokens)
            if (token.is_added()) added.insert(token.text);
        int32_t last = -1;
        for (const std::string& merge : spec.merges) {
            const size_t separator = find_merge_separator(merge);
            const std::string left = merge.substr(0, separator), right = merge.substr(separator + 1), both = left + right;
            // Added tokens have been found in a text before it comes to merges.
            if (added.contains(left) || added.contains(right) || added.contains(both)) continue;
            const int32_t id = tokens.find(both), a = tokens.find(left), b = tokens.find(right);
            exact_ = exact_ && id >= 0 && a >= 0 && b >= 0;
            if (id < 0) continue;
            pairs_.insert(pair_of(a, b));
            int32_t& order = order_[static_cast<size_t>(id)];
            if (order < 0)
                order = count_++;
            else
                exact_ = exact_ && id == last;
            last = id;
        }
        for (const auto& [text, id] : tokens.ids()) {
            const auto is_merge = [&](int32_t left, int32_t right) { return pairs_.contains(pair_of(left, right)); };
            exact_ = exact_ && is_spelled(text, tokens) && tokens.each_split(text, is_merge);
        }
    }

    // Whether the order of tokens says all.
    bool exact() const { return exact_; }

    // As SentencePiece's training gives them: 0, -1, and so on, at last for tokens that nothing is merged to.
    std::vector<float> scores(const MergeableTokens& tokens) const {
        std::vector<float> scores(order_.size());
        int32_t next = count_;
        for (size_t i = 0; i < scores.size(); ++i) {
            if (order_[i] >= 0)
                scores[i] = -static_cast<float>(order_[i]);
            else if (tokens.find(spec_.tokens[i].text) == static_cast<int32_t>(i))
                scores[i] = -static_cast<float>(next++);
        }
        return scores;
    }

private:
    const TokenizerSpec& spec_;
    std::vector<int32_t> order_;  // of each token, -1: nothing is merged to it
    int32_t count_ = 0;
    std::unordered_set<uint64_t> pairs_;
    bool exact_ = true;
};

}  // namespace

TokenizerSpec with_merges(const TokenizerSpec& spec) {
    const MergeableTokens tokens(spec);
    std::vector<int32_t> ids;
    size_t room = 1 << 20;  // for merges: more than any vocabulary for languages needs, but no endless text
    for (const auto& [text, id] : tokens.ids()) {
        ids.push_back(id);
        room += 64 * text.size();
    }
    const auto score = [&](int32_t id) {
        return static_cast<size_t>(id) < spec.scores.size() ? spec.scores[static_cast<size_t>(id)] : 0.0f;
    };
    std::sort(ids.begin(), ids.end(),
              [&](int32_t a, int32_t b) { return score(a) != score(b) ? score(a) > score(b) : a < b; });
    TokenizerSpec made = spec;
    made.model.kind = Kind::Bpe;
    made.scores.clear();
    for (const int32_t id : ids) {
        tokens.each_split(spec.tokens[static_cast<size_t>(id)].text, [&](int32_t left, int32_t right) {
            const std::string merge =
                join_merge(spec.tokens[static_cast<size_t>(left)].text, spec.tokens[static_cast<size_t>(right)].text);
            if (merge.size() > room) fail("the tokens can be put together in too many ways to list them as merges");
            room -= merge.size();
            made.merges.push_back(merge);
            return true;
        });
    }
    return made;
}

std::optional<TokenizerSpec> with_scores(const TokenizerSpec& spec, bool nearest) {
    const MergeableTokens tokens(spec);
    const MergeGroups groups(spec, tokens);
    const bool plain = !spec.model.ignore_merges && spec.model.continuing_prefix.empty() && spec.model.word_suffix.empty();
    if (!nearest && !(plain && groups.exact() && has_all_bytes(spec))) return std::nullopt;
    TokenizerSpec made = spec;
    made.model = {};
    made.model.kind = Kind::SentencePiece;
    made.model.fuse_unknown = true;
    made.model.byte_fallback = spec.model.byte_fallback;
    made.merges.clear();
    made.scores = groups.scores(tokens);
    return made;
}

}  // namespace nib
