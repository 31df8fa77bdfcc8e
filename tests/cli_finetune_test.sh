#!/bin/bash
# cli_finetune_test.sh [NIB]: `nib train` on sub-words, from a model, with frozen parts and on dialogues: what it makes, and what it
# refuses.
source "$(dirname "$0")/cli_helpers.bash"
says() { check "it does not say: $1" grep -qF -e "$1" "$err"; }
small=(--layers 2 --heads 2 --embd 16 --context 16 --batch 2 --iters 4 --eval-every 2)

for ((i = 0; i < 300; i++)); do printf 'The fox said: it is the %s day.\n' $((i % 7)); done > fox.txt
for ((i = 0; i < 40; i++)); do
    printf '{"messages":[{"role":"user","content":"say %s"},{"role":"assistant","content":"it is %s"}]}\n' $((i % 5)) $((i % 5))
done > chats.jsonl

# ---- sub-words ---------------------------------------------------------------------------------------------------------

works train fox.txt -o sub.gguf --tokenizer bpe:300 "${small[@]}"
check "one file of tokens" test "$(ls nib-*.tokens | wc -l)" = 1
works tokenize sub.gguf -p ' fox<|endoftext|>' && check "learned tokens" test "$(wc -w < "$out")" = 2
works eval sub.gguf fox.txt --json && check "bits per byte" test -n "$(field bits_per_byte)"
works tokenizer train fox.txt -o tok.json --size 300 --special '<|endoftext|>'
works train fox.txt -o tok.gguf --tokenizer tok.json "${small[@]}"
check "the same tokens, the same model" same sub.gguf tok.gguf
check "and still one file of tokens" test "$(ls nib-*.tokens | wc -l)" = 1
works train fox.txt -o lines.gguf --tokenizer sub.gguf --documents lines --isolate "${small[@]}"
check "lines are other texts" test "$(ls nib-*.tokens | wc -l)" = 2
gzip -k fox.txt && works train fox.txt.gz -o packed.gguf --tokenizer tok.json "${small[@]}" && check "gzip" same sub.gguf packed.gguf
works train fox.txt -o sub.gguf --resume --iters 5
works train fox.txt -o once.gguf --tokenizer bpe:300 "${small[@]:0:10}" --eval-every 2 --iters 5 --decay-iters 4 --warmup 0
check "resumed is uninterrupted" same sub.gguf once.gguf
printf 'a fox' > short.txt
nib train short.txt -o x.gguf --tokenizer tok.json "${small[@]}"  # leaves its tokens, which are complete
fails "the text is too short: of its 3 tokens" train short.txt -o x.gguf --tokenizer tok.json "${small[@]}"
rm -f nib-*.tokens
fails "none.json" train fox.txt -o x.gguf --tokenizer none.json
fails "such as bpe:8000" train fox.txt -o x.gguf --tokenizer bpe:many
fails "--tokenizer is \`bpe:10\`, whose size is 10, but" train fox.txt -o x.gguf --tokenizer bpe:10
wrong_usage "choose files" train fox.txt -o x.gguf --tokenizer tok.json --documents pages
printf 'bad \xff text' > bad.txt && fails "bad.txt" train bad.txt -o x.gguf --tokenizer tok.json
printf '{"txt": 1}\n' > bad.jsonl && fails "bad.jsonl: line 1" train bad.jsonl -o x.gguf --tokenizer tok.json
: > empty.txt && fails "empty" train empty.txt -o x.gguf --tokenizer tok.json
works train fox.txt -o other.gguf --tokenizer bpe:270 "${small[@]}"
fails "was trained with tokenizer" train fox.txt -o sub.gguf --resume --iters 6 --tokenizer other.gguf

# ---- characters, in records and packed -----------------------------------------------------------------------------------

chars=(--layers 2 --heads 2 --embd 16 --batch 2 --iters 4 --eval-every 2)
for i in anna bob carla dora emil fritz gerda hans; do printf '{"id": 7, "text": "%s"}\n' $i; done > names.jsonl
for i in anna bob carla dora emil fritz gerda hans; do echo $i; done > names.txt
printf 'ba%.0s' {1..50} > ab.txt && works train ab.txt -o ab.gguf "${chars[@]}" --context 4
works train fox.txt -o char.gguf "${chars[@]}" && works train fox.txt.gz -o gz.gguf "${chars[@]}"
check "unpacked, the same model" same char.gguf gz.gguf
works train fox.txt.gz -o gz.gguf --resume --iters 5 && works train fox.txt -o char.gguf --resume --iters 5
check "and resumed" same char.gguf gz.gguf
works train names.jsonl -o records.gguf "${chars[@]}" --context 4
works tokenize records.gguf -p 'anna<|endoftext|>' && check "characters and the end of a text" test "$(wc -w < "$out")" = 5
fails "does not know the character \"{\"" tokenize records.gguf -p '{'
works train names.txt -o lines.gguf "${chars[@]}" --context 4 --documents lines --overwrite
works train names.txt -o lines.gguf --resume --iters 5
works tokenize lines.gguf -p "anna" && check "characters of lines" test "$(wc -w < "$out")" = 4
works run lines.gguf -n 9 && works eval lines.gguf names.txt --lines --json && lines=$(field loss)
check "a loss" awk -v loss="$lines" 'BEGIN { exit !(loss > 0 && loss < 10) }'
works train names.jsonl -o more.gguf --from lines.gguf --context 4 --iters 2
works train names.jsonl -o masked.gguf "${chars[@]}" --context 4 --arch bert && works info masked.gguf
printf '{"text": "a zebra"}\n' > zebra.jsonl && printf 'abc' > abc.txt
fails "zebra.jsonl: line 1: the model does not know the character" train zebra.jsonl -o x.gguf --from records.gguf --context 4 --iters 1
gzip -k abc.txt && fails "abc.txt.gz: the model does not know the character \"c\"" train abc.txt.gz -o x.gguf --from ab.gguf --context 4 --iters 1
works eval char.gguf fox.txt --json && loss=$(field loss) && works eval char.gguf fox.txt.gz --json
check "measured packed" test "$(field loss)" = "$loss"
works eval records.gguf names.jsonl --json && check "records are their texts" test "$(field tokens)$(field characters)" != ""
printf 'ab\tba\n%.0s' {1..40} > pairs.tsv && gzip -k pairs.tsv
works train pairs.tsv.gz -o packed_pairs.gguf "${chars[@]}" --arch transformer --context 8
wrong_usage "--documents is \`lines\`, but the vocabulary has no token that ends a text" train fox.txt -o x.gguf --from char.gguf --documents lines
wrong_usage "--documents is for texts" train pairs.tsv -o x.gguf --arch transformer --context 8 --documents lines
works train pairs.tsv -o subwords.gguf "${chars[@]}" --arch transformer --context 8 --tokenizer tok.json

# ---- texts that can be read once only --------------------------------------------------------------------------------------

for texts in "/dev/stdin" "fox.txt --val /dev/stdin" "/dev/stdin --tokenizer tok.json" "fox.txt --tokenizer tok.json --val /dev/null"; do
    fails "is not a regular file (training reads a text several times" train $texts -o x.gguf "${small[@]}"
done
mkfifo chats.fifo.jsonl
fails "chats.fifo.jsonl: is not a regular file" train chats.fifo.jsonl -o x.gguf --from sub.gguf

# ---- from a model ------------------------------------------------------------------------------------------------------

tune=(--iters 4 --eval-every 2 --context 16)
works train fox.txt -o mine.gguf --from sub.gguf "${tune[@]}"
works train fox.txt -o part.gguf --from sub "${tune[@]}" --freeze embeddings,0
check "a smaller state" test "$(stat -c %s part.state.gguf)" -lt "$(stat -c %s mine.state.gguf)"
works train fox.txt -o part.gguf --resume --iters 6
works quantize sub.gguf half.gguf f16 && works train fox.txt -o half2.gguf --from half.gguf "${tune[@]}"
works info mine.gguf && check "its tokens" grep -q bpe "$out"
wrong_usage "--layers cannot be chosen" train fox.txt -o x.gguf --from sub.gguf --layers 3
wrong_usage "--tokenizer cannot be chosen" train fox.txt -o x.gguf --from sub.gguf --tokenizer tok.json
wrong_usage "--context is 17" train fox.txt -o x.gguf --from sub.gguf --context 17
wrong_usage "--freeze names \`9\`" train fox.txt -o x.gguf --from sub.gguf --freeze 9
wrong_usage "--freeze names \`head\`" train fox.txt -o x.gguf --from sub.gguf --freeze head
wrong_usage "--freeze needs a model" train fox.txt -o x.gguf --freeze 0
wrong_usage "--from cannot be given" train fox.txt -o mine.gguf --resume --from sub.gguf
fails "none.gguf" train fox.txt -o x.gguf --from none.gguf
head -c 5000 sub.gguf > cut.gguf && fails "cut.gguf" train fox.txt -o x.gguf --from cut.gguf

# ---- adapters ----------------------------------------------------------------------------------------------------------

works train fox.txt -o lora.gguf --from sub.gguf "${tune[@]}" --lora 2 --lora-alpha 4 --lora-targets attn_qkv,ffn_up
works eval sub.gguf fox.txt --lora lora.gguf --json && attached=$(field loss)
works merge sub.gguf lora.gguf -o merged.gguf && works eval merged.gguf fox.txt --json
check "merged is attached: $attached, $(field loss)" awk -v a="$attached" -v b="$(field loss)" 'BEGIN { exit !(a - b < 1e-5 && b - a < 1e-5) }'
works train fox.txt -o lora.gguf --resume --iters 6
works run sub.gguf --lora lora.gguf -p 'The fox' -n 5
cp sub.gguf own.gguf && fails "own.gguf: is a file to read and one to write" train fox.txt -o own.gguf --from own.gguf --lora 2 --overwrite
check "the base is what it was" same own.gguf sub.gguf && rm own.gguf
fails "lora.gguf" run other.gguf --lora lora.gguf -p 'The fox' -n 5
fails "lora.gguf" run lora.gguf -p 'The fox' -n 5
wrong_usage "--lora needs a model" train fox.txt -o x.gguf --lora 2
wrong_usage "--lora is needed" train fox.txt -o x.gguf --from sub.gguf --lora-alpha 2
fails "attn_z" train fox.txt -o x.gguf --from sub.gguf --lora 2 --lora-targets attn_z --context 16

# ---- dialogues ---------------------------------------------------------------------------------------------------------

works train fox.txt -o base.gguf --tokenizer tok.json --layers 2 --heads 2 --embd 16 --context 128 --iters 2
fails "--template NAME chooses one" train chats.jsonl -o x.gguf --from base.gguf
works train chats.jsonl -o chat.gguf --from base.gguf --template chatml --context 100 --epochs 1 && says "36 dialogues train, 4 validate"
check "9 steps" grep -q "step 9/9" "$err"
works train chats.jsonl -o chat2.gguf --from chat.gguf --context 100 --iters 2
fails "has its own: chatml" train chats.jsonl -o x.gguf --from chat.gguf --template zephyr --context 100
works train chats.jsonl -o chat.gguf --resume --iters 12
head -n 1 chats.jsonl > one.jsonl && nib train one.jsonl -o x.gguf --from chat.gguf --context 100
fails "too few dialogues: " train one.jsonl -o x.gguf --from chat.gguf --context 100
wrong_usage "--epochs and iters" train chats.jsonl -o x.gguf --from chat.gguf --epochs 2 --iters 3
rm -f nib-*.tokens
fails "all are too long: 40 dialogues with a turn of more than 9 tokens; a larger --context" train chats.jsonl -o x.gguf --from chat.gguf --context 8
wrong_usage "--documents is for texts" train chats.jsonl -o x.gguf --from chat.gguf --context 100 --documents lines
mkdir talks texts && cp chats.jsonl talks/b.jsonl && cp one.jsonl talks/a.jsonl && cp fox.txt texts/
works train talks -o folder.gguf --from chat.gguf --context 100 --iters 1 && says "dialogues train"
fails "holds dialogues, but texts/fox.txt does not" train texts talks -o x.gguf --from chat.gguf --context 100
fails "one.jsonl holds dialogues, but fox.txt does not" train one.jsonl fox.txt -o x.gguf --from chat.gguf --context 100
fails "one.jsonl holds dialogues, but fox.txt does not" train fox.txt --val one.jsonl -o x.gguf --from chat.gguf --context 100
works train chats.jsonl -o talk.gguf --from base.gguf --lora 2 --template chatml --context 100 --iters 2
works chat base.gguf --lora talk.gguf --temp 0 -n 3
works merge base.gguf talk.gguf -o talks.gguf && works chat talks.gguf --temp 0 -n 3
# A record that is wrong, after good ones: what is said of it, and that --skip-bad goes on without it.
wrong() { # WHAT RECORD
    { cat chats.jsonl && printf '%s\n' "$2"; } > wrong.jsonl
    fails "wrong.jsonl: line 41$1" train wrong.jsonl -o x.gguf --from chat.gguf --context 100
    for again in 1 2; do
        works train wrong.jsonl -o skip.gguf --overwrite --from chat.gguf --context 100 --iters 1 --skip-bad && says "passed over 1 record"
    done
    rm -f nib-*.tokens skip.*
}
wrong "" '{"messages": ['
wrong "" '{"text": "a text"}'
wrong ": messages[1].weight is 0.5; it must be 0 or 1" '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 0.5}]}'
wrong "" '{"messages": []}'
wrong "" '{"messages": [{"role": "user", "content": "only a question"}]}'
wrong "" '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "assistant", "content": "c"}]}'
wrong "" '{"messages": [{"role": "user", "content": 7}, {"role": "assistant", "content": "b"}]}'
wrong "" "$(printf '{"messages": [{"role": "user", "content": "\xff"}, {"role": "assistant", "content": "b"}]}')"
wrong_usage "--task is dialogue, which needs a model to start from" train chats.jsonl -o x.gguf
wrong_usage "--task is \`dialogue\`; a BERT learns mlm" train chats.jsonl -o x.gguf --arch bert --task dialogue --tokenizer tok.json
wrong_usage "--template is for dialogues" train fox.txt -o x.gguf --template chatml

mentions train --tokenizer --documents --isolate --from --freeze --lora --lora-alpha --lora-dropout --lora-targets --epochs --template --skip-bad
finish
