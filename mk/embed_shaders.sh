#!/bin/sh
# embed_shaders.sh NAME.spv...: C++ arrays of the words of each NAME.spv and, where it differs, of NAME.subgroups.spv, and
# kCode, the table of them.
array() { # its name, the file
    echo "constexpr uint32_t $1[] = {"
    od -An -v -tx4 "$2" | sed 's/ *\([0-9a-f]\{8\}\)/0x\1,/g'
    echo "};"
}

table=
for file in "$@"; do
    name=$(basename "$file" .spv) subgroups=${file%.spv}.subgroups.spv
    array "$name" "$file"
    if cmp -s "$file" "$subgroups"; then
        table="$table    {$name, $name},
"
    else
        array "${name}_subgroups" "$subgroups"
        table="$table    {$name, ${name}_subgroups},
"
    fi
done
printf 'constexpr Code kCode[] = {\n%s};\n' "$table"
