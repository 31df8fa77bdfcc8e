#!/bin/bash
# kill_test.sh [NIB]: a training that is killed (kill -9) at random instants, 50 times, always leaves a pair that resumes,
# and the resumed run ends with the same files, byte for byte, as one that nobody disturbed. Well below a minute.
set -uo pipefail
read -r -a nib <<< "${1:-${NIB:-build/nib}}" # may be an emulator and the binary
folder=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2> /dev/null; rm -rf "$folder"' EXIT
kills=${KILLS:-50} steps=1000000

fail() {
    echo "FAILED: $*"
    tail -n 5 "$folder/out"
    exit 1
}

for i in $(seq 200); do echo "The fox went out $i times and met the crow. "; done > "$folder/text.txt"
train() { # NAME OPTION...
    local name=$1
    shift
    exec "${nib[@]}" train "$folder/text.txt" -o "$folder/$name" --threads 1 "$@" > "$folder/out" 2>&1
}
tiny=(--layers 1 --heads 1 --embd 8 --context 8 --batch 2 --dropout 0.1 --decay-iters 100 --save-every 1 --eval-every 5
    --eval-tokens 100)

first=0 killed=0
for ((i = 0; i < kills; i++)); do
    # Some runs start anew, so that the very first checkpoint is hit too; then there may be nothing to resume yet.
    if ((i % 10 == 0)); then
        rm -f "$folder"/m.*
        (train m "${tiny[@]}" --iters $steps) &
    else
        (train m --resume --iters $steps) &
    fi
    pid=$!
    sleep "0.$(printf '%03d' $((RANDOM % (i % 10 == 0 ? 80 : 250))))"
    if kill -9 $pid 2> /dev/null; then killed=$((killed + 1)); fi
    wait $pid 2> /dev/null
    status=$?
    pid=
    [ $status = 137 ] || fail "run $i ended by itself with status $status"
    if [ ! -e "$folder/m.gguf" ] && ! [ -e "$folder/m.gguf.tmp" -a -e "$folder/m.state.gguf.tmp" ]; then
        ((i % 10 == 0)) || fail "kill $i left no checkpoint"
        (train m "${tiny[@]}" --iters 3) || fail "starting again after kill $i"
        first=$((first + 1))
    fi
    # One more step: the pair must be whole, or be made whole.
    if ! (train m --resume --iters 1); then
        # Killed in the first checkpoint of all, with temporary files that are not complete.
        [ ! -e "$folder/m.gguf" ] && ((i % 10 == 0)) || fail "kill $i left a pair that does not resume"
        (train m "${tiny[@]}" --iters 3) || fail "starting again after kill $i"
    fi
done

# Three steps more than whatever the last one reached, against a run without interruption.
reached=$(sed -n 's/.*goes on after step \([0-9]*\).*/\1/p' "$folder/out")
[ -n "$reached" ] || reached=3
(train m --resume --iters $((reached + 3))) || fail "the last resume"
(train whole "${tiny[@]}" --iters $((reached + 3))) || fail "the undisturbed run"
for part in gguf state.gguf; do
    cmp "$folder/m.$part" "$folder/whole.$part" || fail "the resumed run differs from the undisturbed one"
done
leftover=$(ls "$folder" | grep '\.tmp$')
[ -z "$leftover" ] || fail "left behind: $leftover"
echo "ok: $killed kills, $first before the first checkpoint, $((reached + 3)) steps"
