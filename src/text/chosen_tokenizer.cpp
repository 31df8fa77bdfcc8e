#include "text/chosen_tokenizer.h"

#include <charconv>

#include "core/error.h"
#include "io/gguf.h"
#include "text/tokenizer_gguf.h"
#include "text/vocabulary.h"

namespace nib {
namespace {

constexpr const char *kBpe = "bpe:", *kWordPiece = "wordpiece:";

// The number after a prefix; 0: there is no such prefix.
int64_t size_after(const std::string& name, std::string_view prefix) {
    if (!name.starts_with(prefix)) return 0;
    int64_t size = 0;
    const char *const begin = name.data() + prefix.size(), *const end = name.data() + name.size();
    const auto [at, error] = std::from_chars(begin, end, size);
    if (error != std::errc() || at != end || size < 1 || size > INT32_MAX)
        fail("`%s` is no kind of tokenizer and its size, such as %s8000", printable(name, 60).c_str(),
             std::string(prefix).c_str());
    return size;
}

// How the tokenizer of this name is learned.
TokenizerTraining training_of(const std::string& name) {
    using Type = TokenizerTraining::Type;
    if (!learned_tokenizer(name)) fail("`%s` is no tokenizer that can be learned", printable(name, 60).c_str());
    const int64_t bpe = size_after(name, kBpe), wordpiece = size_after(name, kWordPiece);
    TokenizerTraining training;
    training.type = bpe > 0 ? Type::Bpe : wordpiece > 0 ? Type::WordPiece : Type::Char;
    training.size = bpe + wordpiece;
    training.specials =
        wordpiece > 0 ? default_specials(training.type, training.split) : std::vector<std::string>{kEndOfText};
    return training;
}

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path) {
    if (!path.ends_with(".gguf")) {
        std::vector<std::string> notes;  // about lists of characters that leave something open
        return open_vocabulary(path, -1, -1, notes);
    }
    const GgufFile file = GgufFile::open(path);
    std::unique_ptr<Tokenizer> tokenizer = read_tokenizer(file);
    if (!tokenizer) fail("%s: the model has no tokenizer", printable(file.name()).c_str());
    return tokenizer;
}

bool learned_tokenizer(const std::string& name) {
    return name == kCharacters || name.starts_with(kBpe) || name.starts_with(kWordPiece);
}

std::unique_ptr<Tokenizer> learn_tokenizer(const std::string& name, DocumentSource& texts, int threads,
                                           const TrainingProgress& progress) {
    TokenizerTraining training = training_of(name);
    training.threads = threads;
    try {
        return train_tokenizer(texts, training, progress);
    } catch (const Error& error) {
        if (!error.about_option()) throw;
        fail_option("tokenizer", "is `%s`, whose %s", printable(name, 60).c_str(), error.what());
    }
}

std::unique_ptr<Tokenizer> choose_tokenizer(const std::string& name, const std::vector<std::string>& texts, int threads,
                                            const TrainingProgress& progress) {
    if (!learned_tokenizer(name)) return open_tokenizer(name);
    training_of(name);  // its errors come before those of texts
    TextSource source(texts);
    return learn_tokenizer(name, source, threads, progress);
}

}  // namespace nib
