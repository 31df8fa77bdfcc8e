// complete_pair(), require_pair(): finding or completing a pair of checkpoint files after a kill or an error.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>

#include "core/error.h"
#include "train/checkpoint.h"

namespace nib {
namespace {

bool exists(const std::string& path) {
    std::error_code error;
    return std::filesystem::exists(path, error);
}

// The pair's id in a file; nothing if there is no file, Error if it is not a complete checkpoint.
std::optional<uint64_t> id_of(const std::string& path) {
    if (!exists(path)) return std::nullopt;
    const GgufFile file = GgufFile::open(path);
    if (file.value("nib.checkpoint") == nullptr)
        fail("%s: holds no training and cannot be resumed", printable(path).c_str());
    return file.get<uint64_t>("nib.checkpoint");
}

// The same for a file that may be anything.
std::optional<uint64_t> id_if_complete(const std::string& path) {
    try {
        return id_of(path);
    } catch (const Error&) {
        return std::nullopt;
    }
}

void roll_forward(const std::string& path) {
    if (std::rename(AtomicFile::temporary_name(path).c_str(), path.c_str()) != 0)
        fail("%s: the finished checkpoint cannot be renamed: %s", printable(path).c_str(), std::strerror(errno));
}

// A kill after a new run's first pair may leave the best model so far under its temporary name.
void complete_best(const RunFiles& files) {
    const std::string temporary = AtomicFile::temporary_name(files.best);
    if (exists(files.best) || !exists(temporary)) return;
    bool same = false;
    try {
        const GgufFile best = GgufFile::open(temporary), state = GgufFile::open(files.state);
        same = best.get<int64_t>("nib.step") == state.get<int64_t>("nib.state.best_step") &&
               best.get<double>("nib.best") == state.get<double>("nib.state.best");
    } catch (const Error&) {
    }
    if (same) roll_forward(files.best);
}

void remove_temporaries(const RunFiles& files) {
    for (const std::string& path : files.written()) std::remove(AtomicFile::temporary_name(path).c_str());
}

}  // namespace

void complete_pair(const RunFiles& files) {
    const std::optional<uint64_t> id = id_if_complete(AtomicFile::temporary_name(files.state));
    if (!id) return;
    // Was it killed during the very first checkpoint, before the first rename?
    if (!exists(files.model) && !exists(files.state) && id_if_complete(AtomicFile::temporary_name(files.model)) == id)
        roll_forward(files.model);
    if (id_if_complete(files.model) == id && id_if_complete(files.state) != id) roll_forward(files.state);
}

void require_pair(const RunFiles& files) {
    const std::optional<uint64_t> model = id_of(files.model);
    if (!model)
        fail("%s: there is no such file to resume; a new training can start under this name",
             printable(files.model).c_str());
    const std::optional<uint64_t> state = id_of(files.state);
    if (!state)
        fail("%s: there is no such file; without it %s can run but not be resumed", printable(files.state).c_str(),
             printable(files.model).c_str());
    if (model != state)
        fail("%s and %s are not of the same step; restore both from the same copy, or start again",
             printable(files.model).c_str(), printable(files.state).c_str());
    complete_best(files);
    remove_temporaries(files);
}

}  // namespace nib
