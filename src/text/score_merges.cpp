#include "text/score_merges.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
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

    // Calls `found(left, right)` until it returns false; false then.
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

size_t characters(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

// Of merges with the same score the one with the longer left part comes first, then the one with the longer right part.
using SplitOrder = std::pair<size_t, size_t>;

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

// The merges of a BPE, in groups of those that give the same token.
class MergeGroups {
public:
    MergeGroups(const TokenizerSpec& spec, const MergeableTokens& tokens)
        : spec_(spec), last_(spec.tokens.size()), group_(spec.tokens.size(), -1) {
        read(tokens);
        for (size_t begin = 0, end; begin < merges_.size(); begin = end, ++groups_) {
            end = begin;
            for (size_t i = begin; i == begin || i < end; ++i) {
                const auto id = static_cast<size_t>(merges_[i].id);
                end = std::max(end, last_[id] + 1);
                group_[id] = groups_;
            }
            exact_ = exact_ && is_exact(std::span(merges_).subspan(begin, end - begin));
        }
        for (const auto& [text, id] : tokens.ids()) {
            const auto is_merge = [&](int32_t left, int32_t right) { return pairs_.contains(pair_of(left, right)); };
            exact_ = exact_ && is_spelled(text, tokens) && tokens.each_split(text, is_merge);
        }
    }

    // Whether the order of groups says all.
    bool exact() const { return exact_; }

    // As SentencePiece's training gives them: 0, -1, and so on, at last for tokens that nothing is merged to.
    std::vector<double> scores(const MergeableTokens& tokens) const {
        std::vector<double> scores(group_.size());
        int32_t next = groups_;
        for (size_t i = 0; i < scores.size(); ++i) {
            if (group_[i] >= 0)
                scores[i] = -static_cast<double>(group_[i]);
            else if (tokens.find(spec_.tokens[i].text) == static_cast<int32_t>(i))
                scores[i] = -static_cast<double>(next++);
        }
        return scores;
    }

private:
    struct Merge {
        int32_t id;  // of what it gives
        int32_t left, right;
        SplitOrder order;
    };

    void read(const MergeableTokens& tokens) {
        std::unordered_set<std::string_view> added;
        for (const TokenSpec& token : spec_.tokens)
            if (token.is_added()) added.insert(token.text);
        for (const std::string& merge : spec_.merges) {
            const size_t separator = find_merge_separator(merge);
            const std::string left = merge.substr(0, separator), right = merge.substr(separator + 1), both = left + right;
            // Added tokens have been found in a text before it comes to merges.
            if (added.contains(left) || added.contains(right) || added.contains(both)) continue;
            const int32_t id = tokens.find(both), a = tokens.find(left), b = tokens.find(right);
            exact_ = exact_ && id >= 0 && a >= 0 && b >= 0;
            if (id < 0) continue;
            pairs_.insert(pair_of(a, b));
            last_[static_cast<size_t>(id)] = merges_.size();
            merges_.push_back(Merge{id, a, b, SplitOrder(characters(left), characters(right))});
        }
    }

    // Groups that overlap are one with the same score for several tokens. What is leftmost then counts, whichever token it
    // gives. Merges in the order of with_merges() do the same in runs of one character, like a text's spaces, if these do
    // not begin with merges of earlier groups.
    bool is_exact(std::span<const Merge> group) const {
        const std::string_view first = spec_.tokens[static_cast<size_t>(group[0].id)].text;
        const auto other = [&](const Merge& merge) { return merge.id != group[0].id; };
        if (std::none_of(group.begin(), group.end(), other)) return true;
        const auto length = static_cast<size_t>(decode_utf8(first, 0).length);
        const auto is_run = [&](const Merge& merge) {
            const std::string_view text = spec_.tokens[static_cast<size_t>(merge.id)].text;
            return text.starts_with(first.substr(0, length)) && text.substr(length) == text.substr(0, text.size() - length);
        };
        const auto is_earlier = [&](int32_t part) {
            return part >= 0 && group_[static_cast<size_t>(part)] >= 0 && group_[static_cast<size_t>(part)] < groups_;
        };
        return length > 0 && std::all_of(group.begin(), group.end(), is_run) &&
               std::none_of(group.begin(), group.end(),
                            [&](const Merge& merge) { return is_earlier(merge.left) || is_earlier(merge.right); }) &&
               std::is_sorted(group.begin(), group.end(), [](const Merge& a, const Merge& b) { return a.order > b.order; });
    }

    const TokenizerSpec& spec_;
    std::vector<Merge> merges_;
    std::vector<size_t> last_;    // merge to each token
    std::vector<int32_t> group_;  // of each token, -1: nothing is merged to it
    int32_t groups_ = 0;
    std::unordered_set<uint64_t> pairs_;
    bool exact_ = true;
};

}  // namespace

TokenizerSpec with_merges(const TokenizerSpec& spec) {
    struct Merge {
        double score;
        SplitOrder order;
        int32_t id;  // of what it gives
        std::string text;
    };
    const MergeableTokens tokens(spec);
    std::vector<Merge> merges;
    size_t room = 1 << 20;  // for merges: more than any vocabulary for languages needs, but no endless text
    for (const auto& [text, id] : tokens.ids()) room += 64 * text.size();
    for (const auto& [text, id] : tokens.ids()) {
        const double score = static_cast<size_t>(id) < spec.scores.size() ? spec.scores[static_cast<size_t>(id)] : 0.0;
        tokens.each_split(text, [&, id = id](int32_t a, int32_t b) {
            const std::string &left = spec.tokens[static_cast<size_t>(a)].text,
                              &right = spec.tokens[static_cast<size_t>(b)].text;
            merges.push_back({
                score, {characters(left), characters(right)},
                 id, join_merge(left, right)
            });
            if (merges.back().text.size() > room)
                fail("the tokens can be put together in too many ways to list them as merges");
            room -= merges.back().text.size();
            return true;
        });
    }
    std::sort(merges.begin(), merges.end(), [](const Merge& a, const Merge& b) {
        return std::tie(b.score, b.order, a.id) < std::tie(a.score, a.order, b.id);
    });
    TokenizerSpec made = spec;
    made.model.kind = Kind::Bpe;
    made.scores.clear();
    for (Merge& merge : merges) made.merges.push_back(std::move(merge.text));
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
