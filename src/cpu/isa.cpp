#include "cpu/isa.h"

#include "core/error.h"
#include "ref/kernels.h"

namespace nib {

namespace cpu {
#if defined(__x86_64__)
namespace avx512 {
extern const KernelTable table;
}
namespace avx2 {
extern const KernelTable table;
}
namespace sse42 {
extern const KernelTable table;
}
#elif defined(__aarch64__)
namespace neon {
extern const KernelTable table;
}
#endif
}  // namespace cpu

std::vector<const KernelTable*> kernel_tables() {
    std::vector<const KernelTable*> tables;
#if defined(__x86_64__)
    const auto has = [](auto... known) { return (known && ...); };
    if (has(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512cd"), __builtin_cpu_supports("avx512dq"),
            __builtin_cpu_supports("avx512bw"), __builtin_cpu_supports("avx512vl"), __builtin_cpu_supports("fma")))
        tables.push_back(&cpu::avx512::table);
    if (has(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"))) tables.push_back(&cpu::avx2::table);
    if (has(__builtin_cpu_supports("sse4.2"))) tables.push_back(&cpu::sse42::table);
#elif defined(__aarch64__)
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
    fail("no instruction set `%s` on this machine; it has: %s", printable(name).c_str(), names.c_str());
}

}  // namespace nib
