#!/bin/bash
# cli_attention_test.sh [NIB]: attention as a user meets it, its page and its JSON, and every bad input.
goldens=$(realpath "$(dirname "$0")")/goldens/transformers
source "$(dirname "$0")/cli_helpers.bash"

mentions attention --prompt --file --tokens --output --json --top --truncate --no-special --device --threads --isa
wrong_usage "MODEL is required" attention
wrong_usage "--output or --json is required" attention m.gguf -p x
wrong_usage "--prompt, --file or --tokens is required" attention m.gguf -o x.html
wrong_usage "exclude each other" attention m.gguf -p x -o x.html --json
wrong_usage "exclude each other" attention m.gguf -p x --tokens "1 2" --json

for i in $(seq 60); do echo "The <fox> & \"crow\" went out $i times. 狐狸"; done > text.txt
works train text.txt -o m --layers 2 --heads 2 --embd 32 --context 24 --batch 4 --iters 3
works train text.txt -o b --arch bert --layers 2 --heads 2 --embd 32 --context 24 --batch 4 --iters 3
works quantize m.gguf q.gguf q8_0
works convert "$goldens/llama" -o llama
works convert "$goldens/bert_tag" -o tag

# ---- the page --------------------------------------------------------------------------------------------------------

works attention m -p "The <fox> 狐狸" -o look.html
check "prints nothing" test ! -s "$out" -a ! -s "$err"
check "a page" grep -q '^<!doctype html>' look.html
check "which is complete" test "$(tail -n 1 look.html)" = "</html>"
check "with the text's tokens" grep -q '"狐"' look.html
check "none of them as markup" grep -q '"\\u003c"' look.html
check "and nothing from outside" test "$(grep -c -E '://|src=|href=|@import' look.html)" = 0
works attention m -p "The <fox> 狐狸" -o again.html --threads 1
check "the same on any threads" same look.html again.html
printf 'The <fox> 狐狸\n' > prompt.txt
works attention m --file prompt.txt -o again.html && check "the same from a file" same look.html again.html
"${nib[@]}" attention m -o again.html < prompt.txt && check "the same from a pipe" same look.html again.html
for model in q b llama tag; do works attention $model --tokens "1 2 3 4" -o $model.html; done
check "an encoder predicts the tokens themselves" grep -q '"head":"mlm"' b.html
check "a model without such a head predicts none" test "$(grep -c '"predictions":' tag.html)" = 0

# ---- JSON --------------------------------------------------------------------------------------------------------------

works attention m -p "Thew" --json --top 2 && is_json
check "a token sees itself and those before" grep -q '"weights":\[\[\[\[1.0,0.0,0.0,0.0\],\[0.[0-9]*,0.[0-9]*,0.0,0.0\]' "$out"
check "two predictions of 4 tokens in 2 layers" test "$(grep -o '"probability":' "$out" | wc -l)" = 16
works attention m -p "Thew" --json --top 0 && is_json
check "no predictions" test "$(grep -c predictions "$out")" = 0

# ---- bad input ---------------------------------------------------------------------------------------------------------

refuses "none" attention none -p x -o x.html
refuses "the text is empty" attention m -p "" -o x.html
refuses "the text is empty" attention m --tokens "" -o x.html
: > empty.txt
refuses "the text is empty" attention m --file empty.txt -o x.html
refuses "cannot open" attention m --file none.txt -o x.html
refuses "does not know the character" attention m -p "Q" -o x.html
refuses "not valid UTF-8" attention m -p $'The \xff' -o x.html
refuses "the model has no tokenizer" attention llama -p x -o x.html
refuses "23" attention llama --tokens "1 23" -o x.html
refuses "the text has 30 tokens, but the model's context has room for 24; cut it with --truncate" \
    attention m -p "TheTheTheTheTheTheTheTheTheThe" -o x.html
works attention m -p "TheTheTheTheTheTheTheTheTheThe" -o x.html --truncate && rm x.html
refuses "is the model itself" attention m -p The -o m.gguf
refuses "missing/x.html" attention m -p The -o missing/x.html
mkdir folder
refuses "folder" attention m -p The -o folder
refuses "/dev/full" attention m -p The -o /dev/full
cp look.html before.html && limited 4 attention m -p The -o look.html
check "a full disk leaves what was there" same look.html before.html
check "and nothing else" test -z "$(ls look.html?* 2> /dev/null)"

# More heads than a page of this many tokens can hold.
for i in 1 2 3 4; do cat text.txt; done > longer.txt
works train longer.txt -o wide --layers 16 --heads 16 --embd 16 --context 400 --batch 1 --iters 1
long=$(seq -s " " 0 19 | sed 's/.*/& & & & & & & & & & & & & & & &/')
refuses "the text has 320 tokens, but a page of 256 heads has room for 256; cut it with --truncate" \
    attention wide --tokens "$long" -o x.html
finish
