#!/bin/bash
# cli_lora_test.sh [NIB]: adapters as a user meets them: convert, --lora, merge, export, info, and every bad input.
goldens=$(realpath "$(dirname "$0")")/goldens
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

for command in run eval logits embed search fill classify translate attention; do mentions $command --lora; done
mentions merge --type --overwrite --threads
mentions convert --base
mentions export --base
wrong_usage "MODEL is required" merge
wrong_usage "ADAPTER is required" merge m.gguf -o x
wrong_usage "--output is required" merge m.gguf a.gguf
wrong_usage "there is no type \`q9\`" merge m.gguf a.gguf -o x --type q9
wrong_usage "\`half\` after the adapter's name is no number" run m.gguf --lora a.gguf:half
wrong_usage "\`inf\` after the adapter's name is no number" merge m.gguf a.gguf:inf -o x

# ---- convert, attach, merge, export -------------------------------------------------------------------------------------

works convert "$goldens/transformers/llama" -o base
works convert "$goldens/transformers/tied" -o gpt2
works convert "$goldens/lora/llama" -o a --base base
refuses "may be for a llama or qwen2; name the model it belongs to with --base" \
    convert "$goldens/lora/llama" -o b
refuses "a.gguf: already exists; add --overwrite to replace it" convert "$goldens/lora/llama" -o a --base base
works info a
for text in "architecture    llama" "  rank          2" "  scale         2.5" "attn_k, attn_output, attn_q"; do
    check "info says $text" grep -q "$text" "$out"
done
works info a --json && check "info names the base" grep -q '"adapter":{"base":"llama"' "$out"
ids="1 2 3 4 5 6"
works logits base --tokens "$ids" -o plain.npy
works logits base --tokens "$ids" -o adapted.npy --lora a.gguf
check "an adapter changes the logits" test "$(cmp plain.npy adapted.npy > /dev/null; echo $?)" = 1
works logits base --tokens "$ids" -o none.npy --lora a:0
check "none of it does not" same plain.npy none.npy
works logits base --tokens "$ids" -o halves.npy --lora a:0.5 --lora a.gguf:0.5
works run base --tokens "$ids" -n 3 --temp 0 --lora a
cp "$out" attached
works merge base a -o merged
works run merged --tokens "$ids" -n 3 --temp 0
check "the merged model writes the same" same attached "$out"
works merge base a:0.5 a:0.5 -o merged --overwrite --type f16 --threads 2
works info merged && check "as f16" grep -q " f16 (" "$out"
works export a -o peft
check "an adapter's folder" test -s peft/adapter_config.json -a -s peft/adapter_model.safetensors
check "the same tensors" same peft/adapter_model.safetensors "$goldens/lora/llama/adapter_model.safetensors"
works convert peft -o again --base base
check "there and back" same a.gguf again.gguf
works convert peft/adapter_model.safetensors -o again --base base --overwrite --type f16

# ---- what is refused -----------------------------------------------------------------------------------------------------

refuses "is no adapter of gpt2.gguf: it is for a llama, not a gpt2; the model has no \`blk.0.ffn_gate.weight\`, \`blk.0.attn_k.weight\`" \
    logits gpt2 --tokens 1 -o x.npy --lora a
refuses "is no adapter of gpt2.gguf" merge gpt2 a -o x
refuses "base.gguf: is a model, not an adapter" run base --tokens 1 --lora base
refuses "a.gguf: is an adapter" run a --tokens 1
refuses "a.gguf: is an adapter" quantize a x q8_0
refuses "none.gguf" run base --tokens 1 --lora none.gguf
refuses "a.gguf: is both read and written" merge base a -o a --overwrite
refuses "merged.gguf: already exists; add --overwrite to replace it" merge base a -o merged
refuses "cannot be q8_0: its rows of 16 numbers" merge base a -o x --type q8_0
refuses "is no module of a gpt2" convert "$goldens/lora/llama" -o x --base gpt2
for bytes in 0 3 24 100 1000; do
    head -c $bytes a.gguf > cut.gguf
    refuses "cut.gguf" logits base --tokens 1 -o x.npy --lora cut.gguf
done
mkdir odd && cp "$goldens"/lora/llama/* odd
head -c 100 "$goldens/lora/llama/adapter_model.safetensors" > odd/adapter_model.safetensors
refuses "odd/adapter_model.safetensors" convert odd -o x --base base
cp "$goldens/lora/llama/adapter_model.safetensors" odd
for text in "" "{" "[]" "{\"peft_type\": \"LORA\"}" "{\"peft_type\": 3}" $'{"peft_type": "LO\xff"}'; do
    printf '%s' "$text" > odd/adapter_config.json
    refuses "odd/adapter_config.json" convert odd -o x --base base
done
printf '{"peft_type": "LORA", "r": 2, "lora_alpha": 5, "use_dora": true}' > odd/adapter_config.json
refuses "use_dora: true is not supported" convert odd -o x --base base

finish
