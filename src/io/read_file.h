// Small files, pipes and devices as text.
#pragma once

#include <cstddef>
#include <string>

namespace nib {

/// A descriptor that reads the file at `path`, for the caller to close. Error when it is missing, unreadable or a folder.
int open_to_read(const std::string& path);

/// Everything that can be read from the file at `path`, which may be a pipe. Error when it is missing, unreadable or longer
/// than `limit` bytes.
std::string read_file(const std::string& path, size_t limit);

/// The same from an open descriptor, which is left open; `name` is for messages.
std::string read_descriptor(int descriptor, const std::string& name, size_t limit);

}  // namespace nib
