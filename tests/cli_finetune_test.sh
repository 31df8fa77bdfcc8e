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
works train chats.jsonl -o talk.gguf --from base.gguf --lora 2 --template chatml --context 100 --iters 2
works chat base.gguf --lora talk.gguf --temp 0 -n 3
works merge base.gguf talk.gguf -o talks.gguf && works chat talks.gguf --temp 0 -n 3
# A record that is wrong, after good ones: what is said of it, and that --skip-bad goes on without it.
wrong() { # WHAT RECORD
    { cat chats.jsonl && printf '%s\n' "$2"; } > wrong.jsonl
    fails "wrong.jsonl: line 41$1" train wrong.jsonl -o x.gguf --from chat.gguf --context 100
    works train wrong.jsonl -o skip.gguf --overwrite --from chat.gguf --context 100 --iters 1 --skip-bad && says "passed over 1 record"
    rm -f nib-*.tokens skip.*
}
wrong "" '{"messages": ['
wrong "" '{"text": "a text"}'
wrong "" '{"messages": []}'
wrong "" '{"messages": [{"role": "user", "content": "only a question"}]}'
wrong "" '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "assistant", "content": "c"}]}'
wrong "" '{"messages": [{"role": "user", "content": 7}, {"role": "assistant", "content": "b"}]}'
wrong "" "$(printf '{"messages": [{"role": "user", "content": "\xff"}, {"role": "assistant", "content": "b"}]}')"
wrong_usage "--task is dialogue, which needs a model to start from" train chats.jsonl -o x.gguf
wrong_usage "--task is \`dialogue\`; a BERT learns mlm" train chats.jsonl -o x.gguf --arch bert --task dialogue --tokenizer tok.json
wrong_usage "--template is for the task dialogue" train fox.txt -o x.gguf --template chatml

mentions train --tokenizer --documents --isolate --from --freeze --lora --lora-alpha --lora-dropout --lora-targets --epochs --template --skip-bad
finish
