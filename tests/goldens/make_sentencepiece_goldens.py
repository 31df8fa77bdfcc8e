#!/usr/bin/env python3
"""Makes the golden files of tests/sentencepiece_test.cpp with SentencePiece (made with 0.2.3) and Hugging Face's tokenizers (0.23.3).

    python3 tests/goldens/make_sentencepiece_goldens.py    # writes sentencepiece.model and sentencepiece_cases.json beside itself

sentencepiece.model       a BPE model of 480 tokens, bytes among them, trained on the texts of make_bpe_goldens.py
sentencepiece_cases.json  what is appended to it (in hexadecimal: later fields of a protobuf message replace earlier ones or
                          add to them), and for each the ids of texts by SentencePiece and the texts that those decode to
                          (null: the text itself). `tokenizers` has the same ids for BPE by the merges made of the model
"""
import io
import json
import pathlib

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Tokenizer, decoders, models, normalizers

from make_bpe_goldens import CHINESE, CODE, ENGLISH

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "", " ", "  ", "   ", "a", " a", "a ", "  a  ", "\n", "\n\n\n", " \n \n ", "\t\ta", "   leading", "trailing   ", ENGLISH, CODE, CHINESE,
    ENGLISH.upper(), "the little girl", "hello world, hello  world,   hello    world", "0 12 345 6789 3.14159 ½", "😀 👨‍👩‍👧‍👦 ☃️",
    "naïve café Straße e\u0301 ﬁ \u00a0 \u3000x", "한국어 日本語 हिन्दी ภาษาไทย", " " * 40 + "x" + " " * 17, "=" * 50, "-=" * 20, "eeeeeeee",
    "\u2581", "a\u2581b \u2581 c", "<0x0A> <unk2>", "\x00\x01\x7f", "<td>", "a<td>b <td> c<td", "<t<td>d><td><td>",
]


def piece(text, kind):
    model = proto.ModelProto()
    model.pieces.add(piece=text, score=0.0, type=kind)
    return model.SerializeToString()


def settings(**fields):
    model = proto.ModelProto()
    for key, value in fields.items():
        setattr(model.normalizer_spec, key, value)
    return model.SerializeToString()


def merges(model):
    """Every way to put a piece together from two, the highest scores first, of these the longest left part."""
    pieces = {p.piece: p.score for p in model.pieces if p.type == 1}
    splits = [(score, len(text[:i]), len(text[i:]), text[:i], text[i:]) for text, score in pieces.items()
              for i in range(1, len(text)) if text[:i] in pieces and text[i:] in pieces]
    return [split[3:] for split in sorted(splits, key=lambda split: split[:3], reverse=True)]


def by_merges(model):
    vocabulary = {p.piece: i for i, p in enumerate(model.pieces)}
    tokenizer = Tokenizer(models.BPE(vocabulary, merges(model), unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                           decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return tokenizer


def main():
    trained = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter((ENGLISH + CODE).split("\n") * 3), model_writer=trained, vocab_size=480, model_type="bpe",
        normalization_rule_name="identity", remove_extra_whitespaces=False, byte_fallback=True, character_coverage=1.0,
        num_threads=1, minloglevel=2)
    base = proto.ModelProto.FromString(trained.getvalue())
    base.trainer_spec.Clear()  # leaves out what only concerns the training
    base.trainer_spec.model_type = 2
    base.trainer_spec.byte_fallback = True
    # Like Llama's: runs of spaces, all with the lowest score of all.
    for length in range(2, 10):
        base.pieces.add(piece="\u2581" * length, score=-1e9)
    next(p for p in base.pieces if p.piece == "\u2581").score = -1e9
    (HERE / "sentencepiece.model").write_bytes(base.SerializeToString())
    variants = {
        "as it is": b"", "no prefix": settings(add_dummy_prefix=False), "no extra spaces": settings(remove_extra_whitespaces=True),
        "a user's token": piece("<td>", 4) + settings(add_dummy_prefix=False),
        "spaces as a user's token": piece("\u2581" * 12, 4) + settings(add_dummy_prefix=False), "a mark": piece("<mark>", 3),
    }
    cases = {"texts": TEXTS, "merges": merges(base), "variants": []}
    for name, appended in variants.items():
        processor = sentencepiece.SentencePieceProcessor(model_proto=base.SerializeToString() + appended)
        ids = [processor.encode(text) for text in TEXTS]
        decoded = [processor.decode(i) for i in ids]
        cases["variants"].append({"name": name, "appended": appended.hex(), "ids": ids,
                                  "decoded": [None if d == t else d for d, t in zip(decoded, TEXTS)]})
    tokenizer = by_merges(base)
    assert [tokenizer.encode(text).ids for text in TEXTS] == cases["variants"][0]["ids"]
    (HERE / "sentencepiece_cases.json").write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
