#!/usr/bin/env python3
"""Makes the golden file of tests/bpe_trainer_test.cpp with Hugging Face's tokenizers (made with 0.23.3).

    python3 tests/goldens/make_training_goldens.py    # writes training_cases.json beside itself

training_cases.json  texts, options of training byte-level BPE, and the merges, each with a space between its two tokens. A
                     pair that was merged twice counts where it was merged last, as in the files that tokenizers writes.
"""
import json
import pathlib
import random

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from make_bpe_goldens import CHINESE, CODE, ENGLISH, GPT2, LLAMA3

HERE = pathlib.Path(__file__).parent


def mixed(seed, alphabet, parts, length):
    choose = random.Random(seed)
    return " ".join("".join(choose.choice(alphabet) for _ in range(choose.randint(1, length))) for _ in range(parts))


TEXTS = {
    "prose": [ENGLISH * 2, CODE, CHINESE],
    "runs": [mixed(1, "a", 40, 40), mixed(2, "=-", 40, 30), mixed(3, " \n", 20, 12), mixed(4, "aab", 60, 30)],  # one token, two ways
    "odd": [mixed(5, "\t\x00\x01é\u200b😀", 50, 20), mixed(6, "\u3000\r\n我你。", 50, 20), mixed(7, "it's 'LL 12345", 50, 30)],
}
CASES = [
    ("prose", GPT2, 400, 1, None, []),
    ("prose", LLAMA3, 400, 2, None, ["<|endoftext|>", "<pad>"]),
    ("prose", GPT2, 400, 2, 5, []),
    ("prose", GPT2, 1000, 4, None, []),
    ("runs", GPT2, 420, 1, None, []),
    ("runs", LLAMA3, 420, 1, 8, []),
    ("odd", GPT2, 350, 2, None, []),
    ("odd", LLAMA3, 350, 2, None, []),
]


def train(text, pattern, size, least, longest, specials):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=least, max_token_length=longest, special_tokens=specials,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(TEXTS[text], trainer)
    merges = [" ".join(merge) for merge in json.loads(tokenizer.to_str())["model"]["merges"]]
    return {"text": text, "split": "gpt2" if pattern == GPT2 else "llama3", "size": size, "min_frequency": least,
            "max_token_length": longest or 0, "specials": specials, "merges": merges}


golden = {"texts": TEXTS, "cases": [train(*case) for case in CASES]}
(HERE / "training_cases.json").write_text(json.dumps(golden, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
