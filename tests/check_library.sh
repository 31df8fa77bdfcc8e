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
