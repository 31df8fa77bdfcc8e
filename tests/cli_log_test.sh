#!/bin/bash
# `nib log`: what it draws of a training, in a pipe and on a terminal, and what it refuses.
source "$(dirname "$0")/cli_helpers.bash" "$@"

for i in {1..60}; do printf 'the fox %d and the crow; ' "$i"; done > text.txt
works train text.txt -o m --layers 1 --heads 2 --embd 16 --context 16 --batch 2 --iters 8 --eval-every 4 --tensorboard board
for name in m m.gguf m.log.jsonl; do
    works log $name
    check "tells step and losses of $name" grep -Pzq '^m  step 8, 00:0.*tokens, [0-9]*/s\n  training loss .*, validation .*, best .* at step' "$out"
done
check "draws" grep -Pq '[\x{2801}-\x{28FF}]' "$out"
check "without colours in a pipe" bash -c "! grep -q \$'\\e' '$out'"
works log m --width 120
check "as wide as asked" test "$(wc -L < "$out")" -gt 100
works log m --json
check "JSON" grep -q '^{"name":"m","file":"m.log.jsonl","step":8,"loss":[0-9.]*,"val_loss":' "$out"
works log m --csv
check "CSV" test "$(wc -l < "$out") $(head -n 1 "$out")" = "9 step,loss,val_loss,lr,grad_norm,tok_s,seconds"
check "event files" ls board/m/events.out.tfevents.*
cp m.log.jsonl n.log.jsonl
works log m n --from 5
check "tells two apart" grep -q '^B n  step 8' "$out"

# Live: what is there, then what is added, until it is stopped. A name without a log yet is waited for.
"${nib[@]}" log new -f > follow.out 2> follow.err & pid=$!
for _ in {1..50}; do grep -q . follow.err && break; sleep 0.2; done
check "says that it waits" test "$(cat follow.err)" = 'nib: there is no new.log.jsonl yet; waiting for it'
head -n 3 m.log.jsonl > new.log.jsonl
for _ in {1..50}; do grep -q 'step 3' follow.out && break; sleep 0.2; done
cat m.log.jsonl > new.log.jsonl
for _ in {1..50}; do grep -q 'step 8' follow.out && break; sleep 0.2; done
kill $pid; wait $pid 2> /dev/null; pid=
check "follows" test "$(grep -c 'step [38],' follow.out)" = 2

check "and then no more" test "$(wc -l < follow.err)" = 1
refuses 'cannot open' log "$(printf 'x%.0s' {1..300})" -f
odd=$'a "b", c\nd'
cp m.log.jsonl "$odd.log.jsonl"
works log m "$odd" --csv --from 8
check "quotes in names of CSV" grep -Pzq '\n"a ""b"", c\nd",8,' "$out"

truncate -s -5 n.log.jsonl
works log n
check "leaves out a half written line" grep -q '^n  step 7' "$out"
sed -i '3s/.*/{"st/' n.log.jsonl
refuses 'n.log.jsonl: line 3 is not one' log n
: > n.log.jsonl
refuses 'n.log.jsonl: holds no such steps yet' log n
refuses 'holds no such steps yet' log m --from 9
refuses 'nothing.log.jsonl: cannot open' log nothing
wrong_usage 'NAME is required' log
wrong_usage '--width' log m --width 10
wrong_usage '--csv' log m --csv --follow
finish
