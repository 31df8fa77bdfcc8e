#!/usr/bin/env python3
"""Makes the golden files of tests/bpe_test.cpp with Hugging Face's tokenizers (made with 0.23.3).

    python3 tests/goldens/make_bpe_goldens.py    # writes bpe_tokenizer.json, bpe_cases.json and bpe_classes.json beside itself

bpe_tokenizer.json  a byte-level BPE tokenizer of 600 tokens, trained on the texts below
bpe_cases.json      changes to it (JSON merge patches), and for each the ids of texts (null where the change changes none)
bpe_classes.json    what every character is to the regular expressions: [first, class, first, class, ...], each up to the
                    next; classes are "L" (\\p{L}), "N" (\\p{N}), "S" (\\s) and "" (none of them)
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).parent
ENGLISH = ("The quick brown fox jumps over the lazy dog. It's what they'd said: \"we'll see, I'm sure you've been there\", and "
           "they're right, aren't they? In 1905 Einstein's papers -- four of them -- changed physics; the 3rd one won him the "
           "prize.\n\nOnce upon a time there was a little girl who lived in a village near the forest. Whenever she went "
           "out, the little girl wore a red riding cloak, so everyone in the village called her Little Red Riding Hood.\n")
CODE = ("#include <vector>\n\nint main(int argc, char** argv) {\n    std::vector<int> values = {1, 2, 3};\n"
        "    for (int i = 0; i < 10; ++i) {\n\tvalues.push_back(i * 2);\r\n    }\n    return values.size() == 13 ? 0 : 1;\n}\n"
        "def f(x):\n    if x is None:\n        return [y for y in range(100000)]\n    return {'a': 1.5e-10, \"b\": x['c']}\n")
CHINESE = "红楼梦开卷第一回也。作者自云：因曾历过一番梦幻之后，故将真事隐去，而借通灵之说，撰此《石头记》一书也。你好，世界！"
TEXTS = [
    "", " ", "  ", "a", " a", "a ", "  a  ", "\n", "\n\n\n", " \n \n ", "\t\ta", "a\r\nb\r\n\r\nc", "   leading", "trailing   ",
    ENGLISH, CODE, CHINESE, ENGLISH.upper(), CODE.replace("    ", "\t"), "hello world, hello  world,   hello    world",
    "'s 't 're 've 'm 'll 'd 'S 'T 'RE 'VE 'M 'LL 'D ''s '' ' 'sa s's 'ſ 'ſa can't CAN'T I'LL'VE 'l 'r 'v",
    "0 12 345 6789 1234567 3.14159 1,000,000 ½ ² Ⅷ ٣٤٥ ४५ 1a2b3c " + "1234567890" * 30,
    "😀 👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 a👍b 🇩🇪🇫🇷 ☃️ #️⃣", "مرحبا بالعالم، كيف حالك؟ ١٢٣", "שָׁלוֹם עוֹלָם", "e\u0301 n\u0303 a\u0308o\u0308u\u0308 \u0301x Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A",
    "हिन्दी में लिखा हुआ", "ภาษาไทย", "한국어 텍스트입니다", "日本語のテキスト、カタカナとひらがな", "Ελληνικά κείμενα", "Привет, мир! Ещё раз.",
    "naïve café Straße Œuvre ÀÉÎÕÜ ŉ ﬀ ǅ", " \u00a0 \u2003x\u3000y\u2028z\u180ew\u200bv\ufeffu\u0085t", "\x00\x01\x7f\x1b[0m", "\u0378\ue000\ufffe\U000e0001\U0010ffff",
    "\U0001e5d0\U00011bc0 \u1c89 \U00010d4a\U00016d40 \U000116d0\U0001ccf0 \U0002ebf0 \U00031350",  # new in Unicode 15 and 16
    " " * 100, " " * 100 + "x", "\n" * 100, "a" * 200, "ab" * 150, "!" * 100 + "?" * 100, "é" * 100, "你" * 100, "-=" * 60, "\u3000" * 70,
    "<s>", "a<s>b", "a <s> b", "<s><s></s>", "<<s>>", "<s", "</s>\n<s>", "<pad><pad>", "[tool]x[tool_call]y[tool", "xx[tool_]", "<s> [tool] </s>",
    "ab[tool_call]", "éa", "Ġthe", "<s>[tool]<pad>", "http://example.com/a?b=c&d=%20#e", "C:\\path\\to\\file.txt", "a_b-c.d,e;f:g!h?i",
]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)"
          r"|\s+")
QWEN2 = LLAMA3.replace("{1,3}", "")


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  special_tokens=["<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator([ENGLISH, CODE, CHINESE] * 3, trainer)
    tokenizer.add_tokens([AddedToken("[tool]", normalized=True), AddedToken("[tool_call]", normalized=True),
                          AddedToken("<pad>", special=True, normalized=False), AddedToken("ab[", special=True, normalized=False)])
    return tokenizer


def split_by(regex):
    first = pre_tokenizers.Split(Regex(regex), "isolated")
    return pre_tokenizers.Sequence([first, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def variants(base):
    def variant(change):
        tokenizer = Tokenizer.from_str(base.to_str())
        change(tokenizer)
        return tokenizer

    def llama3(tokenizer):
        tokenizer.pre_tokenizer = split_by(LLAMA3)
        tokenizer.model.ignore_merges = True
        tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])

    yield "gpt2", base
    yield "gpt2 by split", variant(lambda t: setattr(t, "pre_tokenizer", split_by(GPT2)))
    yield "prefix space", variant(lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.ByteLevel(add_prefix_space=True)))
    yield "llama3", variant(llama3)
    yield "qwen2", variant(lambda t: setattr(t, "pre_tokenizer", split_by(QWEN2)))


def patch(old, new):
    """What turns one JSON object into another, as a JSON merge patch (RFC 7396)."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    changes = {k: patch(old.get(k), v) for k, v in new.items() if old.get(k) != v}
    return changes | {k: None for k in old if k not in new}


def character_classes():
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    joins = lambda text: len(split.pre_tokenize_str(text)) == 1
    runs, last = [], None
    for code in range(0x110000):
        c = chr(code) if not 0xD800 <= code <= 0xDFFF else "!"
        kind = "L" if joins("a" + c) else "N" if joins("1" + c) else "" if joins("!" + c) else "S"
        if kind != last:
            runs += [code, kind]
        last = kind
    return runs


def main():
    base = train()
    write = lambda name, data: (HERE / name).write_text(json.dumps(data, separators=(",", ":")) + "\n")
    plain = json.loads(base.to_str())
    write("bpe_tokenizer.json", plain)
    ids_of = lambda tokenizer: [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    plain_ids = ids_of(base)
    cases = []
    for name, tokenizer in variants(base):
        ids = [None if name != "gpt2" and new == old else new for new, old in zip(ids_of(tokenizer), plain_ids)]
        cases.append({"name": name, "patch": patch(plain, json.loads(tokenizer.to_str())), "ids": ids})
    write("bpe_cases.json", {"texts": TEXTS, "variants": cases})
    write("bpe_classes.json", character_classes())


if __name__ == "__main__":
    main()
