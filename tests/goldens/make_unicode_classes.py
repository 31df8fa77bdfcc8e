"""Writes ../../src/text/unicode_classes.inc: which characters Hugging Face's tokenizers take for what.

Its parts rest on different versions of Unicode, so the sets are found out by asking. Made with tokenizers 0.23 and Python
3.11, whose unicodedata is Unicode 14, as is PCRE2 10.42: usage: make_unicode_classes.py
"""
import pathlib
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0"
OUTPUT = pathlib.Path(__file__).parents[2] / "src/text/unicode_classes.inc"
CODES = [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]
ALL = "".join(map(chr, CODES))
BERT = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()


def ranges(codes):
    found = []
    for code in sorted(codes):
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return found


def removed_by(normalizer):
    return {code for code in CODES if normalizer.normalize_str(chr(code)) == ""}


def matched_by(regex):
    pieces = pre_tokenizers.Split(Regex(regex), "removed", invert=True).pre_tokenize_str(ALL)
    return {ord(c) for piece, _ in pieces for c in piece}


def lines(items):
    text, line = "", "   "
    for item in items:
        if len(line) + len(item) + 1 > 124:
            text, line = text + line + "\n", "   "
        line += " " + item
    return text + line + "\n"


def main():
    whitespace = pre_tokenizers.Whitespace()
    digits = pre_tokenizers.Digits()
    punctuation = pre_tokenizers.Punctuation("removed")
    joins = lambda splitter, code: [p for p, _ in splitter.pre_tokenize_str("a" + chr(code))] == ["a" + chr(code)]
    sets = {
        "kPunctuation": {c for c in CODES if punctuation.pre_tokenize_str(chr(c)) == []},
        "kControl": removed_by(normalizers.BertNormalizer(**BERT | {"clean_text": True})) - {0xFFFD},
        "kNonspacing": removed_by(normalizers.BertNormalizer(**BERT | {"strip_accents": True})),
        "kMark": removed_by(normalizers.StripAccents()),
        "kNumeric": {c for c in CODES if not joins(digits, c)},
        "kWord": {c for c in CODES if joins(whitespace, c)},
    }
    text = "// Written by tests/goldens/make_unicode_classes.py.\n"
    for name, codes in sets.items():
        text += f"constexpr CodeRange {name}[] = {{\n" + lines(f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges(codes)) + "};\n"
    newer, word = [], matched_by(r"\w")
    for category in CATEGORIES:
        added = matched_by(r"\p{%s}" % category) - {c for c in CODES if unicodedata.category(chr(c)) == category}
        newer += [f'{{"{category}", {{0x{a:X}, 0x{b:X}}}}},' for a, b in ranges(added)]
        if category[0] in "LM" or category in ("Nd", "Pc"):
            word -= added | {c for c in CODES if unicodedata.category(chr(c)) == category}
    text += "constexpr NewerRange kNewer[] = {\n" + lines(newer) + "};\n"
    text += "constexpr CodeRange kOtherWord[] = {\n" + lines(f"{{0x{a:X}, 0x{b:X}}}," for a, b in ranges(word)) + "};\n"
    OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
