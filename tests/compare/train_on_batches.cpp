// What training makes of a model file on given batches, for the comparisons with PyTorch (docs/comparing.md):
//
//     train_on_batches MODEL BATCHES GRADIENTS ISA
//
// BATCHES is a GGUF file with ids and targets (N,B,T), int32, where target -1 does not count, and AdamW's lr, beta1, beta2,
// eps, weight_decay and clip. Prints the loss and the norm of all gradients before each of N steps, a line each. GRADIENTS
// becomes a copy of MODEL that has the gradients of the first batch in place of the weights: `nib export` then gives them
// transformers' names and layouts.
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

void set_weights(TrainStep& train, const GgufFile& model) {
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        const GgufTensor& tensor = model.tensor(train.parameters()[i].name);
        if (tensor.type != DType::F32) fail("%s: `%s` is not f32", model.name().c_str(), tensor.name.c_str());
        train.backend().upload(train.locate(i, 0), tensor.data);
    }
}

void write_gradients(const TrainStep& train, const GgufFile& model, const std::string& path) {
    std::unordered_map<std::string, std::vector<float>> gradients;
    for (size_t i = 0; i < train.parameters().size(); ++i) {
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

void run(const std::string& model_path, const std::string& batches_path, const std::string& gradients_path,
         const std::string& isa) {
    CpuBackend backend(kernel_table(isa), kThreads);
    const LoadedModel model(model_path, backend);
    const GgufFile batches = GgufFile::open(batches_path);
    const std::vector<int64_t>& shape = batches.tensor("ids").shape;
    if (shape.size() != 3 || batches.tensor("targets").shape != shape || shape[2] > model.config().context)
        fail("%s: ids and targets should be (N,B,T) with room for T in the context", batches_path.c_str());

    TrainStep train(backend, model.config(), {.batch = shape[1], .time = shape[2]});
    train.initialise(0);  // moments are zero
    set_weights(train, model.file());
    TrainStep::Update update{.lr = batches.get<double>("lr"),
                             .weight_decay = batches.get<double>("weight_decay"),
                             .beta1 = batches.get<double>("beta1"),
                             .beta2 = batches.get<double>("beta2"),
                             .eps = batches.get<double>("eps")};
    const std::span<const int32_t> ids = numbers<int32_t>(batches, "ids"), targets = numbers<int32_t>(batches, "targets");
    const auto rows = static_cast<size_t>(train.rows());
    for (; update.step < shape[0]; ++update.step) {
        const size_t begin = static_cast<size_t>(update.step) * rows;
        const double loss = train.micro_step(ids.subspan(begin, rows), targets.subspan(begin, rows), {});
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
