// --device: which GPU computes, if any, and where compiled shaders are cached.
#include <glob.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "io/atomic_file.h"
#include "io/mapped_file.h"
#include "options.h"
#include "vulkan/backend.h"

namespace nib {
namespace {

constexpr std::string_view kNumbered = "vulkan:";
constexpr size_t kMaxStored = size_t{64} << 20;  // bytes; drivers make less than one

// Whether the kernel has a GPU. Starting Vulkan only to find none takes longer than loading a model.
bool may_have_gpu() {
    for (const char* pattern : {"/dev/dri/renderD*", "/dev/nvidia[0-9]*", "/dev/mali*", "/dev/kgsl*", "/dev/dxg"}) {
        glob_t found{};
        const bool any = glob(pattern, GLOB_NOSORT, nullptr, &found) == 0;
        globfree(&found);
        if (any) return true;
    }
    return false;
}

// nib's folder in the user's cache folder (XDG Base Directory Specification); empty: there is none.
std::string cache_folder() {
    for (const auto& [variable, folder] : {std::pair("XDG_CACHE_HOME", "/nib/"), std::pair("HOME", "/.cache/nib/")})
        if (const char* value = std::getenv(variable); value != nullptr && *value == '/')
            return std::string(value) + folder;
    return "";
}

vulkan::ShaderStore shader_store() {
    const std::string folder = cache_folder();
    if (folder.empty()) return {};
    const auto load = [=](const std::string& name) -> std::string {
        const MappedFile file(folder + name);
        if (file.bytes().size() > kMaxStored) return "";
        return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
    };
    const auto save = [=](const std::string& name, const std::string& bytes) {
        std::error_code error;  // the file cannot be written then
        std::filesystem::create_directories(folder, error);
        write_file_atomically(folder + name, bytes);
    };
    return {load, save};
}

}  // namespace

CLI::Option* add_device_option(CLI::App& app, std::string& device) {
    const auto check = [](const std::string& text) -> std::string {
        const bool numbered = text.starts_with(kNumbered) && text.size() > kNumbered.size() && text.size() < 13 &&
                              text.find_first_not_of("0123456789", kNumbered.size()) == std::string::npos;
        if (numbered || text == "auto" || text == "cpu" || text == "vulkan") return "";
        return "`" + printable(text, 40) + "` is no device; choose auto, cpu, vulkan or vulkan:N";
    };
    return app
        .add_option(
            "--device", device,
            "where to compute: cpu, vulkan (the GPU that is most likely fast), vulkan:N (a number of `nib devices`); "
            "auto: a GPU if there is one that can, else the CPU, as with --threads or --isa")
        ->check(check)
        ->type_name("NAME")
        ->capture_default_str();
}

std::unique_ptr<Backend> open_gpu(const std::string& device, std::string* why_none) {
    const auto open = [](int index) { return vulkan::open_backend(index, {}, {}, shader_store()); };
    if (device.starts_with(kNumbered)) return open(std::stoi(device.substr(kNumbered.size())));
    if (device == "vulkan") return open(vulkan::kBest);
    if (device == "auto" && may_have_gpu()) try {
            return open(vulkan::kHardware);
        } catch (const Error& error) {
            if (why_none != nullptr) *why_none = error.what();
        }
    return nullptr;
}

void on_device(const BackendOptions& options, const std::function<void(std::unique_ptr<Backend>)>& use) {
    const auto given =
        std::find_if(options.of_cpu.begin(), options.of_cpu.end(), [](const CLI::Option* o) { return o->count() > 0; });
    const bool choose = options.device == "auto", means_cpu = given != options.of_cpu.end();
    if (means_cpu && options.device.starts_with("vulkan"))
        throw CLI::ExcludesError((*given)->get_name(), "--device=" + options.device);
    std::string problem;
    std::unique_ptr<Backend> gpu = choose && means_cpu ? nullptr : open_gpu(options.device, &problem);
    bool tell = options.verbose;
    if (gpu) try {
            return use(std::move(gpu));
        } catch (const Error& error) {
            if (!choose) throw;
            problem = error.what();
            tell = true;
        }
    use(make_backend(options));
    if (tell && !problem.empty()) std::fprintf(stderr, "nib: computing on the CPU: %s\n", problem.c_str());
}

}  // namespace nib
