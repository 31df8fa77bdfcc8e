#include "model/output_folder.h"

#include <algorithm>
#include <system_error>

#include "core/error.h"

namespace nib {

namespace fs = std::filesystem;

OutputFolder::OutputFolder(const std::string& path, bool overwrite) : path_(path) {
    std::error_code error;
    const std::string shown = printable(path, 400);
    if (path.empty()) fail("cannot write a folder: its name is empty");
    const fs::file_status status = fs::status(path_, error);
    if (fs::exists(status) && !fs::is_directory(status)) fail("%s: is not a folder", shown.c_str());
    if (fs::exists(status) && !overwrite && !fs::is_empty(path_, error))
        fail_with(Remedy::ReplaceOutput, "%s: already exists and is not empty", shown.c_str());
    made_ = fs::create_directory(path_, error);
    if (error) fail("%s: cannot make the folder: %s", shown.c_str(), error.message().c_str());
}

OutputFolder::~OutputFolder() {
    std::error_code error;
    for (const fs::path& inner : inner_) fs::remove(inner, error);
    if (made_) fs::remove(path_, error);  // only if it is empty
}

void OutputFolder::make_room_for(const std::string& name) {
    const fs::path inner = (path_ / name).parent_path();
    std::error_code error;
    if (inner == path_) return;
    if (fs::create_directory(inner, error)) inner_.push_back(inner);
    if (error) fail("%s: cannot make the folder: %s", printable(inner.string(), 400).c_str(), error.message().c_str());
}

AtomicFile& OutputFiles::add(const std::string& name) {
    names_.push_back(name);
    folder_.make_room_for(name);
    return *files_.emplace_back(std::make_unique<AtomicFile>(folder_.file(name)));
}

void OutputFiles::add(const std::string& name, const std::string& text) { add(name).write(std::as_bytes(std::span(text))); }

void OutputFiles::publish(std::span<const char* const> known) {
    for (const auto& file : files_) file->finish();
    std::error_code error;
    for (const char* name : known)
        if (name == known.front() || std::find(names_.begin(), names_.end(), name) == names_.end())
            fs::remove(folder_.file(name), error);
    for (const auto& file : files_) file->publish();
}

}  // namespace nib
