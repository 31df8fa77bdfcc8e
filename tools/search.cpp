// nib search: the paragraphs of some texts that are nearest to a question.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/encoder.h"
#include "input.h"
#include "io/atomic_file.h"
#include "io/gguf.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "text/text_files.h"
#include "texts.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFooter =
    "PATH is a text file or a folder of .txt and .md files; a paragraph ends at a blank line. What does not fit the "
    "model's "
    "context, or is longer than the texts that it was trained to embed, is left out of a paragraph's vector; a question "
    "like that is an error, or cut with --truncate. Vectors are kept beside PATH, in PATH.search.gguf, and made again for "
    "texts that are new or for another model.\n\n"
    "Prints a line of JSON for each paragraph, the best first: {\"score\":...,\"file\":...,\"line\":...,\"text\":...}. The "
    "score "
    "is the cosine of its vector and the question's.\n\n"
    "Example:\n"
    "  nib search minilm.gguf notes/ -q \"how do I descale it\"";

constexpr const char *kKeys = "nib.search.texts", *kModel = "nib.search.model", *kVectors = "vectors";

struct Options {
    ModelOptions model;
    std::string path, question, pooling;
    int64_t top = 5;
    bool no_cache = false;
    TextOptions texts;  // of the question
    BackendOptions backend;
};

struct Paragraph {
    std::string file, text;
    int64_t line;  // its first, from 1
};

bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

void add_paragraphs(const std::string& file, std::vector<Paragraph>& all) {
    bool inside = false;
    int64_t number = 0;
    std::string text = read_input(file);
    drop_mark(text);
    for (const std::string& line : lines_of(text)) {
        ++number;
        if (is_blank(line)) {
            inside = false;
        } else if (!inside) {
            all.push_back({file, line, number});
            inside = true;
        } else {
            all.back().text.append("\n").append(line);
        }
    }
}

std::vector<Paragraph> read_paragraphs(const std::string& path) {
    std::error_code error;
    std::vector<Paragraph> all;
    for (const std::string& file : fs::is_directory(path, error) ? text_files(path) : std::vector{path})
        add_paragraphs(file, all);
    return all;
}

std::string place_of(const Paragraph& paragraph) {
    return strprintf("%s: line %lld", printable(paragraph.file, 400).c_str(), static_cast<long long>(paragraph.line));
}

// FNV-1a.
uint64_t hash_of(std::string_view text, uint64_t hash = 0xcbf29ce484222325) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    return hash;
}

// Of a model's file: its size and a thousand pieces of it.
uint64_t fingerprint(const GgufFile& file) {
    constexpr size_t kPieces = 1000, kPiece = 1024;
    const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    uint64_t hash = hash_of(std::to_string(bytes.size()));
    for (size_t i = 0; i < kPieces; ++i) hash = hash_of(bytes.substr(bytes.size() / kPieces * i, kPiece), hash);
    return hash;
}

// Vectors (C) by the hash of their text, kept in a file.
class VectorCache {
public:
    VectorCache(std::string path, uint64_t model, size_t channels)
        : path_(std::move(path)), model_(model), channels_(channels) {}

    /// What the file has, nothing if it is not there or of another model.
    void read() {
        std::error_code error;
        if (!fs::exists(path_, error)) return;
        try {
            const GgufFile file = GgufFile::open(path_);
            if (file.get<uint64_t>(kModel) != model_) return;
            const auto& keys = file.array<uint64_t>(kKeys);
            const GgufTensor& tensor = file.tensor(kVectors);
            const std::vector<int64_t> shape{static_cast<int64_t>(keys.size()), static_cast<int64_t>(channels_)};
            if (tensor.type != DType::F32 || tensor.shape != shape) fail("%s: is damaged", printable(path_, 400).c_str());
            for (size_t i = 0; i < keys.size(); ++i) {
                std::vector<float>& vector = vectors_[keys[i]];
                vector.resize(channels_);
                std::memcpy(vector.data(), tensor.data.data() + i * channels_ * sizeof(float), channels_ * sizeof(float));
            }
        } catch (const Error& problem) {
            std::fprintf(stderr, "nib: warning: %s; its vectors are made again\n", problem.what());
            vectors_.clear();
        }
    }
    const std::vector<float>* find(uint64_t key) const {
        const auto found = vectors_.find(key);
        return found != vectors_.end() ? &found->second : nullptr;
    }
    void put(uint64_t key, std::vector<float> vector) { vectors_[key] = std::move(vector); }
    /// Keeps the vectors of these keys only.
    void write(const std::vector<uint64_t>& keys) const {
        std::map<uint64_t, const std::vector<float>*> kept;
        for (const uint64_t key : keys) kept[key] = find(key);
        std::vector<uint64_t> order;
        std::vector<float> values;
        for (const auto& [key, vector] : kept) {
            order.push_back(key);
            values.insert(values.end(), vector->begin(), vector->end());
        }
        GgufWriter writer;
        writer.set("general.architecture", std::string("nib-search"));
        writer.set(kModel, model_);
        writer.set(kKeys, order);
        writer.add(kVectors, DType::F32, {static_cast<int64_t>(order.size()), static_cast<int64_t>(channels_)},
                   std::as_bytes(std::span(values)));
        AtomicFile file(path_);
        writer.write(file);
        file.publish();
    }

private:
    const std::string path_;
    const uint64_t model_;
    const size_t channels_;
    std::map<uint64_t, std::vector<float>> vectors_;
};

std::string cache_path(std::string path) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    return path + ".search.gguf";
}

float cosine(const std::vector<float>& a, const std::vector<float>& b) {
    float sum = 0;
    for (size_t c = 0; c < a.size(); ++c) sum += a[c] * b[c];
    return sum;
}

void search(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    const Pooling pooling = embedding_pooling(model, o.pooling);
    const Room room = embedding_room(model);
    const TextTokens question_tokens = encode_text(o.question, o.texts, model, "the question", room);
    const std::vector<Paragraph> paragraphs = read_paragraphs(o.path);
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const auto C = static_cast<size_t>(model.config().embd);
    uint64_t models = hash_of(pooling_name(pooling), fingerprint(model.file()));
    for (const AdapterChoice& adapter : o.model.adapters)
        models = hash_of(strprintf("%g", static_cast<double>(adapter.scale)),
                         models ^ fingerprint(GgufFile::open(adapter.path)));
    VectorCache cache(cache_path(o.path), models, C);
    if (!o.no_cache) cache.read();

    TextOptions of_paragraphs = o.texts;
    of_paragraphs.truncate = of_paragraphs.keep_empty = true;
    std::vector<const Paragraph*> searched;
    std::vector<uint64_t> keys, missing;
    std::vector<TextTokens> texts;
    for (const Paragraph& paragraph : paragraphs) {
        const uint64_t key = hash_of(paragraph.text);
        if (cache.find(key) == nullptr) {
            TextTokens tokens = encode_text(paragraph.text, of_paragraphs, model, place_of(paragraph), room);
            if (tokens.ids.empty()) continue;
            missing.push_back(key);
            texts.push_back(std::move(tokens));
        }
        searched.push_back(&paragraph);
        keys.push_back(key);
    }
    if (searched.empty()) fail("%s: has no text to search", printable(o.path, 400).c_str());
    texts.push_back(question_tokens);
    const std::vector<float> vectors = encoder.embed(texts, pooling, true);
    const auto vector = [&](size_t i) { return std::vector<float>(&vectors[i * C], &vectors[i * C] + C); };
    for (size_t i = 0; i < missing.size(); ++i) cache.put(missing[i], vector(i));
    if (!o.no_cache && !missing.empty()) {
        try {
            cache.write(keys);
        } catch (const Error& problem) {  // a folder that may only be read can be searched, too
            std::fprintf(stderr, "nib: warning: %s; the vectors are not kept\n", problem.what());
        }
    }
    const std::vector<float> question = vector(missing.size());
    std::vector<std::pair<float, size_t>> scores;
    for (size_t i = 0; i < searched.size(); ++i) scores.emplace_back(-cosine(question, *cache.find(keys[i])), i);
    std::sort(scores.begin(), scores.end());
    for (size_t i = 0; i < std::min(scores.size(), static_cast<size_t>(o.top)); ++i) {
        const Paragraph& found = *searched[scores[i].second];
        print_json({
            {"score", -scores[i].first},
            {"file",  found.file      },
            {"line",  found.line      },
            {"text",  found.text      },
        });
    }
}

}  // namespace

void search_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    app.add_option("PATH", o->path, "text file, or folder of them")->required();
    app.add_option("-q,--question", o->question, "what to search for")->required()->type_name("TEXT");
    app.add_option("--top", o->top, "paragraphs to print")
        ->capture_default_str()
        ->transform(whole_number(1, 1 << 24))
        ->type_name("N");
    add_pooling_option(app, o->pooling);
    app.add_flag("--no-cache", o->no_cache, "neither use nor write the file with the vectors");
    app.add_flag("--truncate", o->texts.truncate,
                 "cut a question that is longer than there is room for (default: an error)");
    add_special_option(app, o->texts.encode);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] {
        drop_mark(o->question);
        on_device(o->backend, [&](std::unique_ptr<Backend> backend) { search(*o, *backend); });
    });
}

}  // namespace nib
