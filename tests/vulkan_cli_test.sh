#!/bin/bash
# vulkan_cli_test.sh [NIB]: nib devices and --device, with and without a Vulkan driver.
# What Mesa has compiled before need not be compiled again.
export MESA_SHADER_CACHE_DIR=${MESA_SHADER_CACHE_DIR-${XDG_CACHE_HOME-$HOME/.cache}}
drivers=${VK_ICD_FILENAMES-} newer_drivers=${VK_DRIVER_FILES-} # of whoever runs this
source "$(dirname "$0")/cli_helpers.bash"
export VK_ICD_FILENAMES=$drivers VK_DRIVER_FILES=$newer_drivers
[ -n "$drivers" ] || unset VK_ICD_FILENAMES
[ -n "$newer_drivers" ] || unset VK_DRIVER_FILES
export ASAN_OPTIONS=detect_leaks=0 # drivers keep some memory to themselves and are unloaded before LeakSanitizer looks

printf 'The fox and the grapes. %.0s' {1..40} > text.txt
works train text.txt -o m.gguf --layers 2 --heads 2 --embd 16 --context 32 --batch 2 --iters 2

works devices
check "the CPU is listed" grep -q '^cpu ' "$out"
check "the reference is among its kernels" grep -q 'kernels .*ref' "$out"
works devices --json
check "one line of JSON" test "$(wc -l < "$out")" = 1
check "has both parts" grep -q '^{"cpu":{.*"vulkan":\[' "$out"

wrong_usage '`gpu` is no device' run m.gguf --device gpu
wrong_usage '`vulkan:` is no device' run m.gguf --device vulkan:
wrong_usage '`vulkan:-1` is no device' eval m.gguf text.txt --device vulkan:-1
wrong_usage '`vulkan:99999999999` is no device' logits m.gguf -p The -o l.npy --device vulkan:99999999999
wrong_usage 'exclude each other' selftest --isa ref --device vulkan
wrong_usage '--isa and --device=vulkan exclude each other' run m.gguf -p The --isa ref --device vulkan
wrong_usage '--threads and --device=vulkan:0 exclude each other' train text.txt -o t.gguf --threads 2 --device vulkan:0
refuses 'Vulkan: ' run m.gguf -p The --device vulkan:99
wrong_usage 'choose f16 or f32' train text.txt -o t.gguf --activations f8
refuses 'on activations of f16; keep them as f32' train text.txt -o t.gguf --activations f16 --device cpu
check "leaves nothing" test -z "$(ls t.gguf* t.*.gguf 2> /dev/null)"

# The same text, whatever computes.
if "${nib[@]}" devices | grep -q '^vulkan:0'; then
    works run m.gguf -p 'The fox' -n 40 --temp 0 --device cpu
    cp "$out" expected
    works run m.gguf -p 'The fox' -n 40 --temp 0 --device vulkan -v
    check "writes the same" cmp "$out" expected
    check "says what computed" grep -q 'vulkan ' "$err"
    check "no message" test "$(wc -l < "$err")" = 1
    works logits m.gguf -p 'The fox' -o l.npy --device vulkan:0
    works eval m.gguf text.txt --device vulkan
    limit=600 works selftest --device vulkan --op attention_cached --op norm
    check "names the ops" grep -q '^vulkan *attention_cached .* ok$' "$out"
    check "on half floats, too" grep -q '^vulkan *norm in f16 .* ok$' "$out"
    works selftest --train --device vulkan --activations f16
    check "checks nodes" grep -q '^vulkan *[0-9]* nodes checked, .* ok$' "$out"

    # A training that begins on one device and goes on on the other.
    tiny=(text.txt -o t.gguf)
    sizes=(--layers 2 --heads 2 --embd 16 --context 32 --batch 2 --dropout 0.1 --decay-iters 6)
    works train "${tiny[@]}" "${sizes[@]}" --iters 6 --device cpu
    cut -d, -f1 t.log.jsonl > steps
    cp t.log.jsonl cpu.log.jsonl
    works train "${tiny[@]}" "${sizes[@]}" --iters 3 --device vulkan --overwrite
    check "says what computed" grep -q '^run .*vulkan ' "$err"
    check "writes a sample" grep -q '^--- sample after step 3' "$out"
    works train "${tiny[@]}" --resume --iters 6 --device cpu
    check "has all steps" test "$(cut -d, -f1 t.log.jsonl)" = "$(cat steps)"
    losses() { sed 's/.*"loss":\([0-9.]*\).*/\1/' "$1"; }
    check "the CPU's losses" awk '{ d = $1 - $2; if (d * d > 1e-6) exit 1 }' <(paste <(losses t.log.jsonl) <(losses cpu.log.jsonl))
    works train "${tiny[@]}" --resume --iters 8 --device vulkan:0 --activations f16
    works run t.gguf -p 'The fox' -n 20 --temp 0 --device vulkan

    # Shaders are kept, one file for a device; whatever is wrong with that, the text is the same and nothing is said.
    same_on_vulkan() { # WHAT [VARIABLE=VALUE...]
        checks=$((checks + 1))
        env "${@:2}" "${nib[@]}" run m.gguf -p 'The fox' -n 40 --temp 0 --device vulkan:0 > "$out" 2> "$err" < /dev/null &&
            cmp -s "$out" expected && [ ! -s "$err" ] || bad "$1" run --device vulkan:0
    }
    kept=("$XDG_CACHE_HOME"/nib/shaders-*.bin)
    check "a file of shaders" test "${#kept[@]}" = 1 -a -s "${kept[0]}"
    same_on_vulkan "with shaders that are kept"
    cp "${kept[0]}" "$top/kept"
    printf 'damaged' | dd of="${kept[0]}" bs=1 seek=30 conv=notrunc 2> /dev/null
    same_on_vulkan "with damaged shaders"
    check "they are replaced" cmp "${kept[0]}" "$top/kept"
    : > "${kept[0]}"
    same_on_vulkan "with an empty file of shaders"
    touch "$top/file"
    export MESA_SHADER_CACHE_DISABLE=true # Mesa has a cache of its own there, and complains
    same_on_vulkan "with a folder that cannot be made" XDG_CACHE_HOME="$top/file"
    same_on_vulkan "without a folder" -u XDG_CACHE_HOME -u HOME
    same_on_vulkan "with a relative folder" -u HOME XDG_CACHE_HOME=relative
    check "which is not made" test ! -e relative
    unset MESA_SHADER_CACHE_DISABLE
else
    echo "not tested: $("${nib[@]}" devices | grep '^vulkan')"
fi

# No driver: no device, and that is no error unless one is asked for.
export VK_ICD_FILENAMES=$top/none.json VK_DRIVER_FILES=$top/none.json
works devices
check "says that there is none" grep -q '^vulkan *none: ' "$out"
check "in one line for Vulkan" test "$(grep -c vulkan "$out")" = 1
works devices --json
check "says so in JSON" grep -q '"vulkan":\[\],"vulkan_problem":"' "$out"
refuses 'Vulkan: ' run m.gguf -p The --device vulkan
echo '{ broken' > broken.json
export VK_ICD_FILENAMES=$PWD/broken.json VK_DRIVER_FILES=$PWD/broken.json
refuses 'Vulkan: ' run m.gguf -p The --device vulkan
check "is not taken for a lack of memory" test "$(grep -c memory "$err")" = 0
mkdir loader && : > loader/libvulkan.so.1
LD_LIBRARY_PATH=$PWD/loader works devices
check "says that there is no loader" grep -q '^vulkan *none: its loader cannot be opened: ' "$out"
LD_LIBRARY_PATH=$PWD/loader refuses 'Vulkan: its loader cannot be opened: ' run m.gguf -p The --device vulkan
works run m.gguf -p 'The fox' -n 40 --temp 0 --device cpu
cp "$out" expected
works run m.gguf -p 'The fox' -n 40 --temp 0 -v
check "auto writes the same" cmp "$out" expected
check "auto is the CPU" grep -q '; cpu ' "$err"
works eval m.gguf text.txt --device auto
finish
