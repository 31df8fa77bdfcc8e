#include "io/checkpoint_folder.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

#include "core/error.h"
#include "io/mapped_file.h"
#include "io/torch_container.h"

namespace nib {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeightFiles[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                        "pytorch_model.bin.index.json", "model.pt"};
constexpr size_t kMaxNames = 10000;

// What else a folder may be, recognized by how the name of a file begins and ends, and what to do with it.
struct Kind {
    std::string_view begin, end;
    const char *what, *advice;
};

constexpr const char* kMerge = "merge it into its base model (PEFT: merge_and_unload(), then save_pretrained())";
constexpr const char* kMegatron = "convert it with the script in transformers' models/megatron_gpt2";
constexpr const char* kOtherWeights = "nib reads safetensors and PyTorch files";

// Recognized whatever other files there are.
constexpr Kind kDecisive[] = {
    {"adapter_config", ".json", "a LoRA adapter",          kMerge         },
    {"adapter_model",  "",      "a LoRA adapter",          kMerge         },
    {"",               ".gguf", "a model in nib's format", "use that file"},
};

// Recognized only if no file seems to be of PyTorch or safetensors.
constexpr Kind kForeign[] = {
    {"zero_to_fp32",                  ".py",         "a DeepSpeed checkpoint",              "gather its weights with zero_to_fp32.py"                             },
    {"latest_checkpointed_iteration", ".txt",        "a Megatron-LM checkpoint",            kMegatron                                                             },
    {"mp_rank_",                      "",            "a Megatron-LM checkpoint",            kMegatron                                                             },
    {"",                              ".distcp",     "a distributed checkpoint of PyTorch", "gather it with torch.distributed.checkpoint.format_utils"            },
    {"tf_model",                      ".h5",         "TensorFlow weights",                  "load them with transformers 4 (from_tf=True) and save_pretrained()"  },
    {"",                              ".h5",         "TensorFlow weights",                  kOtherWeights                                                         },
    {"",                              ".ckpt.index", "a TensorFlow checkpoint",             "convert it with the script in transformers' models/gpt2"             },
    {"flax_model",                    "",            "Flax weights",                        "load them with transformers 4 (from_flax=True) and save_pretrained()"},
    {"",                              ".msgpack",    "Flax weights",                        kOtherWeights                                                         },
    {"",                              ".onnx",       "an ONNX graph",                       "nib reads what it was exported from, safetensors and PyTorch files"  },
};

// What a training run leaves beside the weights.
constexpr std::string_view kTrainingFiles[] = {"optimizer", "scheduler",     "training_args",
                                               "rng_state", "random_states", "scaler"};
constexpr std::string_view kWeightEndings[] = {".safetensors", ".pt", ".pth", ".bin", ".ckpt"};

std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end && names.size() < kMaxNames;
         at.increment(error)) {
        names.push_back(at->path().filename().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

bool may_be_weights(const std::string& name) {
    const auto contains = [&](std::string_view part) { return name.find(part) != name.npos; };
    const auto ends = [&](std::string_view end) { return name.ends_with(end); };
    return std::any_of(std::begin(kWeightEndings), std::end(kWeightEndings), ends) &&
           std::none_of(std::begin(kTrainingFiles), std::end(kTrainingFiles), contains);
}

bool holds_script(const fs::path& path) {
    try {
        return is_torch_script(MappedFile(path.string()).bytes());
    } catch (const Error&) {
        return false;
    }
}

// A file that may hold the weights under another name; "" if there is none.
std::string other_weights(const fs::path& folder, const std::vector<std::string>& names) {
    std::vector<std::string> files;
    std::copy_if(names.begin(), names.end(), std::back_inserter(files), may_be_weights);
    if (files.empty()) return "";
    const std::string first = "`" + printable(files[0]) + "`";
    if (files[0].find("-of-0") != std::string::npos) {
        return "shards (" + first + ", ...) without their index: get the file that ends in .index.json, too";
    }
    if (files.size() > 1) return first + " and " + std::to_string(files.size() - 1) + " more: name one of them";
    if (holds_script(folder / files[0])) {
        return "a TorchScript archive (" + first + "): save model.state_dict() with torch.save instead";
    }
    return first + ": name that file";
}

// A subfolder with weights, of checkpoint-500 and checkpoint-1000 the latter; "" if there is none.
std::string inner_folder(const fs::path& folder, std::vector<std::string> names) {
    std::error_code error;
    std::stable_sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    for (auto name = names.rbegin(); name != names.rend(); ++name) {
        for (const char* file : kWeightFiles) {
            if (fs::exists(folder / *name / file, error)) {
                return "a folder `" + printable(*name) + "` with " + file + ": name that folder";
            }
        }
    }
    return "";
}

std::string describe(std::span<const Kind> kinds, const std::vector<std::string>& names) {
    for (const Kind& kind : kinds) {
        const auto matches = [&](const std::string& name) {
            return name.starts_with(kind.begin) && name.ends_with(kind.end);
        };
        const auto name = std::find_if(names.begin(), names.end(), matches);
        if (name != names.end()) return std::string(kind.what) + " (`" + printable(*name) + "`): " + kind.advice;
    }
    return "";
}

// What the folder holds and what to do with it; "" if nib recognizes nothing.
std::string contents(const fs::path& folder) {
    const std::vector<std::string> names = names_in(folder.string());
    std::string found = describe(kDecisive, names);
    if (found.empty()) found = other_weights(folder, names);
    if (found.empty()) found = describe(kForeign, names);
    return found.empty() ? inner_folder(folder, names) : found;
}

}  // namespace

std::string find_weights(const std::string& folder) {
    std::error_code error;
    for (const char* name : kWeightFiles) {
        const fs::path path = fs::path(folder) / name;
        if (fs::exists(path, error)) return path.string();
    }
    const std::string found = contents(folder);
    fail("%s: the folder holds no model.safetensors, pytorch_model.bin or model.pt%s%s", printable(folder).c_str(),
         found.empty() ? "; name the file with the weights" : ", but ", found.c_str());
}

}  // namespace nib
