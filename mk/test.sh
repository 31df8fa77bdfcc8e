#!/bin/bash
# test.sh LOG CHECK... -- TEST-COMMAND...: runs the GoogleTest binary, a share of its cases in each of as many processes
# as the machine has cores for, then the check scripts (each counts as one). Everything goes to LOG, failures to the screen; the
# last line is the sum "N passed, N failed". When it is told to end (SIGTERM), it shows the failures so far, and no sum.
log=$1 checks=()
while shift && [ "$1" != -- ]; do checks+=("$1"); done
shift
stopped=
trap 'stopped=1' TERM # what runs is told too, being in the same process group

echo "running $*; full output in $log"
export GTEST_TOTAL_SHARDS
GTEST_TOTAL_SHARDS=$(sh "$(dirname "$0")/jobs.sh")
shares=() processes=() passed=0 failed=0
for ((i = 0; i < GTEST_TOTAL_SHARDS; i++)); do
    shares+=("$log.$i")
    GTEST_SHARD_INDEX=$i "$@" > "$log.$i" 2>&1 &
    processes+=($!)
done
for ((i = 0; i < GTEST_TOTAL_SHARDS; i++)); do
    wait "${processes[i]}"
    status=$?
    while [ $status -gt 128 ] && kill -0 "${processes[i]}" 2> /dev/null; do # the signal has interrupted `wait` itself
        wait "${processes[i]}"
        status=$?
    done
    bad=$(grep -c '\[  FAILED  \].* ms)$' "$log.$i")
    passed=$((passed + $(grep -c '\[       OK \].* ms)$' "$log.$i")))
    failed=$((failed + bad))
    awk '/\[ RUN      \]/ { n = 0 }
         /\[  FAILED  \].* ms\)$/ { for (k = 0; k < n; k++) print line[k]; print $0 "\n" }
         n < 15 { line[n++] = $0 }' "$log.$i"
    # GoogleTest ends with 1 for failed cases; anything else is a failure of its own.
    if [ -z "$stopped" ] && [ $status -gt 1 -o $status = 1 -a "$bad" = 0 ]; then
        tail -n 40 "$log.$i"
        echo "FAILED: the test binary ended early (status $status)"
        failed=$((failed + 1))
    fi
done
cat "${shares[@]}" > "$log" && rm "${shares[@]}"
if skipped=$(grep -c '\[  SKIPPED \].* ms)$' "$log"); then
    echo "$skipped skipped:"
    grep -A 1 ': Skipped$' "$log" | grep -v -e ': Skipped$' -e '^--$' | sort -u
fi
[ -z "$stopped" ] || exit 143
if [ $((passed + failed)) = 0 ]; then
    echo "FAILED: no test has this name"
    failed=1
fi

for check in "${checks[@]}"; do
    if output=$(bash "$check" 2>&1); then
        passed=$((passed + 1))
    elif [ -n "$stopped" ]; then
        exit 143
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n%s\n' "$check" "$(tail -n 40 <<< "$output")"
    fi
    printf '== %s\n%s\n' "$check" "$output" >> "$log"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
