// recover_pair(), require_not_running(): finding or completing a pair of checkpoint files after a kill.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

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

// The pair's id in a file; nothing when there is no file, Error when it is no complete checkpoint.
std::optional<uint64_t> id_of(const std::string& path) {
    if (!exists(path)) return std::nullopt;
    const GgufFile file = GgufFile::open(path);
    if (file.value("nib.checkpoint") == nullptr)
        fail("%s: was not written by nib train and cannot be resumed", printable(path).c_str());
    return file.get<uint64_t>("nib.checkpoint");
}

// The same for a temporary file, which may be incomplete.
std::optional<uint64_t> id_of_temporary(const std::string& path) {
    try {
        return id_of(AtomicFile::temporary_name(path));
    } catch (const Error&) {
        return std::nullopt;
    }
}

bool is_locked(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) return false;
    const bool locked = flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(descriptor);
    return locked;
}

void roll_forward(const std::string& path) {
    if (std::rename(AtomicFile::temporary_name(path).c_str(), path.c_str()) != 0)
        fail("%s: the finished checkpoint cannot be renamed: %s", printable(path).c_str(), std::strerror(errno));
}

void remove_temporaries(const RunFiles& files) {
    for (const std::string& path : {files.model, files.state, files.best, files.log, files.curve})
        std::remove(AtomicFile::temporary_name(path).c_str());
}

}  // namespace

void require_not_running(const RunFiles& files) {
    for (const std::string& path :
         {files.log, AtomicFile::temporary_name(files.model), AtomicFile::temporary_name(files.state)})
        if (is_locked(path))
            fail("%s: another process is writing this file; is its training still running?", printable(path).c_str());
}

void recover_pair(const RunFiles& files) {
    const std::optional<uint64_t> model = id_of(files.model), new_state = id_of_temporary(files.state);
    if (!model) {
        // Killed during the very first checkpoint, before the first rename?
        const auto new_model = id_of_temporary(files.model);
        if (exists(files.state) || !new_model || new_model != new_state)
            fail("%s: there is no such file to resume; leave out --resume to start a new training",
                 printable(files.model).c_str());
        roll_forward(files.model);
        roll_forward(files.state);
    } else if (model == new_state && model != id_of(files.state)) {
        roll_forward(files.state);
    } else if (!exists(files.state)) {
        fail("%s: there is no such file; without it %s can run but not be resumed", printable(files.state).c_str(),
             printable(files.model).c_str());
    } else if (model != id_of(files.state)) {
        fail("%s and %s are not of the same step; restore both from the same copy, or start again without --resume",
             printable(files.model).c_str(), printable(files.state).c_str());
    }
    remove_temporaries(files);
}

}  // namespace nib
