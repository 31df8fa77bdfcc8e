#include "train/weight_sum.h"

#include <algorithm>

namespace nib {

std::span<float> WeightSum::of(const TrainStep& train, size_t parameter) {
    if (sums_.empty())
        for (size_t i = 0; i < train.parameters().size(); ++i)
            sums_.emplace_back(train.shape().trains(i) ? static_cast<size_t>(train.parameters()[i].shape.elements()) : 0);
    return sums_[parameter];
}

void WeightSum::add(const TrainStep& train) {
    constexpr size_t kPiece = size_t{1} << 16;
    std::vector<float> piece(kPiece);
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        const std::span<float> sums = of(train, i);
        for (size_t at = 0; at < sums.size(); at += kPiece) {
            const auto values = std::span(piece).first(std::min(kPiece, sums.size() - at));
            Location from = train.locate(i, 0);
            from.offset += at * sizeof(float);
            train.backend().download(from, std::as_writable_bytes(values));
            for (size_t j = 0; j < values.size(); ++j) sums[at + j] += values[j];
        }
    }
}

}  // namespace nib
