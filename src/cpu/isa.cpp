#include "cpu/isa.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <iterator>

#include "core/error.h"
#include "ref/kernels.h"

namespace nib {

namespace cpu {
#if defined(__x86_64__)
namespace avx512vnni {
extern const KernelTable table;
}
namespace avx512 {
extern const KernelTable table;
}
namespace avx2vnni {
extern const KernelTable table;
}
namespace avx2 {
extern const KernelTable table;
}
namespace sse42 {
extern const KernelTable table;
}
#elif defined(__aarch64__)
namespace neoni8mm {
extern const KernelTable table;
}
namespace neondot {
extern const KernelTable table;
}
namespace neon {
extern const KernelTable table;
}
#endif
}  // namespace cpu

namespace {

// The names on all machines: any other is a usage error.
constexpr const char* kNames[] = {"avx512vnni", "avx512", "avx2vnni", "avx2", "sse42", "neoni8mm", "neondot", "neon"};

#if defined(__x86_64__)
// Features that __builtin_cpu_supports does not know in all compilers.
bool has_f16c() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}
bool has_avxvnni() {
    constexpr unsigned kAvxVnni = 1u << 4;
    unsigned a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & kAvxVnni) != 0;
}
#endif

}  // namespace

std::vector<const KernelTable*> kernel_tables() {
    std::vector<const KernelTable*> tables;
#if defined(__x86_64__)
    const auto has = [](auto... known) { return (known && ...); };
    if (has(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512cd"), __builtin_cpu_supports("avx512dq"),
            __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512vl"), __builtin_cpu_supports("fma"),
            has_f16c())) {
        if (has(__builtin_cpu_supports("avx512vnni"))) tables.push_back(&cpu::avx512vnni::table);
        tables.push_back(&cpu::avx512::table);
    }
    if (has(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"), has_f16c())) {
        if (has_avxvnni()) tables.push_back(&cpu::avx2vnni::table);
        tables.push_back(&cpu::avx2::table);
    }
    if (has(__builtin_cpu_supports("sse4.2"))) tables.push_back(&cpu::sse42::table);
#elif defined(__aarch64__)
    if ((getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0) {
        if ((getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0) tables.push_back(&cpu::neoni8mm::table);
        tables.push_back(&cpu::neondot::table);
    }
    tables.push_back(&cpu::neon::table);
#endif
    tables.push_back(&ref::table);
    return tables;
}

const KernelTable& kernel_table(const std::string& name) {
    std::string names;
    for (const KernelTable* table : kernel_tables()) {
        if (name == "auto" || name == table->name) return *table;
        names += (names.empty() ? "" : ", ") + std::string(table->name);
    }
    if (std::find(std::begin(kNames), std::end(kNames), name) == std::end(kNames))
        fail_usage("there is no instruction set `%s`; this machine has: %s", printable(name).c_str(), names.c_str());
    fail("no instruction set `%s` on this machine; it has: %s", name.c_str(), names.c_str());
}

}  // namespace nib
