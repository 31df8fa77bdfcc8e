#!/bin/bash
# cli_test.sh [NIB]: the command line as a demanding user meets it: help, usage, what run, eval and logits are asked for, and the way
# from a text to a model that writes. NIB may be an emulator and the binary.
source "$(dirname "$0")/cli_helpers.bash"
small_model

# ---- usage and help --------------------------------------------------------------------------------------------------

nib
check "nib alone shows its help and exits with 2" test $? = 2 -a ! -s "$out" -a "$(grep -c '^  train' "$err")" = 1
works --version && works --help && works help && works help run
mentions train --output --val --resume --overwrite --threads --isa --preset --layers --heads --embd --attention --window --context --untied \
    --iters --batch --accumulate --recompute --dropout --seed --val-fraction --schedule --lr --min-lr --decay-iters \
    --warmup --step-size --gamma --optimizer --beta1 --beta2 --adam-eps --momentum --weight-decay --clip --eval-every \
    --eval-tokens --patience --save-every --sample-every --sample-prompt --log-every
mentions run --prompt --prompt-file --length --temp --top-k --top-p --min-p --repeat-penalty --repeat-last --seed \
    --samples --stop --overflow --context --skip-unknown --no-special --end-token --ignore-eos --tokens --no-echo --json --verbose --threads --isa
mentions eval --val-fraction --lines --end-token --stride --batch --tokens --no-special --json --threads --isa
mentions logits --tokens --prompt --source --truncate --no-special --output --threads --isa
mentions tokenize --prompt --file --decode --no-special --skip-unknown --json
mentions bench --train --json --preset --arch --layers --heads --kv-heads --embd --ffn --attention --window --vocab --context --batch --iters --dropout --untied \
    --recompute --dump-plan
mentions info --json --dump-plan
mentions selftest --isa --op --train --preset --layers --context --batch --iters

wrong_usage "there is no command \`tarin\`" tarin text.txt
wrong_usage "a command is missing" --threads 2
for command in run info eval logits tokenize; do wrong_usage "MODEL is required" $command; done
wrong_usage "TEXT is required" train -o m
wrong_usage "TEXT is required" eval good.gguf
wrong_usage "--output is required" train text.txt
wrong_usage "--output needs a value" train text.txt -o
wrong_usage "--output is given more than once" train text.txt -o m -o n
wrong_usage "--lr is given more than once" train text.txt -o m --lr 1e-3 --lr 1e-3
wrong_usage "--prompt is given more than once" run good.gguf -p A -p B
wrong_usage "\`--itres\`; did you mean --iters?" train text.txt -o m --itres 3
wrong_usage "\`extra\` is one argument too many" run good.gguf extra
wrong_usage "--resume takes no value" train text.txt -o m --resume=maybe
for number in abc 1.5 1e3 0x10 "" " 1" 1k; do
    wrong_usage "--iters: \`$number\` is not a whole number" train text.txt -o m --iters "$number"
done
wrong_usage "--iters: 99999999999999999999 is out of range" train text.txt -o m --iters 99999999999999999999
for number in abc 1e 1,5 ""; do wrong_usage "--lr: \`$number\` is not a number" train text.txt -o m --lr "$number"; done
for number in 0 -1 1000; do wrong_usage "from 1 to 256" train text.txt -o m --threads $number; done
for number in -1 18446744073709551615 x; do wrong_usage "--seed: " run good.gguf --seed $number; done
wrong_usage "--length: " run good.gguf -n -5
wrong_usage "--samples: " run good.gguf --samples 0
wrong_usage "choose half, slide or stop, not \`full\`" run good.gguf --overflow full
wrong_usage "exclude each other" run good.gguf -p A --prompt-file text.txt
wrong_usage "exclude each other" logits good.gguf -p A --tokens 1 -o x.npy
wrong_usage "--tokens or --prompt is required" logits good.gguf -o x.npy
wrong_usage "works only with --train" bench --layers 2
wrong_usage "there is no instruction set \`abacus\`; this machine has: " run good.gguf --isa abacus
works devices
grep -q 'kernels .*neon' "$out" && foreign=sse42 || foreign=neon
refuses "no instruction set \`$foreign\` on this machine; it has: " run good.gguf --isa $foreign

# ---- what commands are asked for -------------------------------------------------------------------------------------

refuses "\"€\" (U+20AC), character 5 (byte offset 4); remove it or use --skip-unknown" run good.gguf -p "The €"
works run good.gguf -p "The €fox" --skip-unknown -n 0
check "--skip-unknown drops it" test "$(cat "$out")" = "The fox"
refuses "not valid UTF-8 at byte offset 4 (byte 0xFF)" run good.gguf -p $'The \xff'
refuses "nowhere.txt: cannot open" run good.gguf --prompt-file nowhere.txt
refuses "folder: is a folder" run good.gguf --prompt-file folder
for x in -1 nan inf; do wrong_usage "--temp is $x" run good.gguf -p The --temp $x; done
for x in 0 -1 1.5 nan; do wrong_usage "--top-p is $x" run good.gguf -p The --top-p $x; done
for x in -1 1.5 nan; do wrong_usage "--min-p is $x" run good.gguf -p The --min-p $x; done
for x in 0 -1 nan inf; do wrong_usage "--repeat-penalty is $x" run good.gguf -p The --repeat-penalty $x; done
wrong_usage "--top-k is -1" run good.gguf -p The --top-k -1
wrong_usage "--repeat-last is -2" run good.gguf -p The --repeat-last -2
wrong_usage "--stop is empty" run good.gguf -p The --stop ""

nib info good --json && vocab=$(field vocabulary)
refuses "\`$vocab\` is not a token; tokens are whole numbers from 0 to $((vocab - 1))" logits good.gguf -o x.npy --tokens "1 $vocab"
for ids in -1 1.5 x 99999999999; do
    wrong_usage "--tokens: \`$ids\` is not a token; tokens are whole numbers from 0" logits good.gguf -o x.npy --tokens "1 $ids"
    wrong_usage "--tokens: \`$ids\` is not a token; tokens are whole numbers from 0" run good.gguf --tokens "1 $ids"
done
refuses "9 tokens, but the model's context has room for 8" logits good.gguf -o x.npy --tokens "1 2 3 4 5 6 7 8 9"
wrong_usage "there are no tokens" logits good.gguf -o x.npy --tokens " "
refuses "there are no tokens" logits good.gguf -o x.npy --prompt ""
refuses "\"€\" (U+20AC), character 1 (byte offset 0); remove it" logits good.gguf -o x.npy --prompt "€"
refuses "cannot create" logits good.gguf --tokens 1 -o /nowhere/x.npy
refuses "folder: cannot write: is a folder" logits good.gguf --tokens 1 -o folder
refuses "is the model itself" logits good.gguf --tokens 1 -o ./good.gguf

printf 'The €' > euro.txt && printf 'T' > one.txt
refuses "nowhere.txt: no such file" eval good.gguf nowhere.txt
refuses "empty_folder: no .txt" eval good.gguf empty_folder
refuses "empty.txt: empty" eval good.gguf empty.txt
refuses "latin.txt: not UTF-8" eval good.gguf latin.txt
refuses "euro.txt: the model does not know the character \"€\" (U+20AC), character 5" eval good.gguf euro.txt
refuses "too few" eval good.gguf one.txt
refuses "use a larger --val-fraction" eval good.gguf text.txt --val-fraction 1e-9
for x in 1 -0.1 nan; do wrong_usage "--val-fraction is $x" eval good.gguf text.txt --val-fraction $x; done

# ---- from a text to a model that writes ------------------------------------------------------------------------------

works info good.gguf --json && is_json
check "the right size" test "$(field parameters)" = "$(((vocab + 8 + 12 * 8 + 13 + 2) * 8))"
works info good --dump-plan
check "a prompt and a token" test "$(grep -c '^# [0-9]* nodes\? in ' "$out")" = 2
check "writes to the cache" test "$(grep -c ' cache_store  *keys f32(1,2,8,4), .* <- ' "$out")" = 2
works bench --train "${tiny[@]}" --dump-plan
check "the gradients of a step" test "$(grep -c ' d blk.0.ffn_up.weight f32(32,8), d blk.0.ffn_up.bias f32(32) .*<- ' "$out")" = 1
works bench good.gguf --prefill 6 --threads 1
works bench good.gguf --prefill 6 --threads 1 --json && is_json
refuses "are more than the model's context of 8 tokens" bench good.gguf --prefill 6 --decode 3 --threads 1
works selftest --train "${tiny[@]:0:10}" --isa ref
for arch in bert transformer; do works selftest --train "${tiny[@]:0:10}" --arch $arch --isa ref; done
check "checks nodes" grep -q '^ref .* nodes checked, .* 0.0e+00  ok$' "$out"
works info good
check "names tensors" grep -q 'blk.0.attn_qkv.weight  *f32  *(24,8)' "$out"
works eval good.gguf text.txt --val-fraction 0.1 --json && is_json
check "the loss of the log" test "$(printf %.4f "$(field loss)")" = \
    "$(tail -n 1 good.log.jsonl | sed 's/.*"val_loss":\([0-9.]*\).*/\1/' | xargs printf %.4f)"
works eval good.gguf text.txt folder/a.txt --batch 3
check "four lines and speed" test "$(grep -c '^[a-z-]* .*[0-9.]' "$out")" = 5
works run good.gguf -p "The" -n 40 --seed 7 && cp "$out" first
check "prompt, 40 characters and a line end" test "$(wc -m < first)" = 44
works run good.gguf -p "The" -n 40 --seed 7 --threads 2
check "the same seed writes the same text" same "$out" first
works run good.gguf -p "The" -n 40 --seed 8
check "another seed writes another" test "$(cat "$out")" != "$(cat first)"
works run good.gguf -p "The" -n 40 --seed 7 --no-echo
check "--no-echo leaves out the prompt" test "The$(cat "$out")" = "$(cat first)"
stop=$(head -c 13 first | tail -c 2)
works run good.gguf -p "The" -n 40 --seed 7 --stop "$stop" --stop "@@"
check "--stop ends before its text" test "$(cat "$out")" = "The$(tail -c +4 first | sed "s/$stop.*//;q")"
works run good.gguf -p "The" -n 20 --samples 3 --seed 7
check "three samples" test "$(grep -c '^=== sample [123] of 3 ===$' "$out")" = 3
works run good.gguf -p "The" -n 20 --samples 3 --json --seed 7 --isa ref --threads 1 && is_json
check "tells what computed" grep -q '"backend":"cpu ref, 1 thread"' "$out"
works run good.gguf -p "The" -n 200 --overflow stop --json --seed 7 && is_json
check "stops where the context is full" grep -q '"full":true' "$out"
works run good.gguf -p "The" -n 200 --overflow stop --no-echo --seed 7 && cp "$out" stopped
check "says so" grep -q '^nib: the context of [0-9]* tokens is full$' "$err"
works run good.gguf -p "The" -n 200 --overflow slide --no-echo --seed 7
check "slides on from there" test "$(head -c $(($(wc -c < stopped) - 1)) "$out")" = "$(cat stopped)"
refuses "--context is 9; the model has a context of 8 tokens" run good.gguf -p "The" --context 9
works run good.gguf -p "The" -n 200 --overflow stop --context 5 && check "a shorter context" grep -q '^nib: the context of 5 tokens is full$' "$err"
works run good.gguf -p 'The' -n 5 -v
check "-v shows the speed" grep -q '^\[prompt 3 tokens, .* tok/s; first token after .* ms; .*--seed ' "$err"
works run good.gguf -n 5 && works run good.gguf -n 5 -p ""
works run good.gguf -n 100 --prompt-file text.txt
printf 'The crow\r\n' | "${nib[@]}" run good.gguf -n 0 > "$out" 2> "$err"
check "a prompt from standard input, without its line end" test "$(cat "$out")" = "The crow"
printf 'The' | "${nib[@]}" run good.gguf -n 40 --seed 7 --prompt-file - > "$out" 2> "$err"
check "a prompt from standard input as a file" same "$out" first
"${nib[@]}" run good.gguf -n 40 --seed 7 --prompt-file <(printf 'The\n') > "$out" 2> "$err"
check "a prompt from a pipe by name" same "$out" first
refuses "/dev/zero: is too long; at most 64" run good.gguf --prompt-file /dev/zero
printf '\xef\xbb\xbfThe\r\n' > marked.txt && works run good.gguf -n 40 --seed 7 --prompt-file marked.txt
check "a byte order mark is no part of a prompt" same "$out" first
"${nib[@]}" run good.gguf -n 40 --seed 7 < marked.txt > "$out" 2> "$err"
check "nor in standard input" same "$out" first
works tokenize good.gguf --file marked.txt --skip-unknown && cp "$out" ids && works tokenize good.gguf -p $'The\r\n' --skip-unknown
check "nor for tokenize" same "$out" ids
printf 'T\0h\0e\0' > unmarked.txt
for command in "run good.gguf --prompt-file" "tokenize good.gguf --file" "eval good.gguf" "train -o x"; do
    refuses "unmarked.txt: is UTF-16LE from byte offset 0 on" $command unmarked.txt
done
{ printf '\xef\xbb\xbf' && cat text.txt; } > marked.txt && works eval good.gguf marked.txt --json && cp "$out" json
works eval good.gguf text.txt --json && check "a byte order mark is no part of a text" test "$(field loss)" = "$(sed -E 's/.*"loss":([^,]*).*/\1/' json)"
checks=$((checks + 1))
nib train <(cat text.txt) "${new[@]}" || grep -q '^nib: error: .*: is not a regular file .*; save it to a file first' "$err" ||
    bad "a text in a pipe is refused clearly" train
works logits good.gguf --tokens "1, 2 3" -o x.npy
check "rows of logits after a header" \
    test "$(stat -c %s x.npy)" = $(($(od -An -tu2 -j 8 -N 2 x.npy) + 10 + 3 * vocab * 4))
check "NumPy's header" grep -aq "'descr': '<f4', 'fortran_order': False, 'shape': (3, $vocab)" x.npy

printf '\xef\xbb\xbfWindows\r\n第一回 賈雨村 😀🎉 e\xcc\x81\r\n%.0s' $(seq 40) > world.txt
works train world.txt -o world "${tiny[@]}" --iters 30 --lr 1e-2 --sample-prompt "第一" --sample-every 10
check "samples while it trains" test "$(grep -c '^第一' "$out")" = 3
check "the sample is valid UTF-8" ends_with_text
works run world.gguf -p "賈雨村 😀" -n 100 --temp 1.5 --top-k 0
check "the text is valid UTF-8" ends_with_text

finish
