#include "text/bpe_model.h"

#include <algorithm>

#include "core/error.h"
#include "text/byte_alphabet.h"
#include "text/utf8.h"

namespace nib {

BpeModel::BpeModel(TokenTable& table, const TokenizerSpec& spec, std::span<const std::string> merges)
    : table_(table),
      spec_(spec.model),
      byte_level_(spec.is_byte_level()),
      unknown_(table, spec),
      merges_(merges.size()),
      shortcut_(std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(table.size()))) {
    for (size_t byte = 0; byte_level_ && byte < byte_ids_.size(); ++byte) {
        const char text[1] = {static_cast<char>(byte)};
        byte_ids_[byte] = table_.find({text, 1});
        table.set_made_by_model(byte_ids_[byte]);
    }
    add_merges(table, merges);
}

void BpeModel::add_merges(TokenTable& table, std::span<const std::string> merges) {
    // As in `tokenizers`: its characters counted, that many bytes removed.
    const auto prefix = static_cast<size_t>(std::count_if(spec_.continuing_prefix.begin(), spec_.continuing_prefix.end(),
                                                          [](char c) { return (c & 0xC0) != 0x80; }));
    std::string both;
    int32_t merged = -1;
    for (size_t i = 0; i < merges.size(); ++i) {
        const std::string_view text = merges[i];
        const size_t separator = find_merge_separator(text);
        const auto damaged = [&](const char* reason) {
            fail("the merges are damaged: merge %zu, \"%s\", %s", i, printable(text, 60).c_str(), reason);
        };
        if (separator == std::string_view::npos) damaged("is not two tokens with a space between them");
        const auto left = text.substr(0, separator), right = text.substr(separator + 1);
        both.clear();
        if (!byte_level_) {
            both = left;
        } else if (!append_spelled(both, left)) {
            damaged("is not two tokens in the alphabet of byte-level BPE");
        }
        const size_t middle = both.size();
        if (!byte_level_) {
            both += right;
        } else if (!append_spelled(both, right)) {
            damaged("is not two tokens in the alphabet of byte-level BPE");
        }
        const BpeMerges::Pair pair{table_.find(std::string_view(both).substr(0, middle)),
                                   table_.find(std::string_view(both).substr(middle))};
        if (pair.left < 0 || pair.right < 0) damaged("has a part that is not in the vocabulary");
        both.erase(middle, prefix);
        // Usually a vocabulary has what merges make in the order of the merges.
        if (++merged >= table_.size() || !table_.is_found(merged) || table_.key(merged) != both) merged = table_.find(both);
        if (merged < 0) damaged("makes a token that is not in the vocabulary");
        merges_.add(pair, merged);
        table.set_made_by_model(merged);
    }
}

void BpeModel::encode(std::string_view word, Work& work) const {
    const int32_t id = table_.find(word);
    const bool decorated = !spec_.continuing_prefix.empty() || !spec_.word_suffix.empty();
    if (id >= 0 && spec_.ignore_merges) {
        work.ids.push_back(id);
        return;
    }
    if (id < 0 || decorated) {
        merge_word(word, work);
        work.ids.insert(work.ids.end(), work.symbols.begin(), work.symbols.end());
        return;
    }
    std::atomic<uint8_t>& shortcut = shortcut_[static_cast<size_t>(id)];
    const uint8_t known = shortcut.load(std::memory_order_relaxed);
    if (known == kMergesToItself) {
        work.ids.push_back(id);
        return;
    }
    merge_word(word, work);
    work.ids.insert(work.ids.end(), work.symbols.begin(), work.symbols.end());
    if (known == kNotTried) {
        const bool itself = work.symbols.size() == 1 && work.symbols[0] == id;
        shortcut.store(itself ? kMergesToItself : kMergesToOthers, std::memory_order_relaxed);
    }
}

void BpeModel::merge_word(std::string_view word, Work& work) const {
    work.symbols.clear();
    if (byte_level_)
        add_bytes(word, work);
    else
        add_characters(word, work);
    merges_.apply(work.symbols, work.scratch);
}

void BpeModel::add_bytes(std::string_view word, Work& work) const {
    for (const char& letter : word) {
        int32_t id = byte_ids_[static_cast<unsigned char>(letter)];
        if (id < 0) id = unknown_.id({&letter, 1}, work);
        if (id >= 0) work.symbols.push_back(id);
    }
}

// An unknown character waits for the next known one, or for another unknown one that it is not to be fused with, but not
// for a fallback: that order is the one of `tokenizers`.
void BpeModel::add_characters(std::string_view word, Work& work) const {
    std::string decorated;
    int32_t waiting = -1;  // the token for unknown text
    for (size_t at = 0; at < word.size();) {
        const size_t length = std::max<size_t>(static_cast<size_t>(decode_utf8(word, at).length), 1);
        std::string_view text = word.substr(at, length);
        const bool first = at == 0;
        at += length;
        const bool last = at == word.size();
        if ((!first && !spec_.continuing_prefix.empty()) || (last && !spec_.word_suffix.empty())) {
            decorated = first ? "" : spec_.continuing_prefix;
            decorated += text;
            if (last) decorated += spec_.word_suffix;
            text = decorated;
        }
        const int32_t id = table_.find(text);
        if (id < 0 && unknown_.add_bytes(text, work.symbols)) continue;
        if (waiting >= 0 && (id >= 0 || !spec_.fuse_unknown)) {
            work.symbols.push_back(waiting);
            waiting = -1;
        }
        if (id >= 0)
            work.symbols.push_back(id);
        else
            waiting = unknown_.id(text, work);
    }
    if (waiting >= 0) work.symbols.push_back(waiting);
}

std::vector<std::string> BpeModel::merges() const {
    std::vector<std::string> merges;
    for (const auto& [left, right] : merges_.pairs())
        merges.push_back(join_merge(table_.spelled(left), table_.spelled(right)));
    return merges;
}

}  // namespace nib
