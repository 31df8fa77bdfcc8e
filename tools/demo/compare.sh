#!/bin/sh
# compare.sh BEFORE AFTER PROMPTS REWARD NIB...: asks two models (NAME.gguf) the questions of a file, and prints the mean reward of
# their answers and the first five.
set -eu
before=$1 after=$2 prompts=$3 reward=$4
shift 4
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

sed -n 's/.*"content": "\([^"]*\)".*/\1/p' "$prompts" > "$folder/questions"
awk '{ print; print "/reset" }' "$folder/questions" |
    "$@" chat "$before" --compare "$after" --temp 0 --threads 1 2> "$folder/notes" > "$folder/answers" || { cat "$folder/notes" >&2; exit 1; }

# NAME: the answers of a model, each on a line
answers_of() {
    awk -v name="$(basename "$1"):" '/\.gguf:$/ { mine = $0 == name; if (mine && asked++) print answer; if (mine) answer = ""; next }
        mine { answer = answer (answer == "" ? "" : " ") $0 }
        END { print answer }' "$folder/answers"
}
mean_reward() { # of a file of answers
    sed 's/[\\"]/\\&/g; s/.*/{"response":"&"}/' "$1" | "$reward" | awk '{ sum += $1 } END { printf "%.2f", sum / NR }'
}
answers_of "$before" > "$folder/before"
answers_of "$after" > "$folder/after"
{
    printf 'question\tbefore\tafter\n'
    printf 'mean reward of %s\t%s\t%s\n' "$(grep -c . "$folder/questions")" "$(mean_reward "$folder/before")" "$(mean_reward "$folder/after")"
    paste "$folder/questions" "$folder/before" "$folder/after" | head -n 5
} | awk -F '\t' '
    { for (i = 1; i <= 3; ++i) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) } }
    END { for (n = 1; n <= NR; ++n) printf "%-*s  %-*s  %s\n", width[1], cell[n, 1], width[2], cell[n, 2], cell[n, 3] }'
