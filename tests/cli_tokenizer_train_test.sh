#!/bin/bash
# cli_tokenizer_train_test.sh [NIB]: `nib tokenizer train`: from texts to a tokenizer.json that `nib tokenize` reads, wrong texts and
# options, and that nothing is left of a file that was not finished.
source "$(dirname "$0")/cli_helpers.bash"
is() { check "the output is not \`$1\`" test "$(cat "$out")" = "$1"; }
says() { check "it does not say: $1" grep -qF -e "$1" "$err"; }

{ for ((i = 0; i < 200; i++)); do printf 'The fox said: it is the %s day.\r\n\n' $((i % 7)); done; } > fox.txt
mkdir corpus
cp fox.txt corpus/fox.md
printf '{"text": "The fox and the crow"}\n\n{"id": 1, "text": "\\u4f60\\u597d the fox"}\n' > corpus/two.jsonl
gzip -k corpus/two.jsonl
printf 'not text: \xff' > corpus/passed_over.bin

# ---- what is made ------------------------------------------------------------------------------------------------------

train=(tokenizer train -o tok.json --overwrite)
works tokenizer train corpus -o tok.json --size 290 && says "tok.json: bpe, 290 tokens of "
check "' fox' is one token" test "$(nib tokenize tok.json -p ' fox' && wc -w < "$out")" = 1
cp "$out" fox.ids && works tokenize tok.json --decode "$(cat fox.ids)" && is ' fox'
cp tok.json one.json
for threads in 1 3; do
    works "${train[@]}" corpus --size 290 --threads $threads
    check "threads change the tokenizer" same tok.json one.json
done
works "${train[@]}" corpus/two.jsonl.gz corpus/fox.md corpus/two.jsonl --size 290
check "order matters" same tok.json one.json
works "${train[@]}" fox.txt --size 262 --split llama3 --special '<|end|>' --special '<s>'
works tokenize tok.json -p '<s><|end|>' && is "1 0"
works "${train[@]}" fox.txt --size 2000 --min-frequency 30 && says "no other pair occurs 30 times, so there are fewer than 2000 tokens"
works "${train[@]}" fox.txt --size 2000 --max-token-length 3
check "tokens of three bytes" test "$(nib tokenize tok.json -p fox && wc -w < "$out")" = 2
works "${train[@]}" fox.txt --size 300 --lowercase && nib tokenize tok.json -p FOX && cp "$out" upper && nib tokenize tok.json -p fox
check "lower case" same "$out" upper
works "${train[@]}" fox.txt --size 80 --split gpt1 --lowercase && works tokenize tok.json -p 'FOX 你'
check "the suffix ends words" test "$(wc -w < "$out")" = 2 && works tokenize tok.json --decode "$(cat "$out")" && is 'fox <unk>'
works "${train[@]}" fox.txt --size 90 --type wordpiece && works tokenize tok.json -p 'fox' && read -r cls _ < "$out"
check "[CLS]" test "$cls" = 2
works "${train[@]}" fox.txt --size 60 --type wordpiece --limit-alphabet 5 && works tokenize tok.json -p 'fox' && is "2 1 3"
printf 'ba' > ab.txt && works "${train[@]}" ab.txt --type char && says "tok.json: char, 2 tokens" && works tokenize tok.json -p ab && is "0 1"
works "${train[@]}" fox.txt --size 300 && cp tok.json file.json && works "${train[@]}" <(cat fox.txt) --size 300
check "a pipe is read once" same tok.json file.json

# ---- what is wrong with texts ------------------------------------------------------------------------------------------

rm -f tok.json
train=(tokenizer train -o tok.json --size 300)
: > empty.txt && mkdir none && printf 'text\xfe' > latin.txt && head -c 300 corpus/two.jsonl.gz > whole.gz
head -c 40 corpus/two.jsonl.gz > cut.txt.gz
{ head -c 30 corpus/two.jsonl.gz && printf XXXXXXXXXXXX && tail -c +43 corpus/two.jsonl.gz; } > damaged.txt.gz
printf '{"text": "a"}\n{"text": \n' > broken.jsonl && printf '{"text": "a"}\n\n{"body": "a"}\n' > other.jsonl
printf '{"text": ["a"]}\n' > list.jsonl && iconv -t UTF-16 fox.txt > wide.txt
refuses "nowhere.txt: no such file or folder" "${train[@]}" fox.txt nowhere.txt
refuses "empty.txt: empty, there is no text to read" "${train[@]}" empty.txt
refuses "empty.txt: empty, there is no text to read" tokenizer train empty.txt -o tok.json --type char
refuses "none: no .txt, .md, .jsonl" "${train[@]}" none
refuses "latin.txt: not UTF-8 text: malformed at byte offset 4 (byte 0xFE)" "${train[@]}" fox.txt latin.txt
refuses "latin.txt: not UTF-8 text" tokenizer train latin.txt -o tok.json --type char
refuses "wide.txt: is UTF-16LE from byte offset 0 on" "${train[@]}" wide.txt
refuses "cut.txt.gz: the gzip data is cut short at byte offset 40" "${train[@]}" cut.txt.gz
refuses "damaged.txt.gz: the gzip data is damaged" "${train[@]}" damaged.txt.gz
refuses "broken.jsonl: line 2: not valid JSON" "${train[@]}" broken.jsonl
refuses 'other.jsonl: line 3 has no "text"' "${train[@]}" other.jsonl
refuses "list.jsonl: line 1: text is array" "${train[@]}" list.jsonl

# ---- what is wrong with options ----------------------------------------------------------------------------------------

refuses "--size is 255, but the special tokens and the alphabet alone are 256 tokens" tokenizer train fox.txt -o tok.json --size 255
refuses "--special names \`<s>\` twice" "${train[@]}" fox.txt --special '<s>' --special '<s>'
refuses "--special is empty" "${train[@]}" fox.txt --special ''
refuses "--special does not name [UNK]" "${train[@]}" fox.txt --type wordpiece --special '[CLS]'
refuses "nowhere/tok.json: cannot create" tokenizer train fox.txt -o nowhere/tok.json --size 300
refuses "corpus: is a folder" tokenizer train fox.txt -o corpus --size 300
cp fox.txt tok.json
refuses "tok.json: already exists; add --overwrite to replace it" "${train[@]}" fox.txt
refuses "tok.json: is both read and written" "${train[@]}" tok.json --overwrite
rm tok.json
wrong_usage "--size is required" tokenizer train fox.txt -o tok.json
wrong_usage "--size: 0 is out of range" tokenizer train fox.txt -o tok.json --size 0
wrong_usage "--size works only with" "${train[@]}" fox.txt --type char
wrong_usage "--split works only with --type bpe" "${train[@]}" fox.txt --type wordpiece --split gpt2
wrong_usage "--limit-alphabet works only with" "${train[@]}" fox.txt --limit-alphabet 9
wrong_usage "choose gpt2, llama3 or gpt1, not \`gpt4\`" "${train[@]}" fox.txt --split gpt4
wrong_usage "TEXT is required" "${train[@]}"
wrong_usage "a command is missing" tokenizer
wrong_usage "there is no command \`tokenizer nothing\`" tokenizer nothing
wrong_usage "did you mean --min-frequency?" "${train[@]}" fox.txt --min-freqency 2
check "a full disk leaves nothing" test "$(limited 4 "${train[@]}" fox.txt; ls | grep -c tok)" = 0
(trap '' XFSZ && limited 4 "${train[@]}" fox.txt)
check "one line about it" test "$(grep -c '^nib: error: tok.json: ' "$err")" = 1

# ---- Ctrl-C ------------------------------------------------------------------------------------------------------------

"${nib[@]}" "${train[@]}" <(yes fox) > "$out" 2> "$err" &
pid=$!
for ((i = 0; i < 200; i++)); do [ -e tok.json.tmp ] && break || sleep 0.05; done # from then on it catches signals
kill -INT $pid && wait $pid
check "Ctrl-C ends with 1" test $? = 1
says "nib: error: tok.json: interrupted; nothing is written"
check "nothing is left" test "$(ls | grep -c tok)" = 0
pid=

# ---- help --------------------------------------------------------------------------------------------------------------

works help tokenizer train && cp "$out" help
mentions "tokenizer train" --output --size --type --split --special --min-frequency --max-token-length --limit-alphabet --lowercase \
    --overwrite --threads
finish
