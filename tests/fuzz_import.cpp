// libFuzzer target: no config.json and no weights may crash nib convert, and what it accepts, nib opens. The input is a
// config.json (if it is empty there is none, and if `#` comes first the number of heads is given), a line of "--", and the
// weights: the header of a safetensors file whose data are as large as the seed's, or any other file. Seeds:
// tests/fuzz_corpus/import.
#include <stdlib.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "checkpoint_files.h"
#include "core/error.h"
#include "io/gguf.h"
#include "model/convert.h"
#include "model/loaded_model.h"

namespace {

namespace fs = std::filesystem;

constexpr size_t kData = 656;  // bytes of the seed's tensors

// One for all inputs.
struct Folder {
    fs::path path;
    Folder() {
        std::string name = (fs::temp_directory_path() / "nib_fuzz_XXXXXX").string();
        CHECK(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Folder() {
        std::error_code ignored;
        fs::remove_all(path, ignored);
    }
};

void write(const fs::path& path, std::string_view bytes) { std::ofstream(path, std::ios::binary) << bytes; }

void check_model(const std::string& path) {
    const auto file = nib::GgufFile::open(path);
    nib::weights_in(nib::read_config(file), file, 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const Folder folder;
    constexpr std::string_view kBetween = "\n--\n";
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t between = input.find(kBetween);
    if (between == std::string_view::npos) return 0;
    std::string_view config = input.substr(0, between);
    const std::string_view weights = input.substr(between + kBetween.size());
    const bool given = config.empty() || config.starts_with('#');
    if (config.starts_with('#')) config.remove_prefix(1);
    if (config.empty())
        fs::remove(folder.path / "config.json");
    else
        write(folder.path / "config.json", config);
    write(folder.path / "weights",
          weights.starts_with('{') ? nib::test::safetensors(std::string(weights), kData) : weights);
    nib::ConvertRequest request;
    request.input = (folder.path / "weights").string();
    request.output = (folder.path / "out.gguf").string();
    request.overwrite = true;
    request.vocab = "none";
    if (given) request.hints.heads = 2;
    try {
        nib::convert_checkpoint(request, {[](const nib::Note&) {}, [](double) {}});
    } catch (const nib::Error& error) {
        CHECK(error.what()[0] != '\0');
        return 0;
    }
    check_model(request.output);
    return 0;
}
