#!/bin/sh
# embed_shaders.sh NAME.spv...: the words of each NAME.spv and, where it differs, of NAME.subgroups.spv, one behind the other
# and packed by gzip, as a C++ array of bytes; and kCode, the table of where each is.
all= words=0 table=
add() { # a file
    all="$all $1"
    begin=$words
    words=$((words + $(wc -c < "$1") / 4))
}
for file in "$@"; do
    subgroups=${file%.spv}.subgroups.spv
    add "$file"
    entry="{$begin, $words}"
    cmp -s "$file" "$subgroups" || add "$subgroups"
    table="$table    {$entry, {$begin, $words}},
"
done
echo "constexpr unsigned char kPacked[] = {"
cat $all | gzip -9n | od -An -v -tx1 | sed 's/ *\([0-9a-f]\{2\}\)/0x\1,/g'
printf '};\nconstexpr size_t kWords = %s;\nconstexpr Code kCode[] = {\n%s};\n' "$words" "$table"
