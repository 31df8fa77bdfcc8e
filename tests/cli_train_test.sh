#!/bin/bash
# cli_train_test.sh [NIB]: training as a demanding user meets it: what every bad input is answered with and leaves behind,
# divergence, a full disk, resuming, signals. NIB may be an emulator and the binary.
source "$(dirname "$0")/cli_helpers.bash"
small_model
check "a sample is printed at the end" grep -q 'sample after step 20' "$out"
check "five files" test "$(ls good.*)" = $'good.best.gguf\ngood.gguf\ngood.log.jsonl\ngood.state.gguf\ngood.svg'
check "a log line per step" test "$(grep -c '^{"step":[0-9]*,"loss":[0-9.]*,.*}$' good.log.jsonl)" = 20

# ---- training: bad texts, sizes, numbers, names ----------------------------------------------------------------------

refuses "nowhere.txt: no such file or folder" train nowhere.txt "${new[@]}"
refuses "nowhere.txt: no such file or folder" train text.txt nowhere.txt "${new[@]}"
refuses "empty_folder: no .txt" train empty_folder "${new[@]}"
refuses "empty.txt: empty" train empty.txt "${new[@]}"
advice="in each part; use a smaller --context or more text"
refuses "$advice" train short.txt "${new[@]}"
refuses "a context of 2000 needs at least 2001 $advice" train text.txt -o new --context 2000 --batch 1
refuses "$advice" train text.txt "${new[@]}" --val-fraction 0.999
refuses "needs at least 9; use a smaller --context or more text" train short.txt "${new[@]}" --val-fraction 0
refuses "latin.txt: not UTF-8 text: malformed at byte offset 5 (byte 0xFF)" train text.txt latin.txt "${new[@]}"
refuses "utf16.txt: is UTF-16LE from byte offset 0 on, not UTF-8; convert it with iconv -f UTF-16LE -t UTF-8" train utf16.txt "${new[@]}"
refuses "/dev/null: is not a regular file" train /dev/null "${new[@]}"
refuses "nowhere.txt: no such file" train text.txt --val nowhere.txt "${new[@]}"
refuses "short.txt: the text is too short: it has 3 characters, and a context of 8 needs at least 9; use a smaller --context" train text.txt --val short.txt "${new[@]}"
refuses "latin.txt: not UTF-8 text: malformed at byte offset 5" train text.txt --val latin.txt "${new[@]}"

size() { refuses "$1" train text.txt -o new --iters 1 "${@:2}"; }
misused() { wrong_usage "$1" train text.txt -o new --iters 1 "${@:2}"; }
misused "3 heads do not divide 128 channels" --heads 3
for flag in --layers --heads --embd --context --batch; do
    misused "$flag is 0; it must be 1 or more" $flag 0
    misused "$flag is -7; it must be 1 or more" $flag -7
done
for size in 5000000 9000000000000000000; do
    for flag in --layers --embd --context --batch; do size "iB of memory, but this machine has" $flag $size; done
done
size "iB of memory, but this machine has" --arch gpt3 --layers 9000000000000000000
size "of memory, but this machine has" --layers 4000 --embd 65536 --heads 1
misused "heads" --heads 1000000000000
misused "--attention is \`wide\`; choose full or alternate" --attention wide
misused "--attention is alternate, but all layers of gpt2 see the whole text" --attention alternate
misused "--window is 8, but all layers see the whole text" --window 8
misused "--window is 8, but all layers see the whole text" --arch gpt3 --attention full --window 8
misused "--window is negative" --arch gpt3 --window -1
misused "an attention window of 99999999999 is out of range" --arch gpt3 --window 99999999999
misused "openai-gpt has as many heads of keys and values as of queries: 4" --arch openai-gpt --kv-heads 2
size "training this model needs at least 4.5 TiB of memory, but this machine has" --preset gpt3-175b
misused "--arch is \`gpt5\`; choose one of: " --arch gpt5
misused "there is no preset \`gpt-huge\`; choose one of: gpt-nano, " --preset gpt-huge

wrong_usage "3 heads do not divide" bench --train --heads 3
wrong_usage "vocabulary 0" bench --train --vocab 0
wrong_usage "--batch is 0" bench --train --batch 0
wrong_usage "--dropout is nan" bench --train --dropout nan
refuses "iB of memory, but this machine has" bench --train --embd 5000000
wrong_usage "abacus" selftest --isa abacus
wrong_usage "there is no op \`abacus\`" selftest --op abacus

value() { wrong_usage "$2 is ${4:-$3}" train text.txt "${new[@]}" --iters $1 $2 "$3"; }
for number in nan inf -1 0; do value 1 --lr $number; done
value 1 --lr 1e999 inf
value 1 --lr -1e-999 -0
for flag in --dropout --val-fraction --beta1 --beta2 --momentum; do for x in -0.5 1 nan; do value 1 $flag $x; done; done
for flag in --weight-decay --clip --min-lr --adam-eps; do for x in -1 nan inf; do value 1 $flag $x; done; done
for flag in --eval-every --save-every --log-every --accumulate --step-size; do for n in 0 -3; do value 1 $flag $n; done; done
for flag in --warmup --decay-iters --patience --sample-every --eval-tokens --seed; do value 1 $flag -3; done
value 1 --gamma 0
value 1 --schedule wavy "\`wavy\`"
value 1 --optimizer lion "\`lion\`"
for n in 0 -5 5000000000; do wrong_usage "--iters is $n" train text.txt "${new[@]}" --iters $n; done
wrong_usage "--patience needs a validation text" train text.txt "${new[@]}" --patience 2 --val-fraction 0
refuses "\"€\" (U+20AC), character 5 (byte offset 4)" train text.txt "${new[@]}" --sample-prompt "The €"
wrong_usage "either resumed or overwritten" train text.txt "${new[@]}" --resume --overwrite

name() { refuses "$1" train text.txt "${tiny[@]}" --iters 1 -o "$2"; }
name "good.gguf: already exists; add --resume" good
name "good.gguf: already exists; add --resume" ./good.gguf
name "folder: is a folder" folder
name ".: is a folder" .
for output in folder/ ""; do wrong_usage "has no file name" train text.txt "${tiny[@]}" --iters 1 -o "$output"; done
wrong_usage "new.bin: nib writes GGUF files" train text.txt "${tiny[@]}" --iters 1 -o new.bin
name "cannot create" /nowhere/new
name "cannot create" text.txt/new
name "cannot create" "$(printf 'x%.0s' $(seq 300))"
name "/dev/null: is not a regular file" /dev/null
name "names that end in .state.gguf" good.state.gguf
cp text.txt notes.svg
refuses "notes.svg: is a file to read and one to write" train notes.svg "${tiny[@]}" -o notes
mkdir taken.svg && refuses "taken.svg: cannot write: is a folder" train text.txt "${tiny[@]}" -o taken
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod a-w locked && name "cannot create" locked/new
fi

# ---- divergence, full disk -------------------------------------------------------------------------------------------

diverge=(--lr 1e30 --clip 0 --warmup 0 --schedule constant)
fails "try a lower learning rate (it is 1e+30), clipping the gradients at 1 (it is 0) or a longer warm-up (0); nothing was saved" train text.txt "${new[@]}" "${diverge[@]}"
fails "try a lower learning rate (it is 1e+30) or a longer warm-up (0); nothing was saved" train text.txt "${new[@]}" --lr 1e30 --warmup 0 --schedule constant
nib train text.txt -o wild "${tiny[@]}" --optimizer sgd --momentum 0 --lr 100 --clip 0 --warmup 0 --save-every 1
check "divergence ends with 1 and names the checkpoint that is kept" \
    test $? = 1 -a "$(grep -c 'nib: error: .*the checkpoint of step [0-9]* in wild.gguf is kept and can be resumed' "$err")" = 1
wrong_usage "--cache: choose f16 or f32, not \`q8_0\`" run wild --cache q8_0
works run wild -n 3 --cache f32 # keys and values are beyond the range of f16
works train text.txt -o wild --resume --iters 1
check "the pair that is kept fits together" grep -q 'nothing to do' "$err"

big=(--layers 2 --heads 2 --embd 64 --context 8 --batch 2 --threads 1) # the model has 430 KB, the state twice that
before=$(listing)
limited 200 train text.txt -o full "${big[@]}" --iters 2 --val-fraction 0
check "a full disk in the first checkpoint: exit code 1, nothing left" test $? = 1 -a "$(listing)" = "$before"
check "and says so" grep -q 'nib: error: full.gguf: cannot write: File too large' "$err"
works train text.txt -o full "${big[@]}" --iters 2 --val-fraction 0
before=$(listing | grep gguf)
limited 600 train text.txt -o full --resume --iters 4
check "a full disk in a later checkpoint: exit code 1, the old pair is left" \
    test $? = 1 -a "$(listing | grep gguf)" = "$before"
check "and says so" grep -q 'nib: error: full.state.gguf: cannot write: File too large' "$err"
works run full -n 3
works train text.txt -o full --resume --iters 4
check "the log has each step once" test "$(grep -c . full.log.jsonl)" = 4
rm full.*

# ---- what is trained from what ---------------------------------------------------------------------------------------

works train folder text.txt -o many "${tiny[@]}" --iters 2
check "a folder and a file" grep -q 'text   .* characters train' "$err"
works train text.txt -o val "${tiny[@]}" --iters 2 --val folder/b.TXT
check "all of one text trains, the other validates" \
    grep -q "text   $(wc -m < text.txt) characters train, $(wc -m < folder/b.TXT) validate" "$err"

for extra in "" "--untied --optimizer sgd"; do
    for low in "" --recompute; do
        works train text.txt -o "m$low" "${tiny[@]}" --iters 7 --dropout 0.2 --clip 0.1 --overwrite $extra $low
    done
    check "--recompute gives the same model $extra" same m.gguf m--recompute.gguf
    check "and the same state but for itself" test "$(cmp -l m.state.gguf m--recompute.state.gguf | wc -l)" = 1
done

# ---- resuming --------------------------------------------------------------------------------------------------------

resumable=("${tiny[@]}" --decay-iters 12 --dropout 0.1 --save-every 3)
works train text.txt -o whole "${resumable[@]}" --iters 12
works train text.txt -o part "${resumable[@]}" --iters 5
works train text.txt -o part --resume --iters 12
check "resumed in the middle: the same model" same whole.gguf part.gguf
check "and the same state" same whole.state.gguf part.state.gguf
works train text.txt -o part --resume --iters 12
check "nothing to do" grep -q 'nothing to do' "$err"
resume() { refuses "$1" train "${@:2}" --resume; }
resume "was trained with lr" text.txt -o part --lr 0.5
resume "was trained with embd 8, but 16 was given" text.txt -o part --embd 16
resume "was trained with untied off, but on was given" text.txt -o part --untied
resume "was trained with schedule \`cosine\`" text.txt -o part --schedule linear
resume "needs the same text" folder/a.txt text.txt -o part
sed 's/fox/cow/' text.txt > cows.txt && resume "needs the same text" cows.txt -o part
sed 's/went out 7/tent oud 7/' text.txt > other.txt && resume "another text of the same length" other.txt -o part
resume "validation text; give it again" text.txt -o val
resume "validation text; give none" text.txt --val text.txt -o part
resume "new.gguf: there is no such file to resume" text.txt -o new
resume "is a folder" text.txt -o folder
cp part.gguf alone.gguf && resume "alone.state.gguf: there is no such file" text.txt -o alone && rm alone.gguf
cp part.state.gguf alone.state.gguf && resume "alone.gguf: there is no such file" text.txt -o alone
cp good.gguf alone.gguf && resume "are not of the same step" text.txt -o alone
cp part.gguf alone.gguf && head -c 2000 part.state.gguf > alone.state.gguf && resume "truncated" text.txt -o alone
cp text.txt alone.state.gguf && resume "alone.state.gguf: not a GGUF file" text.txt -o alone
cp part.state.gguf alone.state.gguf && printf '\x77' | dd of=alone.gguf bs=1 seek=$(($(stat -c %s alone.gguf) - 1)) conv=notrunc status=none
fails "one of the files was changed or is damaged" train text.txt -o alone --resume --iters 20
cp good.best.gguf alone.gguf && resume "holds no training" text.txt -o alone

# ---- signals and closed streams --------------------------------------------------------------------------------------

odd="it's a \"model\"" # a name that needs quoting
interrupted() { # SIGNAL EXIT-CODE OUTPUT COMMAND...: also sees that nobody else trains under this name meanwhile
    # Under nohup this script ignores SIGHUP, which nib would respect.
    env --default-signal=HUP "${nib[@]}" "${@:4}" -o "$3" > out 2> err < /dev/null &
    pid=$!
    for _ in $(seq 200); do grep -q 'step 1/' err && break || sleep 0.05; done
    checks=$((checks + 1))
    nib "${@:4}" -o "$3" --overwrite
    [ $? = 1 ] && grep -q "^nib: error: .*: another process is training under this name" "$err" || bad "it was started twice" "${@:4}"
    kill "-$1" $pid
    wait $pid
    status=$? pid=
    mv out "$out" && mv err "$err"
    check "SIG$1 ends with $2, not $status" test $status = "$2"
    check "and says how to resume" grep -q '^  .* train text.txt -o .* --resume' "$err"
}
interrupted INT 130 "$odd" train text.txt "${tiny[@]}" --iters 1000000
command=$(tail -n 1 "$err")
eval "nib train ${command#* train} --iters 1"
check "the printed command resumes: $command" test $? = 0 -a "$(grep -c 'goes on after step' "$err")" = 1
check "no temporary files" test -z "$(find . -name '*.tmp')"
interrupted TERM 143 term train text.txt "${resumable[@]}" --iters 1000000
interrupted HUP 129 hup train text.txt "${resumable[@]}" --iters 1000000
reached=$(sed -n 's/^saved .* after step \([0-9]*\).*/\1/p' "$err")
works train text.txt -o hup --resume --iters $((reached + 3))
works train text.txt -o straight "${resumable[@]}" --iters $((reached + 3))
check "interrupted and resumed: the same model" same hup.gguf straight.gguf
check "and the same state" same hup.state.gguf straight.state.gguf

# A signal during the sample at the end, when all is saved, ends the process: the sample cannot be written, the pipe is full.
mkfifo full.pipe && exec 3<> full.pipe
dd if=/dev/zero of=full.pipe bs=4096 count=100 oflag=nonblock conv=notrunc status=none 2> /dev/null
timeout 60 "${nib[@]}" train text.txt -o ended "${tiny[@]}" --iters 3 > full.pipe 2> err < /dev/null &
pid=$!
for _ in $(seq 200); do grep -q '^saved' err && break || sleep 0.05; done
kill -TERM $pid # timeout passes it on
wait $pid
status=$? pid=
exec 3<&-
mv err "$err"
check "a signal during the last sample ends with 143, not $status" test $status = 143
works run ended -n 3
rm full.pipe ended.gguf.lock

# A text that is cut short while it is read from.
for i in $(seq 3000); do cat text.txt; done > long.txt
timeout 60 "${nib[@]}" train long.txt -o short "${tiny[@]}" --iters 1000000 --save-every 1 --eval-every 1000000 > out 2> err < /dev/null &
pid=$!
for _ in $(seq 200); do [ -e short.state.gguf ] && break || sleep 0.05; done
: > long.txt
wait $pid
status=$? pid=
mv out "$out" && mv err "$err"
check "a text that became shorter ends with 1, not $status" \
    test $status = 1 -a "$(tail -n 1 "$err")" = "nib: error: a file that was being read became shorter, or its disk failed"
works run short -n 3
rm long.txt short.*

timeout 120 "${nib[@]}" run good.gguf -n 100000 2> "$err" < /dev/null | head -c 1 > "$out"
check "a reader that leaves early is no error" test "${PIPESTATUS[0]}" = 0 -a ! -s "$err"
for full in ">&-" "> /dev/full"; do
    for command in "run good.gguf -n 3" "info good.gguf" "eval good.gguf text.txt" --help --version; do
        eval "\"\${nib[@]}\" $command $full" 2> "$err" < /dev/null
        check "nib $command $full" test $? = 1 -a "$(grep -c 'nib: error: standard output cannot be written' "$err")" = 1
    done
done
works train text.txt -o open "${tiny[@]}" --iters 3
"${nib[@]}" train text.txt -o closed "${tiny[@]}" --iters 3 <&- >&- 2>&-
check "closed streams do not end up in files" test "$(cat open.gguf open.state.gguf | cksum)" = "$(cat closed.gguf closed.state.gguf | cksum)"
check "no temporary files" test -z "$(find . -name '*.tmp')"

finish
