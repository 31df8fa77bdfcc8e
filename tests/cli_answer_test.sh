#!/bin/bash
# cli_answer_test.sh [NIB]: questions about texts as a user meets them: train, answer, eval, convert and export, and bad input.
source "$(dirname "$0")/cli_helpers.bash"

# ---- help and usage --------------------------------------------------------------------------------------------------

mentions train --stride
mentions eval --rules --max-answer --output --task
mentions answer --context --file --top --max-answer --stride --no-answer --json

# ---- data ------------------------------------------------------------------------------------------------------------

paragraph() { # BEFORE NUMBER AFTER ID
    printf '{"context":"%s%s%s","qas":[{"id":"%s","question":"the fox","answers":[{"text":"%s","answer_start":%s}]}]}' \
        "$1" "$2" "$3" "$4" "$2" ${#1}
}
questions() { # the numbers of foxes
    printf '{"data":[{"title":"t","paragraphs":['
    for i in {1..39}; do paragraph "the crow and $([ $((i % 3)) = 0 ] && echo "the fox ")" $i " and the crow" q$i && printf ,; done
    paragraph "the fox " 40 " and the crow" q40 && printf ']}]}'
}
questions > q.json
for i in {1..60}; do echo "the fox $i and the crow"; done > text.txt
sed 's/"answers":\[{"text":"[0-9]*","answer_start":[0-9]*}\]/"is_impossible":true,"answers":[]/g; s/q/n/g; s/nas/qas/g; s/nuestion/question/g' q.json |
    sed 's/[0-9][0-9]* and the crow"/and the crow"/g' > none.json
python_free_join() { printf '%s' "$(sed 's/\]}\]}$//' q.json),$(sed 's/^.*"paragraphs":\[//' none.json)"; }
python_free_join > both.json
small="--layers 2 --heads 2 --embd 16 --context 64"
works train text.txt -o base --arch bert $small --iters 5
for i in {1..200}; do echo "Q: $i the fox and the crow A:"; done > long-text.txt
works train long-text.txt -o gpt --layers 1 --heads 2 --embd 16 --context 200 --iters 2

# ---- what works --------------------------------------------------------------------------------------------------------

learn="--from base --task qa --lr 1e-2 --context 64"
works train q.json -o qa $learn --iters 150 --val q.json
check "answers are found" grep -q "f1 9[5-9]\.\|f1 100" "$err"
check "the best is told by its f1" grep -q "(best so far)" "$err"
works eval qa.gguf q.json -o found.json
check "eval finds them" grep -q "^f1 \(9[5-9]\|100\).*  em .*  40 questions .*by the rules of squad1" "$out"
check "and writes them" grep -q '"q7": "7"' found.json
works eval qa.gguf q.json --json --rules cmrc
check "numbers for programs" grep -q '^{"questions":40,"f1":.*"em":.*"rules":"cmrc"' "$out"
echo "the crow and the fox 23 and the crow" > page.txt
works answer qa.gguf --context page.txt "the fox"
check "a question is answered" grep -qx 23 "$out"
works answer qa.gguf --context page.txt "the fox" "the fox" --json --top 2
check "twice, with its place" [ "$(grep -c '^{"question":"the fox","answer":"23","probability":.*,"begin":21,"end":23,"answers":\[{.*},{.*}\]}' "$out")" = 2 ]
works answer qa.gguf --context page.txt --top 3 "the fox"
check "the best come first" [ "$(cut -f 1 "$out")" = "$(cut -f 1 "$out" | sort -r)" ]
printf 'the fox\n\nthe fox\n' > asked.txt
works answer qa.gguf --context page.txt --file asked.txt
check "questions stand in a file" [ "$(wc -l < "$out")" = 2 ]

works train both.json -o both $learn --iters 200 --val both.json
works eval both.gguf both.json
check "what has no answer is told apart" grep -q "^no answer   f1 .*  40 questions" "$out"
check "by SQuAD's rules for that" grep -q "by the rules of squad2" "$out"
echo "the fox and the crow" > none.txt
works answer both.gguf --context none.txt "the fox"
check "there is no answer" grep -qx "(none)" "$out"
{ for i in {1..40}; do printf 'the crow and the crow and '; done; cat page.txt; } > long.txt
works answer both.gguf --context long.txt "the fox" --stride 16 --json --top 20
check "a long text is read in windows" grep -q '{"answer":"23",.*"begin":1061,"end":1063}' "$out"
works answer both.gguf --context none.txt "the fox" --json
check "for programs, too" grep -q '"answer":null,.*"begin":null' "$out"

works export qa.gguf -o folder
check "it is a model for questions" grep -q BertForQuestionAnswering folder/config.json
check "whose texts have segments" grep -q token_type_ids folder/tokenizer_config.json
works convert folder -o again.gguf --type f32
works answer again.gguf --context page.txt "the fox"
check "which answers as before" grep -qx 23 "$out"

works answer gpt --context page.txt "the fox"
check "a decoder writes a line" [ "$(wc -l < "$out")" = 1 ]
works eval gpt q.json --task qa
check "and is measured" grep -q "^f1 .* 40 questions" "$out"

# ---- what is wrong -----------------------------------------------------------------------------------------------------

sed 's/"text":"5"/"text":"crow fox"/' q.json > misplaced.json
works train misplaced.json -o misplaced $learn --iters 2
check "an answer that is not there is told" grep -q "1 answer not where it is said to be, such as of q5" "$err"
head -c 500 q.json > cut.json
refuses "cut.json" train cut.json -o bad $learn
echo '{"data": 3}' > list.json
refuses "list.json" train list.json -o bad $learn
sed 's/"context":"[^"]*40 and the crow"/"context":""/' q.json > empty.json
refuses "context is empty" train empty.json -o bad $learn
works train empty.json -o skipped $learn --iters 2 --skip-bad
check "it is passed over" grep -q "1 record passed over" "$err"
wrong_usage "a GPT-2 learns" train q.json -o bad --from gpt --task qa
wrong_usage "for the task qa" train text.txt -o bad --from base --stride 4
refuses "no head" answer base --context page.txt "the fox"
refuses "no head" eval base q.json --task qa
: > nothing.txt
refuses "there is no text" answer qa.gguf --context nothing.txt "the fox"
refuses "nowhere.txt" answer qa.gguf --context nowhere.txt "the fox"
printf 'the \xff fox' > bytes.txt
refuses "not UTF-8" answer qa.gguf --context bytes.txt "the fox"
wrong_usage "there is no question" answer qa.gguf --context page.txt
wrong_usage "writes one answer" answer gpt --context page.txt "the fox" --top 2
wrong_usage "are for questions" eval gpt text.txt --rules cmrc

finish
