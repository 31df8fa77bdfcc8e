#include "io/checkpoint_source.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <set>
#include <system_error>

#include "core/error.h"
#include "io/checkpoint_folder.h"
#include "io/json_events.h"
#include "io/llama2c.h"
#include "io/safetensors.h"
#include "io/torch_file.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

using ShardMap = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kIndexEnding = ".index.json";

// How the names of tensors end that are often tied to the embedding: an index may list them although they were not saved.
constexpr std::string_view kOftenTied[] = {
    "lm_head.weight",           "lm_head.decoder.weight", "predictions.decoder.weight",
    "predictions.decoder.bias", "embed_tokens.weight",    "embed_out.weight"};

// {"metadata": {...}, "weight_map": {"tensor": "file", ...}}; everything but the map is skipped.
class IndexEvents : public JsonEvents {
public:
    explicit IndexEvents(const std::string& file) : JsonEvents(file) {}

    ShardMap map;
    bool found = false;

    bool null() override { return value("null"); }
    bool boolean(bool) override { return value("true or false"); }
    bool number_integer(int64_t) override { return value("a number"); }
    bool number_unsigned(uint64_t) override { return value("a number"); }
    bool number_float(double, const std::string&) override { return value("a number"); }
    bool string(std::string& text) override {
        if (!in_map()) return value("a string");
        map.back().second = std::move(text);
        return true;
    }
    bool start_object(size_t) override {
        if (in_map()) unexpected("an object");
        ++depth_;
        return true;
    }
    bool end_object() override { return leave(); }
    bool start_array(size_t) override {
        value("an array");
        ++depth_;
        return true;
    }
    bool end_array() override { return leave(); }
    bool key(std::string& name) override {
        if (depth_ == 1) {
            at_map_ = name == "weight_map";
            if (at_map_ && found) fail("%s: has its weight_map twice", where());
            found = found || at_map_;
        } else if (in_map()) {
            map.emplace_back(std::move(name), "");
        }
        return true;
    }

private:
    bool in_map() const { return depth_ == 2 && at_map_; }
    bool leave() {
        --depth_;
        return true;
    }
    // A value outside the map; the map itself has to be an object.
    bool value(const char* what) {
        if (depth_ == 0 || (at_map_ && depth_ <= 2)) unexpected(what);
        return true;
    }
    std::string expected() const override { return in_map() ? "the name of a file" : "an object"; }

    size_t depth_ = 0;
    bool at_map_ = false;
};

bool often_tied(std::string_view name) {
    const auto ends = [&](std::string_view end) { return name.ends_with(end); };
    return std::any_of(std::begin(kOftenTied), std::end(kOftenTied), ends);
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Error for a known format that is neither a zip archive nor safetensors; otherwise returns.
void refuse_known_format(std::string_view text, const std::string& file) {
    const auto starts = [&](std::string_view magic) { return text.starts_with(magic); };
    const char* what = nullptr;
    if (text.empty()) {
        what = "is empty";
    } else if (starts("version https://git-lfs")) {
        what = "is a Git LFS pointer instead of the weights: fetch them with `git lfs pull`";
    } else if (starts("<!DOCTYPE") || starts("<!doctype") || starts("<html")) {
        what = "is a web page: the download went wrong";
    } else if (text.size() > 262 && text.substr(257, 5) == "ustar") {
        what = "is a tar archive, the format of PyTorch before 0.2: load it with a newer PyTorch and torch.save it again";
    } else if (starts("\x80") && text.size() > 1 && text[1] >= 2 && text[1] <= 5 && (text.size() < 9 || text[8] != '{')) {
        what = "is a bare Python pickle, not a PyTorch checkpoint: save the state dict with torch.save";
    } else if (starts("{") && text.substr(0, 8).find('\0') == std::string_view::npos) {
        what = "is JSON, not weights: name the folder or the file with the weights";
    } else if (starts("GGUF")) {
        what = "is a GGUF file already and needs no conversion";
    } else if (starts("\x89HDF")) {
        what = "is an HDF5 file (TensorFlow weights); nib reads safetensors and PyTorch files";
    } else if (file.ends_with(".onnx")) {
        what = "is an ONNX graph; nib reads what it was exported from, safetensors and PyTorch files";
    } else if (file.ends_with(".msgpack")) {
        what = "holds Flax weights; nib reads safetensors and PyTorch files";
    } else if (starts("\x1f\x8b")) {
        what = "is a gzip archive: unpack it first";
    } else if (text.size() <= 8 || text[8] != '{') {
        what =
            "is neither a safetensors file nor a PyTorch checkpoint, and no file of llama2.c with a header that makes "
            "sense";
    }
    if (what != nullptr) fail("%s: %s", file.c_str(), what);
}

bool is_there(const fs::path& path) {
    std::error_code error;
    return fs::exists(path, error);
}

}  // namespace

ShardMap parse_shard_index(std::string_view text, const std::string& name) {
    const std::string file = printable(name);
    IndexEvents events(file);
    events.parse(text);
    ShardMap map = std::move(events.map);
    if (!events.found || map.empty()) fail("%s: has no weight_map, or an empty one", file.c_str());
    std::sort(map.begin(), map.end());
    for (size_t i = 0; i < map.size(); ++i) {
        const auto& [tensor, shard] = map[i];
        if (i > 0 && map[i - 1].first == tensor) {
            fail("%s: tensor `%s` is there twice", file.c_str(), printable(tensor).c_str());
        }
        if (shard.empty() || shard == "." || shard == ".." ||
            shard.find_first_of(std::string_view("/\\\0", 3)) != shard.npos) {
            fail("%s: tensor `%s`: `%s` is not the name of a file beside the index", file.c_str(),
                 printable(tensor).c_str(), printable(shard).c_str());
        }
    }
    return map;
}

CheckpointSource CheckpointSource::open(const std::string& path) {
    CheckpointSource source;
    source.path_ = path;
    std::error_code error;
    const std::string file = fs::is_directory(path, error) ? find_weights(path) : path;
    if (file.ends_with(kIndexEnding)) {
        source.add_shards(file);
    } else {
        source.add_file(file, true);
        source.order_by_name();
    }
    return source;
}

void CheckpointSource::add_file(const std::string& path, bool single) {
    MappedFile mapping(path);
    const auto bytes = mapping.bytes();
    const std::string_view text = text_of(bytes);
    std::vector<SourceTensor> tensors;
    if (is_torch_file(bytes)) {
        TorchFile torch = TorchFile::parse(bytes, path);
        tensors = std::move(torch.tensors);
        std::move(torch.notes.begin(), torch.notes.end(), std::back_inserter(notes_));
        if (single) pickle_ = std::move(torch.pickle), has_root_ = true;
    } else if (single && is_llama2c_file(bytes)) {
        Llama2cFile llama = Llama2cFile::parse(bytes, path);
        tensors = std::move(llama.tensors);
        header_ = std::move(llama.header);
    } else {
        refuse_known_format(text, printable(path));
        tensors = parse_safetensors(bytes, path);
    }
    files_.push_back(std::move(mapping));
    std::move(tensors.begin(), tensors.end(), std::back_inserter(tensors_));
}

void CheckpointSource::add_shards(const std::string& index) {
    const ShardMap map = parse_shard_index(text_of(MappedFile(index).bytes()), index);
    std::set<std::string> shards;
    std::vector<std::string_view> homes;  // the shard that each tensor is in
    for (const auto& [tensor, shard] : map) shards.insert(shard);
    for (const std::string& shard : shards) {
        const fs::path path = fs::path(index).parent_path() / shard;
        if (!is_there(path)) {
            fail("%s: the file `%s` that it names is missing", printable(index).c_str(), printable(shard).c_str());
        }
        add_file(path.string(), false);
        homes.resize(tensors_.size(), shard);
    }
    order_by_name();
    check_shards(index, map, homes);
}

// Checks that the tensors are in the files that the index says; `homes` are those that they are in.
void CheckpointSource::check_shards(const std::string& index, const ShardMap& map,
                                    const std::vector<std::string_view>& homes) {
    for (const auto& [name, shard] : map) {
        const SourceTensor* tensor = find(name);
        const std::string_view home = tensor != nullptr ? homes[static_cast<size_t>(tensor - tensors_.data())] : "";
        if (home == shard) continue;
        if (tensor == nullptr && often_tied(name)) {
            notes_.push_back(printable(index) + ": lists `" + printable(name) + "`, which no file holds");
            continue;
        }
        fail("%s: tensor `%s`: should be in `%s` but is %s", printable(index).c_str(), printable(name).c_str(),
             printable(shard).c_str(), tensor == nullptr ? "not" : ("in `" + printable(home) + "`").c_str());
    }
}

void CheckpointSource::order_by_name() {
    check_distinct_names(tensors_);
    by_name_.resize(tensors_.size());
    std::iota(by_name_.begin(), by_name_.end(), size_t{0});
    std::sort(by_name_.begin(), by_name_.end(), [&](size_t a, size_t b) { return tensors_[a].name < tensors_[b].name; });
}

const SourceTensor* CheckpointSource::find(std::string_view name) const {
    const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                        [&](size_t i, std::string_view key) { return tensors_[i].name < key; });
    return found != by_name_.end() && tensors_[*found].name == name ? &tensors_[*found] : nullptr;
}

const SourceTensor& CheckpointSource::tensor(std::string_view name) const {
    if (const SourceTensor* found = find(name)) return *found;
    fail("%s: has no tensor `%s`", printable(path_).c_str(), printable(name).c_str());
}

}  // namespace nib
