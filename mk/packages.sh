#!/bin/sh
# packages.sh PACKAGE=PROBE...: installs those Debian packages whose probe (a file, a header, or else a command) is not there.
has_header() { # found by the compiler $1
    printf '#if !__has_include(<%s>)\n#error\n#endif\n' "$2" | "$1" -x c++ -fsyntax-only -
}

exec 9> build/.packages-lock && flock 9 # two variants that build at once ask apt-get one after the other
missing=
for need in "$@"; do
    probe=${need#*=}
    case $probe in
        /*) [ -e "$probe" ] ;;
        fuzzer/*) has_header clang++-14 "$probe" ;;
        *.h*) has_header g++ "$probe" ;;
        *) command -v "$probe" ;;
    esac > /dev/null 2>&1 || missing="$missing ${need%%=*}"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get > /dev/null; then
    echo "nib needs what these Debian packages hold:$missing" >&2
    exit 1
fi
echo "nib needs the Debian packages:$missing; installing them with apt-get"
as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    [ -t 0 ] || as_root="sudo -n" # nobody there to type a password
    if ! command -v sudo > /dev/null; then
        echo "only root can do that: apt-get install$missing" >&2
        exit 1
    fi
fi
apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::http::Timeout=30"
$apt update || echo "apt-get update failed; trying with the package lists that are there" >&2
$apt install --no-install-recommends $missing
