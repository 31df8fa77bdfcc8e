// Folders that exports write: complete, or as they were.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "io/atomic_file.h"

namespace nib {

/// The output folder: made if it is not there, and gone again unless something was kept in it.
class OutputFolder {
public:
    /// Error when it cannot be made or, without `overwrite`, is not empty.
    OutputFolder(const std::string& path, bool overwrite);
    ~OutputFolder();
    OutputFolder(const OutputFolder&) = delete;
    OutputFolder& operator=(const OutputFolder&) = delete;

    std::string file(const std::string& name) const { return (path_ / name).string(); }
    /// Makes the folder that a file such as "1_Pooling/config.json" lies in.
    void make_room_for(const std::string& name);

private:
    std::filesystem::path path_;
    std::vector<std::filesystem::path> inner_;  // made here: like the folder, gone again if nothing was kept in them
    bool made_ = false;
};

/// The files of one export, each complete under its temporary name before the first gets its own.
class OutputFiles {
public:
    explicit OutputFiles(OutputFolder& folder) : folder_(folder) {}

    AtomicFile& add(const std::string& name);
    void add(const std::string& name, const std::string& text);

    /// Gives them their names. What an earlier export has left under the names in `known` is removed. The first of these,
    /// without which nobody takes the folder for what it is, goes first and should be added last, so that the files of two
    /// exports are never read as one.
    void publish(std::span<const char* const> known);

private:
    OutputFolder& folder_;
    std::vector<std::string> names_;
    std::vector<std::unique_ptr<AtomicFile>> files_;
};

}  // namespace nib
