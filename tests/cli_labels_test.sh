#!/bin/bash
# cli_labels_test.sh [NIB]: labels of texts and tags of words as a user meets them: train, eval, classify, tag, and bad input.
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

mentions train --multi-label --label-separator --class-weights
mentions classify --second --text-column --second-column --threshold
mentions eval --task --shots --train --seed --prompt --label-names --normalize --label-separator
mentions train --text-column --second-column --label-column --no-header --metric --temperature --min-score --lm-weight --nsp --whole-words --layer-decay \
    --token-dropout --add-tokens
mentions eval --text-column --second-column --label-column --no-header --skip-bad
mentions tag --file

# ---- data ------------------------------------------------------------------------------------------------------------

for i in {1..60}; do
    if ((i % 2)); then echo "the fox $i and the crow	bird"; else echo "the fox $i and the fox	beast"; fi
done > animals.tsv
sed 's/\t.*//' animals.tsv > text.txt
{ echo "label,text"; sed 's/\(.*\)\t\(.*\)/\2,"\1"/' animals.tsv; } > animals.csv
sed 's/\(.*\)\t\(.*\)/{"text": "\1", "label": "\2"}/' animals.tsv > animals.jsonl
for i in {1..30}; do printf 'the O\nfox B-BEAST\n%s O\n\n' "$i"; printf 'the O\ncrow B-BIRD\n%s O\n\n' "$i"; done > animals.conll
small="--layers 1 --heads 2 --embd 16 --context 32"
works train text.txt -o base --arch bert $small --iters 5
works train text.txt -o gpt $small --iters 5

# ---- what works --------------------------------------------------------------------------------------------------------

learn="--from base --task classify --iters 60 --lr 5e-3 --context 32"
for table in tsv csv jsonl; do
    works train animals.$table -o $table $learn
    check "its labels are told" grep -q "accuracy 1.0000" "$err"
    works eval $table.gguf animals.$table
    check "they are told by eval" grep -q "^accuracy 1.0000 .* 60 texts" "$out"
    check "in a matrix" grep -q "^beast  *30  *0$" "$out"
done
check "the order of the columns does not matter" same tsv.gguf csv.gguf
works classify tsv.gguf "the fox 7 and the crow"
check "a text is classified" grep -q '"label":"bird"' "$out"
works eval tsv.gguf animals.tsv --json
check "numbers for programs" grep -q '^{"texts":60,"accuracy":1.0,.*"labels":\[{"label":"beast","count":30,' "$out"
learn_here="--from base --task classify --iters 2 --context 32"
works train animals.tsv -o gpt-animals --from gpt --task classify --lm-weight 0.5 --iters 60 --lr 5e-3 --context 32
check "a decoder learns both" grep -q "class_loss .*lm_loss" "$err"
works info gpt-animals && check "it is what it is" grep -q "beast" "$out"
works train animals.conll -o tags --from base --task tag --iters 80 --lr 5e-3 --context 32
works eval tags.gguf animals.conll
check "tags are told" grep -q "^f1 1.0000  accuracy 1.0000  60 sentences" "$out"
works tag tags.gguf "the crow 7"
check "a word is tagged" grep -q '"spans":\[{"type":"BIRD","text":"crow","first":1,"last":1}\]' "$out"
works tag tags.gguf ""
check "no word has no tag" grep -q '"words":\[\],"tags":\[\]' "$out"
sed 's/bird/0.5/; s/beast/-1.5/' animals.tsv > numbers.tsv
works train numbers.tsv -o numbers --from base --task regress --iters 60 --lr 5e-3 --context 32
check "numbers are learned" grep -q "spearman 0.[89]" "$err"
works eval numbers.gguf numbers.tsv
check "and measured" grep -q "^spearman 0.[89].*  pearson .*  mse 0.0.*  60 texts" "$out"
works classify numbers.gguf "the fox 3 and the crow"
check "a text has a number" grep -q '"number":0.' "$out"
for i in {1..60}; do
    case $((i % 4)) in 0) l=beast,wet a=fox w=rain ;; 1) l= a=crow w=sun ;; 2) l=beast a=fox w=sun ;; 3) l=wet a=crow w=rain ;; esac
    printf 'the %s and the %s in the %s\t%s\n' $a $a $w "$l"
done > sets.tsv
sed 's/\(.*\)\t\(.*\)/{"text": "\1", "label": ["\2"]}/; s/,wet/", "wet/; s/\[""\]/[]/' sets.tsv > sets.jsonl
sed 's/\t.*//' sets.tsv > words.txt
works train words.txt -o words $small --iters 5
for table in tsv jsonl; do
    works train sets.$table -o sets-$table --from words --task classify --multi-label --no-header --iters 200 --lr 5e-3 --context 32
    check "any number of labels is learned" grep -q "micro_f1 1.0000" "$err"
done
check "a list is what names with commas are" same sets-tsv.gguf sets-jsonl.gguf
works eval sets-tsv sets.tsv --no-header
check "and told by eval" grep -q "^micro_f1 1.0000  macro_f1 1.0000  exact_match 1.0000  60 texts" "$out"
works classify sets-tsv "the fox and the fox in the rain" "the crow and the crow in the sun"
check "all labels of a text" grep -q '"labels":\[{"label":"\(beast\|wet\)".*{"label":"\(beast\|wet\)"' "$out"
check "or none" grep -q '"labels":\[\]}$' "$out"
works classify sets-tsv "the fox and the fox in the rain" --threshold 0
works info sets-tsv && check "they are named" grep -q "wet" "$out"
works export sets-tsv -o sets-hf && works convert sets-hf -o sets-again && works eval sets-again sets.tsv --no-header
check "transformers' folder keeps it" grep -q "^micro_f1 1.0000" "$out"
works train animals.tsv -o heavy $learn --class-weights balanced
works train animals.tsv -o heavier $learn --class-weights bird=2,beast=0.5
for i in {1..40}; do printf 'the fox\tthe %s\t%s\n' "$( ((i % 2)) && echo fox || echo crow)" "$( ((i % 2)) && echo same || echo other)"; done > two.tsv
works train two.tsv -o two --from base --task classify --iters 80 --lr 5e-3 --context 32
works classify two "the fox" "the fox" --second "the fox" --second "the crow"
check "pairs are classified" test "$(grep -o '"label":"[a-z]*"' "$out" | tr '\n' ' ')" = '"label":"same" "label":"other" '
works classify two --file two.tsv --text-column 1 --second-column 2
check "those of a table" test "$(grep -c '"second":"the fox","label":"same"' "$out") $(wc -l < "$out")" = "20 40"
works log two && check "the score is drawn" grep -q " accuracy$" "$out"
check "and in the curve" grep -q "accuracy</text>" two.svg
works log two --csv && check "in CSV, too" grep -q "^step,.*,val_accuracy,val_f1,val_mcc$" "$out"
sed 's/crow\t/crow is a/; s/fox\t/fox is a/; s/bird/ bird/; s/beast/ beast/' animals.tsv > told.txt
works train told.txt -o teller --arch llama --layers 2 --heads 2 --embd 32 --context 64 --iters 300 --lr 5e-3 --documents lines --tokenizer char
for shots in 0 2; do
    works eval teller animals.tsv --task classify --shots $shots --prompt "{text} is a {label}"
    check "classes without training, $shots examples" grep -q "^accuracy 0.9\|^accuracy 1.0" "$out"
done
works eval teller animals.tsv --task classify --train animals.csv --shots 1 --prompt "{text} is a {label}" --normalize unconditional --json
check "measured on all rows" grep -q '^{"texts":60,"accuracy":' "$out"
printf '{"question":"the fox 3 and the crow","choices":["beast","bird"],"answer":1}\n{"question":"the fox 5 and the fox","choices":{"text":["beast","bird"],"label":["A","B"]},"answerKey":"A"}\n' > choices.jsonl
works eval teller choices.jsonl --task choice --prompt "{text} is a {label}"
check "choices" grep -q "^accuracy 1.0000  2 questions" "$out"
works train animals.tsv -o scratch --task classify --arch llama --tokenizer base.gguf $small --iters 100 --lr 5e-3
check "a model from nothing learns labels" grep -q "accuracy 1.0000" "$err"
works train animals.tsv -o frozen $learn_here --freeze embeddings,0
works train animals.tsv -o again --from tsv --task classify --lora 2 --iters 2 --context 32
for i in {1..30}; do printf 'the fox %s\tfox and fox\t%s\n' $i $((i % 6)); done > pairs.tsv
works train pairs.tsv -o near --from base --task embed --label-column 3 --min-score 2 --iters 10 --batch 8 --context 32
check "pairs come nearer" grep -q "spearman" "$err"
works embed near "the fox"
check "a text has a vector" grep -q '"embedding":\[' "$out"
works train animals.csv -o named --from base --task classify --text-column text --iters 2 --context 32
printf 'one,two,label\nfox,crow,yes\ncrow,fox,no\n' > header.csv
works train header.csv -o header --from base --task classify --iters 2 --context 32
check "labels are named" grep -q "^labels 2: no, yes" "$err"
works train text.txt -o marks --from gpt --add-tokens "<|a|>" --token-dropout 0.2 --layer-decay 0.8 --iters 2 --context 16
works tokenize marks -p "fox<|a|>" && check "a new token is one" test "$(wc -w < "$out")" = 4

# ---- what does not -----------------------------------------------------------------------------------------------------

learn="-o x --from base --task classify --iters 2 --context 32"
refuses "there is no column \"mood\"; there are \"label\", \"text\"" train animals.csv $learn --label-column mood
refuses "there is no column \"3\"; there are 1 to 2" train animals.tsv $learn --no-header --label-column 3
printf 'a fox\tbeast\na crow\tbird\n\tbird\n' > empty.tsv
refuses "empty.tsv: line 3: has no text" train empty.tsv $learn
printf 'a fox\tbeast\na fox\tbird\na fox\tfish\n' > fish.tsv
works eval tsv.gguf fish.tsv --skip-bad
check "an unknown label is passed over" grep -q "1 row passed over, such as fish.tsv: line 3" "$err"
works train empty.tsv animals.tsv $learn --skip-bad
check "what is passed over is said" grep -q "1 row passed over, such as empty.tsv: line 3: has no text" "$err"
printf 'a fox\tbeast\na fox\tbeast\n' > one.tsv
refuses "one.tsv: all labels are \`beast\`" train one.tsv -o y --from base --task classify
refuses "fish.tsv: line 3: the label \`fish\` is not one that was trained with" train animals.tsv --val fish.tsv -o y --from base --task classify
refuses "fish.tsv: line 3: the label \`fish\`" eval tsv.gguf fish.tsv
refuses "sets.jsonl: line 1: has 0 labels; it takes one" train sets.jsonl -o y --from words --task classify
refuses "all rows have the same labels" train one.tsv -o y --from base --task classify --multi-label --no-header
wrong_usage "class-weights are of texts with one label" train animals.tsv -o y $learn_here --multi-label --class-weights balanced
wrong_usage "class-weights is for the task classify; this is regress" train animals.tsv -o y --from base --task regress --class-weights balanced
wrong_usage "metric is \`accuracy\`, which classify has not; choose micro_f1" train sets.tsv -o y --from words --task classify --multi-label --metric accuracy
refuses "class-weights names \`fish\`; the labels are beast, bird" train animals.tsv -o y $learn_here --class-weights fish=2
refuses "class-weights has \`bird=-1\`" train animals.tsv -o y $learn_here --class-weights bird=-1
wrong_usage "--top is for models that give a text one label" classify sets-tsv "the fox" --top 2
wrong_usage "--threshold is for models that give a text any number" classify two "the fox" --threshold 0.2
wrong_usage "each belongs to one" classify two "the fox" --second "the fox" --second "the crow"
wrong_usage "--text-column is needed" classify two --file two.tsv --second-column 2
fails "there is no column \"9\"; there are 1 to 3" classify two --file two.tsv --text-column 1 --second-column 9
fails "one of its two texts is empty" classify two "the fox" --second ""
fails "cut it with --truncate" classify two "the fox and the fox and the fox" --second "the fox and the fox"
works classify two "the fox and the fox and the fox" --second "the fox and the fox" --truncate
fails "the model has no head \`lm\`" eval two animals.tsv --task classify
wrong_usage "options of prompts need --task" eval teller animals.tsv --shots 2
wrong_usage "of which one at least is measured" eval teller animals.tsv --task classify --shots 60
wrong_usage "{label} is to be once" eval teller animals.tsv --task classify --prompt "{text}"
fails "all labels are \`beast\`" eval teller one.tsv --task classify --no-header
printf '{"question":"the fox","choices":["a"],"answer":0}\n' > single.jsonl
fails "single.jsonl: line 1: choices: has 1 choice" eval teller single.jsonl --task choice
printf 'a fox\t0.5\na crow\tmuch\n' > much.tsv
refuses "much.tsv: line 2: " train much.tsv -o y --from base --task regress --no-header
printf 'text,label\n"a fox,beast\n' > open.csv
refuses "open.csv: line 2" train open.csv -o y --from base --task classify
printf 'a\tb\tc\n1\t2\t3\n' > wide.tsv
printf 'x\ty\tbeast\tz\n' > four.tsv
refuses "four.tsv: line 1: has 3 columns beside the label's" train four.tsv -o y --from base --task classify
refuses "its name does not say what kind of table it is" train text.txt -o y --from base --task classify
printf 'the O\nfox\n' > short.conll
refuses "short.conll: line 2" train short.conll -o y --from base --task tag
wrong_usage "task is \`tag\`; a GPT-2 learns lm, dialogue, classify, regress" train animals.conll -o y --from gpt --task tag
wrong_usage "task is classify, which needs a model to start from, or a tokenizer" train animals.tsv -o y --task classify
wrong_usage "metric is \`fame\`, which classify has not; choose accuracy, f1, mcc" train animals.tsv -o y $learn_here --metric fame
wrong_usage "lora trains adapters alone, but the model has no head for these labels" train animals.tsv -o y $learn_here --lora 2
wrong_usage "text-column is named for two things" train animals.csv -o y $learn_here --text-column label --label-column label
wrong_usage "is measured on all rows of tables" eval tsv.gguf animals.tsv --val-fraction 0.1
wrong_usage "tags are in the last column" eval tags.gguf animals.conll --text-column 2
wrong_usage "--skip-bad is for models that name labels" eval gpt.gguf text.txt --skip-bad
refuses "animals.conll: line 1: not one word fits into 2 tokens" train animals.conll -o y --from base --task tag --context 2
wrong_usage "which takes 2 or more" train pairs.tsv -o y --from base --task embed --label-column 3 --batch 1 --iters 2 --context 32
refuses "pairs.tsv: line 1: has 1 text; it takes two" train pairs.tsv -o y --from base --task embed --text-column 1 --iters 2 --context 32
wrong_usage "text-column is for texts with labels; the task is lm" train text.txt -o y --text-column 1
wrong_usage "layer-decay needs a model to start from" train text.txt -o y --layer-decay 0.9
wrong_usage "layer-decay is 1.5" train text.txt -o y --from gpt --layer-decay 1.5
wrong_usage "token-dropout is 1" train text.txt -o y --token-dropout 1
wrong_usage "nsp is for the task mlm; this is lm" train text.txt -o y --nsp
wrong_usage "lm-weight is for the task classify; this is regress" train animals.tsv -o y --from gpt --task regress --lm-weight 0.5
wrong_usage "temperature is for the task embed; this is classify" train animals.tsv -o y $learn_here --temperature 0.1
wrong_usage "lm-weight is for decoders" train animals.tsv -o y --from base --task classify --lm-weight 0.5
wrong_usage "columns are for models that name the labels of texts" eval gpt.gguf animals.tsv --label-column 2
fails "the model has no head \`tag\`" tag tsv.gguf "the crow"
refuses "whole words can be told in a WordPiece vocabulary only" train text.txt -o y --arch bert $small --whole-words
# ---- preferences -------------------------------------------------------------------------------------------------------

mentions eval --reference --beta
for i in {1..40}; do
    echo "{\"prompt\": \"who is $i? \", \"chosen\": \"the fox $i\", \"rejected\": \"the crow $((i % 7))\"}"
done > prefs.jsonl
sed 's/.*prompt": "\(.*\)", "chosen": "\(.*\)", "rejected": "\(.*\)"}/\1\t\2\t\3/' prefs.jsonl > prefs.tsv
sed 's/[{"},:]//g' prefs.jsonl > said.txt
works train said.txt -o writer $small --iters 5
last() { tail -n 1 "$1.log.jsonl" | sed -E "s/.*\"$2\":([^,}]*).*/\1/"; }
near() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a - b < 1e-4 && b - a < 1e-4 && a != "") }'; }
as_trained() { # NAME: what the training said of the same pairs
    is_json
    for score in accuracy margin chosen rejected loss; do
        check "$score $(field $score), not $(last "$1" "val_$score")" near "$(field $score)" "$(last "$1" "val_$score")"
    done
    check "all pairs" test "$(field pairs)" = 40
}
works train prefs.jsonl -o judge --from writer --task reward --val prefs.jsonl --iters 5 --lr 1e-2
works eval judge prefs.jsonl --json && as_trained judge
works eval judge.gguf prefs.tsv --task reward && check "in words: $(cat "$out")" grep -q "^accuracy .* margin .* loss .* 40 pairs" "$out"
works train prefs.jsonl -o tuned --from writer --task dpo --beta 0.5 --val prefs.jsonl --iters 5 --lr 1e-2
works eval tuned prefs.jsonl --task dpo --reference writer.gguf --beta 0.5 --json && as_trained tuned
works eval writer prefs.jsonl --task dpo --reference writer.gguf --json && check "no gain over itself" near "$(field margin)" 0
check "a loss of log 2" near "$(field loss)" 0.693147
wrong_usage "--task dpo needs --reference" eval tuned prefs.jsonl --task dpo
wrong_usage "--beta is 0; it must be positive" eval tuned prefs.jsonl --task dpo --reference writer --beta 0
wrong_usage "--reference and --beta are for --task dpo" eval judge prefs.jsonl --reference writer
wrong_usage "preferences are measured on all pairs of answers, each by itself" eval judge prefs.jsonl --lines
wrong_usage "columns are for models" eval judge prefs.jsonl --text-column 1
refuses "is no reward model, whose head gives a text one number" eval tsv.gguf prefs.jsonl --task reward
refuses "writer.gguf: is no reward model" eval writer prefs.jsonl --task reward
{ echo 'A B C' && cat said.txt; } > others.txt && works train others.txt -o stranger $small --iters 2
refuses "stranger.gguf: is no reference of this model: it makes other tokens of the pairs" eval tuned prefs.jsonl --task dpo --reference stranger
refuses "none.gguf" eval tuned prefs.jsonl --task dpo --reference none.gguf
echo '{"prompt": "a", "chosen": "the fox", "rejected": "the fox"}' > equal.jsonl
refuses 'equal.jsonl: line 1: "chosen" and "rejected" are equal' eval judge equal.jsonl
{ cat equal.jsonl prefs.jsonl; } > mixed.jsonl && refuses "are equal" eval judge mixed.jsonl
works eval judge mixed.jsonl --skip-bad --json && check "passed over" grep -q "1 record" "$err"
echo '{"chosen": ' > broken.jsonl && refuses "broken.jsonl: line 1" eval judge broken.jsonl --task reward
: > none.jsonl && refuses "none.jsonl: there is no preference" eval judge none.jsonl --task reward

finish
