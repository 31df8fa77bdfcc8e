#!/bin/bash
# cli_model_files_test.sh [NIB]: what every command says of files that are no models. NIB may be an emulator and the binary. No
# python here; damaged files are good ones, patched with dd.
source "$(dirname "$0")/cli_helpers.bash"
small_model

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

finish
