#!/bin/bash
# cli_encoder_test.sh [NIB]: embed, search, fill and classify as a user meets them, BERT's training, and every bad input. Models
# without a tokenizer are those of tests/goldens/transformers; one with characters is trained here.
goldens=$(realpath "$(dirname "$0")")/goldens/transformers
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

texts="--file --tokens --truncate --no-special --device --threads --isa"
mentions embed $texts --output --pooling --raw --similar
mentions fill $texts --top --mask-id
works fill --help && check "fill --help has the default of --top" grep -q -e "--top N .*(default: 5)" "$out"
mentions classify $texts --top --logits
mentions search --question --top --pooling --no-cache --truncate --no-special --device --threads --isa
wrong_usage "MODEL is required" embed
wrong_usage "--question is required" search m.gguf notes
wrong_usage "--pooling" embed m.gguf text --pooling sum

# ---- models of transformers ------------------------------------------------------------------------------------------

for head in model mlm class tag; do works convert "$goldens/bert_$head" -o $head; done
wrong_usage "there is no text" embed model
works embed model --tokens "1 2 3" && is_json
works embed model --tokens "1 2 3" --tokens "4 5" -o e.npy
check "two vectors of 16 floats" test "$(wc -c < e.npy)" = $((128 + 2 * 16 * 4))
check "their shape" grep -q "(2, 16)" e.npy
works embed model --tokens "1 2 3" --tokens "4 5" --tokens "1 2 3 4" --similar 2
check "two pairs" test "$(wc -l < "$out")" = 2
refuses "--similar compares texts with each other; give two at least" embed model --tokens "1 2 3" --similar 5
for pooling in mean max cls last; do works embed model --tokens "1 2 3" --pooling $pooling --raw; done
works classify class --tokens "1 2 3" && is_json
check "label names stay" grep -q '"label":"kind [012]"' "$out"
works classify class --tokens "1 2 3" --top 9 --logits && is_json
check "all labels" test "$(grep -o '"kind [012]"' "$out" | sort -u | wc -l)" = 3
works fill mlm --tokens "1 9 3 9" --mask-id 9 --top 3
check "a line for each mask" test "$(wc -l < "$out")" = 2
works info class && check "info names heads" grep -q '"labels":\["kind 0","kind 1","kind 2"\]' "$out"

for command in "embed model" "classify class" "fill mlm --mask-id 3"; do
    refuses "29" $command --tokens "1 29 3"
    refuses "the model has no tokenizer" $command text
done
refuses "no head \`class\`; it has mlm" classify mlm --tokens "1 2"
refuses "no head \`mlm\`; it has tag" fill tag --tokens "1 2" --mask-id 2
refuses "no head \`class\`; it has none" classify model --tokens "1 2"
refuses "the model has no tokenizer" run mlm -p x
refuses "no head \`lm\`; it has mlm" logits mlm --tokens "1 2" -o l.npy
refuses "has no" fill mlm --tokens "1 2" --mask-id 9
refuses "give its number with --mask-id" fill mlm --tokens "1 2"
refuses "--mask-id 29 is not among the 29 tokens" fill mlm --tokens "1 2" --mask-id 29
long=$(seq -s " " 1 12)
for command in "embed model" "classify class" "fill mlm --mask-id 9"; do
    refuses "13 tokens, but the model's context has room for 12; cut it with --truncate" $command --tokens "9 $long"
    works $command --tokens "9 $long" --truncate
done
refuses "is the model itself" embed model --tokens "1 2" -o model.gguf

# ---- a vocabulary whose texts begin and end with tokens of their own ------------------------------------------------------

cp -r "$goldens/bert_mlm" words && rm -f words/tokenizer*
printf '%s\n' '[PAD]' '[UNK]' '[CLS]' '[SEP]' '[MASK]' the fox went out '##s' {a..s} > words/vocab.txt
works convert words -o wordpiece
for command in embed fill "attention --json -p"; do
    for empty in "" " "; do refuses "is empty" ${command%% *} wordpiece ${command#${command%% *}} "$empty"; done
done
works tokenize wordpiece -p "the fox" && cp "$out" ids && check "marks around the text" grep -qx '2 5 6 3' ids
works embed wordpiece "the fox" && cp "$out" text && works embed wordpiece --tokens "$(cat ids)"
check "they are what the encoder reads" test "$(grep -o "\[.*" "$out")" = "$(grep -o "\[.*" text)"
printf 'fox\n \n' > blank.txt
refuses "blank.txt: line 2 is empty" embed wordpiece --file blank.txt
works fill wordpiece "the [MASK] went" --top 29 && cp "$out" filled && check "tokens as words, without blanks" \
    test "$(grep -o '"token":"[^"]*"' filled | sort -u | grep -c ':"[^ ]')" = 29
check "a piece of a word keeps its mark" grep -q '"token":"##s"' filled

# ---- sentence-transformers: a longest text of its own --------------------------------------------------------------------

cp -r "$goldens/bert_model" st && mkdir st/1_Pooling
echo '[{"path": "", "type": "m.Transformer"}, {"path": "1_Pooling", "type": "m.Pooling"}]' > st/modules.json
echo '{"pooling_mode_mean_tokens": true}' > st/1_Pooling/config.json
echo '{"max_seq_length": 5, "do_lower_case": false}' > st/sentence_bert_config.json
works convert st -o sentences.gguf
works info sentences --json && check "info has it" grep -q '"longest_text":5' "$out"
works embed sentences --tokens "1 2 3 4 5" && cp "$out" five
refuses "text 1 has 6 tokens, but an embedding by this model has room for 5; cut it with --truncate" embed sentences --tokens "1 2 3 4 5 6"
works embed sentences --tokens "1 2 3 4 5 6" --truncate
check "it is cut there" test "$(sed 's/.*"embedding"//' five)" = "$(sed 's/.*"embedding"//' "$out")"
works export sentences -o exported && works convert exported -o again
check "exported and converted it is the same" same sentences.gguf again.gguf
works quantize sentences.gguf q.gguf f16 && refuses "room for 5" embed q --tokens "1 2 3 4 5 6"
for bad in 0 -1 1.5 '"5"'; do
    echo "{\"max_seq_length\": $bad}" > st/sentence_bert_config.json
    refuses "max_seq_length" convert st -o bad
done
echo '{"max_seq_length": null}' > st/sentence_bert_config.json
works convert st -o all.gguf && works embed all --tokens "1 2 3 4 5 6"

# ---- trained here: masked characters -----------------------------------------------------------------------------------

for i in $(seq 60); do echo "The fox went out $i times. 狐狸 😀"; done > text.txt
small="--layers 2 --heads 2 --embd 32 --context 16 --batch 4 --threads 1"
works train text.txt -o whole --arch bert --task mlm $small --iters 8 --decay-iters 8
works train text.txt -o part --arch bert $small --iters 3 --decay-iters 8 --save-every 250
works train text.txt -o part --resume --iters 8 --threads 2
check "a resumed training equals one in one go" same whole.gguf part.gguf
wrong_usage "--task is \`lm\`; a BERT learns mlm" train text.txt -o x --arch bert --task lm $small
wrong_usage "--task is \`mlm\`; a GPT-2 learns lm" train text.txt -o x --task mlm $small
works fill whole "The [MASK]ox w" --top 2 && is_json
refuses "text 1 has no [MASK] to fill" fill whole "The fox"
works embed whole "The fox" "went out" --threads 1
refuses "text 1 is empty" embed whole ""
refuses "does not know the character" embed whole "ZZ"
refuses "not valid UTF-8" embed whole $'\xff'
refuses "text 1 has 20 tokens" embed whole "The fox went out 1 t"
works embed whole "The fox went out 1 t" --truncate
printf 'The fox\n\nwent\n' > lines.txt
refuses "lines.txt: line 2 is empty" embed whole --file lines.txt
refuses "cannot open" embed whole --file none.txt
: > empty.txt
refuses "there is no text" embed whole --file empty.txt
works train text.txt -o gpt $small --iters 2
refuses "choose how to pool its tokens with --pooling" embed gpt "The fox"
works embed gpt "The fox" --pooling last

# ---- search ------------------------------------------------------------------------------------------------------------

mkdir notes && printf 'The fox went out.\n\n\nout times\ntimes out\n' > notes/a.txt && printf 'went\n' > notes/b.txt
works search whole notes/ -q "The fox went out" --top 2
check "the best first, by name and line" grep -q '^{"score":\(1.0\|0.99\).*"file":"notes/a.txt","line":1,"text":"The fox went out."}' "$out"
check "two paragraphs" test "$(wc -l < "$out")" = 2
check "vectors are kept" test -s notes.search.gguf
found() { sed -E 's/"score":(-?[0-9.]{5})[^,]*/\1/' "$out"; } # scores but for rounding
cp notes.search.gguf kept && found > first
works search whole notes/ -q "The fox went out" --top 2
found > again && check "the same again" same again first && check "nothing is written again" same kept notes.search.gguf
echo damaged > notes.search.gguf
works search whole notes -q "The fox went out"
check "a damaged file is made again" same kept notes.search.gguf
works search whole notes/b.txt -q "out" --no-cache && check "keeps nothing" test ! -e notes/b.txt.search.gguf
refuses "has no text to search" search whole empty.txt -q x
refuses "none" search whole none -q o
long="The fox went out times" # 22 characters
refuses "the question has 22 tokens, but the model's context has room for 16; cut it with --truncate" search whole notes -q "$long"
works search whole notes -q "$long" --truncate --top 1
works search whole notes -q "${long:0:16}" --top 1 && cp "$out" first && works search whole notes -q "$long" --truncate --top 1
check "a cut question" same first "$out"
refuses "the question is empty" search whole notes -q ""
printf '\xef\xbb\xbfThe\n\n\n\n\n\n\n%s, out\n' "$long" > notes/c.txt
refuses "notes/c.txt: line 8: the model does not know the character \",\"" search whole notes -q out --no-cache
sed -i 's/,//g' notes/c.txt && works search whole notes -q out --no-cache
finish
