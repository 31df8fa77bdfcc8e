// What training makes of a model file on given batches, for the comparisons with PyTorch (docs/comparing.md):
//
//     train_on_batches MODEL BATCHES GRADIENTS ISA
//
// BATCHES is a GGUF file with ids and targets (N,B,T), int32, where target -1 does not count, and AdamW's lr, beta1, beta2,
// eps, weight_decay and clip; of models with an encoder also encoder_ids (N,B,S) and encoder_lengths (N,B). Prints the loss
// and the norm of all gradients before each of N steps, a line each. GRADIENTS becomes a copy of MODEL that has the
// gradients of the first batch in place of the weights: `nib export` then gives them transformers' names and layouts.
#include <algorithm>
#include <cstdio>
#include <exception>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "../numbers.h"
#include "core/error.h"
#include "cpu/backend.h"
#include "cpu/isa.h"
#include "io/gguf.h"
#include "model/loaded_model.h"
#include "train/train_step.h"

namespace nib::test {
namespace {

constexpr int kThreads = 2;
constexpr const char* kConstant = "output.bias";  // which transformers does not train

void set_weights(TrainStep& train, const GgufFile& model) {
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        if (!train.shape().trains(i)) continue;
        const GgufTensor& tensor = model.tensor(train.parameters()[i].name);
        if (tensor.type != DType::F32) fail("%s: `%s` is not f32", model.name().c_str(), tensor.name.c_str());
        train.backend().upload(train.locate(i, 0), tensor.data);
    }
}

void write_gradients(const TrainStep& train, const GgufFile& model, const std::string& path) {
    std::unordered_map<std::string, std::vector<float>> gradients;
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        if (!train.shape().trains(i)) continue;
        const ParameterSpec& spec = train.parameters()[i];
        std::vector<float>& values = gradients[spec.name];
        values.resize(static_cast<size_t>(spec.shape.elements()));
        train.backend().download(train.gradient(i), std::as_writable_bytes(std::span(values)));
    }
    GgufWriter writer;
    for (const GgufEntry& entry : model.metadata()) writer.set(entry.key, entry.value);
    for (const GgufTensor& t : model.tensors()) {  // one that is no parameter, such as the factors of positions, stays
        const auto found = gradients.find(t.name);
        writer.add(t.name, t.type, t.shape, found == gradients.end() ? t.data : std::as_bytes(std::span(found->second)));
    }
    AtomicFile file(path);
    writer.write(file);
    file.publish();
}

TrainShape shape_of(const LoadedModel& model, int64_t batch, int64_t time) {
    TrainShape shape{.batch = batch, .time = time};
    std::vector<Weight> frozen = model.weights().all();
    const auto whole = make_model(model.config());
    if (model.config().find_head("mlm") != nullptr) shape.objectives[0].head = "mlm";
    for (size_t i = 0; i < frozen.size(); ++i)
        if (whole->parameters()[i].name != kConstant) frozen[i] = {};
    if (model.config().has_encoder()) shape.frozen = Weights(std::move(frozen));
    return shape;
}

// Rows (n,T) at a greater length.
std::vector<int32_t> widened(std::span<const int32_t> rows, int64_t from, int64_t to, int32_t filler) {
    std::vector<int32_t> wide;
    for (size_t at = 0; at < rows.size(); at += static_cast<size_t>(from)) {
        const auto row = rows.subspan(at, static_cast<size_t>(from));
        wide.insert(wide.end(), row.begin(), row.end());
        wide.resize(wide.size() + static_cast<size_t>(to - from), filler);
    }
    return wide;
}

void run(const std::string& model_path, const std::string& batches_path, const std::string& gradients_path,
         const std::string& isa) {
    CpuBackend backend(kernel_table(isa), kThreads);
    const LoadedModel model(model_path, backend);
    const GgufFile batches = GgufFile::open(batches_path);
    const std::vector<int64_t>& shape = batches.tensor("ids").shape;
    if (shape.size() != 3 || batches.tensor("targets").shape != shape || shape[2] > model.config().context)
        fail("%s: ids and targets should be (N,B,T) with room for T in the context", batches_path.c_str());

    // Sources and what is written of them are of the same length at most.
    const bool pairs = model.config().has_encoder();
    const int64_t batch = shape[1], S = pairs ? batches.tensor("encoder_ids").shape[2] : 0, T = std::max(shape[2], S);
    TrainStep train(backend, model.config(), shape_of(model, batch, T));
    train.initialise(0);  // moments are zero
    set_weights(train, model.file());
    TrainStep::Update update{.lr = batches.get<double>("lr"),
                             .weight_decay = batches.get<double>("weight_decay"),
                             .beta1 = batches.get<double>("beta1"),
                             .beta2 = batches.get<double>("beta2"),
                             .eps = batches.get<double>("eps")};
    const auto read = [&](const char* name, int64_t length, int32_t filler) {
        return widened(numbers<int32_t>(batches, name), length, T, filler);
    };
    const std::vector<int32_t> ids = read("ids", shape[2], 0), targets = read("targets", shape[2], kIgnore);
    const std::vector<int32_t> sources = pairs ? read("encoder_ids", S, 0) : std::vector<int32_t>();
    const auto lengths = pairs ? numbers<int32_t>(batches, "encoder_lengths") : std::span<const int32_t>();
    const auto rows = static_cast<size_t>(train.rows());
    for (; update.step < shape[0]; ++update.step) {
        const size_t begin = static_cast<size_t>(update.step) * rows;
        TrainStep::MicroBatch micro;
        if (pairs)
            micro.source = {std::span(sources).subspan(begin, rows),
                            lengths.subspan(static_cast<size_t>(update.step * batch), static_cast<size_t>(batch))};
        const double loss =
            train.micro_step(std::span(ids).subspan(begin, rows), std::span(targets).subspan(begin, rows), micro);
        if (update.step == 0) write_gradients(train, model.file(), gradients_path);
        std::printf("%.9g %.9g\n", loss, train.gradient_norm(batches.get<double>("clip")));
        train.update(update);
    }
}

}  // namespace
}  // namespace nib::test

int main(int argc, char** argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: train_on_batches MODEL BATCHES GRADIENTS ISA\n");
        return 2;
    }
    try {
        nib::test::run(argv[1], argv[2], argv[3], argv[4]);
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "train_on_batches: error: %s\n", error.what());
        return 1;
    }
}
