#!/bin/bash
# The one-definition rule across ISAs. A kernel file is compiled once per ISA; of an inline function or template that two of
# its objects define under one name the linker keeps a single copy, perhaps the AVX-512 one, and an AVX2 machine crashes.
# So every symbol that a kernel object shares with others must carry its ISA in its name: the namespace nib::cpu::ISA, or
# the xsimd type of that ISA as a template argument, and no other ISA's. Nor may a kernel object run code before main().
#
# OBJ: folder of the objects, NM: the nm to use. An object is named STEM.ISA.o.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/.."
OBJ=${OBJ:-build/obj} NM=${NM:-nm}

# Names that only objects of this ISA may define.
own_names() {
    case $1 in
        sse42) echo 'xsimd::sse4_2' ;;
        avx2) echo 'xsimd::(avx2|fma3<xsimd::avx2>)' ;;
        avx512) echo 'xsimd::avx512' ;;
        # These use xsimd's types of the set that they add to, which may be that set's copy or theirs: all must be inlined.
        avx512vnni | avx2vnni | neondot | neoni8mm) echo '^$' ;;
        # The wrappers are one reinterpreting instruction each, in every Arm object the same.
        neon) echo 'xsimd::(neon|kernel::wrap::v)' ;;
        *) echo "check_symbols.sh does not know the ISA '$1'" >&2; exit 1 ;;
    esac
}

# Names of a wider ISA: such a symbol (a list of all architectures, say) could be defined in that ISA's objects too.
wider_names() {
    case $1 in
        sse42) echo 'xsimd::(avx|fma)' ;;
        avx2) echo 'xsimd::avx512' ;;
        *) echo '^$' ;;
    esac
}

# Prints the shared symbols of object $1, for ISA $2, that break the rule. DW.ref.*: a pointer that every object has alike.
stray_symbols() {
    local own wider
    own=$(own_names "$2") wider=$(wider_names "$2")
    "$NM" --extern-only --defined-only --demangle "$1" | sed -E 's/^[0-9a-f]* +//' |
        awk -v isa="$2" -v own="$own" -v wider="$wider" '
        { name = substr($0, 3) }
        name ~ /^DW\.ref\./ { next }
        {
            other = name
            gsub("nib::cpu::" isa "::", "", other)
            inside = other != name
            if (other ~ /nib::cpu::(sse|avx|neon)[a-z0-9_]*::/ || name ~ wider || !(inside || name ~ own)) print
        }'
    "$NM" "$1" | grep -E '_GLOBAL__(sub_)?I_|__cxx_global_var_init' || true
}

objects=$(find "$OBJ" -path '*/cpu/*' -name '*.*.o' | sort)
[ -n "$objects" ] || { echo "no kernel objects below $OBJ"; exit 1; }
status=0
for object in $objects; do
    isa=${object%.o} isa=${isa##*.}
    own_names "$isa" > /dev/null
    stray=$(stray_symbols "$object" "$isa")
    if [ -n "$stray" ]; then
        echo "$object defines symbols that do not name $isa, or runs code before main():"
        sed 's/^/    /' <<< "$stray"
        status=1
    fi
done
exit $status
