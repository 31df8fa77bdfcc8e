#!/bin/bash
# cli_translate_test.sh [NIB]: training on pairs of lines, translate as a user meets it, what other commands say of a model with
# an encoder, and every bad input.
goldens=$(realpath "$(dirname "$0")")/goldens/transformers
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

mentions translate --file --tokens --truncate --no-special --beam --length-penalty --n-best --count --cache --device --threads --isa
mentions train --encoder-layers --norm-first --task
wrong_usage "MODEL is required" translate
wrong_usage "--beam is 0; it must be between 1 and 1024" translate m.gguf text --beam 0
wrong_usage "--n-best is 3; it must be between 1 and --beam, 2" translate m.gguf text --beam 2 --n-best 3
wrong_usage "--length-penalty is -1" translate m.gguf text --length-penalty -1
wrong_usage "--length-penalty" translate m.gguf text --length-penalty x

# ---- training on pairs -------------------------------------------------------------------------------------------------

for i in $(seq 200); do
    word=$(printf '%d' $((i * 7919 % 100000)))
    printf '%s\t%s\n' "$word" "$(rev <<< "$word")"
done > pairs.tsv
small="--arch transformer --layers 1 --heads 2 --embd 16 --context 8 --batch 8 --threads 1"
works train pairs.tsv -o whole $small --iters 12 --decay-iters 12 --dropout 0.1
check "the pairs are counted" grep -q "18[0-9] pairs train, [12][0-9] validate" "$err"
works train pairs.tsv -o part $small --iters 5 --decay-iters 12 --save-every 250 --dropout 0.1
works train pairs.tsv -o part --resume --iters 12 --threads 2
check "a resumed training equals one in one go" same whole.gguf part.gguf
sed 's/$/\r/' pairs.tsv > windows.tsv
works train windows.tsv -o windows $small --iters 1
works train pairs.tsv --val pairs.tsv -o other $small --iters 1 --norm-first --encoder-layers 2 --untied
works info other --json && check "info names the encoder" grep -q '"encoder_layers":2.*"norm_first":true' "$out"
wrong_usage "--task is \`lm\`; a Transformer learns pairs" train pairs.tsv -o x $small --task lm
wrong_usage "--task is \`pairs\`; a GPT-2 learns lm" train pairs.tsv -o x --task pairs
wrong_usage "--encoder-layers is 2, but gpt2 has no encoder" train pairs.tsv -o x --encoder-layers 2
wrong_usage "--norm-first cannot be chosen for gpt2" train pairs.tsv -o x --norm-first
printf '12\t34\n1234\n' > none.tsv
refuses "none.tsv: line 2: not a source, a tab and a target: it has 0 tabs" train none.tsv -o x $small --val-fraction 0
printf 'a\tb\tc\n' > many.tsv
refuses "many.tsv: line 1: not a source, a tab and a target: it has 2 tabs" train many.tsv -o x $small --val-fraction 0
printf '12345678\tb\n' > long.tsv
refuses "long.tsv: line 1: a source of 8 characters, but a context of 8 has room for 7" train long.tsv -o x $small --val-fraction 0
printf 'a\tb\n' > one.tsv
refuses "there are too few pairs: 1 to train and 0 to validate" train one.tsv -o x $small
works train one.tsv -o one $small --iters 1 --val-fraction 0
echo "no pairs here" > text.txt
refuses "no lines of a source, a tab and a target" train text.txt -o x $small
refuses "line 2" train pairs.tsv --val none.tsv -o x $small
check "it names the validation text" grep -q "none.tsv" "$err"

# ---- translate ---------------------------------------------------------------------------------------------------------

works translate whole 123
check "a line" test "$(wc -l < "$out")" = 1
works translate whole 123 45 67890 --beam 3 --n-best 2
check "two lines for each, with scores" test "$(grep -c '^-\?[0-9.]*	' "$out")" = 6
printf '123\n\n45\r\n' > lines.txt
works translate whole --file lines.txt
check "a line for each, an empty one for an empty one" test "$(sed -n '2s/^$/empty/p' "$out")" = empty
check "three lines" test "$(wc -l < "$out")" = 3
cp "$out" three
works translate whole --file lines.txt --threads 2 --beam 1 --count 8
check "the same again" same three "$out"
for beam in 2 5; do works translate whole 123 --beam $beam --length-penalty 0.6 --cache f16; done
works translate whole 123 -n 2
check "no more than 2" test "$(wc -m < "$out")" -le 3
: > empty.txt
refuses "there is no text" translate whole --file empty.txt
refuses "text 2 is empty" translate whole 1 ""
refuses "text 1 is empty" translate whole --tokens " "
works translate --help && check "help says that numbers are all of a text" grep -q "begin and end it" "$out"
refuses "text 1 has 9 tokens, but the model's context has room for 8; cut it with --truncate" translate whole 12345678
works translate whole 12345678 --truncate
printf '1\n12345678\n' > lines8.txt
refuses "lines8.txt: line 2 has 9 tokens" translate whole --file lines8.txt
refuses "does not know the character" translate whole xyz
refuses "not valid UTF-8" translate whole $'\xff'
refuses "cannot open" translate whole --file none.txt
works translate whole --tokens "3 4 0"
refuses "99" translate whole --tokens "3 99"

# ---- other commands ------------------------------------------------------------------------------------------------------

works eval whole pairs.tsv --json && is_json
check "eval counts targets and their ends" test "$(field tokens)" = "$(($(cut -f2 pairs.tsv | wc -m)))"
refuses "none.tsv: line 2: not a source, a tab and a target" eval whole none.tsv
refuses "many.tsv: line 1: not a source, a tab and a target: it has 2 tabs" eval whole many.tsv
printf '1\t1\n12345678\t1\n' > long.tsv
refuses "long.tsv: line 2: a source of 8 tokens, but a context of 8 has room for 7" eval whole long.tsv
printf '1\t1\n1234567\t7654321\n1\t12345678\n' > long.tsv
refuses "long.tsv: line 3: a target of 8 tokens, but a context of 8 has room for 7" eval whole long.tsv
sed -i 3d long.tsv && works eval whole long.tsv
wrong_usage "measured on all lines" eval whole pairs.tsv --stride 2
refuses "use nib translate" run whole -p 123
refuses "use nib translate" embed whole 123
refuses "no head \`mlm\`; it has lm" fill whole 123 --mask-id 1
wrong_usage "give it with --source" logits whole --tokens "1 2" -o l.npy
works logits whole --tokens "0 2" --source "3 4 1" -o l.npy
check "logits" grep -q "(2, 12)" l.npy
works logits whole --tokens "0 4 5" --source "3 4 1" -o numbers.npy
text=$(nib tokenize whole --decode "3 4" && cat "$out") target=$(nib tokenize whole --decode "4 5" && cat "$out")
works logits whole --prompt "$target" --source "$text" -o text.npy
check "text gives the same as its numbers" same numbers.npy text.npy
refuses "the source is empty" logits whole --prompt 1 --source "" -o l2.npy
refuses "the source is empty" logits whole --tokens 0 --source " " -o l2.npy
refuses "the source has 9 tokens, but the model's context has room for 8; cut it with --truncate" logits whole -p 1 --source 12345678 -o l2.npy
refuses "there are 9 tokens, but the model's context has room for 8; cut them with --truncate" logits whole -p 12345678 --source 1 -o l2.npy
works logits whole -p 12345678 --source 12345678 -o l2.npy --truncate
refuses "\`x\` is not a token" logits whole --tokens 0 --source x -o l3.npy
works bench whole --decode 2 --prefill 3 --samples 2
works quantize other.gguf other-f16.gguf f16
works translate other-f16 12
works export whole -o folder
works convert folder -o back
works translate whole 123 456 && cp "$out" before && works translate back 123 456
check "exported and converted it writes the same" same before "$out"
refuses "norms after each sum" export other -o folder2

works train pairs.tsv -o gpt --layers 1 --heads 2 --embd 16 --context 8 --batch 2 --iters 1
refuses "translating needs a model with an encoder and a decoder, and a GPT-2 has not both" translate gpt text
works convert "$goldens/marian" -o marian
works translate marian --tokens "3 4 0"
refuses "the model has no tokenizer" translate marian text
finish
