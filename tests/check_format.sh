#!/bin/bash
# All sources are formatted as .clang-format says (`make format` does it). Version 14, since versions differ in taste.
set -euo pipefail
cd "$(dirname "$0")/.."
find src tools tests -name '*.h' -o -name '*.cpp' -o -name '*.inl' | LC_ALL=C sort |
    xargs --no-run-if-empty clang-format-14 --dry-run --Werror
