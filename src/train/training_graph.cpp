#include "train/training_graph.h"

#include "core/error.h"

namespace nib {

Graph training_graph(Mode mode, const TrainShape& shape) {
    return Graph(mode, mode == Mode::Train ? shape.activations : DType::F32);
}

void record_training(Graph& g, const ModelConfig& config, const Weights& weights, const TrainShape& shape, TrainInputs& in,
                     bool usual_share) {
    if (shape.objectives.empty() || shape.objectives.size() > (config.has_encoder() ? 1 : kMostObjectives))
        fail("a training of %s with %zu objectives is not possible", config.arch.c_str(), shape.objectives.size());
    const auto model = make_model(config);
    Tensor hidden;
    if (config.has_encoder()) {
        in.pairs = PairInputs(g, config, shape.batch, shape.time, shape.time);
        hidden = model->hidden(g, in.pairs.inputs(weights, shape.dropout));
    } else if (shape.ragged) {
        in.packed = PackedInputs(g, config, shape.batch, shape.time);
        hidden = model->hidden(g, in.packed.inputs(weights, shape.dropout));
    } else {
        in.tokens = TokenInputs(g, config, shape.batch, shape.time);
        hidden = model->hidden(g, in.tokens.inputs(weights, shape.dropout));
    }
    for (size_t i = 0; i < shape.objectives.size(); ++i)
        in.losses.push_back(record_loss({.g = g,
                                         .model = *model,
                                         .weights = weights,
                                         .shape = shape,
                                         .number = i,
                                         .hidden = hidden,
                                         .row_count = in.packed.row_count(),
                                         .paired_targets = in.pairs.targets(),
                                         .usual_share = usual_share}));
    if (g.mode() == Mode::Train) g.record_backward(shape.recompute);
}

}  // namespace nib
