#!/bin/bash
# convert_cli_test.sh [NIB]: convert, quantize and export as a user meets them: the way from a model to Hugging Face's files
# and back, and every bad input. The models are trained here; damaged files are good ones, edited. Models of others are in
# ../shared/data, beside the project.
goldens=$(realpath "$(dirname "$0")")/goldens/transformers
data=$(realpath -m "$(dirname "$0")/../../shared/data")
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

mentions convert --output --type --vocab --end-token --heads --activation --overwrite --threads
mentions quantize --output --type --overwrite --threads
mentions export --output --type --overwrite --threads
wrong_usage "SOURCE is required" convert -o x.gguf
wrong_usage "--output is required" convert source
wrong_usage "--type is required" quantize a.gguf b.gguf
wrong_usage "MODEL is required" export -o folder
wrong_usage "--heads: 0 is out of range" convert source -o x.gguf --heads 0

# ---- a model, its folder, and back -----------------------------------------------------------------------------------

for i in $(seq 60); do echo "The fox went out $i times. 狐狸 😀"; done > text.txt
works train text.txt -o trained --layers 2 --heads 2 --embd 32 --context 8 --batch 2 --threads 1 --iters 5
works export trained -o hf
check "the files of a character model" \
    test "$(ls hf | tr '\n' ' ')" = "config.json model.safetensors tokenizer.json tokenizer_config.json "
check "sums up" grep -q '^hf: f32, [1-9][0-9.]*k parameters, .* KiB, [0-9.]* s$' "$err"
works convert hf -o first-v1.5
check "a name with a dot" test -e first-v1.5.gguf
works convert hf -o first
check "nothing but the sum" test "$(wc -l < "$err")" = 1
works export first.gguf -o hf2 && works convert hf2 -o second.gguf
check "converted, exported and converted again: the same file" same first.gguf second.gguf
works convert hf/model.safetensors -o alone.gguf
check "the file in the folder: the same model" same first.gguf alone.gguf
works run trained -p "The" -n 20 --seed 3 && cp "$out" text
works run first -p "The" -n 20 --seed 3
check "it writes the same text" same "$out" text
for type in f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1; do
    works convert hf -o direct.gguf --type $type --overwrite
    works quantize first.gguf later.gguf $type --overwrite --threads 1
    check "$type: convert and quantize give the same file" same direct.gguf later.gguf
    works info later.gguf
    check "$type: matrices have the type" grep -q "blk.1.ffn_up.weight  *$type  *(128,32)" "$out"
    check "$type: norms, biases and positions are f32" \
        test "$(grep -c ' \(position_embd\|blk.[01].*_norm\).* f32 \|bias  *f32 ' "$out")" = 18
done
for command in "convert hf -o x --type q4_k" "quantize first x q4_k"; do
    refuses "tensor \`token_embd.weight\` cannot be q4_k: its rows of 32 numbers are no whole number of blocks of 256; choose one of: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0" $command
done
works quantize first later q5_0 --overwrite
works quantize first -o optioned --type q5_0 && check "options instead of arguments" same optioned.gguf later.gguf
works quantize later.gguf again.gguf q4_0
check "says that it is quantized already" grep -q 'warning: 9 matrices are quantized already' "$err"
works export later.gguf -o dequantized
check "says that it is not quantized then" grep -q 'warning: 9 tensors are quantized, written as f32' "$err"
works convert dequantized -o d.gguf --type q5_0
works export first -o half --type f16
check "half the size" test "$(stat -c %s half/model.safetensors)" -lt $(($(stat -c %s hf/model.safetensors) / 2 + 3000))
check "and config.json says so" grep -q '"torch_dtype": "float16"' half/config.json
works convert half -o half.gguf
check "its own type unless told otherwise" grep -q '^half.gguf: f16, ' "$err"

# ---- Llama -----------------------------------------------------------------------------------------------------------

works train text.txt -o llama --arch llama --layers 2 --heads 4 --kv-heads 2 --embd 32 --context 8 --batch 2 --iters 5
works export llama -o llama_hf
check "config.json says what it is" test "$(grep -c '"model_type": "llama"\|"LlamaForCausalLM"\|"num_key_value_heads": 2' llama_hf/config.json)" = 3
works convert llama_hf -o llama1 && works export llama1 -o llama_hf2 && works convert llama_hf2 -o llama2
check "converted, exported and converted again: the same file" same llama1.gguf llama2.gguf
works run llama -p "The" -n 20 --seed 3 && cp "$out" text
works run llama1 -p "The" -n 20 --seed 3
check "it writes the same text" same "$out" text
works convert llama_hf -o llama_q8 --type q8_0 && works quantize llama1 llama_q8b q8_0
check "convert and quantize give the same file" same llama_q8.gguf llama_q8b.gguf
works convert "$goldens/llama2c_v0.bin" -o v0 && works convert "$goldens/llama2c_v1.bin" -o v1
works logits v0 --tokens "1 2 3" -o v0.npy && works logits v1 --tokens "1 2 3" -o v1.npy
check "both versions of llama2.c's files are the same model" same v0.npy v1.npy
{ printf '24ka\2\0\0\0' && tail -c +9 "$goldens/llama2c_v1.bin"; } > v2.bin
refuses "v2.bin: is llama2.c's version 2, in int8, which nib does not read" convert v2.bin -o x
head -c 5000 "$goldens/llama2c_v0.bin" > cut.bin
refuses "cut.bin: has 5000 bytes, but its header, which is llama2.c's" convert cut.bin -o x
cp -r llama_hf scaled && sed -i 's/"rope_scaling": null/"rope_scaling": {"rope_type": "yarn", "factor": 2}/' scaled/config.json
refuses "\`yarn\` is not supported; nib knows default, linear and llama3" convert scaled -o x
sed -i 's/"yarn"/"linear"/' scaled/config.json && works convert scaled -o linear
check "scaling of positions" grep -q 'llama.rope.scaling.factor' linear.gguf
sed -i 's/"num_key_value_heads": 2/"num_key_value_heads": 3/' scaled/config.json
refuses "3 key/value heads do not divide 4 heads" convert scaled -o x
rm -r llama_hf2 scaled

# llama2.c's story model, where it is to be had: the text that its own program writes.
stories=$data/stories260K
if [ -e "$stories/stories260K.bin" ]; then
    works convert "$stories/stories260K.bin" -o stories --vocab "$stories/tok512.bin"
    works run stories -p "" -n 200 --temp 0
    check "the story" test "$(cat "$out")" = "$(cat "$stories/expected_stdout_t0_n200.txt")"
    works export stories -o stories_hf && works convert stories_hf -o stories2
    check "there and back again" same stories.gguf stories2.gguf
else
    echo "skipped: $stories is not there"
fi

# ---- output that is there, or cannot be ------------------------------------------------------------------------------

refuses "first.gguf: already exists; add --overwrite" convert hf -o first.gguf
refuses "first.gguf: already exists; add --overwrite" convert hf -o first
refuses "first.gguf: already exists; add --overwrite" quantize trained first q8_0
refuses "first.gguf: is both read and written" quantize first first.gguf q8_0 --overwrite
cp hf/model.safetensors weights.gguf && cp hf/config.json .
refuses "weights.gguf: is both read and written" convert weights.gguf -o weights.gguf --overwrite
rm config.json weights.gguf
refuses "hf: is a folder; give the name of the model file" convert hf -o hf
wrong_usage "has no file name" convert hf -o ""
wrong_usage "x.bin: nib writes GGUF files; give a name that ends in .gguf" convert hf -o x.bin
wrong_usage "x.safetensors: nib writes GGUF files" quantize first x.safetensors q8_0
refuses "cannot create" convert hf -o nowhere/x.gguf
refuses "hf: already exists and is not empty" export first -o hf
refuses "text.txt: is not a folder" export first -o text.txt
refuses "cannot make the folder" export first -o nowhere/hf
works convert hf -o first --overwrite
check "the same again" same first.gguf second.gguf
touch hf2/merges.txt hf2/notes.txt && works export first -o hf2 --overwrite
check "--overwrite removes what another model has left, and nothing else" \
    test "$(ls hf2 | tr '\n' ' ')" = "config.json model.safetensors notes.txt tokenizer.json tokenizer_config.json "
mkdir empty && works export first -o empty

before=$(listing)
for command in "convert hf -o full.gguf" "quantize first full.gguf q8_0" "export first -o full"; do
    limited 20 $command
    check "a full disk: exit code 1, nothing left: $command" test $? = 1 -a "$(listing)" = "$before"
    check "one line says so" test "$(grep -c '^nib: error: full.*: cannot write: File too large$' "$err")" = 1 -a \
        "$(wc -l < "$err")" = 1
done

# Packing this model takes a second, so that the signal comes while the file is written; after that it changes nothing.
works train text.txt -o wide --layers 2 --heads 2 --embd 256 --context 8 --batch 2 --iters 1
for signal in INT TERM; do
    rm -f stopped.gguf
    "${nib[@]}" quantize wide.gguf stopped.gguf q4_k --threads 1 2> "$err" & pid=$!
    until test -e stopped.gguf.tmp || ! kill -0 $pid 2> /dev/null; do :; done
    kill -$signal $pid
    wait $pid
    status=$? pid=
    check "SIG$signal: no temporary file" test ! -e stopped.gguf.tmp
    if [ $status = 0 ]; then
        check "SIG$signal: too late, the file is complete" nib info stopped.gguf
    else
        check "SIG$signal: exit code 1, nothing left" test $status = 1 -a ! -e stopped.gguf
        check "one line says so" test "$(cat "$err")" = "nib: error: stopped.gguf: interrupted; nothing is written"
    fi
done

# ---- types and vocabularies ------------------------------------------------------------------------------------------

wrong_usage "--type: there is no type \`q9\`; choose one of: f32, f16, bf16, q8_0" convert hf -o x --type q9
wrong_usage "there is no type \`q2_k\`" quantize first x q2_k
wrong_usage "\`q8_0\` has no place in a safetensors file" export first -o x --type q8_0
wrong_usage "--activation: there is no activation \`mish\` in nib" convert hf -o x --activation mish
refuses "--activation silu does not fit hf: a GPT-2 has gelu_new" convert hf -o x --activation silu
works convert hf -o relu.gguf --activation relu
check "an activation that is given counts" grep -q "warning: taking the activation relu, as given, instead of gelu_new of hf/config.json$" "$err"
refuses "5 heads do not divide 16 channels, which must be a multiple of them; choose another value of --heads" convert "$goldens/names.pt" -o x --heads 5
works convert hf -o four.gguf --heads 4
check "heads that are given count" grep -q "warning: taking 4 heads, as given, instead of the 2 of hf/config.json$" "$err"
refuses "nowhere.json: cannot open" convert hf -o x --vocab nowhere.json
mkdir empty_folder
refuses "empty_folder: the folder holds no tokenizer.json" convert hf -o x --vocab empty_folder
echo '{"a": 0, "b": 0}' > twice.json && refuses "the tokens \"a\" and \"b\" have the same id, 0" convert hf -o x --vocab twice.json
echo '{"a": 0, "b": 9}' > gap.json && refuses "ids go up to 9, but there are only 2 tokens" convert hf -o x --vocab gap.json
echo '["a"]' > list.json && works convert hf -o list.gguf --vocab list.json
echo '{"a": ' > half.json && refuses "half.json: not valid JSON" convert hf -o x --vocab half.json
{ printf '{"<s>": 0' && for i in $(seq 200); do printf ', "word%030d": %s' $i $i; done && echo '}'; } > large.json
refuses "the tokenizer has 201 tokens, but the embedding has only" convert hf -o x --vocab large.json
printf '\n\x03\n\x01a\x12\x02\x18\x03' > word.model
refuses "word.model: the tokenizer type Word is not supported; --vocab none converts" convert hf -o x --vocab word.model
printf '\n\x03\n\x01a\n\x05\n\x03\xe2\x96\x81' > unigram.model && works convert hf -o unigram.gguf --vocab unigram.model
works tokenize unigram.gguf -p " a  a " && check "Unigram's ids" [ "$(cat "$out")" = "1 0 1 0" ]
printf '\n\x03\n\x01a\x12\x02\x18' > half.model && refuses "half.model: damaged at byte" convert hf -o x --vocab half.model
printf '\n\x03\n\x01a\n\x05\n\x03\xe2\x96\x81\x12\x02\x18\x02' > bpe.model && works convert hf -o bpe.gguf --vocab bpe.model
works tokenize bpe.gguf -p " a  a " && check "SentencePiece's ids" [ "$(cat "$out")" = "1 0 1 0" ]
echo '{"model": {"type": "BPE", "dropout": 0.1}}' > other.json && refuses "other.json: model: dropout is not supported" convert hf -o x --vocab other.json
echo '{"<.>": 0, "a": 1, "b": 2}' > small.json && rows=$(sed -n 's/.*"vocab_size": \([0-9]*\).*/\1/p' hf/config.json)
works convert hf -o small.gguf --vocab small.json
check "fewer tokens than rows" grep -q "^nib: warning: the tokenizer has 3 tokens, the model $rows: the others write nothing$" "$err"
works info small.gguf
check "tells both" grep -q "^tokenizer  *char, 3 tokens for $rows ids: " "$out"
works run small.gguf -p ab -n 30 --temp 9 --top-k 0 --top-p 1 --seed 1 --ignore-eos --json
check "ids without a token are never written" grep -q '"ids":\[[012]\(,[012]\)\{29\}\]' "$out"
mkdir bare && cp hf/config.json hf/model.safetensors bare
works convert bare -o bare.gguf
check "says that there is no tokenizer" grep -q 'warning: there is no tokenizer: .*--vocab adds one' "$err"
echo '{"a": 0, "b": 1}' > bare/vocab.json && works convert bare -o named.gguf
check "names a list of characters beside it" grep -q 'token numbers only, unless bare/vocab.json has its characters; --vocab adds one' "$err"
rm bare/vocab.json
works export bare.gguf -o bare2 && works convert bare2 -o bare3.gguf
check "also without a tokenizer the same file" same bare.gguf bare3.gguf

# ---- makemore's names: each line is a text of its own ------------------------------------------------------------------

{ printf '{"<.>": 0' && i=0 && for letter in {a..z}; do printf ', "%s": %s' $letter $((++i)); done && echo '}'; } > letters.json
works convert "$goldens/names.pt" --heads 4 --vocab letters.json -o names
works eval names "$goldens/names.txt" --lines
check "loss as PyTorch gives it" grep -q '^loss  *4.5402$' "$out"
check "letters and ends" grep -q '^tokens  *91 (' "$out"
works eval names "$goldens/names.txt" --lines --json && is_json
check "bytes of the file" test "$(field bytes)" = "$(stat -c %s "$goldens/names.txt")"
printf 'emma\r\n\r\nolivia\n\nava' > some.txt && works eval names some.txt --lines --json && cp "$out" json
printf 'emma\nolivia\nava\n' > some.txt && works eval names some.txt --lines --json
check "line ends and empty lines do not count" test "$(field loss)" = "$(sed -E 's/.*"loss":([^,]*).*/\1/' json)"
refuses "names.txt: the model does not know the character U+000A, character 5 (byte offset 4); remove it or, if lines are texts of their own, use --lines" eval names "$goldens/names.txt"
printf 'emma\n\nolivIa\n' > capital.txt
refuses "capital.txt: line 3: the model does not know the character \"I\" (U+0049), character 5 (byte offset 4); remove it" eval names capital.txt --lines
check "does not name the option that is there" test "$(grep -c -e --lines "$err")" = 0
printf '\n\r\n' > blank.txt && refuses "there is no line to measure" eval names blank.txt --lines
refuses "the model has no token for the end of a text; name one with --end-token or leave out --lines" eval first text.txt --lines
wrong_usage "exclude each other" eval names some.txt --lines --val-fraction 0.1

# ---- a dot that begins and ends names, or another token that the user names ---------------------------------------------

{ printf '{".": 0' && i=0 && for letter in {a..z}; do printf ', "%s": %s' $letter $((++i)); done && echo '}'; } > dot.json
works convert "$goldens/names.pt" --heads 4 --vocab dot.json -o dot
check "says so" grep -q '^nib: warning: the token `.`, number 0 in a list of letters, is taken for' "$err"
works eval dot "$goldens/names.txt" --lines
check "the same loss" grep -q '^loss  *4.5402$' "$out"
works tokenize dot -p emma
check "begins with the dot" test "$(cat "$out")" = "0 5 13 13 1"
works run dot -p em -n 200 --temp 2 --seed 1 --json
check "stops at the dot" grep -q '"text":"[a-z]*","tokens":[0-9]*,"ids":\[[0-9,]*,0\],"stopped":true' "$out"
works convert "$goldens/names.pt" --heads 4 --vocab dot.json --end-token "" -o undotted
check "without a word about the dot" test "$(grep -c 'number 0' "$err")" = 0
refuses "the model has no token for the end of a text; name one" eval undotted some.txt --lines
works eval undotted "$goldens/names.txt" --lines --end-token .
check "named later: the same loss" grep -q '^loss  *4.5402$' "$out"
works run undotted -p em -n 200 --temp 2 --seed 1 --end-token . --json
check "stops at the dot" grep -q ',0\],"stopped":true' "$out"
works run dot -p em -n 40 --temp 2 --seed 1 --end-token "" --json
check "stops nowhere" grep -q '"tokens":40,.*"stopped":false' "$out"
refuses "the model has no token \`zz\`" run dot -n 5 --end-token zz
fails "the model has no token \`é\`" convert "$goldens/names.pt" --heads 4 --vocab dot.json --end-token é -o x
wrong_usage "--end-token works only with --lines" eval dot some.txt --end-token a
wrong_usage "exclude each other" run dot -n 5 --end-token a --ignore-eos
printf '{"<.>": 0' > latin.json && i=0
for letter in å ö ë ł ü é ñ ğ č ě ı ß a b c d e f g h i j k l m n; do printf ', "%s": %s' $letter $((++i)); done >> latin.json && echo '}' >> latin.json
works convert "$goldens/names.pt" --heads 4 --vocab latin.json -o latin
printf 'zoë\nåsa\n' | tr zos abc > latin.txt && works eval latin latin.txt --lines --json
check "letters and ends" test "$(field tokens)" = 8
works run latin -p ağ -n 60 --temp 2 --seed 1
check "the text is valid UTF-8" ends_with_text

# ---- nanoGPT's meta.pkl: pickle.dumps({"vocab_size": 3, "itos": {...}, "stoi": {...}}) ------------------------------------

printf '\x80\x02}(X\x0a\0\0\0vocab_sizeK\x03X\x04\0\0\0itos}(K\0X\1\0\0\0\nK\1X\1\0\0\0aK\2X\2\0\0\0\xc3\xa9uX\x04\0\0\0stoi}(X\1\0\0\0\nK\0X\1\0\0\0aK\1X\2\0\0\0\xc3\xa9K\2uu.' > meta.pkl
works convert "$goldens/names.pt" --heads 4 --vocab meta.pkl -o meta
works tokenize meta -p $'aé\n'
check "its ids" test "$(cat "$out")" = "1 2 0"
printf '\x80\x02cos\nsystem\n(X\x08\0\0\0touch rantR.' > evil.pkl
fails "evil.pkl: " convert "$goldens/names.pt" --heads 4 --vocab evil.pkl -o x
head -c 40 meta.pkl > half.pkl && fails "half.pkl: " convert "$goldens/names.pt" --heads 4 --vocab half.pkl -o x
cp meta.pkl bare && works convert bare -o bare.gguf --overwrite
check "names a meta.pkl beside the weights" grep -q 'token numbers only, unless bare/meta.pkl has its characters; --vocab adds one' "$err"
rm bare/meta.pkl

# ---- a tokenizer that llama.cpp's keys cannot express --------------------------------------------------------------------

check "nothing is said of llama.cpp" test "$(grep -c llama.cpp "$err")" = 0
{
    printf '{"model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0'
    for i in $(seq 26); do printf ', "word%030d": %s' $i $i; done
    printf '}}, "normalizer": {"type": "Lowercase"}, "pre_tokenizer": {"type": "Whitespace"}}'
} > words.json
works convert "$goldens/names.pt" --heads 4 --vocab words.json -o words
check "says so" test "$(grep -c "^nib: warning: llama.cpp gives other ids: its keys cannot say all" "$err")" = 1
works info words && check "says so" grep -q '^  llama.cpp  *gives other ids' "$out"
check "the whole is not printed" grep -q '^  tokenizer.huggingface.json = string, [0-9]* bytes$' "$out"
works info words --json && is_json
check "nor in JSON" grep -q '"tokenizer.huggingface.json":"string, [0-9]* bytes"' "$out"

# ---- bad folders and files -------------------------------------------------------------------------------------------

edited() { # TEXT SED-COMMAND: a folder whose config.json is edited
    rm -rf edited && cp -r bare edited && sed -i "$2" edited/config.json
    refuses "$1" convert edited -o x
}
mkdir no_config no_weights && cp hf/model.safetensors no_config && cp hf/config.json no_weights
refuses "nowhere: cannot open: No such file" convert nowhere -o x
refuses "no_config: no file says how many attention heads the model has; give --heads" convert no_config -o x
refuses "no_weights: the folder holds no model.safetensors, pytorch_model.bin or model.pt" convert no_weights -o x
refuses "text.txt: is neither a safetensors file nor a PyTorch checkpoint" convert text.txt -o x
refuses "first.gguf: is a GGUF file already and needs no conversion" convert first.gguf -o x
refuses "hf/tokenizer.json: is JSON, not weights" convert hf/tokenizer.json -o x
refuses "no file says how many attention heads the model has; give --heads" convert no_config/model.safetensors -o x
rm -rf edited && cp -r bare edited && iconv -f UTF-8 -t UTF-16 bare/config.json > edited/config.json
refuses "edited/config.json: is in UTF-16, but JSON is UTF-8; convert it with iconv" convert edited -o x
edited "architecture \`gptj\` is not supported; nib converts openai-gpt, gpt2, gpt_neo, llama, mistral, qwen2" 's/"gpt2"/"gptj"/'
edited "its tensors have the names of GPT-2, but config.json is of a Llama" 's/"gpt2"/"llama"/'
untyped='/model_type\|architectures\|GPT2LMHead/d; s/^  \],//'
edited "names no model_type and no number of heads, such as n_head" "$untyped; /n_head/d"
sed "$untyped" bare/config.json > edited/config.json && works convert edited -o untyped.gguf
check "says what it takes it for" grep -q "warning: edited/config.json names no model_type: by its keys it is taken for a GPT-2's" "$err"
for type in llama gptj; do
    sed "s/\"gpt2\"/\"$type\"/" bare/config.json > edited/config.json
    works convert edited -o x4.gguf --heads 4 --activation gelu --overwrite
    check "an option gets past the file of a $type" grep -qi "warning: config.json is not used: .*$type" "$err"
done
edited "activation \`silu\` is not supported; nib knows gelu_new" 's/gelu_new/silu/'
edited "layer_norm_epsilon is 7; nib expects a number from 0 to 1" 's/1e-05/7/'
edited "n_layer is 3, but the weights say 2" 's/"n_layer": 2/"n_layer": 3/'
edited "vocab_size is 1000, but the weights say" 's/"vocab_size": [0-9]*/"vocab_size": 1000/'
edited "n_head is -2; nib expects a size from 0" 's/"n_head": 2/"n_head": -2/'
edited "n_head is string where nib expects a size" 's/"n_head": 2/"n_head": "two"/'
edited "3 heads do not divide 32 channels" 's/"n_head": 2/"n_head": 3/'
edited "no file says how many attention heads" '/"n_head"/d'
edited "the same key twice" 's/"n_head": 2/"n_head": 2, "n_head": 4/'
edited "not valid JSON" 's/}//'
for key in add_cross_attention is_encoder_decoder; do
    edited "$key: the value true is not supported" "s/{/{\"$key\": true,/"
done
edited "scale_attn_weights is 1; nib expects true or false" 's/"scale_attn_weights": true/"scale_attn_weights": 1/'
edited "quantization_config: such a model is not supported" 's/{/{"quantization_config": {"bits": 4},/'
edited "tensor \`lm_head.weight\` is missing, and tie_word_embeddings is false" 's/"tie_word_embeddings": true/"tie_word_embeddings": false/'

weights() { # TEXT SED-COMMAND: the folder with an edited header of the weights, of the same length
    rm -rf edited && cp -r bare edited && sed -i "$2" edited/model.safetensors
    refuses "$1" convert edited -o x
}
weights "tensor \`wte.weight\` is missing: the names are those of GPT-2, but the file is incomplete" 's/\.wte\./.wtf./'
weights "tensor \`h.1.ln_1.bias\` is missing" 's/h\.1\.ln_1\.bias/h.1.ln_1.b1as/'
weights "the file is damaged" 's/"shape":\[32\]/"shape":[33]/'
weights "the file is damaged" 's/"data_offsets":\[0,/"data_offsets":[9,/'
weights "which nib does not read" 's/"F32"/"F8_"/'
size=$(stat -c %s bare/model.safetensors)
for bytes in 0 4 100 $((size / 2)) $((size - 1)); do
    rm -rf edited && cp -r bare edited && head -c $bytes bare/model.safetensors > edited/model.safetensors
    refuses "edited/model.safetensors: " convert edited -o x
done
rm -rf edited && mkdir edited && cp hf/config.json edited
echo '{"weight_map": {"wte.weight": "a.safetensors"}}' > edited/model.safetensors.index.json
refuses "the file \`a.safetensors\` that it names is missing" convert edited -o x

# The last four bytes are a bias of the final norm, or the position embedding's end: no longer a number.
rm -rf edited && cp -r bare edited
printf '\xff\xff\xff\xff' | dd of=edited/model.safetensors bs=1 seek=$((size - 4)) conv=notrunc status=none
works convert edited -o nan.gguf
check "weights that are no numbers" grep -q 'warning: 1 weight is NaN or infinite, first in' "$err"

for file in text.txt /dev/null hf nowhere; do
    nib quantize $file x q8_0
    check "quantize $file" test $? = 1 -a "$(grep -c '^nib: error: ' "$err")" = 1
    nib export $file -o x
    check "export $file" test $? = 1 -a "$(grep -c '^nib: error: ' "$err")" = 1
done
for command in "quantize first.gguf /dev/full q8_0" "convert hf -o /dev/full" "merge first.gguf first.gguf -o /dev/full"; do
    refuses "/dev/full: is not a regular file" $command
done
check "and nothing beside it" test ! -e /dev/full.gguf
refuses "is what a training resumes from, not a model" quantize trained.state x q8_0
refuses "is what a training resumes from, not a model" export trained.state -o x
head -c 3000 first.gguf > cut.gguf
refuses "truncated" quantize cut x q8_0
refuses "truncated" export cut -o x
check "no temporary files" test -z "$(find . -name '*.tmp' -o -name x -o -name 'x.*')"

finish
