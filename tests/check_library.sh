#!/bin/bash
# The library speaks no command line: its messages and comments name no flag. `tools/` adds what to type.
set -euo pipefail
cd "$(dirname "$0")/.."
found=$(grep -rnE "(\"|//|\`).*(^|[^-[:alnum:]])--[a-z]" src --include='*.cpp' --include='*.h' --include='*.inc' || true)
if [ -n "$found" ]; then
    echo "src/ names flags of the command line:"
    echo "$found"
    exit 1
fi

# Two types of one name are one to the linker, which takes the functions of either.
twice=$(grep -lE '^namespace nib \{' -r src tools --include='*.h' | xargs grep -hoE '^(struct|class|enum class|union) [A-Za-z0-9_]+( final)?( :[^:].*)? \{' |
    awk '{ print $1 == "enum" ? $3 : $2 }' | sort | uniq -d)
if [ -n "$twice" ]; then
    echo "more than one header defines:" $twice
    exit 1
fi
