#!/bin/sh
# Prints how many compilers may run at once: one for each processor that this process may use, by its affinity and its
# container's quota (cgroups 2, 1), and for each GiB of memory, which is what the largest source takes under a sanitizer.
group=/sys/fs/cgroup
{
    nproc
    { cat $group/cpu.max; paste $group/cpu/cpu.cfs_quota_us $group/cpu/cpu.cfs_period_us; } |
        awk '$1 + 0 > 0 { print int(($1 + $2 - 1) / $2) }' # no quota: "max", -1
    awk '$1 == "MemAvailable:" { print int($2 / 1048576) }' /proc/meminfo
    cat $group/memory.max $group/memory/memory.limit_in_bytes | awk '$1 + 0 > 0 { print int($1 / 1073741824) }'
} 2> /dev/null | awk 'NR == 1 || $1 < least { least = $1 } END { print least < 1 ? 1 : least }'
