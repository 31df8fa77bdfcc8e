#!/bin/bash
# cli_chat_test.sh [NIB]: `nib chat` in a pipe and on a terminal: answers, commands, files, and every bad input.
goldens=$(realpath "$(dirname "$0")")/goldens
source "$(dirname "$0")/cli_helpers.bash"

talk() { # INPUT ARGUMENT...: what a pipe says to the model
    printf '%b' "$1" | timeout "${limit:-120}" "${nib[@]}" chat "${@:2}" > "$out" 2> "$err"
}
says() { # INPUT ARGUMENT...: exit code 0, and nothing on standard error
    checks=$((checks + 1))
    talk "$@" || bad "exit code $?, not 0" chat "${@:2}" "<<<" "$1"
    [ ! -s "$err" ] || bad "it says something on standard error" chat "${@:2}" "<<<" "$1"
}
breaks() { # TEXT INPUT ARGUMENT...: exit code 1, one line with TEXT, no file changes
    local want=$1 before status
    shift
    checks=$((checks + 1)) before=$(listing)
    talk "$@"
    status=$?
    [ $status = 1 ] || bad "exit code $status, not 1" chat "${@:2}" "<<<" "$1"
    [ "$(grep -c error "$err")" = 1 ] && [[ $(tail -n 1 "$err") = "nib: error: "*"$want"* ]] || bad "the message is not \`$want\`" chat "${@:2}" "<<<" "$1"
    [ "$(listing)" = "$before" ] || bad "files changed" chat "${@:2}" "<<<" "$1"
}

# A model that has learnt one answer by heart.
for ((i = 0; i < 200; i++)); do printf 'say it: the fox is out. who is it? be a fox and say it.\n'; done > fox.txt
turn='{"role":"user","content":"QUESTION"},{"role":"assistant","content":"the fox is out."}'
for ((i = 0; i < 120; i++)); do
    list=$([ $((i % 3)) = 0 ] || echo '{"role":"system","content":"be a fox"},')
    for ((k = i % 7; k >= 0; k--)); do
        list+=${turn/QUESTION/$([ $(((i + k) % 2)) = 0 ] && echo 'say it' || echo 'who is it?')}$([ $k = 0 ] || echo ,)
    done
    echo "{\"messages\":[$list]}"
done > chats.jsonl
works train fox.txt -o base.gguf --tokenizer bpe:300 --layers 1 --heads 2 --embd 32 --context 256 --batch 2 --iters 20 --lr 1e-2
works train chats.jsonl -o chat.gguf --from base.gguf --template chatml --iters 200 --batch 4 --lr 1e-2

# ---- help and usage ----------------------------------------------------------------------------------------------------

mentions chat --lora --compare --system --template --context --length --temp --top-k --seed --stop --verbose --cache --device --threads
wrong_usage "MODEL is required" chat
wrong_usage "top-p is 3" chat chat.gguf --top-p 3
wrong_usage "--length: 0 is out of range" chat chat.gguf -n 0
refuses "--context is 257; the model has a context of 256 tokens" chat chat.gguf --context 257
wrong_usage "--context: 0 is out of range" chat chat.gguf --context 0
refuses "none.gguf" chat none.gguf
head -c 3000 chat.gguf > cut.gguf && refuses "cut.gguf" chat cut.gguf
refuses "the model has no chat template, which says how dialogues are written; --template NAME chooses one" chat base.gguf
refuses "there is no chat template \"chat\"" chat base.gguf --template chat
refuses "has its own: chatml" chat chat.gguf --template zephyr
works convert "$goldens/transformers/llama" -o numbers
refuses "the model has no tokenizer, by which texts become tokens" chat numbers

# ---- answers -----------------------------------------------------------------------------------------------------------

greedy=(chat.gguf --temp 0)
says '' "${greedy[@]}" && check "no input, no output" test ! -s "$out"
says 'say it\nwho is it?\n' "${greedy[@]}"
check "two answers: $(head -c 200 "$out")" test "$(cat "$out")" = $'the fox is out.\nthe fox is out.'
says '\xef\xbb\xbfsay it\r\n\n  \nwho is it?' "${greedy[@]}"
check "marks, blank lines and line ends do not matter" test "$(cat "$out")" = $'the fox is out.\nthe fox is out.'
says 'say it\n' "${greedy[@]}" --stop fox && check "a stop string" test "$(cat "$out")" = 'the'
says 'say it\n' chat --seed 3 --temp 2 && cp "$out" first
says 'say it\n' chat --seed 3 --temp 2 --threads 1 && check "the same seed" same first "$out"
checks=$((checks + 1)) && { talk 'say it\n' base --template chatml -n 3 || bad "exit code $?" chat base; }
talk 'say it\n' "${greedy[@]}" -n 2
check "an answer that is cut" grep -q '^nib: the answer is cut after 2 tokens$' "$err"
talk 'say it\nsay it\n' "${greedy[@]}" -v && check "speed" test "$(grep -c '^\[prompt .* cached), .* tok/s' "$err")" = 2
check "and the seed" grep -q '; --seed [0-9]*]$' "$err"
check "the second prompt is mostly cached" grep -q '^\[prompt [0-9]* tokens ([1-9][0-9]* more cached)' <(tail -n 1 "$err")
for ((i = 0; i < 24; i++)); do echo 'say it'; done > many
talk "$(cat many)" "${greedy[@]}"
check "24 answers" test "$(grep -c . "$out")" -ge 24
check "old messages are left out" grep -q '^nib: the dialogue is longer than .* its oldest [0-9]* messages are left out from now on$' "$err"

# ---- commands ----------------------------------------------------------------------------------------------------------

content() { grep -o "\"content\":\"$1\"" "$2" | wc -l; }
says '/system be a fox\nsay it\n/save talk.json\n' "${greedy[@]}" && check "saved" test "$(cat talk.json)" = \
    '{"messages":[{"role":"system","content":"be a fox"},{"role":"user","content":"say it"},{"role":"assistant","content":"the fox is out."}]}'
says 'say it\n/save given.json\n' "${greedy[@]}" --system 'be a fox' && check "a system prompt as an option" same talk.json given.json
says '/load talk.json\n/save again.json\nwho is it?\n/save longer.json\n/undo\n/save shorter.json\n' "${greedy[@]}"
check "loaded" same talk.json again.json && check "two answers" test "$(content 'the fox is out.' longer.json)" = 2
check "undone" same talk.json shorter.json
says '/load talk.json\n/system\nsay it\n/save bare.json\n' "${greedy[@]}" && check "no system prompt" test "$(grep -c system bare.json)" = 0
says '/load talk.json\n/reset\nwho is it?\n/save reset.json\n' "${greedy[@]}"
check "reset keeps the system prompt" test "$(content 'be a fox' reset.json)$(content 'say it' reset.json)" = 10
says '/temp 2\n/temp 0\nsay it\n' chat && check "greedy" test "$(cat "$out")" = 'the fox is out.'
says 'say it\n/exit\nsay it\n' "${greedy[@]}" && check "/exit leaves" test "$(wc -l < "$out")" = 1
checks=$((checks + 1))
talk 'say \\\nit\n"""say\n  it\n"""\n""" say it"""\n//say it\n/save lines.jsonl\n' "${greedy[@]}" -n 6 || bad "exit code $?" chat
for text in 'say \\nit' 'say\\n  it' ' say it' '/say it'; do check "a message: $text" test "$(content "$text" lines.jsonl)" = 1; done
for ((i = 0; i < 9; i++)); do cat lines.jsonl talk.json; done > saved.jsonl
works train saved.jsonl -o more.gguf --from chat.gguf --iters 1

breaks "there is no command /dance (see /help)" '/dance\n' "${greedy[@]}"
breaks "there is no command / (see" '/\n' "${greedy[@]}"
breaks "there is nothing to undo" '/undo\n' "${greedy[@]}"
breaks "there is no answer in the dialogue yet; nothing is saved" '/save x.json\n' "${greedy[@]}"
breaks "/save needs the name of a file" 'say it\n/save\n' "${greedy[@]}"
breaks "/load needs the name of a file" '/load \n' "${greedy[@]}"
breaks "/temp needs a number" '/temp\n' "${greedy[@]}"
breaks "\`warm\` is not a number" '/temp warm\n' "${greedy[@]}"
breaks "\`-1\` is no temperature; it must be a number from 0 up" '/temp -1\n' "${greedy[@]}"
breaks "\`nan\` is no temperature" '/temp nan\n' "${greedy[@]}"
breaks "talk.json: already exists; choose another name" 'say it\n/save talk.json\n' "${greedy[@]}"
breaks "none/x.json" 'say it\n/save none/x.json\n' "${greedy[@]}"
breaks "none.json" '/load none.json\n' "${greedy[@]}"
breaks "chats.jsonl: holds more than one dialogue" '/load chats.jsonl\n' "${greedy[@]}"
: > empty.json && breaks "empty.json: holds no dialogue" '/load empty.json\n' "${greedy[@]}"
head -c 70 talk.json > half.json && breaks "half.json: line 1" '/load half.json\n' "${greedy[@]}"
printf '{"messages":[{"role":"assistant","content":"a"},{"role":"user","content":"b"}]}' > asks.json
breaks "asks.json: the dialogue ends without an answer" '/load asks.json\n' "${greedy[@]}"

# ---- bad messages ------------------------------------------------------------------------------------------------------

breaks "the message: not UTF-8 text: malformed at byte offset 3" 'caf\xe9\n' "${greedy[@]}"
breaks "the system prompt: not UTF-8 text" '/system \xff\n' "${greedy[@]}"
breaks "the last turn of the dialogue has" "$(head -c 3000 fox.txt | tr '\n' ' ')\n" "${greedy[@]}"
check "no advice that does not help" test "$(grep -c -e '--context' "$err")" = 0
breaks "there is room for 48; a larger --context has more" "$(head -c 3000 fox.txt | tr '\n' ' ')\n" "${greedy[@]}" --context 64
breaks 'the input ends within a text that """ begins' '"""say\nit\n' "${greedy[@]}"
breaks 'there is more on the line after the """' '"""say""" it\n' "${greedy[@]}"
breaks 'the input ends after a line that ends with a backslash' 'say \\' "${greedy[@]}"
breaks "the message is empty" '"""\n\n"""\n' "${greedy[@]}"
checks=$((checks + 1))
head -c 20000000 /dev/zero | tr '\0' a | "${nib[@]}" chat "${greedy[@]}" > "$out" 2> "$err"
[ "${PIPESTATUS[2]}" = 1 ] && [[ $(cat "$err") = "nib: error: a message is longer than 16 MiB" ]] || bad "an endless line" chat
checks=$((checks + 1)) # by a search of all before for each line it would take minutes
{ echo '"""' && head -n 700000 < <(yes 'a line of it'); } | timeout 30 "${nib[@]}" chat "${greedy[@]}" > "$out" 2> "$err"
[ "${PIPESTATUS[1]}" = 1 ] && grep -q 'the input ends within a text' "$err" || bad "many lines" chat
checks=$((checks + 1))
"${nib[@]}" chat "${greedy[@]}" < . > "$out" 2> "$err" && bad "a folder as input" chat

# ---- two models --------------------------------------------------------------------------------------------------------

sed 's/the fox is out/the fox is in/g' chats.jsonl > other.jsonl
works train other.jsonl -o other.gguf --from base.gguf --template chatml --iters 200 --batch 4 --lr 1e-2
both=(chat.gguf --compare other.gguf --temp 0)
two=$'chat.gguf:\nthe fox is out.\nother.gguf:\nthe fox is in.'
says 'say it\nwho is it?\n' "${both[@]}" && check "two answers to each message" test "$(cat "$out")" = "$two"$'\n'"$two"
says '/temp 2\n/system be a fox\nsay it\n/undo\n/reset\n/system\n/temp 0\n/system be a fox\nwho is it?\n' "${both[@]}" --seed 1
check "commands are for both" test "$(tail -n 4 "$out")" = "$two"
says 'say it\n' chat --compare ./chat.gguf --seed 3 --temp 2
check "the same model says the same: $(cat "$out")" test "$(cat "$out")" = "chat:"$'\n'"$(cat first)"$'\n'"chat.gguf:"$'\n'"$(cat first)"
mkdir older && cp other.gguf older/chat.gguf
says 'say it\n' chat.gguf --compare older/chat.gguf --temp 0 && check "folders tell them apart" grep -qx 'older/chat.gguf:' "$out"
works train other.jsonl -o fox.lora.gguf --from chat.gguf --lora 4 --iters 1
says 'say it\n' chat.gguf --lora fox.lora.gguf --compare chat.gguf --temp 0
check "an adapter is for the first" test "$(grep ':$' "$out")" = $'chat.gguf + fox.lora.gguf:\nchat.gguf:'
talk 'say it\n' "${both[@]}" -n 2 -v && check "both are cut" grep -q '^nib: other.gguf: the answer is cut after 2 tokens$' "$err"
check "the speed of both" test "$(grep -c '^\[prompt ' "$err")" = 2
checks=$((checks + 1)) && { talk 'say it\n' chat.gguf --compare base.gguf --template chatml --temp 0 -n 3 || bad "exit code $?" chat; }
breaks "there is nothing to undo" 'say it\n/undo\n' "${both[@]}" --stop 'the fox is i'
check "what one does not answer, both forget" grep -q '^nib: not answered by both; the message is forgotten$' "$err"
breaks "/save is for one dialogue; with --compare there are two" 'say it\n/save two.json\n' "${both[@]}"
breaks "/load is for one dialogue; with --compare there are two" '/load talk.json\n' "${both[@]}"
breaks "there is nothing to undo" '/undo\n' "${both[@]}"
breaks "\`-1\` is no temperature" '/temp -1\n' "${both[@]}"
breaks "chat.gguf: the message: not UTF-8 text" '\xff\n' "${both[@]}"
refuses "none.gguf" chat chat.gguf --compare none.gguf
refuses "cut.gguf" chat chat.gguf --compare cut.gguf
refuses "the model has no chat template" chat chat.gguf --compare base.gguf
refuses "has its own: chatml" chat "${both[@]}" --template zephyr

# ---- on a terminal, if `script` makes one ----------------------------------------------------------------------------------

if script -qec true /dev/null > /dev/null 2>&1 < /dev/null; then
    typed() { # what is typed, slowly
        for line in "$@"; do sleep 0.5; printf '%b' "$line"; done
    }
    on_terminal() { # LINE...
        typed "$@" | TERM=${term:-dumb} timeout 60 script -qec "stty cols ${columns:-80} rows ${rows:-24}; ${nib[*]} chat ${chat:-chat.gguf --temp 0}" /dev/null > "$out" 2> "$err"
        checks=$((checks + 1))
    }
    on_terminal 'say it\n' '/dance\n' '/load none.json\n' '\xff\n' '/help\n' 'who is it?\n' '\x04' || bad "exit code $?" on a terminal
    check "prompts" grep -q '^> ' "$out"
    check "wrong commands end nothing" test "$(grep -c 'the fox is out' "$out")$(grep -c 'nib: error: ' "$out")" = 23
    check "help" grep -q '^  /undo ' "$out"
    on_terminal 'sa\x03' 'say it\n' '\x03' '\x03' || bad "exit code $?" on a terminal
    check "Ctrl-C at the prompt" test "$(grep -c 'Ctrl-C again or Ctrl-D leaves' "$out")$(grep -c 'the fox is out' "$out")" = 21
    on_terminal '"""say\n' '\x03' 'say it\n' '\x04' || bad "exit code $?" on a terminal
    check "Ctrl-C drops several lines" test "$(grep -c 'Ctrl-C again' "$out")$(grep -c 'the fox is out' "$out")" = 01
fi

# ---- two models side by side ---------------------------------------------------------------------------------------------

if declare -f on_terminal > /dev/null; then
    chat="${both[*]}" term=xterm columns=90 on_terminal 'say it\n' '\x04' || bad "exit code $?" on a terminal
    check "two columns" grep -q "^chat.gguf: \{33\} │ other.gguf:" <(sed 's/\r//g; s/\x1b\[K//g' "$out")
    check "the second answer is beside the first" grep -q '^the fox is out\. \{28\} │ the fox is in\.' <(sed 's/\r/\n/g; s/\x1b\[K//g' "$out")
    chat="${both[*]}" term=xterm columns=90 rows=2 on_terminal 'say it\n' '\x04' || bad "exit code $?" on a terminal
    check "all of them are there in the end" grep -q "^chat.gguf: \{33\} │ other.gguf:" <(sed 's/\r/\n/g; s/\x1b\[K//g' "$out")
    chat="${both[*]}" term=xterm columns=79 on_terminal 'say it\n' '\x04' || bad "exit code $?" on a terminal
    check "too narrow for columns" test "$(grep -c 'other.gguf:\s*$' "$out")$(grep -c │ "$out")" = 10
    chat="${both[*]}" columns=90 on_terminal 'say it\n' '\x04' || bad "exit code $?" on a terminal
    check "no cursor, no columns" test "$(grep -c 'other.gguf:\s*$' "$out")$(grep -c │ "$out")" = 10
fi

# ---- the same with lines that can be edited --------------------------------------------------------------------------------

if [ ${#nib[@]} = 1 ] && compgen -G '/usr/lib/*/libedit.so.2' > /dev/null && declare -f on_terminal > /dev/null; then
    term=xterm on_terminal '/help\n' 'say t\e[Di\n' '\e[A\n' '狐é\x7f\x7f"""who\n' 'is it?"""\n' 'x\x03' '/save edited.json\n' '\x03' '\x03' || bad "exit code $?" on a terminal
    check "help on keys" grep -q 'Lines can be edited' "$out"
    check "arrows and history" test "$(content 'say it' edited.json)$(content 'who\\nis it?' edited.json)" = 21
    check "one Ctrl-C drops a line, one warns" test "$(grep -c 'Ctrl-C again or Ctrl-D leaves' "$out")" = 1
    term=xterm on_terminal '\xff\x7fsay it\n' 'x\x04' '\x01\e[3~' '\x04' || bad "exit code $?" on a terminal
    check "Delete, and Ctrl-D on an empty line only" test "$(grep -c 'the fox is out' "$out")" = 1
fi

finish
