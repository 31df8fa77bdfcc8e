// nib embed: texts as vectors.
#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "infer/encoder.h"
#include "io/atomic_file.h"
#include "io/npy.h"
#include "model/loaded_model.h"
#include "model_options.h"
#include "options.h"
#include "texts.h"

namespace nib {
namespace {

constexpr const char* kFooter =
    "Prints a line of JSON for each text: {\"text\":...,\"embedding\":[...]}. With -o the vectors go to a file of NumPy's "
    "(.npy) instead: float32 of shape (texts,channels).\n\n"
    "The pooling makes one vector of a text's tokens: their mean, the largest value of each channel (max), the first (cls) "
    "or the last. A file made of a sentence-transformers folder says which the model was trained with; without that an "
    "encoder takes the mean.\n\n"
    "Examples:\n"
    "  nib embed minilm.gguf \"first text\" \"second text\"\n"
    "  nib embed minilm.gguf --file lines.txt -o lines.npy\n"
    "  nib embed minilm.gguf --file lines.txt --similar 20";

struct Options {
    ModelOptions model;
    std::string out, pooling;
    bool raw = false;
    int64_t similar = 0;
    TextOptions texts;
    BackendOptions backend;
};

void write_vectors(const std::string& path, const std::vector<float>& vectors, int64_t texts, int64_t channels) {
    AtomicFile file(path);
    const int64_t shape[] = {texts, channels};
    const std::string header = npy_header(shape);
    file.write(std::as_bytes(std::span(header)));
    file.write(std::as_bytes(std::span(vectors)));
    file.publish();
}

struct Pair {
    float cosine;
    size_t a, b;
    // The more similar first, of equals those that come first.
    bool operator<(const Pair& o) const {
        return cosine != o.cosine ? cosine > o.cosine : std::pair(a, b) < std::pair(o.a, o.b);
    }
};

// The pairs of vectors of length 1 with the largest cosines.
std::vector<Pair> closest_pairs(const std::vector<float>& vectors, size_t channels, size_t count) {
    std::vector<Pair> best;  // a heap, the least similar in front
    const size_t texts = vectors.size() / channels;
    for (size_t a = 0; a < texts; ++a)
        for (size_t b = a + 1; b < texts; ++b) {
            float cosine = 0;
            for (size_t c = 0; c < channels; ++c) cosine += vectors[a * channels + c] * vectors[b * channels + c];
            const Pair pair{cosine, a, b};
            if (best.size() == count && !(pair < best.front())) continue;
            if (best.size() == count) std::pop_heap(best.begin(), best.end()), best.pop_back();
            best.push_back(pair);
            std::push_heap(best.begin(), best.end());
        }
    std::sort_heap(best.begin(), best.end());
    return best;
}

void embed(const Options& o, Backend& backend) {
    const LoadedModel model = open_model(o.model, backend);
    if (std::error_code error; !o.out.empty() && std::filesystem::equivalent(o.out, model.file().name(), error))
        fail("--output %s is the model itself; choose another file", printable(o.out).c_str());
    const Pooling pooling = embedding_pooling(model, o.pooling);
    const std::vector<EncodedText> texts = read_texts(o.texts, model, embedding_room(model));
    if (o.similar > 0 && texts.size() < 2) fail("--similar compares texts with each other; give two at least");
    SequenceEncoder encoder(backend, model.config(), model.weights());
    const bool normalize = !o.raw && (o.similar > 0 || model.config().normalize || model.config().pooling == Pooling::None);
    const std::vector<float> vectors = encoder.embed(tokens_of(texts), pooling, normalize);
    const auto C = static_cast<size_t>(model.config().embd);
    if (!o.out.empty()) write_vectors(o.out, vectors, static_cast<int64_t>(texts.size()), static_cast<int64_t>(C));
    if (o.similar > 0) {
        for (const Pair& pair : closest_pairs(vectors, C, static_cast<size_t>(o.similar)))
            print_json({
                {"cosine", pair.cosine       },
                {"first",  texts[pair.a].text},
                {"second", texts[pair.b].text},
            });
    } else if (o.out.empty()) {
        for (size_t i = 0; i < texts.size(); ++i)
            print_json({
                {"text",                              texts[i].text       },
                { "embedding", std::vector<float>(&vectors[i * C], &vectors[i * C] + C)},
            });
    }
}

}  // namespace

void embed_command(CLI::App& app) {
    const auto o = std::make_shared<Options>();
    add_model_options(app, o->model);
    add_text_options(app, o->texts);
    auto* out = app.add_option("-o,--output", o->out, "write the vectors to this file")->type_name("FILE");
    add_pooling_option(app, o->pooling);
    auto* raw =
        app.add_flag("--raw", o->raw, "vectors as they are (default: of length 1, unless the model says otherwise)");
    app.add_option("--similar", o->similar, "print the N pairs of texts that are closest, by the cosine of their vectors")
        ->transform(whole_number(1, 1 << 20))
        ->type_name("N")
        ->excludes(out)
        ->excludes(raw);
    add_device_option(app, o->backend.device);
    add_backend_options(app, o->backend);
    app.footer(kFooter);
    app.callback([o] { on_device(o->backend, [&](std::unique_ptr<Backend> backend) { embed(*o, *backend); }); });
}

}  // namespace nib
