#!/usr/bin/env python3
"""Makes the golden files of tests/unigram_test.cpp with SentencePiece (made with 0.2.3), Hugging Face's tokenizers (0.23.3) and
transformers (5.24).

    python3 tests/goldens/make_unigram_goldens.py    # writes unigram.model and unigram_cases.json beside itself

unigram.model       a unigram model of 400 pieces with a small table of characters, trained on the texts of make_bpe_goldens.py
unigram_cases.json  what is appended to it (in hexadecimal: later fields of a protobuf message replace earlier ones or add to
                    them), and for each the ids of texts by SentencePiece and the texts that those decode to (null: not compared,
                    a piece is unknown); `tokenizers`: the steps of tokenizer.json files around the same pieces, and their ids;
                    `marian`: a vocab.json of which some pieces are missing, and the ids by transformers' MarianTokenizer
"""
import io
import json
import pathlib
import tempfile

import sentencepiece
from sentencepiece import sentencepiece_model_pb2 as proto
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import MarianTokenizer

from make_bpe_goldens import CHINESE, CODE, ENGLISH

HERE = pathlib.Path(__file__).parent
TEXTS = [
    "", " ", "   ", "a", " a ", "  a  b  ", "\n", "\t\ta", "trailing   ", ENGLISH, CODE, CHINESE, ENGLISH.upper(), "the little girl",
    "hello world, hello  world,   hello    world", "0 12 345 6789 3.14159 ½", "😀 👨‍👩‍👧‍👦 ☃️", "naïve café e\u0301 ﬁ ﬁ\u0301x \u00a0 \u3000x",
    "ＡＢＣ　ｆｕｌｌ", "A\u0301 \x01\x01 a\x01b", "한국어 日本語 हिन्दी ภาษาไทย", "بِسْمِ ٱللَّٰهِ", "\u200bzero\u200d width", "eeeeeeee" * 40, "\u2581", "a\u2581b \u2581 c",
    "<0x0A> x", "\x00\x7f", "<td>", "a<td>b <td> c<td", "a\r\nb", "Ω≠∞ ☃☃☃",
]
RULES = {"\u3000": " ", "\t": " ", "\n": " ", "\r": " ", "\u00a0": " ", "\u200b": " ", "\x01": "", "ﬁ": "fi", "½": "1/2", "e\u0301": "é", "a\u0301": "á",
         **{chr(0xFF01 + i): chr(0x21 + i) for i in range(94)}}


def piece(text, kind):
    model = proto.ModelProto()
    model.pieces.add(piece=text, score=0.0, type=kind)
    return model.SerializeToString()


def settings(suffix=None, kind=None, **fields):
    model = proto.ModelProto()
    if kind is not None:
        model.trainer_spec.model_type = kind
    for key, value in fields.items():
        setattr(model.normalizer_spec, key, value)
    if suffix is not None:
        model.trainer_spec.treat_whitespace_as_suffix = suffix
    return model.SerializeToString()


def train():
    trained = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", encoding="utf-8") as rules:
        for source, target in RULES.items():
            rules.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
        rules.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter((ENGLISH + CODE).split("\n") * 3), model_writer=trained, vocab_size=400, model_type="unigram",
            normalization_rule_tsv=rules.name, hard_vocab_limit=False, character_coverage=1.0, num_threads=1, minloglevel=2)
    base = proto.ModelProto.FromString(trained.getvalue())
    base.trainer_spec.Clear()  # leaves out what only concerns the training
    base.trainer_spec.model_type = 1
    base.normalizer_spec.name = ""
    base.normalizer_spec.normalization_rule_tsv = ""
    return base


def by_sentencepiece(base):
    variants = {
        "as it is": b"", "no prefix": settings(add_dummy_prefix=False), "all spaces": settings(remove_extra_whitespaces=False),
        "spaces stay": settings(escape_whitespaces=False), "suffix": settings(suffix=True), "characters stay": settings(precompiled_charsmap=b""),
        "a user's token": piece("<td>", 4), "a user's token and spaces": piece("<td>", 4) + piece("\u2581" * 2, 4) + settings(remove_extra_whitespaces=False),
        "an unused token": piece("the", 5), "BPE": settings(kind=2), "BPE with a suffix": settings(kind=2, suffix=True), "bytes": b"".join(piece(f"<0x{byte:02X}>", 6) for byte in range(256)),
    }
    for name, appended in variants.items():
        if name == "bytes":
            model = proto.ModelProto()
            model.trainer_spec.byte_fallback = True
            appended += model.SerializeToString()
        processor = sentencepiece.SentencePieceProcessor(model_proto=base.SerializeToString() + appended)
        ids = [processor.encode(text) for text in TEXTS]
        decoded = [None if processor.unk_id() in i else processor.decode(i) for i in ids]
        yield {"name": name, "appended": appended.hex(), "ids": ids, "decoded": decoded}


def by_tokenizers(base):
    vocabulary = [(p.piece, p.score) for p in base.pieces]
    table = normalizers.Precompiled(base.normalizer_spec.precompiled_charsmap)
    spaces = [normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "\u2581")]
    for name, steps in {"old": [table, normalizers.Replace(Regex(" {2,}"), " ")], "new": [table, *spaces], "table": [table]}.items():
        tokenizer = Tokenizer(models.Unigram(vocabulary, 0, False))
        tokenizer.normalizer = normalizers.Sequence(steps)
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first" if name == "new" else "always")
        tokenizer.decoder = decoders.Metaspace()
        tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
        whole = json.loads(tokenizer.to_str())
        ids = [tokenizer.encode(text).ids for text in TEXTS]
        yield {"name": name, "normalizer": whole["normalizer"], "pre_tokenizer": whole["pre_tokenizer"], "decoder": whole["decoder"],
               "vocab": whole["model"]["vocab"], "ids": ids, "decoded": [tokenizer.decode(i, skip_special_tokens=False) for i in ids]}


def by_marian(base):
    pieces = [p.piece for i, p in enumerate(base.pieces) if p.type == 1 and i % 7 != 3]
    vocabulary = {text: i for i, text in enumerate(["</s>", "<unk>", ">>zh<<", *pieces, "☃", "国", "<pad>"])}
    texts = [*TEXTS, ">>zh<< the girl", ">>zh<<the", "the </s> girl<unk>"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for side in ("source.spm", "target.spm"):
            (folder / side).write_bytes(base.SerializeToString())
        (folder / "vocab.json").write_text(json.dumps(vocabulary))
        (folder / "tokenizer_config.json").write_text("{}")
        tokenizer = MarianTokenizer.from_pretrained(folder)
        return {"vocab": vocabulary, "texts": texts, "ids": [tokenizer(text, add_special_tokens=False).input_ids for text in texts]}


def main():
    base = train()
    (HERE / "unigram.model").write_bytes(base.SerializeToString())
    tokenizers = list(by_tokenizers(base))
    vocabularies = [case.pop("vocab") for case in tokenizers]
    assert all(vocabulary == vocabularies[0] for vocabulary in vocabularies)
    cases = {"texts": TEXTS, "variants": list(by_sentencepiece(base)), "vocab": vocabularies[0], "tokenizers": tokenizers, "marian": by_marian(base)}
    (HERE / "unigram_cases.json").write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
