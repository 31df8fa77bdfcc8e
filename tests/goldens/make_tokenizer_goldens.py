"""Golden ids of every option that nib knows of Hugging Face's tokenizers, alone and together.

Made with tokenizers 0.23: usage: make_tokenizer_goldens.py. Writes beside itself tokenizer_cases.json:
    {"texts": [...], "bases": {name: a tokenizer.json},
     "variants": [{"name", "base", "patch", "ids": [ids of each text], "decoded": [text of those ids]}]}
A variant is its base, changed by a JSON merge patch (RFC 7396). null stands for the ids or text of the base, itself the first
variant of its name.
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from make_bpe_goldens import CHINESE, CODE, ENGLISH, LLAMA3, patch

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "", " ", "  ", "a", " a", "a ", "The quick brown fox jumps over the lazy dog.", "  The  little   girl ", "\tThe\n\nfox\r\n lived",
    "It's what they'd said: \"we'll see\", aren't they? do not.", "In 1905 Einstein's 3rd paper -- $12.50 + 7% ~ x^2 = <y> | `z` #1 @a_b",
    "cafe\u0301 Café CAFÉ naïve Ångstro\u0308m Œuvre ﬁne ﬀ ſ ß ẞ ŉ ǅ", "İstanbul ıI i\u0307 ΣΑΣ ΌΔΟΣ ς σ", "1½ ² Ⅷ ٣٤٥ ४५ ①② 𝟙𝟚 12\u0660 10\u00b2",
    "你好，世界！红楼梦a开卷第一回也。𠀀㐀豈", "한국어 텍스트 \u1112\u1161\u11ab \u1100\u1161", "日本語のﾃｷｽﾄ、カタカナ ㍿ ㌀ ﷺ", "हिन्दी में ภาษาไทย שָׁלוֹם مرحبا",
    "😀 👨‍👩‍👧‍👦 👍🏽 🇩🇪 ☃️ #️⃣", "a\u0301\u0316b q\u0307\u0323 \u0323\u0307q s\u0323\u0307 \u0344 \u0f73\u0f71 \u212b \u2126 \u1e9b\u0323",
    "\u00a0x\u2003y\u3000z\u2028w\u200bv\ufeffu\u0085t\u180es\u00ads", "\x00\x01\x08\x0b\x0c\x1b\x7f\x80\x9f\ufffd\ue000\U000f0000 a", "\u200d\u200c\u2060 a\u200db", "\U00010d50\U0001e5d0\u1c89\ua7cb \U00016d40\u0898\u1ac1 \U00011938 \U00010781\U0001e04a\U000105d2\u0307\U00011935\U00011930 ㋿ \u061d\u2e52 \U00011de0",
    "<mask>", "the <mask> river", "the  <mask>  river", "a<mask>b", "x <lone> y <lone>z w<lone> <lone>", "ab abc abcd xab ab_ ab1 ab. (ab) ab é ab\u0301",
    "<s>The</s> <pad> [tool]x[TOOL]", "<mask><mask> <mask>\n<mask>", "<MASK> ＜mask＞ [ＴＯＯＬ]", "Caf\u00e9! caf\u00e9", "-a--b---c- ,,x,, ",
    "▁a ▁▁b a▁", "The_little-girl/wore.a:red", "un\u0300aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "mmmm nnn  oooo\u3000pp", "x\u0302\u0302\u0302y zé\u00e9z ÅÅ",
    "\u05d0\u05b7\u05bc \u0649\u0670\u0655 \u0e33 \ud7a3 \uac01 \u1111\u1171\u11b6", "'s 'S don\u2019t “quoted” – — … · ¿¡ § ¶", "a|b||c|", "aaa bbb\u0009ccc", "0x1F 1e-5 1,000,000.00 １２３",
    "The fox.The fox", ". , ! ? ' n't 's", "\u0130\u0049\u0307 \u01c4\u01c5 \u1fbc \u2160\u24b6 \u10a0\u13a0", "e\u0328\u0301 \u0301\u0328e \u1ea4 \U0001d15e \U0002f800",
]


def byte_level():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, CODE, CHINESE] * 3, trainer)
    return tokenizer


def characters():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fallback = ["<0x%02X>" % byte for byte in [0xC3, 0xA9, 0xE4, 0xBD, 0xA0, 0x20, 0x40, 0xCC, 0x81]]
    trainer = trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"] + fallback, show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, "café naïve été ▁"] * 3, trainer)
    return tokenizer


def decorated():
    """With a prefix and a suffix in its vocabulary."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    trainer = trainers.BpeTrainer(vocab_size=260, special_tokens=["<unk>"], continuing_subword_prefix="##", end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator([ENGLISH.lower()] * 3, trainer)
    return tokenizer


def gpt1():
    """As transformers' fast tokenizer of GPT-1."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.BPEDecoder("</w>")
    trainer = trainers.BpeTrainer(vocab_size=360, special_tokens=["<unk>"], end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator([ENGLISH.lower(), "cafe naive angstrom 1 2 3 4 5 $ . , ! ? ' \" - ( ) 你 好 世 界 α σ ß"] * 3, trainer)
    return tokenizer


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, CHINESE, "café é α σ ς ss ß 1 2 3 4 5 $ . ! ï İ i̇ ı 한 한국 ｱ ア"] * 3, trainer)
    return tokenizer


def wordlevel():
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=150, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, "a b c ab 12 é 你好 mmmm nnn \u00bd"] * 3, trainer)
    return tokenizer


def added(content, **options):
    return lambda t: t.add_tokens([AddedToken(content, **{"normalized": False, **options})])


def set_to(**parts):
    def change(t):
        for name, part in parts.items():
            setattr(t, name, part)
    return change


def model(**options):
    """Changes the model's section, which cannot be reached from Python in full."""
    def change(t):
        whole = json.loads(t.to_str())
        whole["model"].update(options)
        return Tokenizer.from_str(json.dumps(whole))
    return change


def variants():
    n, p, d = normalizers, pre_tokenizers, decoders
    byte = lambda *steps, **options: p.Sequence([*steps, p.ByteLevel(add_prefix_space=False, **options)])
    behaviors = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    special = dict(special=True)
    cases = {"byte": [
        *[(f"added {o}", [added("<mask>", **special, **{o: True}), added("<lone>", **{o: True}), added("ab", **{o: True}), added("é", **{o: True})]) for o in ["lstrip", "rstrip", "single_word"]],
        ("added all", [added("<mask>", lstrip=True, rstrip=True, **special), added("ab", single_word=True, lstrip=True), added("abc"), added("[tool]", normalized=True), added(" ", rstrip=True, lstrip=True)]),
        ("added spaces", [added(" ", rstrip=True), added("<mask>", rstrip=True, lstrip=True), added("\n", lstrip=True)]),
        ("added normalized", [set_to(normalizer=n.Sequence([n.NFKC(), n.Lowercase()])), added("[TOOL]", normalized=True), added("<MASK>"), added("Café", normalized=True, single_word=True)]),
        ("added normalized nfd", [set_to(normalizer=n.NFD()), added("Café", normalized=True), added("é", normalized=True, lstrip=True)]),
        *[(f.lower(), [set_to(normalizer=getattr(n, f)())]) for f in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Nmt", "ByteLevel", "BertNormalizer"]],
        ("strip accents", [set_to(normalizer=n.Sequence([n.NFKD(), n.StripAccents(), n.Lowercase(), n.Strip()]))]),
        ("strip left", [set_to(normalizer=n.Strip(right=False))]), ("strip right", [set_to(normalizer=n.Strip(left=False))]),
        ("replace", [set_to(normalizer=n.Sequence([n.Replace("the", "THE "), n.Replace(Regex(r"\s{2,}|[^\p{L}\p{N}\s]"), " "), n.Replace(Regex("x+"), "--")]))]),
        ("prepend", [set_to(normalizer=n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]))]),
        ("digits", [set_to(pre_tokenizer=byte(p.Digits(True)))]), ("digit groups", [set_to(pre_tokenizer=byte(p.Digits()))]),
        ("prefix space after digits", [set_to(pre_tokenizer=p.Sequence([p.Digits(True), p.ByteLevel(add_prefix_space=True)]))]),
        ("no regex", [set_to(pre_tokenizer=p.ByteLevel(False, use_regex=False))]), ("no regex, prefix space", [set_to(pre_tokenizer=p.ByteLevel(True, use_regex=False))]),
        ("digits after bytes", [set_to(pre_tokenizer=p.Sequence([p.ByteLevel(False), p.Digits(True)]))]),
        *[(f"punctuation {b}", [set_to(pre_tokenizer=byte(p.Punctuation(b), use_regex=False))]) for b in behaviors],
        *[(f"split {b}{' inverted' * i}", [set_to(pre_tokenizer=byte(p.Split(Regex(r"\p{Lu}|\d+|[,.]{2}"), b, i), use_regex=False))]) for b in behaviors for i in (False, True)],
        *[(f"split string {b}", [set_to(pre_tokenizer=byte(p.Split("a", b), use_regex=False))]) for b in behaviors],
        *[(f"split nothing {b}", [set_to(pre_tokenizer=byte(p.Split(Regex("x*|b"), b), use_regex=False))]) for b in behaviors],
        *[(f"regex {i}", [set_to(pre_tokenizer=byte(p.Split(Regex(r), "isolated"), use_regex=False))]) for i, r in enumerate([
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
            r"\w+|[^\w\s]+", r"\b|\d", r"^.", r".$", r"(?m).+", r"[\S]+\h", r"(?<=\p{P})(?=\p{L})", r"\p{Han}|\p{^L}+|\P{N}", r"\u0061|\x62|[[:space:]]|[^a-z\]]",
            r"(?i)the|FOX", r"\W\B", r"[\p{S}\p{Pd}]|\p{Cf}|\p{Z}", r"(a|b)\1", r"(?<n>[a-m])\k<n>|(?>x+)"])],
        ("bert pieces", [set_to(pre_tokenizer=byte(p.BertPreTokenizer(), use_regex=False))]),
        ("whitespace", [set_to(pre_tokenizer=byte(p.Whitespace(), use_regex=False))]), ("whitespace split", [set_to(pre_tokenizer=byte(p.WhitespaceSplit()))]),
        ("delimiter", [set_to(pre_tokenizer=byte(p.CharDelimiterSplit("-"), p.CharDelimiterSplit("é")))]), ("fixed length", [set_to(pre_tokenizer=byte(p.FixedLength(3), use_regex=False))]),
        ("metaspace and bytes", [set_to(pre_tokenizer=byte(p.Metaspace(prepend_scheme="first"), use_regex=False))]),
        ("all together", [set_to(normalizer=n.Sequence([n.NFC(), n.Lowercase()]), pre_tokenizer=byte(p.Split(Regex(LLAMA3), "isolated"), p.Digits(True), p.Punctuation())), model(ignore_merges=True), added("<mask>", lstrip=True, **special)]),
    ], "characters": [
        ("fuse unk", [model(fuse_unk=True)]), ("no unk", [model(unk_token=None)]), ("byte fallback", [model(byte_fallback=True)]),
        ("byte fallback, fuse unk", [model(byte_fallback=True, fuse_unk=True)]), ("ignore merges", [model(ignore_merges=True)]),
        ("no pre-tokenizer", [set_to(pre_tokenizer=None)]), ("no pre-tokenizer, fuse unk", [set_to(pre_tokenizer=None), model(fuse_unk=True)]),
        *[(f"metaspace {s} {i}", [set_to(pre_tokenizer=p.Metaspace(prepend_scheme=s, split=i), decoder=d.Metaspace(prepend_scheme=s, split=i)), added("<mask>"), added("<lone>", lstrip=True)]) for s in ["always", "first", "never"] for i in (True, False)],
        ("underscore", [set_to(pre_tokenizer=p.Metaspace("_"), decoder=d.Metaspace("_"))]),
        ("llama", [set_to(normalizer=n.Sequence([n.Prepend("▁"), n.Replace(" ", "▁")]), pre_tokenizer=None, decoder=d.Sequence([d.Replace("▁", " "), d.ByteFallback(), d.Fuse(), d.Strip(" ", 1, 0)])), model(byte_fallback=True, fuse_unk=True), added("<mask>")]),
        ("wordpiece decoder", [set_to(decoder=d.WordPiece("a", False))]), ("fuse", [set_to(decoder=d.Fuse())]), ("strip", [set_to(decoder=d.Sequence([d.Strip("t", 1, 0), d.Replace(Regex("[aeiou]"), "*")]))]),
        ("bytes spelled", [set_to(normalizer=n.ByteLevel(), pre_tokenizer=None, decoder=d.ByteLevel())]),
        ("added in words", [set_to(pre_tokenizer=p.WhitespaceSplit()), added("ab", single_word=True), added("zq", single_word=True), added("qu", normalized=True)]),
    ], "decorated": [
        ("lower", [set_to(normalizer=n.BertNormalizer())]), ("whitespace", [set_to(pre_tokenizer=p.WhitespaceSplit()), model(fuse_unk=True)]), ("ignore merges", [model(ignore_merges=True)]),
        ("with bytes", [set_to(pre_tokenizer=p.ByteLevel(False))]),
    ], "gpt1": [
        ("fuse unk", [model(fuse_unk=True)]), ("no unk", [model(unk_token=None)]),
        ("added", [added("<mask>", special=True), added("</w>"), added("ab", single_word=True, normalized=True)]),
    ], "wordpiece": [
        *[(f"bert {c}{h}{s}{l}", [set_to(normalizer=n.BertNormalizer(bool(c), bool(h), s, bool(l)))]) for c in (0, 1) for h in (0, 1) for s in (None, False, True) for l in (0, 1)],
        ("no normalizer", [set_to(normalizer=None)]), ("short words", [model(max_input_chars_per_word=4)]), ("long words", [model(max_input_chars_per_word=1 << 40)]), ("other prefix", [model(continuing_subword_prefix="")]),
        ("template", [set_to(post_processor=processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]))]),
        ("no cleanup", [set_to(decoder=d.WordPiece(cleanup=False))]), ("whitespace", [set_to(pre_tokenizer=p.Whitespace())]), ("no pre-tokenizer", [set_to(pre_tokenizer=None)]),
        ("with bytes", [set_to(pre_tokenizer=p.ByteLevel(False), decoder=None)]), ("added", [added("ab", single_word=True), added("<mask>", lstrip=True), added("##x"), added("Cafe", normalized=True)]),
    ], "wordlevel": [
        ("lower", [set_to(normalizer=n.Lowercase())]), ("digits", [set_to(pre_tokenizer=p.Sequence([p.WhitespaceSplit(), p.Digits(True), p.Punctuation()]))]), ("no pre-tokenizer", [set_to(pre_tokenizer=None)]),
        ("added", [added("ab", rstrip=True), added("<mask>", lstrip=True)]),
    ]}
    bases = {"byte": byte_level(), "characters": characters(), "decorated": decorated(), "gpt1": gpt1(), "wordpiece": wordpiece(), "wordlevel": wordlevel()}
    return bases, cases


def main():
    bases, cases = variants()
    result = {"texts": TEXTS, "bases": {}, "variants": []}
    for name, base in bases.items():
        plain = json.loads(base.to_str())
        result["bases"][name] = plain
        first = None
        for title, changes in [("plain", []), *cases[name]]:
            tokenizer = Tokenizer.from_str(base.to_str())
            for change in changes:
                changed = change(tokenizer)
                tokenizer = changed if isinstance(changed, Tokenizer) else tokenizer
            ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
            decoded = [tokenizer.decode(i, skip_special_tokens=False) for i in ids]
            if first is None:
                first = (ids, decoded)
                shown = ids, decoded
            else:
                shown = [[None if new == old else new for new, old in zip(a, b)] for a, b in zip((ids, decoded), first)]
            result["variants"].append({"name": f"{name}: {title}", "base": name, "patch": patch(plain, json.loads(tokenizer.to_str())),
                                       "ids": shown[0], "decoded": shown[1]})
    (HERE / "tokenizer_cases.json").write_text(json.dumps(result, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
