#!/bin/bash
# test.sh LOG CHECK... -- TEST-COMMAND...: runs the GoogleTest binary, then the check scripts (each counts as one).
# Everything goes to LOG, failures to the screen; the last line is the sum "N passed, N failed".
log=$1 checks=()
while shift && [ "$1" != -- ]; do checks+=("$1"); done
shift

echo "running $*; full output in $log"
"$@" > "$log" 2>&1
status=$?
passed=$(grep -c '\[       OK \].* ms)$' "$log")
failed=$(grep -c '\[  FAILED  \].* ms)$' "$log")
awk '/\[ RUN      \]/ { n = 0 }
     n < 15 { line[n++] = $0 }
     /\[  FAILED  \].* ms\)$/ { for (i = 0; i < n; i++) print line[i]; print "" }' "$log"

if skipped=$(grep -c '\[  SKIPPED \].* ms)$' "$log"); then
    echo "$skipped skipped: $(grep -m 1 -o 'not tested: .*' "$log")"
fi

# GoogleTest ends with 1 for failed cases; anything else, or no case at all, is a failure of its own.
if [ $status -gt 1 ] || [ $status = 1 -a $failed = 0 ] || [ $((passed + failed)) = 0 ]; then
    tail -n 40 "$log"
    echo "FAILED: the test binary ended early or ran nothing (status $status)"
    failed=$((failed + 1))
fi

for check in "${checks[@]}"; do
    if output=$(bash "$check" 2>&1); then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n%s\n' "$check" "$(tail -n 40 <<< "$output")"
    fi
    printf '== %s\n%s\n' "$check" "$output" >> "$log"
done
echo "$passed passed, $failed failed"
[ $failed = 0 ]
