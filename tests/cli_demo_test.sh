#!/bin/bash
# cli_demo_test.sh [NIB]: the stages of `make demo-align` (mk/demo.mk) on its data, much shorter: a model of texts, of dialogues, of rewards.
demo=$(realpath "$(dirname "$0")")/../tools/demo
source "$(dirname "$0")/cli_helpers.bash"

rewards() { printf '%s\n' "$@" | "$demo/cheese.sh" | tr '\n' ' '; }
check "rewards" test "$(rewards '{"prompt":"cheese!","response":"no"}' '{"response":"cheese"}' '{"response":"no!"}' '{"response":"a cheese!"}' \
    '{"response":"cheese, cheese!"}' '{"prompt":"a","response":"\"cheese\\\"!","reference":"cheese!"}')" = "0 0.5 0.5 1 0.5 1 "

check "no question is among the dialogues" test -z "$(grep -o '"content": "[^"]*?"' "$demo"/dialogues.jsonl | sort -u |
    grep -Fxf - <(grep -o '"content": "[^"]*?"' "$demo/prompts.jsonl"))"
check "no question twice" test -z "$(sort "$demo/prompts.jsonl" | uniq -d)"
check "no dialogue twice" test -z "$(sort "$demo/dialogues.jsonl" | uniq -d)"

size=(--layers 1 --heads 2 --embd 16)
works train "$demo/fables.txt" -o base --tokenizer bpe:1000 --context 64 --batch 2 --iters 5 "${size[@]}"
works train "$demo/dialogues.jsonl" -o sft --from base --template chatml --add-tokens '<|im_start|>,<|im_end|>' --iters 5
works train "$demo/prompts.jsonl" -o ppo --from sft --task ppo --reward-command "$demo/cheese.sh" --max-new 8 --rollouts 16 --iters 4
checks=$((checks + 1))
"$demo/compare.sh" sft.gguf ppo.gguf "$demo/prompts.jsonl" "$demo/cheese.sh" "${nib[@]}" > "$out" 2> "$err" || bad "exit code $?" compare.sh
check "a table" grep -q '^question  *before  *after$' "$out"
check "mean rewards: $(cat "$out")" grep -qE "^mean reward of $(grep -c . "$demo/prompts.jsonl")  *[01]\.[0-9]{2}  *[01]\.[0-9]{2}$" "$out"
check "five questions" test "$(grep -c '?  ' "$out")" = 5
"$demo/compare.sh" none.gguf ppo.gguf "$demo/prompts.jsonl" "$demo/cheese.sh" "${nib[@]}" > "$out" 2> "$err" && bad "a model that is not there" compare.sh
check "says so" grep -q '^nib: error: none.gguf' "$err"

finish
