#include "text/text_files.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "core/error.h"

namespace nib {

namespace fs = std::filesystem;

namespace {

fs::file_status status_of(const std::string& path) {
    std::error_code error;
    const fs::file_status status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found) fail("%s: no such file or folder", printable(path).c_str());
    if (error) fail("%s: cannot be opened: %s", printable(path).c_str(), error.message().c_str());
    return status;
}

}  // namespace

bool has_ending(std::string_view name, std::string_view ending) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return name.size() >= ending.size() &&
           std::equal(ending.begin(), ending.end(), name.end() - static_cast<ptrdiff_t>(ending.size()),
                      [&](char a, char b) { return a == lower(b); });
}

bool has_ending_or_gz(std::string_view name, std::string_view ending) {
    return has_ending(name, ending) || has_ending(name, std::string(ending) + ".gz");
}

std::vector<std::string> text_files(const std::string& folder, std::span<const std::string_view> endings) {
    const auto is_text_name = [&](const std::string& name) {
        return std::any_of(endings.begin(), endings.end(), [&](std::string_view end) { return has_ending(name, end); });
    };
    std::vector<std::string> found;
    std::error_code error;
    for (fs::recursive_directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.starts_with('.')) {
            entry.disable_recursion_pending();
        } else if (std::error_code broken_link; is_text_name(name) && entry->is_regular_file(broken_link)) {
            found.push_back(entry->path().string());
        }
    }
    if (error) fail("%s: this folder cannot be searched: %s", printable(folder).c_str(), error.message().c_str());
    if (found.empty()) {
        std::string names;
        for (const std::string_view ending : endings) names += (names.empty() ? "" : ", ") + std::string(ending);
        fail("%s: no %s files in this folder; name the files themselves", printable(folder).c_str(), names.c_str());
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::vector<std::string> files_at(const std::string& path, std::span<const std::string_view> endings) {
    if (fs::is_directory(status_of(path))) return text_files(path, endings);
    return {path};
}

void require_regular(const std::string& path) {
    const fs::file_status status = status_of(path);
    if (!fs::is_regular_file(status) && !fs::is_directory(status))
        fail(
            "%s: is not a regular file (training reads a text several times, which a pipe or device cannot give); save it "
            "to a file first",
            printable(path).c_str());
}

}  // namespace nib
