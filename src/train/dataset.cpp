#include "train/dataset.h"

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "core/hash.h"
#include "task/examples.h"

namespace nib {

namespace {

void divide(Dataset& data, const DatasetOptions& options, const std::string& val_file) {
    if (!data.other) {
        std::tie(data.train, data.val) = split(*data.text, options.val_fraction, options.context);
        return;
    }
    data.train = split(*data.text, 0, options.context).first;
    try {
        data.val = split(*data.other, 0, options.context).first;
    } catch (const Error& error) {
        throw error.within(printable(val_file));
    }
}

// Whole documents train or validate; of a few, one validates, too.
void divide_documents(Dataset& data, const DatasetOptions& options) {
    const int64_t count = data.text->documents(), size = data.text->size();
    if (data.other) {
        data.train = {0, size}, data.val = {0, data.other->size()};
        return;
    }
    const int64_t kept =
        options.val_fraction > 0 ? std::min(count - 1, validation_start(count, options.val_fraction)) : count;
    const int64_t cut = kept < count ? data.text->document(kept).begin : size;
    data.train = {0, cut}, data.val = {cut, size};
}

}  // namespace

Corpora::Corpora(const std::vector<std::string>& inputs, const std::string& val_file)
    : text(std::make_unique<Corpus>(inputs)),
      other(val_file.empty() ? nullptr : std::make_unique<Corpus>(std::vector{val_file})) {}

std::vector<char32_t> Corpora::characters() const {
    if (!other) return text->characters();
    std::vector<char32_t> all;
    std::set_union(text->characters().begin(), text->characters().end(), other->characters().begin(),
                   other->characters().end(), std::back_inserter(all));
    return all;
}

Dataset character_dataset(Corpora corpora, const CharTokenizer& tokenizer, const DatasetOptions& options) {
    Dataset data;
    corpora.text->require_known(tokenizer);
    if (corpora.other) corpora.other->require_known(tokenizer);
    data.corpora.emplace(std::move(corpora));
    data.text = std::make_unique<CharacterText>(*data.corpora->text, tokenizer);
    if (data.corpora->other) data.other = std::make_unique<CharacterText>(*data.corpora->other, tokenizer);
    divide(data, options, data.corpora->other ? data.corpora->other->file_path(0) : "");
    return data;
}

Dataset token_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                      const DatasetOptions& options) {
    Dataset data;
    const auto tokens_of = [&](const std::vector<std::string>& paths) {
        return tokenized_text(paths, tokenizer, options.folder, {options.documents, options.threads, options.progress});
    };
    data.text = tokens_of(inputs);
    if (!val_file.empty()) data.other = tokens_of({val_file});
    divide(data, options, val_file);
    return data;
}

Dataset dialogue_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                         const ChatTemplate& chat_template, const DatasetOptions& options) {
    Dataset data;
    const auto tokens_of = [&](const std::vector<std::string>& paths) {
        return dialogue_text(paths, tokenizer, chat_template, options.folder,
                             {options.context + 1, options.skip_bad, options.progress, options.note});
    };
    data.text = tokens_of(inputs);
    if (!val_file.empty()) data.other = tokens_of({val_file});
    divide_documents(data, options);
    return data;
}

Dataset pair_dataset(const PairFiles& files, const PairFiles& validation, const PairTokens& tokens,
                     const DatasetOptions& options) {
    Dataset data;
    const auto tokens_of = [&](const PairFiles& from) {
        return pair_text(from, tokens, options.folder, {options.progress, options.note});
    };
    data.text = tokens_of(files);
    if (!validation.first.empty()) data.other = tokens_of(validation);
    divide_documents(data, options);
    return data;
}

Dataset labelled_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                         const LabelColumns& columns, std::vector<std::string> labels, uint64_t seed,
                         const DatasetOptions& options, LabelReader reader, std::optional<double> least,
                         const ChatTemplate* chat_template) {
    LabelledFileOptions how{columns, options.context, options.skip_bad, least, options.note, chat_template};
    const auto text_of = [&](const std::vector<std::string>& paths) {
        std::vector<LabelledExample> read = reader(paths, tokenizer, how, labels);
        std::vector<LabelledExample> mixed;
        for (uint64_t n = 0; n < read.size(); ++n)
            mixed.push_back(std::move(read[static_cast<size_t>(shuffled(seed, n, std::ssize(read)))]));
        return std::make_unique<LabelledText>(mixed, labels);
    };
    Dataset data;
    data.text = text_of(inputs);
    how.least.reset();
    if (!val_file.empty()) data.other = text_of({val_file});
    divide_documents(data, options);
    return data;
}

Dataset question_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                         int64_t stride, uint64_t seed, const DatasetOptions& options) {
    const auto text_of = [&](const std::vector<std::string>& paths) {
        const std::vector<Question> read = read_questions(paths, options.skip_bad, options.note);
        std::vector<size_t> begins;  // of each context
        for (size_t i = 0; i < read.size(); ++i)
            if (i == 0 || read[i].context != read[i - 1].context) begins.push_back(i);
        begins.push_back(read.size());
        std::vector<Question> mixed;
        for (uint64_t n = 0; n + 1 < begins.size(); ++n) {
            const auto i = static_cast<size_t>(shuffled(seed, n, std::ssize(begins) - 1));
            for (size_t k = begins[i]; k < begins[i + 1]; ++k) mixed.push_back(read[k]);
        }
        auto text = std::make_unique<QuestionText>(mixed, tokenizer, WindowOptions{options.context, stride});
        if (const std::string note = misplaced_note(*text); !note.empty() && options.note) options.note(note);
        return text;
    };
    Dataset data;
    data.text = text_of(inputs);
    if (!val_file.empty()) data.other = text_of({val_file});
    divide_documents(data, options);
    return data;
}

Dataset prompt_dataset(const std::vector<std::string>& inputs, const std::string& val_file, const Tokenizer& tokenizer,
                       const LabelledFileOptions& how, const DatasetOptions& options) {
    const auto text_of = [&](const std::vector<std::string>& paths) {
        std::vector<LabelledExample> examples;
        std::vector<PromptWords> words;
        read_prompts(paths, tokenizer, how, examples, words);
        return std::make_unique<PromptText>(std::move(examples), std::move(words));
    };
    Dataset data;
    data.text = text_of(inputs);
    if (!val_file.empty()) data.other = text_of({val_file});
    divide_documents(data, options);
    return data;
}

TextIdentity identify(const TokenText& text) {
    constexpr int64_t kPiece = 4096, kPieces = 256;
    Hash64 hash;
    std::vector<int32_t> ids(kPiece);
    const int64_t pieces = std::min(kPieces, (text.size() + kPiece - 1) / kPiece);
    const int64_t last = text.size() - std::min(text.size(), kPiece);  // where the last piece begins
    for (int64_t i = 0; i < pieces; ++i) {
        const int64_t begin = pieces == 1 ? 0
                                          : static_cast<int64_t>(static_cast<double>(last) * static_cast<double>(i) /
                                                                 static_cast<double>(pieces - 1));
        const auto piece = std::span(ids).first(static_cast<size_t>(std::min(kPiece, text.size() - begin)));
        text.read(begin, piece);
        hash.add(std::as_bytes(piece));
    }
    if (const uint64_t beside = text.beside_tokens(); beside != 0) hash.add(std::as_bytes(std::span(&beside, 1)));
    return {text.size(), hash.value()};
}

}  // namespace nib
