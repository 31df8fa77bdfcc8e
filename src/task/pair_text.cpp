#include "task/pair_text.h"

#include <algorithm>

#include "core/error.h"
#include "text/text_key.h"

namespace nib {
namespace {

// Of `ids` so many are not the text's own.
void check_side(const char* what, const std::vector<int32_t>& ids, int64_t marks, int64_t context) {
    const int64_t own = std::ssize(ids) - marks;
    if (own == 0) fail("the %s has no tokens", what);
    if (std::ssize(ids) > context)
        fail("a %s of %s, but a context of %lld has room for %lld", what, counted(own, "token").c_str(),
             static_cast<long long>(context), static_cast<long long>(context - marks));
}

void tell(uint64_t count, const std::vector<std::string>& reasons, const PairTextOptions& options) {
    if (count == 0 || !options.note) return;
    std::string text = "passed over " + counted(static_cast<int64_t>(count), "pair");
    for (const std::string& reason : reasons) text += "\n  " + reason;
    options.note(text);
}

TextKey key_of(const PairFiles& files, const PairReader& reader, const PairTokens& tokens) {
    TextKey key("pairs");
    key.add(tokens.source);
    key.add(tokens.target);
    key.add(static_cast<uint64_t>(tokens.context));
    key.add(uint64_t{files.skip_bad});
    key.add(files.second.empty() ? "tables" : "lines");
    const LabelColumns& columns = files.columns;
    key.add(columns.text);
    key.add(columns.second);
    key.add(uint64_t{columns.header} << 1 | uint64_t{columns.no_header});
    for (const std::string& path : reader.files()) key.add_file(path);
    return key;
}

}  // namespace

TokenPair encode_pair(const Example& pair, const PairTokens& tokens) {
    const EncodeOptions plain{.special = false};
    TokenPair encoded;
    encoded.source = tokens.source.encode_marked(pair.texts[0], plain).ids;
    check_side("source", encoded.source, tokens.source.begins_texts() + tokens.source.ends_texts(), tokens.context);
    encoded.target = tokens.target.encode(pair.texts[1], plain);
    encoded.target.push_back(tokens.target.end_token());
    check_side("target", encoded.target, 1, tokens.context);
    return encoded;
}

std::unique_ptr<TokenFile> pair_text(const PairFiles& files, const PairTokens& tokens, const std::string& folder,
                                     const PairTextOptions& options) {
    if (tokens.target.end_token() < 0) fail("the vocabulary has no token that ends a text");
    PairReader reader(files);
    const TextKey key = key_of(files, reader, tokens);
    const std::string path = key.token_file(folder);
    if (auto found = find_token_file(path, key.value())) {
        tell(found->passed_over().wrong, {}, options);
        return found;
    }
    constexpr bool kMarked = true;
    TokenFileWriter to(path, std::max(tokens.source.vocab_size(), tokens.target.vocab_size()), kMarked);
    std::vector<uint8_t> marks;
    for (Example pair; reader.next(pair);) {
        if (options.progress) options.progress(reader.bytes_read(), reader.total_bytes());
        TokenPair encoded;
        try {
            encoded = encode_pair(pair, tokens);
        } catch (const Error& error) {
            reader.refuse(pair, error);
            continue;
        }
        to.add(encoded.source);
        marks.assign(encoded.target.size(), 1);
        to.add(encoded.target, marks);
        to.end_document();
    }
    tell(reader.passed_over(), reader.reasons(), options);
    if (to.size() == 0) fail("%s: there is no pair of a source and a target", printable(reader.files().front()).c_str());
    to.finish(key.value(), reader.bytes_read(), {.wrong = reader.passed_over()});
    return std::make_unique<TokenFile>(path);
}

}  // namespace nib
