# What the tests of the command line share: a folder of their own, and what is expected of a command. Sourced with the script's
# arguments ([NIB]: may be an emulator and the binary); `finish` ends the script.
set -uo pipefail
export LC_ALL=C.UTF-8
read -r -a nib <<< "${1:-${NIB:-build/nib}}"
[[ ${nib[-1]} = /* ]] || nib[-1]=$PWD/${nib[-1]}
top=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2> /dev/null; rm -rf "$top"' EXIT
mkdir "$top/work" && cd "$top/work" || exit 1
# The user's own cache stays as it is, and --device auto is the CPU: results are the same on every machine.
export XDG_CACHE_HOME=$top/cache VK_ICD_FILENAMES=$top/none.json VK_DRIVER_FILES=$top/none.json
out=$top/out err=$top/err checks=0 failures=0
nib() { timeout "${limit:-120}" "${nib[@]}" "$@" > "$out" 2> "$err" < /dev/null; }

# ---- what is expected of a command -----------------------------------------------------------------------------------

bad() { # WHAT COMMAND...
    failures=$((failures + 1))
    printf 'FAILED: %s: nib %s\n' "$1" "${*:2}"
    sed 's/^/    /' "$err" | tail -n 5
}
listing() { find . -type d -printf '%p\n' -o -printf '%p %s %T@\n' | sort; }
works() { # COMMAND...: exit code 0
    checks=$((checks + 1))
    nib "$@" || bad "exit code $?, not 0" "$@"
}
fails() { # TEXT COMMAND...: exit code 1, one line `nib: error: ...`, the last one, with TEXT; no file changes
    local want=$1 before status
    shift
    checks=$((checks + 1)) before=$(listing)
    nib "$@"
    status=$?
    if [ $status != 1 ]; then
        bad "exit code $status, not 1" "$@"
    elif [ "$(grep -c 'error' "$err")" != 1 ] || [[ $(tail -n 1 "$err") != "nib: error: "*"$want"* ]]; then
        bad "the message is not \`nib: error: ... $want\`" "$@"
    elif [ "$(listing)" != "$before" ]; then
        bad "files changed" "$@"
        diff <(echo "$before") <(listing)
    fi
}
refuses() { # TEXT COMMAND...: the same, and that line is all it says
    fails "$@"
    [ "$(wc -l < "$err")" = 1 ] && [ ! -s "$out" ] || bad "says more than one line" "${@:2}"
}
wrong_usage() { # TEXT COMMAND...: exit code 2, one line with TEXT that says where to read on; no file changes
    local want=$1 before status
    shift
    checks=$((checks + 1)) before=$(listing)
    nib "$@"
    status=$?
    if [ $status != 2 ]; then
        bad "exit code $status, not 2" "$@"
    elif [ "$(wc -l < "$err")" != 1 ] || [[ $(cat "$err") != "nib: error: "*"$want"*"(see \`nib"*"--help\`)" ]]; then
        bad "the message is not \`nib: error: ... $want ...\`" "$@"
    elif [ "$(listing)" != "$before" ]; then
        bad "files changed" "$@"
    fi
}
check() { # WHAT TEST...: a command of the shell that succeeds
    checks=$((checks + 1))
    "${@:2}" || bad "$1" "(as above)"
}
is_json() { # The output is one JSON object on one line: strings become s, values v, and what is made of values is a value.
    check "not one JSON object: $(head -c 200 "$out")" test "$(sed -E 's/"([^"\\]|\\.)*"/s/g
        s/-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null/v/g; :again
        s/\[([sv](,[sv])*)?\]/v/; t again
        s/\{(s:[sv](,s:[sv])*)?\}/v/; t again' "$out")" = v
}
field() { sed -E "s/.*\"$1\":([^,}]*).*/\1/" "$out"; } # KEY: of JSON in the output
same() { cmp "$1" "$2" > "$err" 2>&1; }
ends_with_text() { [ -s "$out" ] && iconv -f UTF-8 -t UTF-8 "$out" > /dev/null; }
mentions() { # COMMAND OPTION...: COMMAND may be several words
    works $1 --help
    for option in "${@:2}" --help; do check "$1 --help mentions $option" grep -q -e "^  \(-., \)\?$option\b" "$out"; done
    check "$1 --help fits 80 columns" test -z "$(grep -v '^  \(nib\|echo\) ' "$out" | grep '.\{81\}')"
}
limited() { # KIB COMMAND...: no file may grow beyond that
    (ulimit -f "$1" && nib "${@:2}")
}
finish() {
    echo "$checks checks, $failures failed"
    [ $failures = 0 ]
}

# ---- texts, and a small model ----------------------------------------------------------------------------------------

tiny=(--layers 1 --heads 2 --embd 8 --context 8 --batch 2 --threads 1)
new=(-o new "${tiny[@]}")
small_model() { # good.gguf, trained on text.txt; and other texts, good and bad
    for i in $(seq 60); do echo "The fox went out $i times and met the crow. "; done > text.txt
    mkdir empty_folder folder && cp text.txt folder/a.txt && echo 'A second text: 0123456789, more of it.' > folder/b.TXT
    : > empty.txt && printf 'abc' > short.txt && printf 'good \xff bad' > latin.txt && printf '\xff\xfea\0' > utf16.txt
    works train text.txt -o good "${tiny[@]}" --iters 20 --lr 1e-2
}
