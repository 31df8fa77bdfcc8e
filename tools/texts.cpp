#include "texts.h"

#include "core/error.h"
#include "input.h"
#include "options.h"
#include "task/labelled_text.h"
#include "text/token_numbers.h"

namespace nib {
namespace {

// Cuts tokens that there is no room for beside `more` that come behind them, if that is allowed.
void fit(std::vector<int32_t>& ids, const Room& room, size_t more, const TextOptions& options, const std::string& name) {
    if (ids.size() + more <= room.tokens) return;
    if (!options.truncate)
        fail("%s has %zu tokens, but %s has room for %zu; cut it with --truncate", name.c_str(), ids.size() + more,
             room.where.c_str(), room.tokens);
    ids.resize(room.tokens - std::min(room.tokens, more));
}

TextTokens empty_text(const TextOptions& options, const std::string& name) {
    if (!options.keep_empty) fail("%s is empty", name.c_str());
    return {};
}

}  // namespace

// What there is no room for is left out before the token that ends a text.
TextTokens encode_text(const std::string& text, const TextOptions& options, const LoadedModel& model,
                       const std::string& name, const Room& room) {
    const Tokenizer& tokenizer = model.tokenizer();
    TextTokens tokens;
    try {
        tokens.ids = tokenizer.encode(text, options.encode);
    } catch (const Error& error) {
        throw error.within(name);
    }
    if (tokens.ids == tokenizer.encode("", options.encode)) return empty_text(options, name);
    const bool ends = tokenizer.ends_texts();
    fit(tokens.ids, room, ends ? 1 : 0, options, name);
    if (ends) tokens.ids.push_back(tokenizer.end_token());
    return tokens;
}

TextTokens encode_pair(const std::string& first, const std::string& second, const TextOptions& options,
                       const LoadedModel& model, const std::string& name, const Room& room) {
    if (first.empty() || second.empty()) fail("%s: one of its two texts is empty", name.c_str());
    try {
        MarkedText pair = model.tokenizer().encode_marked(first, second, options.encode);
        if (options.truncate) shorten(pair, model.tokenizer(), static_cast<int64_t>(room.tokens));
        fit(pair.ids, room, 0, options, "the pair");
        return {std::move(pair.ids), std::move(pair.types)};
    } catch (const Error& error) {
        throw error.within(name);
    }
}

std::vector<int32_t> read_target(const std::string& text, bool numbers, const TextOptions& options,
                                 const LoadedModel& model, const std::string& name, const Room& room) {
    std::vector<int32_t> ids;
    try {
        ids = numbers ? parse_token_numbers(text, model.config().vocab)
                      : model.target_tokenizer().encode(text, {.special = options.encode.special});
    } catch (const Error& error) {
        throw error.within(name);
    }
    fit(ids, room, 0, options, name);
    return ids;
}

TextTokens parse_text(const std::string& numbers, const TextOptions& options, const LoadedModel& model,
                      const std::string& name, const Room& room) {
    TextTokens tokens{parse_token_numbers(numbers, model.config().source_tokens()), {}};
    if (tokens.ids.empty()) return empty_text(options, name);
    fit(tokens.ids, room, 0, options, name);
    return tokens;
}

void refuse_encoder_decoder(const LoadedModel& model) {
    if (model.config().has_encoder())
        fail("%s holds a model that reads a text before it writes another; use nib translate",
             printable(model.file().name(), 400).c_str());
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        std::string line = text.substr(at, end - at);
        if (line.ends_with('\r')) line.pop_back();
        lines.push_back(std::move(line));
        at = end + 1;
    }
    return lines;
}

void add_text_options(CLI::App& app, TextOptions& o) {
    auto* texts = app.add_option("TEXT", o.texts, "texts");
    auto* file =
        app.add_option("--file", o.file, "a file with a text on each line, - for standard input")->type_name("FILE");
    auto* tokens =
        app.add_option("--tokens", o.tokens,
                       "a text as token numbers, as in \"1 2 3\", with those that begin and end it; for more texts give it "
                       "again")
            ->check(token_list())
            ->type_name("IDS")
            ->expected(1)
            ->take_all();
    texts->excludes(file)->excludes(tokens);
    file->excludes(tokens);
    app.add_flag("--truncate", o.truncate, "cut texts that are longer than the model's context (default: an error)");
    add_special_option(app, o.encode);
}

void add_column_options(CLI::App& app, LabelColumns& columns) {
    app.add_option("--text-column", columns.text,
                   "of a table of texts (.tsv, .csv, .jsonl): column of the texts, by name or number, as in `nib train`")
        ->type_name("NAME");
    app.add_option("--second-column", columns.second, "column of second texts")->type_name("NAME");
    auto* header = app.add_flag("--header", columns.header, "the first line names the columns");
    app.add_flag("--no-header", columns.no_header, "it does not")->excludes(header);
}

Room context_room(const LoadedModel& model) { return {static_cast<size_t>(model.config().context)}; }

Room embedding_room(const LoadedModel& model) {
    const int64_t longest = model.config().longest_text;
    return longest > 0 ? Room{static_cast<size_t>(longest), "an embedding by this model"} : context_room(model);
}

std::vector<EncodedText> read_texts(const TextOptions& o, const LoadedModel& model, const Room& room) {
    std::vector<EncodedText> all;
    for (const std::string& numbers : o.tokens) {
        TextTokens tokens = parse_text(numbers, o, model, strprintf("text %zu", all.size() + 1), room);
        all.push_back({numbers, std::move(tokens)});
    }
    std::vector<std::string> texts = o.file.empty() ? o.texts : lines_of(read_input(o.file));
    if (!texts.empty()) drop_mark(texts.front());
    for (size_t i = 0; i < texts.size(); ++i) {
        const std::string where = o.file.empty() ? strprintf("text %zu", i + 1)
                                                 : strprintf("%s: line %zu", printable(o.file, 400).c_str(), i + 1);
        TextTokens tokens = encode_text(texts[i], o, model, where, room);
        all.push_back({std::move(texts[i]), std::move(tokens)});
    }
    if (all.empty()) (o.file.empty() ? fail_usage : fail)("there is no text; give one, or --file with one on each line");
    return all;
}

void add_pooling_option(CLI::App& app, std::string& pooling) {
    app.add_option("--pooling", pooling, "mean, max, cls or last (default: as the model was trained)")
        ->check(one_of({"mean", "max", "cls", "last"}))
        ->type_name("NAME");
}

Pooling embedding_pooling(const LoadedModel& model, const std::string& given) {
    refuse_encoder_decoder(model);
    if (!given.empty()) return find_pooling(given);
    if (model.config().pooling != Pooling::None) return model.config().pooling;
    const auto whole = make_model(model.config());
    for (const Head& head : whole->heads())
        if (head.name == std::string_view("lm"))
            fail("%s holds a decoder that was not trained for embeddings; choose how to pool its tokens with --pooling",
                 printable(model.file().name(), 400).c_str());
    return Pooling::Mean;
}

std::vector<TextTokens> tokens_of(const std::vector<EncodedText>& texts) {
    std::vector<TextTokens> tokens;
    for (const EncodedText& text : texts) tokens.push_back(text.tokens);
    return tokens;
}

}  // namespace nib
