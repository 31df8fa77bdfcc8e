#include "train/base_model.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <numeric>
#include <string_view>

#include "core/error.h"
#include "quant/quantize.h"

namespace nib {
namespace {

constexpr const char* kOption = "freeze";

// "3" or "0-3".
bool parse_blocks(std::string_view text, int64_t& first, int64_t& last) {
    const char *const end = text.data() + text.size(), *at = text.data();
    auto read = std::from_chars(at, end, first);
    if (read.ec != std::errc() || first < 0) return false;
    last = first;
    if (read.ptr == end) return true;
    if (*read.ptr != '-') return false;
    read = std::from_chars(read.ptr + 1, end, last);
    return read.ec == std::errc() && read.ptr == end && last >= first;
}

// Whether a parameter belongs to what one word names.
bool belongs(std::string_view name, std::string_view part) {
    if (part == "embeddings") return is_embedding(name);
    if (part == "encoder") return name.starts_with("enc.") && block_of(name) >= 0;
    if (part == "decoder") return name.starts_with("dec.") && block_of(name) >= 0;
    int64_t first = 0, last = 0;
    const int64_t block = block_of(name);
    return parse_blocks(part, first, last) && block >= first && block <= last;
}

void check_part(std::string_view part, const ModelConfig& config) {
    int64_t first = 0, last = 0;
    const std::string shown = printable(part, 40);
    if (part == "embeddings" || (config.has_encoder() && (part == "encoder" || part == "decoder"))) return;
    if (!parse_blocks(part, first, last))
        fail_usage_option(kOption, "names `%s`; parts of this model are embeddings and its blocks, such as 0 or 0-3%s",
                          shown.c_str(), config.has_encoder() ? ", encoder and decoder" : "");
    if (const int64_t blocks = std::max(config.layers, config.encoder_layers); last >= blocks)
        fail_usage_option(kOption, "names `%s`, but the model's blocks are 0 to %lld", shown.c_str(),
                          static_cast<long long>(blocks - 1));
}

// What the names of a head's parameters begin with, of heads whose labels are not those of the same head of `before`.
std::vector<std::string> other_heads(const ModelConfig& before, const ModelConfig& now) {
    std::vector<std::string> names;
    for (const HeadTensor& tensor : architecture_of(now).heads) {
        const HeadConfig *old = before.find_head(tensor.name), *head = now.find_head(tensor.name);
        if (head == nullptr || old == nullptr) continue;
        if (head->labels == old->labels && head->multi_label == old->multi_label) continue;
        const std::string_view name = tensor.tensor;
        names.emplace_back(name.substr(0, name.rfind('.') + 1));
    }
    return names;
}

int64_t elements_of(const GgufTensor& tensor) {
    return std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
}

}  // namespace

std::vector<bool> frozen_parameters(const std::string& parts, const ModelConfig& config) {
    const std::vector<ParameterSpec> specs = model_parameters(config);
    std::vector<bool> frozen(specs.size(), false);
    for (size_t at = 0; at < parts.size();) {
        const size_t end = std::min(parts.find(',', at), parts.size());
        const std::string_view part = std::string_view(parts).substr(at, end - at);
        check_part(part, config);
        for (size_t i = 0; i < specs.size(); ++i)
            if (belongs(specs[i].name, part)) frozen[i] = true;
        at = end + 1;
    }
    return frozen;
}

std::vector<bool> frozen_parameters(const TrainOptions& options, const ModelConfig& config) {
    if (options.lora > 0) return std::vector<bool>(model_parameters(config).size(), true);
    return frozen_parameters(options.freeze, config);
}

Weights frozen_weights(std::span<const ParameterSpec> parameters, const std::vector<bool>& frozen, const Weights& weights) {
    if (std::find(frozen.begin(), frozen.end(), true) == frozen.end()) return {};
    std::map<std::string_view, const Weight*> by_name;
    for (const Weight& weight : weights.all()) by_name[weight.name] = &weight;
    std::vector<Weight> some(parameters.size());
    for (size_t i = 0; i < some.size(); ++i) {
        if (!frozen.at(i)) continue;
        const auto found = by_name.find(parameters[i].name);
        if (found == by_name.end())
            fail("`%s` cannot stay as it is: the model does not have it", parameters[i].name.c_str());
        some[i] = *found->second;
    }
    return Weights(std::move(some));
}

void load_weights(const GgufFile& file, uint64_t seed, TrainStep& train) {
    constexpr int64_t kPiece = 1 << 16;
    const std::vector<std::string> anew = other_heads(read_config(file), train.config());
    const auto is_anew = [&](const std::string& name) {
        return std::any_of(anew.begin(), anew.end(), [&](const std::string& head) { return name.starts_with(head); });
    };
    std::vector<bool> given;
    for (const ParameterSpec& spec : train.parameters())
        given.push_back(file.find(spec.name) != nullptr && !is_anew(spec.name));
    train.initialise(seed, given);
    std::vector<float> values;
    for (size_t i = 0; i < train.parameters().size(); ++i) {
        const ParameterSpec& spec = train.parameters()[i];
        const GgufTensor* const found = file.find(spec.name);
        if (!train.shape().trains(i) || !given[i]) continue;
        const GgufTensor& tensor = *found;
        if (tensor.type != DType::F32 && tensor.type != DType::F16 && tensor.type != DType::BF16)
            file.wrong("tensor `" + spec.name + "` is quantized (" + dtype_info(tensor.type)->name +
                       "); such weights can be frozen, but not trained: start from the model that it was made of");
        const int64_t known = elements_of(tensor), row = spec.shape.elements() / spec.shape[0];
        const auto upload = [&](int64_t at) {
            Location to = train.locate(i, 0);
            to.offset += static_cast<size_t>(at) * sizeof(float);
            train.backend().upload(to, std::as_bytes(std::span(values)));
        };
        const bool grown = known < spec.shape.elements();
        std::vector<double> sums(grown ? static_cast<size_t>(row) : 0);
        const int64_t piece = std::max<int64_t>(1, kPiece / row) * row;
        for (int64_t at = 0; at < known; at += piece) {
            const int64_t count = std::min(piece, known - at);
            values.resize(static_cast<size_t>(count));
            quant::unpack(tensor.type, tensor.data.data() + dtype_bytes(tensor.type, at), count, values.data());
            upload(at);
            for (size_t k = 0; grown && k < values.size(); ++k) sums[k % sums.size()] += static_cast<double>(values[k]);
        }
        if (!grown) continue;
        values.clear();
        for (const double sum : sums) values.push_back(static_cast<float>(sum * static_cast<double>(row) / known));
        for (int64_t at = known; at < spec.shape.elements(); at += row) upload(at);
    }
}

}  // namespace nib
