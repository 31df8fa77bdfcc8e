#!/usr/bin/env python3
"""Makes chat_cases.json, the golden file of chat templates and their tokens, with transformers (made with 5.24.0).

    python3 tests/goldens/make_chat_goldens.py [SMOLLM2.gguf]

chat_templates.json, beside it, has the Jinja of models, the tokens that begin and end texts there, and nib's name for it (null:
nib refuses it). For each, "texts" has what dialogues become: [template, roles, set of texts, generation prompt, text or null if
it raises an exception], with TODAY for the day. "tokens" has [tokenizer, template, messages, ids, which of them the answers are]:
tokenizer is "bpe" (bpe_tokenizer.json with two marks), "spm" (sentencepiece.model, needs sentencepiece; written as
chat_tokenizer.json), "legacy" (the same with a space before each part of a text, as Llama 2's is) or, if it is given, "smollm2";
those of the last are left as they are in the file otherwise.
"""
import datetime
import json
import pathlib
import shutil
import sys
import tempfile

from tokenizers import AddedToken, Tokenizer, pre_tokenizers
from transformers import AutoTokenizer, LlamaTokenizer, PreTrainedTokenizerFast
from transformers.utils.chat_template_utils import render_jinja_template

HERE = pathlib.Path(__file__).parent
ROLES = {"s": "system", "u": "user", "a": "assistant"}
DIALOGUES = ["u", "ua", "uau", "uaua", "uauaua", "su", "sua", "suau", "suaua", "uu", "uaa", "a", "au"]
SETS = [["How are you?", "Fine, thanks.\n\n- and you?", "So so"],
        ["  two\n\n", "\u3000三 \t", " {{ four }}\n{% five %}'\"\\n", "six <<SYS>> seven"]]
DAY = datetime.datetime.now().strftime("%d %b %Y")

# With {% generation %} where the template's answers are.
CHATML = ("{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a "
          "helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] "
          "+ '\n' }}{% if message['role'] == 'assistant' %}{% generation %}{{ message['content'] + '<|im_end|>' + '\n' }}"
          "{% endgeneration %}{% else %}{{ message['content'] + '<|im_end|>' + '\n' }}{% endif %}{% endfor %}"
          "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
LLAMA2 = ("{% if messages[0]['role'] == 'system' %}{% set talk = messages[1:] %}{% set system_message = messages[0]['content'] %}"
          "{% else %}{% set talk = messages %}{% set system_message = false %}{% endif %}{% for message in talk %}"
          "{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' "
          "+ message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}"
          "{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% else %}{% generation %}{{ ' ' + content.strip() + ' ' + "
          "eos_token }}{% endgeneration %}{% endif %}{% endfor %}")
ZEPHYR = ("{% for message in messages %}\n{% if message['role'] == 'user' %}\n{{ '<|user|>\n' + message['content'] + eos_token }}\n"
          "{% elif message['role'] == 'system' %}\n{{ '<|system|>\n' + message['content'] + eos_token }}\n"
          "{% elif message['role'] == 'assistant' %}\n{{ '<|assistant|>\n' }}{% generation %}{{ message['content'] + eos_token + "
          "'\n' }}{% endgeneration %}{% endif %}\n{% if loop.last and add_generation_prompt %}\n{{ '<|assistant|>' }}\n{% endif %}\n"
          "{% endfor %}")
TALKS = [
    [("u", "Hello!"), ("a", "Hello, how are you?")],
    [("s", "You are short."), ("u", "The quick brown fox"), ("a", "jumps over the lazy dog. "), ("u", " And\nthen?\n"), ("a", "你好，世界！😀")],
    [("u", "for (int i = 0; i < 10; ++i) {\n\n2021: x();\n}"), ("a", "  def f(x):\n    return x\n"), ("u", "e\u0301\u3000|im_end|>"),
     ("a", "once upon a time"), ("u", "there was"), ("a", "a little girl who lived in a village near the forest")],
]


def messages_of(pairs):
    return [{"role": ROLES[role], "content": text} for role, text in pairs]


def texts():
    for name, template in json.loads((HERE / "chat_templates.json").read_text()).items():
        tokens = {key: template[field] for key, field in (("bos_token", "begin"), ("eos_token", "end")) if template[field]}
        if template["template"] is None:
            continue
        for roles in DIALOGUES:
            for number, contents in enumerate(SETS):
                messages = messages_of([(role, contents[i % len(contents)]) for i, role in enumerate(roles)])
                for prompt in (False, True):
                    try:
                        text = render_jinja_template([messages], chat_template=template["jinja"], add_generation_prompt=prompt,
                                                     **tokens)[0][0].replace(DAY, "TODAY")
                    except Exception as error:
                        assert "must alternate" in str(error) or "roles are supported" in str(error), error
                        text = None
                    yield [name, roles, number, prompt, text]


def tokens(name, tokenizer, templates):
    for template, jinja in templates.items():
        for talk in TALKS:
            messages = messages_of(talk)
            out = tokenizer.apply_chat_template(messages, chat_template=jinja, tokenize=True, return_dict=True,
                                                return_assistant_tokens_mask=True)
            yield [name, template, messages, list(out["input_ids"]), list(out["assistant_masks"])]


def bpe():
    tokenizer = Tokenizer.from_file(str(HERE / "bpe_tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def spm():
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(HERE / "sentencepiece.model", pathlib.Path(folder) / "tokenizer.model")
        tokenizer = LlamaTokenizer.from_pretrained(folder)
    text = tokenizer._tokenizer.to_str()
    (HERE / "chat_tokenizer.json").write_text(text)
    legacy = json.loads(text)
    legacy["pre_tokenizer"] = None
    legacy["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Prepend", "prepend": "\u2581"}, {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]}
    legacy = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(legacy)), bos_token="<s>", eos_token="</s>")
    return tokenizer, legacy


def main():
    path = HERE / "chat_cases.json"
    cases = list(tokens("bpe", bpe(), {"SmolLM2": CHATML, "Llama 2": LLAMA2, "TinyLlama": ZEPHYR}))
    for name, tokenizer in zip(("spm", "legacy"), spm()):
        cases += tokens(name, tokenizer, {"Llama 2": LLAMA2, "TinyLlama": ZEPHYR})
    if len(sys.argv) > 1:
        file = pathlib.Path(sys.argv[1])
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
        digits = pre_tokenizers.Digits(individual_digits=True)  # transformers does not read that from the file
        tokenizer._tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
        cases += tokens("smollm2", tokenizer, {"SmolLM2": CHATML})
    elif path.exists():
        cases += [case for case in json.loads(path.read_text())["tokens"] if case[0] == "smollm2"]
    lines = lambda rows: "[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]"
    path.write_text(f'{{"texts": {lines(texts())},\n"tokens": {lines(cases)}}}\n')


if __name__ == "__main__":
    main()
