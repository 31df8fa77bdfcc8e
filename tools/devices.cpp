// nib devices: the devices of this machine.
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.h"
#include "console.h"
#include "core/error.h"
#include "core/parallel.h"
#include "cpu/isa.h"
#include "vulkan/devices.h"

namespace nib {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kFooter =
    "vulkan:0 and so on are names for --device. A software device computes on the CPU, slower than nib's own kernels: it "
    "is good for tests only, and --device auto does not take it.\n\n"
    "Examples:\n"
    "  nib devices\n"
    "  nib run model.gguf -p \"Once upon a time\" --device vulkan:0";

// Bytes of the caches of one core, level 1 (data) first; 0: the system does not say.
std::vector<int64_t> cache_sizes() {
    std::vector<int64_t> sizes;
    for (const int level : {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE})
        sizes.push_back(std::max(0L, sysconf(level)));
    return sizes;
}

// The model name, or the architecture where the system does not say.
std::string cpu_name() {
    constexpr std::string_view kKey = "model name\t: ";
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen("/proc/cpuinfo", "r"), std::fclose);
    char line[256];
    while (file && std::fgets(line, sizeof line, file.get()) != nullptr)
        if (std::string_view text = line; text.starts_with(kKey))
            return printable(text.substr(kKey.size(), text.find('\n') - kKey.size()));
    utsname system{};
    uname(&system);
    return printable(system.machine);
}

std::string bytes(uint64_t n) { return human_bytes(static_cast<double>(n)); }

std::string cpu_text() {
    std::string tables, caches;
    for (const KernelTable* table : kernel_tables()) tables += (tables.empty() ? "" : ", ") + std::string(table->name);
    for (size_t i = 0; const int64_t size : cache_sizes())
        caches += strprintf(", L%zu %s", ++i, size > 0 ? bytes(static_cast<uint64_t>(size)).c_str() : "unknown");
    const int cores = default_threads();
    return strprintf("%-10s%s\n%10skernels %s\n%10s%s, caches%s\n", "cpu", cpu_name().c_str(), "", tables.c_str(), "",
                     counted(cores, "processor").c_str(), caches.c_str() + 1);
}

std::string device_text(size_t number, const vulkan::DeviceInfo& d) {
    std::string out = strprintf("%-10s%s\n", ("vulkan:" + std::to_string(number)).c_str(), d.name.c_str());
    const auto line = [&](const std::string& text) { out += std::string(10, ' ') + text + "\n"; };
    line(d.type + ", driver " + d.driver + ", Vulkan " + d.api);
    line("memory " + bytes(d.memory) + (d.unified ? " (the host's)" : "") + ", an allocation up to " +
         bytes(d.max_allocation) + ", of which a shader sees " + bytes(d.max_buffer_range));
    line(strprintf("workgroups of %u, subgroups of %u, shared memory ", d.max_group, d.subgroup) + bytes(d.shared_memory));
    std::string features;
    for (const auto& [has, name] :
         {std::pair(d.subgroup_arithmetic, "subgroup arithmetic"), std::pair(d.f16, "f16 arithmetic"),
          std::pair(d.f16_storage, "f16 storage"), std::pair(d.i8_dot, "int8 dot product"),
          std::pair(d.cooperative_matrix, "cooperative matrices")})
        if (has) features += (features.empty() ? "" : ", ") + std::string(name);
    line("features " + (features.empty() ? "none of interest" : features));
    if (!d.missing.empty()) line("cannot be used: it lacks " + d.missing);
    return out;
}

std::string problem(const vulkan::DeviceList& list) { return list.problem.empty() ? "no device" : list.problem; }

void print_text(const vulkan::DeviceList& list) {
    std::string out = cpu_text();
    for (size_t i = 0; i < list.devices.size(); ++i) out += device_text(i, list.devices[i]);
    if (list.devices.empty()) out += strprintf("%-10snone: %s\n", "vulkan", problem(list).c_str());
    print(out);
}

void print_object(const vulkan::DeviceList& list) {
    Json json, cpu, devices = Json::array();
    cpu["name"] = cpu_name();
    for (const KernelTable* table : kernel_tables()) cpu["kernels"].push_back(table->name);
    cpu["processors"] = default_threads();
    cpu["cache_bytes"] = cache_sizes();
    for (size_t i = 0; i < list.devices.size(); ++i) {
        const vulkan::DeviceInfo& d = list.devices[i];
        Json device;
        device["device"] = "vulkan:" + std::to_string(i);
        device["name"] = d.name;
        device["type"] = d.type;
        device["driver"] = d.driver;
        device["vulkan"] = d.api;
        device["memory_bytes"] = d.memory;
        device["unified"] = d.unified;
        device["max_allocation"] = d.max_allocation;
        device["max_buffer_range"] = d.max_buffer_range;
        device["max_workgroup"] = d.max_group;
        device["subgroup"] = d.subgroup;
        device["subgroup_arithmetic"] = d.subgroup_arithmetic;
        device["shared_memory_bytes"] = d.shared_memory;
        device["f16"] = d.f16;
        device["f16_storage"] = d.f16_storage;
        device["i8_dot"] = d.i8_dot;
        device["cooperative_matrix"] = d.cooperative_matrix;
        device["missing"] = d.missing;
        devices.push_back(device);
    }
    json["cpu"] = cpu;
    json["vulkan"] = devices;
    if (list.devices.empty()) json["vulkan_problem"] = problem(list);
    print_json(json);
}

}  // namespace

void devices_command(CLI::App& app) {
    const auto json = std::make_shared<bool>(false);
    app.add_flag("--json", *json, "print one JSON object");
    app.footer(kFooter);
    app.callback([json] {
        const vulkan::DeviceList list = vulkan::list_devices();
        *json ? print_object(list) : print_text(list);
    });
}

}  // namespace nib
