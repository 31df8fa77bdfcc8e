// Finding the files of a text.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nib {

/// How names of text files end.
inline constexpr std::string_view kTextEndings[] = {".txt", ".md"};

/// The files of a folder and the folders below it, sorted by path: every regular file whose name ends in one of `endings`,
/// which are lower case, or in that in upper case. Names that begin with a dot are passed over, and links to folders are
/// not followed. Error if there are none.
std::vector<std::string> text_files(const std::string& folder, std::span<const std::string_view> endings = kTextEndings);

/// The same for a folder, and a file by itself, whatever its name. Error when there is neither.
std::vector<std::string> files_at(const std::string& path, std::span<const std::string_view> endings = kTextEndings);

/// Error unless there is a regular file or a folder at `path`: what is read several times cannot be a pipe or a device.
void require_regular(const std::string& path);

/// Whether a name ends so, in lower or upper case.
bool has_ending(std::string_view name, std::string_view ending);
/// The same, or with ".gz" after it.
bool has_ending_or_gz(std::string_view name, std::string_view ending);

}  // namespace nib
