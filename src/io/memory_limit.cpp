#include "io/memory_limit.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

namespace nib {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

// Memory that is available without evicting other programs (free, or cached files), and swap.
double available_memory(const std::string& meminfo) {
    std::ifstream file(meminfo);
    double available = kNoLimit, swap = 0;
    for (std::string line, name; std::getline(file, line);) {
        double kib = 0;
        if (!(std::istringstream(line) >> name >> kib)) continue;
        if (name == "MemAvailable:") available = 1024 * kib;
        if (name == "SwapFree:") swap = 1024 * kib;
    }
    return available + swap;
}

// The lowest limit on the way from the group `path` up to the root. In a container the path may be the host's, which cannot
// be seen there; the root is then the container's own group.
double lowest_limit(const std::string& mount, std::string path, const char* file) {
    for (double lowest = kNoLimit;;) {
        double bytes = 0;  // "max" is not a number and means no limit
        if (std::ifstream(mount + path + "/" + file) >> bytes && bytes > 0) lowest = std::min(lowest, bytes);
        if (path.empty()) return lowest;
        path.resize(std::min(path.rfind('/'), path.size() - 1));
    }
}

// Lines of /proc/self/cgroup are NUMBER:CONTROLLERS:PATH; version 2 is number 0 and names no controllers.
double group_limit(const std::string& root) {
    const std::string mount = root + "/sys/fs/cgroup";
    double limit = kNoLimit;
    std::ifstream groups(root + "/proc/self/cgroup");
    for (std::string number, controllers, path;
         std::getline(groups, number, ':') && std::getline(groups, controllers, ':') && std::getline(groups, path);) {
        if (controllers.empty()) limit = std::min(limit, lowest_limit(mount, path, "memory.max"));
        if (("," + controllers + ",").find(",memory,") != std::string::npos)
            limit = std::min(limit, lowest_limit(mount + "/memory", path, "memory.limit_in_bytes"));
    }
    return limit;
}

}  // namespace

double memory_limit(const std::string& root) {
    const double machine = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
    return std::min({machine, available_memory(root + "/proc/meminfo"), group_limit(root)});
}

}  // namespace nib
