"""Makes characters.json: lists of characters, the tokenizer.json that nib must write for each, and the ids that Hugging Face's
tokenizers give with it. Needs tokenizers 0.23."""

import json
import pathlib

from tokenizers import Tokenizer

TEXTS = ["", "a", "ab abc bca", "Zoë, Åsa & Łukasz", "水a水", "e\u0301é", "👩\u200d🚀👩 👩\u200d", "a\r\nb\n\n", "<.>ab<.>", "a.b.", "[UNK]x[PAD]",
         "▁ a▁", "\u0000a", "</s>a<s>", "<", "abab\u0301c"]


def added(id, content, special):
    return {"id": id, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}


def template(id, token):
    special = lambda type: {"SpecialToken": {"id": token, "type_id": type}}
    sequence = lambda name, type: {"Sequence": {"id": name, "type_id": type}}
    return {"type": "TemplateProcessing", "single": [special(0), sequence("A", 0)],
            "pair": [special(0), sequence("A", 0), special(1), sequence("B", 1)],
            "special_tokens": {token: {"id": token, "ids": [id], "tokens": [token]}}}


def case(vocab, marks=(), longer=(), begin=None, unknown=None):
    tokens = sorted(list(marks) + list(longer), key=vocab.get)
    model = {"type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False, "vocab": vocab, "merges": []}
    whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [added(vocab[t], t, t in marks) for t in tokens],
             "normalizer": None, "pre_tokenizer": None, "post_processor": begin and template(vocab[begin], begin),
             "decoder": {"type": "Fuse"}, "model": model}
    tokenizer = Tokenizer.from_str(json.dumps(whole))
    return {"list": vocab, "tokenizer.json": whole, "texts": [{"text": t, "ids": tokenizer.encode(t).ids} for t in TEXTS]}


ids = lambda tokens: {t: i for i, t in enumerate(tokens)}
cases = [
    case(ids(["\n", " ", ".", "a", "b", "c", "é", "▁", "水", "👩"])),
    case({"é": 0, "a": 5, "Ł": 2, "<.>": 3, "b": 6}, marks=["<.>"], begin="<.>"),
    case(ids([".", "a", "b", "c", "é", "e"]), begin="."),
    case(ids(["[PAD]", "a", "b", "[UNK]", "👩\u200d🚀", "👩", "e\u0301", "e", "ab", "abc", "\r\n", "\n", " "]), marks=["[PAD]", "[UNK]"],
         longer=["👩\u200d🚀", "e\u0301", "ab", "abc", "\r\n"], unknown="[UNK]"),
    case(ids(["<s>", "a", "</s>", "<", "b", "ab"]), marks=["<s>", "</s>"], longer=["ab"], begin="<s>"),
]
pathlib.Path(__file__).with_name("characters.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")
