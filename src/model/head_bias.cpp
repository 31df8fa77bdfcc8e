#include "model/head_bias.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "core/error.h"
#include "model/tensor_names.h"

namespace nib {
namespace {

std::vector<float> all_values(const ImportedTensor& tensor) {
    std::vector<float> values(static_cast<size_t>(tensor.shape[0]));
    tensor.read(0, values);
    return values;
}

ImportedTensor& find(ImportedModel& model, const char* name) {
    const auto found =
        std::find_if(model.tensors.begin(), model.tensors.end(), [&](const ImportedTensor& t) { return t.name == name; });
    CHECK(found != model.tensors.end());
    return *found;
}

}  // namespace

void fold_head_bias(ImportedModel& model, const SourceTensor& bias) {
    ImportedTensor &head = find(model, kHead), &norm = find(model, "output_norm.weight"),
                   &norm_bias = find(model, "output_norm.bias");
    const auto gain = std::make_shared<const std::vector<float>>(all_values(norm));
    const std::vector<float> shift = all_values(norm_bias);
    const size_t channels = gain->size();
    std::vector<float> add(static_cast<size_t>(head.shape[0])), row(channels);  // u
    bias.read(0, add);
    for (size_t v = 0; v < add.size(); ++v) {
        head.read(static_cast<int64_t>(v * channels), row);
        double sum = add[v];
        for (size_t c = 0; c < channels; ++c) sum += static_cast<double>(row[c]) * (shift[c] - (*gain)[c]);
        add[v] = static_cast<float>(sum / static_cast<double>(channels));
    }
    const auto ones = [](int64_t, std::span<float> out) { std::fill(out.begin(), out.end(), 1.0f); };
    norm.read = norm_bias.read = ones;
    head.read = [read = std::move(head.read), gain, add = std::make_shared<const std::vector<float>>(std::move(add))](
                    int64_t first, std::span<float> out) {
        read(first, out);
        auto at = static_cast<size_t>(first);
        for (float& value : out) {
            value = value * (*gain)[at % gain->size()] + (*add)[at / gain->size()];
            ++at;
        }
    };
}

}  // namespace nib
