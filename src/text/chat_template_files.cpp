#include "text/chat_template_files.h"

#include <filesystem>
#include <system_error>

#include "core/error.h"
#include "io/json_value.h"
#include "io/read_file.h"

namespace nib {
namespace {

constexpr size_t kLargest = size_t{16} << 20;

std::string template_of(const JsonValue& config) {
    const auto found = config.find("chat_template");
    if (!found || found->raw().is_null()) return "";
    if (!found->raw().is_array()) return found->text();
    for (size_t i = 0; i < found->items(); ++i)
        if (found->at(i).get("name").text() == "default") return found->at(i).get("template").text();
    return "";
}

}  // namespace

std::string load_chat_template(const std::string& folder) {
    namespace fs = std::filesystem;
    if (folder.empty()) return "";
    std::error_code error;
    if (const fs::path path = fs::path(folder) / kChatTemplateFile; fs::is_regular_file(path, error))
        return read_file(path.string(), kLargest);
    const std::string path = (fs::path(folder) / "tokenizer_config.json").string();
    if (!fs::is_regular_file(path, error)) return "";
    const std::string shown = printable(path, 400);
    const nlohmann::json root = parse_json(read_file(path, kLargest), shown);
    return template_of(JsonValue(root, shown + ":"));
}

}  // namespace nib
