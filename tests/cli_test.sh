#!/bin/bash
# cli_test.sh [NIB]: the command line as a demanding user meets it: what every bad input is answered with and leaves behind,
# help, usage, signals, a full disk, closed streams, and the way from a text to a model that writes. NIB may be an emulator
# and the binary. No python here; damaged files are good ones, patched with dd.
source "$(dirname "$0")/cli_helpers.bash"

# ---- texts, and a small model ----------------------------------------------------------------------------------------

for i in $(seq 60); do echo "The fox went out $i times and met the crow. "; done > text.txt
tiny=(--layers 1 --heads 2 --embd 8 --context 8 --batch 2 --threads 1)
mkdir empty_folder folder && cp text.txt folder/a.txt && echo 'A second text: 0123456789, more of it.' > folder/b.TXT
: > empty.txt && printf 'abc' > short.txt && printf 'good \xff bad' > latin.txt && printf '\xff\xfea\0' > utf16.txt
works train text.txt -o good "${tiny[@]}" --iters 20 --lr 1e-2
check "a sample is printed at the end" grep -q 'sample after step 20' "$out"
check "five files" test "$(ls good.*)" = $'good.best.gguf\ngood.gguf\ngood.log.jsonl\ngood.state.gguf\ngood.svg'
check "a log line per step" test "$(grep -c '^{"step":[0-9]*,"loss":[0-9.]*,.*}$' good.log.jsonl)" = 20

# ---- usage and help --------------------------------------------------------------------------------------------------

nib
check "nib alone shows its help and exits with 2" test $? = 2 -a ! -s "$out" -a "$(grep -c '^  train' "$err")" = 1
works --version && works --help && works help && works help run
mentions train --output --val --resume --overwrite --threads --isa --preset --layers --heads --embd --attention --window --context --untied \
    --iters --batch --accumulate --recompute --dropout --seed --val-fraction --schedule --lr --min-lr --decay-iters \
    --warmup --step-size --gamma --optimizer --beta1 --beta2 --adam-eps --momentum --weight-decay --clip --eval-every \
    --eval-tokens --patience --save-every --sample-every --sample-prompt --log-every
mentions run --prompt --prompt-file --length --temp --top-k --top-p --min-p --repeat-penalty --repeat-last --seed \
    --samples --stop --overflow --skip-unknown --no-special --end-token --ignore-eos --tokens --no-echo --json --verbose --threads --isa
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

# ---- training: bad texts, sizes, numbers, names ----------------------------------------------------------------------

new=(-o new "${tiny[@]}")
refuses "nowhere.txt: no such file or folder" train nowhere.txt "${new[@]}"
refuses "nowhere.txt: no such file or folder" train text.txt nowhere.txt "${new[@]}"
refuses "empty_folder: no .txt files in this folder" train empty_folder "${new[@]}"
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
refuses "\"€\" (U+20AC) (byte offset 4)" train text.txt "${new[@]}" --sample-prompt "The €"
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
refuses "notes.svg: is a text to read and a file to write" train notes.svg "${tiny[@]}" -o notes
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

# ---- models that are no models ---------------------------------------------------------------------------------------

models() { # TEXT FILE: refused by all that run it
    refuses "$1" run "$2" -p The -n 3
    refuses "$1" eval "$2" text.txt
    refuses "$1" logits "$2" --tokens "1 2" -o x.npy
}
files() { models "$@" && refuses "$1" info "$2"; }
shown() { # the same, but nib info shows the rest and names the problem
    models "$@"
    works info "$2" --json && is_json
    works info "$2"
    check "nib info says what is wrong" grep -q "^problem  *.*$1" "$out"
}
patched() { # KEY OFFSET BYTES: good.gguf as bad.gguf, with other BYTES (of printf) at OFFSET behind the end of KEY
    local at
    at=$(grep -abo -m 1 -F -- "$1" good.gguf | head -n 1 | cut -d : -f 1)
    cp good.gguf bad.gguf
    printf "$3" | dd of=bad.gguf bs=1 seek=$((at + ${#1} + $2)) conv=notrunc status=none
}
files "nowhere.gguf: cannot open: No such file or directory" nowhere.gguf
files "folder: is a folder" folder
files "text.txt: not a GGUF file" text.txt
files "empty.txt: not a GGUF file: it is empty" empty.txt
size=$(stat -c %s good.gguf)
for bytes in 3 20 100 1000 $((size / 2)) $((size - 1)); do
    head -c $bytes good.gguf > bad.gguf
    files "bad.gguf: " bad.gguf
    check "says that it is truncated" grep -q 'truncated\|not a GGUF' "$err"
done
max='\xff\xff\xff\xff\xff\xff\xff\x7f'
patched GGUF 0 '\x09' && files "version 9" bad.gguf
patched GGUF 0 '\0\0\0\x03' && files "big-endian" bad.gguf
patched GGUF 4 "$max" && files "claims 9223372036854775807 tensors" bad.gguf
patched GGUF 12 "$max" && files "claims 9223372036854775807 keys" bad.gguf
patched GGUF 20 "$max" && files "truncated" bad.gguf # the length of the first key
patched tokenizer.ggml.tokens 8 "$max" && files "claims 9223372036854775807 array elements" bad.gguf
patched tokenizer.ggml.tokens 0 '\x63' && files "value type 99" bad.gguf
patched gpt2.block_coun 0 'X' && shown "key \`gpt2.block_count\` is missing" bad.gguf
patched gpt2.block_count 4 '\0' && shown "gpt2.block_count\` is 0" bad.gguf
patched gpt2.block_count 4 '\xff\xff\xff\xff' && shown "number of layers 4294967295" bad.gguf
patched gpt2.attention.head_count 4 '\x03' && shown "3 heads do not divide 8 channels" bad.gguf
patched gpt2.context_length 4 '\x10' && models "position_embd.weight" bad.gguf
patched general.architecture 12 'gptX' && models "gptX" bad.gguf
patched tokenizer.ggml.token 0 'X' && shown "tokenizer.ggml.tokens" bad.gguf
patched output_norm.bia 0 'X' && shown "output_norm.bias" bad.gguf # a missing tensor
rows=$(("$(grep -abo -F token_embd.weight good.gguf | head -n 1 | cut -d : -f 1)" + 17 + 12)) # the vocabulary's size
vocab=$(od -An -tu1 -j $rows -N 1 good.gguf | tr -d ' ')
patched token_embd.weight 12 '\x05' && shown "but the embedding" bad.gguf
patched token_embd.weight 0 '\x05' && files "5 dimensions" bad.gguf
patched token_embd.weight 4 '\0' && files "token_embd.weight" bad.gguf
patched token_embd.weight 4 "$max" && files "token_embd.weight" bad.gguf
patched token_embd.weight 20 '\x63' && files "type" bad.gguf
patched position_embd.weight 12 '\x04' && models "position_embd.weight" bad.gguf # another shape
patched position_embd.weight 20 '\x18' && models "position_embd.weight" bad.gguf # i8
patched position_embd.weight 24 '\0\0\0\0' && files "overlap" bad.gguf
patched position_embd.weight 24 '\x01' && files "not a multiple" bad.gguf
patched position_embd.weight 24 "$max" && files "position_embd.weight" bad.gguf
patched position_embd.weight 24 '\0\0\0\x40' && files "beyond the end" bad.gguf
cp good.gguf bad.gguf && for i in $(seq 64); do printf '\0\0\xc0\x7f'; done |
    dd of=bad.gguf bs=1 seek=$((size - 256)) conv=notrunc status=none # the last norm becomes NaN
fails "not a number" run bad.gguf -p The
refuses "not a number" eval bad.gguf text.txt
models "is what a training resumes from" good.state.gguf
works info good.state.gguf
rm bad.gguf

works train text.txt -o llama.gguf --arch llama --layers 1 --heads 2 --kv-heads 1 --embd 8 --context 8 --iters 1
works info llama.gguf
check "nib info knows every architecture" grep -q "^  kv_heads  *1$" "$out"
rm llama.*
for arch in openai-gpt gpt3 gptneo; do
    works train text.txt -o a.gguf --arch $arch --layers 2 --heads 2 --embd 32 --context 12 --batch 2 --iters 4
    works run a.gguf -p The -n 20 && works eval a.gguf text.txt && works logits a.gguf -p The -o a.npy
    works quantize a.gguf b.gguf q8_0 && works run b.gguf -p The -n 20
    works train text.txt -o a.gguf --resume --iters 5
    rm a.* b.gguf
done
works train text.txt -o a.gguf --arch gpt3 --window 5 --layers 4 --heads 2 --embd 8 --context 12 --iters 2
works info a.gguf
check "nib info says how far back blocks look" grep -q "^  attention  *the last 5 tokens in blocks 1, 3$" "$out"
refuses "was trained with window 5, but 6 was given" train text.txt -o a.gguf --resume --window 6
refuses "was trained with attention \`alternate\`, but \`full\` was given" train text.txt -o a.gguf --resume --attention full
refuses "transformers has no class for a GPT-3" export a.gguf -o hf
check "and leaves no folder" test ! -e hf
rm a.*
works train text.txt -o a.gguf --arch gpt3 --attention full --layers 2 --heads 2 --embd 8 --context 12 --iters 1
works info a.gguf
check "or that they look at all" grep -q "^  attention  *full$" "$out"
works train text.txt -o a.gguf --resume --attention full --iters 2
rm a.*

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
refuses "empty_folder: no .txt files" eval good.gguf empty_folder
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
cp part.state.gguf alone.state.gguf && printf '\x77' | dd of=alone.gguf bs=1 seek=$((size - 1)) conv=notrunc status=none
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
