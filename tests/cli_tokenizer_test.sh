#!/bin/bash
# cli_tokenizer_test.sh [NIB]: the commands with models whose tokens are byte-level BPE, or that have no tokenizer. The models
# are made here, byte by byte as others write GGUF: all weights are zero, but for those that make one token certain.
source "$(dirname "$0")/cli_helpers.bash"

# ---- a GGUF file -----------------------------------------------------------------------------------------------------

le() { # NUMBER BYTES: little-endian
    local i byte
    for ((i = 0; i < $2; i++)); do
        printf -v byte '\\x%02x' $((($1 >> 8 * i) & 255))
        printf "$byte"
    done
}
text() {
    local LC_ALL=C
    le ${#1} 8
    printf %s "$1"
}
number() { text "$1" && le 4 4 && le "$2" 4; }          # KEY VALUE: u32
string() { text "$1" && le 8 4 && text "$2"; }          # KEY VALUE
list() { text "$1" && le 9 4 && le "$2" 4 && le "$3" 8; } # KEY TYPE COUNT: what begins an array
tokens=() # 256 bytes in GPT-2's alphabet, each its own number, then what merges make, and a mark
for ((byte = 0, code = 256; byte < 256; byte++)); do
    if ((byte >= 33 && byte <= 126 || byte >= 161 && byte != 173)); then shown=$byte; else shown=$((code++)); fi
    printf -v hex '\\u%04x' "$shown"
    printf -v letter "$hex"
    tokens+=("$letter")
done
tokens+=(ab Ġab '<|endoftext|>' ä½)
V=${#tokens[@]}
bpe() { # metadata of a tokenizer: 6 entries
    string tokenizer.ggml.model gpt2
    list tokenizer.ggml.tokens 8 $V && for token in "${tokens[@]}"; do text "$token"; done
    list tokenizer.ggml.token_type 5 $V && for ((i = 0; i < V; i++)); do le $((i == 258 ? 3 : 1)) 4; done
    list tokenizer.ggml.merges 8 3 && text 'a b' && text 'Ġ ab' && text 'ä ½'
    number tokenizer.ggml.bos_token_id 258
    number tokenizer.ggml.eos_token_id 258
}
model() { # FILE TOKEN VERSION ALIGNMENT TOKENIZER-ENTRIES TOKENIZER: one layer, 8 channels; TOKEN is certain, -1: all the same
    local file=$1 alignment=$4 at=0 bias output name start
    tensor() { # NAME DIMENSIONS SIZE...
        text "$1" && le "$2" 4 && le "$3" 8
        [ "$2" = 1 ] || le "$4" 8
        le 0 4 && le $at 8
        [ "$1" != output_norm.bias ] || bias=$at
        [ "$1" != output.weight ] || output=$at
        at=$(((at + 4 * $3 * ${4:-1} + alignment - 1) / alignment * alignment))
    }
    {
        printf GGUF && le "$3" 4 && le 17 8 && le $((8 + $5)) 8
        string general.architecture gpt2
        number general.alignment "$alignment"
        number gpt2.context_length 8 && number gpt2.embedding_length 8 && number gpt2.feed_forward_length 32
        number gpt2.block_count 1 && number gpt2.attention.head_count 2
        text gpt2.attention.layer_norm_epsilon && le 6 4 && printf '\xac\xc5\x27\x37'
        "$6"
        tensor token_embd.weight 2 8 $V && tensor position_embd.weight 2 8 8
        for name in attn_norm ffn_norm; do tensor blk.0.$name.weight 1 8 && tensor blk.0.$name.bias 1 8; done
        tensor blk.0.attn_qkv.weight 2 8 24 && tensor blk.0.attn_qkv.bias 1 24
        tensor blk.0.attn_output.weight 2 8 8 && tensor blk.0.attn_output.bias 1 8
        tensor blk.0.ffn_up.weight 2 8 32 && tensor blk.0.ffn_up.bias 1 32
        tensor blk.0.ffn_down.weight 2 32 8 && tensor blk.0.ffn_down.bias 1 8
        tensor output_norm.weight 1 8 && tensor output_norm.bias 1 8
        tensor output.weight 2 8 $V
    } > "$file"
    start=$((($(stat -c %s "$file") + alignment - 1) / alignment * alignment))
    truncate -s $((start + at)) "$file"
    [ "$2" -lt 0 ] && return
    printf '\0\0\x80\x3f' | dd of="$file" bs=1 seek=$((start + bias)) conv=notrunc status=none         # 1 in channel 0
    printf '\0\0\xc8\x42' | dd of="$file" bs=1 seek=$((start + output + 32 * $2)) conv=notrunc status=none # logit 100
}
words=('[UNK]' '[CLS]' '[SEP]' ▁a s ▁the ▁.) # of WordPiece, as llama.cpp spells them: s goes on
while [ ${#words[@]} -lt $V ]; do words+=("▁w${#words[@]}"); done
bert() { # 6 entries
    string tokenizer.ggml.model bert
    list tokenizer.ggml.tokens 8 $V && for token in "${words[@]}"; do text "$token"; done
    list tokenizer.ggml.token_type 5 $V && for ((i = 0; i < V; i++)); do le $((i < 3 ? 3 : 1)) 4; done
    number tokenizer.ggml.unknown_token_id 0
    number tokenizer.ggml.bos_token_id 1
    number tokenizer.ggml.seperator_token_id 2
}
none() { string tokenizer.ggml.model none; }
nothing() { :; }
model even.gguf -1 3 32 6 bpe
model ends.gguf 258 2 64 6 bpe
model tail.gguf 160 3 1024 6 bpe # 0xA0, the last byte of 你
model none.gguf 7 3 32 1 none
model bare.gguf 7 2 32 0 nothing
model words.gguf 5 3 32 6 bert
model goes_on.gguf 4 3 32 6 bert
is() { check "the output is not \`$1\`" test "$(cat "$out")" = "$1"; }

# ---- tokenize --------------------------------------------------------------------------------------------------------

works tokenize even.gguf -p 'ab ab<|endoftext|>' && is "256 257 258"
works tokenize even.gguf -p 'ab<|endoftext|>' --no-special && is "256 60 124 101 110 100 111 102 116 101 120 116 124 62"
works tokenize even.gguf -p '你' && is "259 160"
works tokenize even.gguf -p '你ab' --json && is_json && is '{"ids":[259,160,256],"pieces":[[228,189],[160],"ab"]}'
works tokenize even.gguf -p '' && is ""
works tokenize even.gguf -p $'\uFEFFab\uFEFF' && is "256 239 187 191"
works tokenize even.gguf --decode "259, 160 256" && is "你ab"
head -c 5000 /dev/urandom > bytes.bin
works tokenize even.gguf --file bytes.bin && cp "$out" ids.txt
check "any bytes come back" same <("${nib[@]}" tokenize even.gguf --decode - < ids.txt) bytes.bin
check "from standard input" same <("${nib[@]}" tokenize even.gguf < bytes.bin) ids.txt
works tokenize words.gguf -p 'A as the.x [SEP]' && is "1 3 3 4 5 6 0 2"
works tokenize words.gguf --decode "3 4 5 6 0" && is "as the. [UNK]"
refuses "\`260\` is not a token; tokens are whole numbers from 0 to 259" tokenize even.gguf --decode "1 260"
refuses "none.gguf: the model has no tokenizer" tokenize none.gguf -p ab
refuses "nowhere.bin: cannot open" tokenize even.gguf --file nowhere.bin
wrong_usage "exclude each other" tokenize even.gguf -p ab --decode 1

# ---- run -------------------------------------------------------------------------------------------------------------

works run ends.gguf -p ab -n 5 --temp 0 && is ab
works run ends.gguf -p ab -n 2 --temp 0 --ignore-eos && is 'ab<|endoftext|><|endoftext|>'
works run ends.gguf -p ab -n 5 --temp 0 --json && is_json
check "the end token is counted, not shown" grep -q '"text":"","tokens":1,"ids":\[258\],"stopped":true' "$out"
works run ends.gguf -n 5 --temp 0 && is ""
works run tail.gguf --tokens "256 259" -n 1 --temp 0 && is ab你
works run tail.gguf --tokens "256 259" -n 1 --temp 0 --no-echo && is 你
works run tail.gguf -p ab -n 2 --temp 0 && is "ab��"
works run tail.gguf -p $'\uFEFFab' -n 0 && is ab
works logits even.gguf -p $'\uFEFFab ab' -o mark.npy && works logits even.gguf -p 'ab ab' -o no_mark.npy
check "a byte order mark is no part of a prompt" same mark.npy no_mark.npy
works run tail.gguf -p $'ab\xff' -n 0 && is "ab�"
works run even.gguf -p "ab 你" -n 30 --temp 1 --top-k 0 --top-p 1 --samples 3 --seed 1
check "the text is valid UTF-8" ends_with_text
works run words.gguf -p a -n 2 --temp 0 && is "a the the"
works run words.gguf -n 2 --temp 0 && is "the the"
works run goes_on.gguf -p "the a" -n 2 --temp 0 && is "the ass"
works run none.gguf --tokens "1 2" -n 3 --temp 0 && is "1 2 7 7 7"
works run bare.gguf --tokens "1 2" -n 3 --temp 0 --json && is_json
check "ids" grep -q '"text":" 7 7 7","tokens":3,"ids":\[7,7,7\],"stopped":false' "$out"
works run none.gguf -n 2 --temp 0 && is "7 7"
works run none.gguf --tokens "1 2" -n 2 --temp 0 --no-echo --samples 2 && is "=== sample 1 of 2 ===
7 7

=== sample 2 of 2 ===
7 7"
refuses "the model has no tokenizer; give it token numbers" run none.gguf -p ab
refuses "\`260\` is not a token" run none.gguf --tokens 260
wrong_usage "exclude each other" run none.gguf --tokens 1 -p ab

# ---- eval: without a preference each token takes log2(260) bits --------------------------------------------------------

printf 'ab ab<|endoftext|>你 ab\n\xff' > text.txt # 256 257 258 259 160 257 10 255
works eval even.gguf text.txt
check "perplexity" grep -q '^perplexity  *260.0000$' "$out"
check "tokens" grep -q '^tokens  *7 (' "$out"
check "bits per byte: 8 tokens of 26 bytes" grep -q '^bits per byte  *2.4684$' "$out"
works eval even.gguf text.txt --json && is_json
works eval even.gguf text.txt text.txt --stride 8 --json
check "the first token of each window is not predicted" test "$(field tokens)" = 14
works eval even.gguf text.txt text.txt --stride 3 --json
check "all but the first token are predicted" test "$(field tokens)" = 15
works eval even.gguf text.txt --no-special --json
check "the mark is text" test "$(field tokens)" = 19
cp ids.txt numbers.txt && works eval none.gguf numbers.txt --tokens --json
check "numbers have no bytes" test "$(field tokens)" = $(($(wc -w < ids.txt) - 1)) -a -z "$(grep bits "$out")"
refuses "text.txt: the model has no tokenizer" eval none.gguf text.txt
refuses "text.txt: \`ab\` is not a token" eval none.gguf text.txt --tokens
refuses "--stride is 9" eval even.gguf text.txt --stride 9
printf 'ab' > one.txt && refuses "1 of 1 tokens are too few" eval even.gguf one.txt

# ---- logits, info, training ------------------------------------------------------------------------------------------

works logits even.gguf -p "ab ab" -o text.npy && works logits none.gguf --tokens "256 257" -o numbers.npy
check "two rows each" test "$(stat -c %s text.npy)" = "$(stat -c %s numbers.npy)"
refuses "the model has no tokenizer" logits none.gguf -p ab -o x.npy
works info ends.gguf
check "types and tokenizer" test "$(grep -c '^tensors  *17 f32 (.*); 32.00 bits per weight$\|^tokenizer  *bpe, 260 tokens' "$out")" = 2
works info words.gguf && grep -q '^tokenizer  *wordpiece, 260 tokens' "$out"
check "nothing is said of llama.cpp" test "$(grep -c llama.cpp "$out")" = 0
works info bare.gguf && grep -q '^tokenizer  *none' "$out" && works info bare.gguf --json && is_json
cp even.gguf bpe.gguf && cp even.gguf bpe.state.gguf
refuses "cannot be resumed" train text.txt -o bpe --resume
finish
