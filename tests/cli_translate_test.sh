#!/bin/bash
# cli_translate_test.sh [NIB]: training on pairs of texts, translate and BLEU as a user meets them, what other commands say of a model with
# an encoder, and every bad input.
goldens=$(realpath "$(dirname "$0")")/goldens/transformers
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

mentions translate --file --tokens --truncate --no-special --beam --length-penalty --n-best --count --cache --device --threads --isa
mentions train --encoder-layers --norm-first --task --target --val-target --average
mentions eval --target --beam --length-penalty --bleu-tokenize
wrong_usage "--bleu-tokenize: choose 13a, zh, char or none" eval m.gguf text --bleu-tokenize x
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
works train pairs.tsv -o gpt --layers 1 --heads 2 --embd 16 --context 8 --batch 2 --iters 1
small="--arch transformer --layers 1 --heads 2 --embd 16 --context 8 --batch 8 --threads 1"
longer=${small/context 8/context 16}
works train pairs.tsv -o whole $small --iters 12 --decay-iters 12 --dropout 0.1
check "the pairs are counted" grep -q "18[0-9] pairs train, [12][0-9] validate" "$err"
works train pairs.tsv -o part $small --iters 5 --decay-iters 12 --save-every 250 --dropout 0.1
works train pairs.tsv -o part --resume --iters 12 --threads 2
check "a resumed training equals one in one go" same whole.gguf part.gguf
sed 's/$/\r/' pairs.tsv > windows.tsv
works train windows.tsv -o windows $small --iters 1
works train pairs.tsv --val pairs.tsv -o other $small --iters 1 --norm-first --encoder-layers 2 --untied
works info other --json && check "info names the encoder" grep -q '"encoder_layers":2.*"norm_first":true' "$out"
wrong_usage "--task is \`lm\`; a Transformer learns translate" train pairs.tsv -o x $small --task lm
wrong_usage "--task is \`translate\`; a GPT-2 learns lm" train pairs.tsv -o x --task translate
wrong_usage "--encoder-layers is 2, but gpt2 has no encoder" train pairs.tsv -o x --encoder-layers 2
wrong_usage "--norm-first cannot be chosen for gpt2" train pairs.tsv -o x --norm-first
printf '12\t34\n1234\n' > none.tsv
refuses "none.tsv: line 2: 1 field where the first line has 2" train none.tsv -o x $small --val-fraction 0
printf 'a\tb\tc\n' > many.tsv
refuses "many.tsv: line 1: has 3 columns, not a source and a target" train many.tsv -o x $small --val-fraction 0
printf '12345678\tb\n' > long.tsv
refuses "long.tsv: line 1: a source of 8 tokens, but a context of 8 has room for 7" train long.tsv -o x $small --val-fraction 0
printf 'a\tb\n' > one.tsv
works train one.tsv -o one $small --iters 1 --val-fraction 0
refuses "there are too few pairs: 0 to train and 1 to validate" train one.tsv -o x $small
echo "no pairs here" > text.txt
refuses "text.txt: its name does not say what kind of table it is" train text.txt -o x $small
refuses "line 2" train pairs.tsv --val none.tsv -o x $small
check "it names the validation text" grep -q "none.tsv" "$err"

# ---- sub-words, columns, parallel files ----------------------------------------------------------------------------------

cut -f1 pairs.tsv > pairs.a && cut -f2 pairs.tsv > pairs.b
words="--arch transformer --task translate --layers 1 --heads 2 --embd 16 --context 8 --batch 8 --threads 2 --tokenizer bpe:300"
works train pairs.tsv -o table $words --iters 10
works train pairs.a --target pairs.b -o lines ${words/--threads 2/--threads 1} --iters 10
check "two files are as good as a table" same table.gguf lines.gguf
works train pairs.a --target pairs.b --val pairs.a --val-target pairs.b -o part $words --iters 4 --decay-iters 9 --save-every 3 --average 2 --overwrite
check "the command that resumes would name them" test -e part.mean.gguf
works train pairs.a --target pairs.b --val pairs.a --val-target pairs.b -o part --resume --iters 9
works train pairs.a --target pairs.b --val pairs.a --val-target pairs.b -o all $words --iters 9 --save-every 3 --average 2
check "a resumed mean equals one in one go" same all.mean.gguf part.mean.gguf
check "and is not the model" test "$(cmp -s all.mean.gguf all.gguf; echo $?)" = 1
works translate all.mean 123
works train pairs.a --target pairs.b -o tuned --from table --iters 2
printf 'n,de,en\n1,"drei, vier",three\n2,eins,one\n3,,two\n' > words.csv
columns="--text-column en --second-column de"
refuses "words.csv: line 4: the target is empty" train words.csv -o x $longer $columns --val-fraction 0
works train words.csv -o csv $longer $columns --val-fraction 0 --iters 1 --skip-bad
check "what is passed over is told" grep -q "passed over 1 pair" "$err"
refuses "there is no column \"fr\"; there are \"n\", \"de\", \"en\"" train words.csv -o x $small --text-column en --second-column fr
wrong_usage "--label-column is for texts with labels; the task is translate" train words.csv -o x $small --label-column n
wrong_usage "--second-column is one of two" train words.csv -o x $small --second-column de
head -n 7 pairs.b > short.b
refuses "pairs.a has 200 lines, but short.b has 7 lines" train pairs.a --target short.b -o x $small
wrong_usage "--target is for the task translate; this is lm" train pairs.a --target pairs.b -o x
wrong_usage "--val-target needs the file" train pairs.a --target pairs.b --val-target pairs.b -o x $small
cp pairs.b b.gguf
refuses "b.gguf: is a file to read and one to write" train pairs.a --target b.gguf -o b $small

# ---- BLEU ----------------------------------------------------------------------------------------------------------------

works eval table pairs.a --target pairs.b --beam 2 --json && is_json
check "BLEU has sacreBLEU's signature" grep -q '"bleu_signature":"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2' "$out"
check "and a loss" test -n "$(field perplexity)"
printf 'one\ta b c d e\ntwo\te d c b a\n' > known.tsv && printf 'one\ta b c d e\ntwo\te d c b\n' > other.tsv
works train known.tsv -o known $longer --iters 250 --lr 1e-2 --val-fraction 0
works eval known known.tsv --beam 2 --json
check "what it knows by heart is right" test "$(field chrf) $(field bleu | cut -c1-5)" = "100.0 100.0"
works eval known other.tsv --beam 2
check "what it has not seen is not" grep -q "^BLEU  *[1-9][0-9][.][0-9] " "$out"
refuses "pairs.a has 200 lines, but short.b has 7 lines" eval table pairs.a --target short.b
wrong_usage "--target is for models that translate" eval gpt pairs.tsv --target pairs.b

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
refuses "none.tsv: line 2: 1 field where the first line has 2" eval whole none.tsv
refuses "many.tsv: line 1: has 3 columns, not a source and a target" eval whole many.tsv
printf '1\t1\n12345678\t1\n' > long.tsv
refuses "long.tsv: line 2: a source of 8 tokens, but a context of 8 has room for 7" eval whole long.tsv
printf '1\t1\n1234567\t7654321\n1\t12345678\n' > long.tsv
refuses "long.tsv: line 3: a target of 8 tokens, but a context of 8 has room for 7" eval whole long.tsv
sed -i 3d long.tsv && works eval whole long.tsv
wrong_usage "measured on all pairs" eval whole pairs.tsv --stride 2
refuses "use nib translate" run whole -p 123
refuses "use nib translate" embed whole 123
refuses "no head \`mlm\`; it has lm" fill whole 123 --mask-id 1
wrong_usage "give it with --source" logits whole --tokens "1 2" -o l.npy
works logits whole --tokens "0 2" --source "3 4 0" -o l.npy
check "logits" grep -q "(2, 11)" l.npy
works logits whole --tokens "0 4 5" --source "3 4 0" -o numbers.npy
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

refuses "translating needs a model with an encoder and a decoder, and a GPT-2 has not both" translate gpt text
works convert "$goldens/marian" -o marian
works translate marian --tokens "3 4 0"
refuses "the model has no tokenizer" translate marian text
finish
