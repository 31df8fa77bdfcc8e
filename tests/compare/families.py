"""The models that are compared: a row for each thing in which the families of nib's architecture table differ.

A new family, or something that one lets vary, is a row here. transformers makes the model, so whatever it has a class for can
be one.
"""
import json
import pathlib
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from importlib.util import module_from_spec, spec_from_file_location
from io import StringIO

import torch
import transformers


@dataclass
class Family:
    name: str
    arch: str  # in nib's table
    like: str  # the family of hf_family.py whose sizes and tokenizer it has
    model: str = ""  # transformers' class without ForCausalLM or the like, where it is another one
    changes: dict = field(default_factory=dict)  # of config.json
    llamacpp: bool = True  # whether it computes this as well
    encoder: bool = False  # whether it reads a source; transformers' class for that has a bias of the logits that is not trained
    masked: bool = False  # whether it predicts hidden tokens, not the next ones

    def transformers_class(self):
        """The one that makes such a model."""
        kind = "Seq2SeqLM" if self.encoder else "MaskedLM" if self.masked else "CausalLM"
        return getattr(transformers, "AutoModelFor" + kind)


def rope(kind, theta, **options):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": theta, **options}}


LLAMA3 = rope("llama3", 500.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)

ELSEWHERE = {"gpt3"}  # not in transformers

TEXT = pathlib.Path(__file__).resolve().parents[2] / "tools/demo/fables.txt"  # of the tokenizer

FAMILIES = [
    Family("gpt2", "gpt2", "gpt2"),
    Family("gpt2, untied, relu", "gpt2", "gpt2", changes=dict(tie_word_embeddings=False, activation_function="relu", n_inner=96),
           llamacpp=False),
    Family("gpt2, gelu, 3 heads", "gpt2", "gpt2",
           changes=dict(activation_function="gelu", n_embd=96, n_head=3, layer_norm_epsilon=1e-3), llamacpp=False),
    Family("gpt2, scores by layer", "gpt2", "gpt2", changes=dict(scale_attn_by_inverse_layer_idx=True), llamacpp=False),
    Family("gpt2, scores as they are", "gpt2", "gpt2", changes=dict(scale_attn_weights=False), llamacpp=False),
    Family("gpt1", "openai-gpt", "openai-gpt", llamacpp=False),
    Family("gpt1, untied, silu", "openai-gpt", "openai-gpt", changes=dict(tie_word_embeddings=False, afn="silu"), llamacpp=False),
    Family("gptneo", "gptneo", "gpt_neo", llamacpp=False),
    Family("gptneo, local layers first", "gptneo", "gpt_neo",
           changes=dict(attention_types=[[["local", "global"], 1]], attention_layers=["local", "global"], intermediate_size=128),
           llamacpp=False),
    Family("llama", "llama", "llama"),
    Family("llama, tied", "llama", "llama", changes=dict(tie_word_embeddings=True, rms_norm_eps=1e-5)),
    Family("llama, grouped heads", "llama", "llama", changes=dict(num_key_value_heads=2, head_dim=24)),
    Family("llama, biases", "llama", "llama", changes=dict(attention_bias=True, mlp_bias=True, num_key_value_heads=1)),
    Family("llama, linear scaling", "llama", "llama", changes=rope("linear", 1000.0, factor=2.5)),
    Family("llama, Llama 3's scaling", "llama", "llama", changes=LLAMA3 | dict(tie_word_embeddings=True)),
    Family("mistral", "llama", "llama", "Mistral", dict(num_key_value_heads=2, sliding_window=None)),
    Family("qwen2", "qwen2", "llama", "Qwen2", dict(num_key_value_heads=2)),
    Family("bert", "bert", "bert", llamacpp=False, masked=True),
    Family("bert, silu, deep and narrow", "bert", "bert",
           changes=dict(hidden_act="silu", num_hidden_layers=4, intermediate_size=48, layer_norm_eps=1e-5), llamacpp=False, masked=True),
    Family("transformer", "transformer", "transformer", llamacpp=False, encoder=True),
    Family("transformer, silu, deep encoder", "transformer", "transformer",
           changes=dict(activation_function="swish", encoder_layers=3, decoder_layers=1, scale_embedding=False), llamacpp=False,
           encoder=True),
    Family("qwen2, tied", "qwen2", "llama", "Qwen2", dict(tie_word_embeddings=True) | rope("default", 1000000.0)),
]


class HfFamily:
    """hf_family.py (see the README beside it), called with its own arguments, but without a process for each call."""

    def __init__(self, path):
        spec = spec_from_file_location("hf_family", path)
        self.module = module_from_spec(spec)
        spec.loader.exec_module(self.module)
        transformers.utils.logging.set_verbosity_error()
        self.random_batch, self.module.batch = self.module.batch, self.batch

    def batch(self, model, arguments, rng):
        """BERT's, as nib trains it so far: whole windows of one segment. What hf_family.py masks stays masked."""
        made = self.random_batch(model, arguments, rng)
        if "types" in made:
            made["lengths"] = torch.full_like(made["lengths"], arguments.time)
            made["types"] = torch.zeros_like(made["types"])
        return made

    def __call__(self, *arguments):
        before, sys.argv = sys.argv, ["hf_family.py", *map(str, arguments)]
        try:
            with redirect_stdout(StringIO()):
                self.module.main()
        finally:
            sys.argv = before


def make_folder(family, folder, hf, seed=0):
    """A random model of the family in `folder`, as transformers saves it, with a small tokenizer unless it has an encoder."""
    hf("--family", family.like, "--seed", seed, "--text", TEXT, "-d", folder)
    config = json.loads((folder / "config.json").read_text())
    name = config["architectures"][0]
    for suffix in ("ForCausalLM", "LMHeadModel", "MTModel", "ForPreTraining"):
        name = name.removesuffix(suffix)
    for key in ("architectures", "model_type"):
        del config[key]
    config["pad_token_id"] = None  # PyTorch does not train the embedding of a padding token
    config = getattr(transformers, (family.model or name) + "Config")(**config | family.changes)
    torch.manual_seed(seed)
    model = family.transformers_class().from_config(config, dtype=torch.float32)
    trained = [(n, p) for n, p in model.named_parameters() if "embed_positions" not in n or not family.encoder]  # else sinusoids
    with torch.no_grad():
        if family.encoder:
            model.final_logits_bias.normal_(0.0, 0.1)
        for parameter, values in trained:  # norms and biases too: at 1 and 0 they would hide errors
            matrix = values.dim() > 1
            norm = not matrix and parameter.endswith("weight")
            values.normal_(1.0 if norm else 0.0, 0.8 * config.hidden_size**-0.5 if matrix else 0.1)
    model.save_pretrained(folder)
