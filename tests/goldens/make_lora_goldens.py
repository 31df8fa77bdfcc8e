#!/usr/bin/env python3
"""Makes the goldens of tests/lora_test.cpp with PyTorch, transformers and PEFT: adapters of models in transformers/.

    python3 tests/goldens/make_lora_goldens.py   # writes into lora/ beside itself

NAME/ is an adapter as PEFT saves it; its model is transformers/BASE. NAME.gguf holds, with the adapter in place and computed in double,
    ids, targets (B,T) int32, logits (B,T,V)
    loss (1), grad.PARAMETER      the mean cross-entropy and its gradients, by nib's names and in the order of its rows
    losses (5)                    before each of 5 steps of AdamW on the adapter alone: lr 1e-2, beta 0.9 and 0.95, decay 0.1, clip 1
    merged.PARAMETER              a matrix of the model after merge_and_unload(), likewise
"""
import json
import pathlib
import shutil

import torch
import torch.nn.functional as F
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from make_goldens import write_gguf

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "lora"
GPT2 = {"attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down"}
LLAMA = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}


def in_pairs(rows, head_size):
    """Rows of each head in Llama's files: the two numbers of a rotary pair side by side."""
    return rows.view(-1, 2, head_size // 2, rows.shape[1]).transpose(1, 2).reshape(rows.shape)


def nib_name(name, names):
    """blk.0.attn_qkv.weight.lora_a of base_model.model.transformer.h.0.attn.c_attn.lora_A.default.weight."""
    block = next(part for part in name.split(".") if part.isdigit())
    target = next(nib for hf, nib in names.items() if f".{hf}." in name)
    return f"blk.{block}.{target}.weight" + (".lora_a" if ".lora_A." in name else ".lora_b" if ".lora_B." in name else "")


def save(name, base, names, seed, **options):
    torch.manual_seed(seed)
    config = LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, **options)
    m = get_peft_model(AutoModelForCausalLM.from_pretrained(HERE / "transformers" / base, dtype=torch.float32), config).eval()
    trained = {n: p for n, p in m.named_parameters() if p.requires_grad}
    with torch.no_grad():  # both matrices, so that nothing is near zero
        for p in trained.values():
            p.copy_(0.3 * torch.randn_like(p))
    shutil.rmtree(OUT / name, ignore_errors=True)
    m.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink(missing_ok=True)
    path = OUT / name / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": base}, indent=2) + "\n")

    m = m.double()
    c = m.config

    def rows(parameter, tensor):
        turned = base != "tied" and ("attn_q.weight" in parameter or "attn_k.weight" in parameter) and "lora_a" not in parameter
        return in_pairs(tensor, c.head_dim) if turned else tensor

    B, T = 2, 8
    ids, targets = torch.randint(c.vocab_size, (B, T)), torch.randint(c.vocab_size, (B, T))
    loss_of = lambda: F.cross_entropy(m(ids).logits.flatten(0, 1), targets.flatten())
    loss = loss_of()
    loss.backward()
    expected = {"ids": ids, "targets": targets, "logits": m(ids).logits.detach(), "loss": loss.detach().reshape(1)}
    for n, p in trained.items():
        expected["grad." + nib_name(n, names)] = rows(nib_name(n, names), p.grad).clone()
    start = {n: p.detach().clone() for n, p in trained.items()}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = loss_of()
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimizer.step()
    expected["losses"] = torch.tensor(losses)
    with torch.no_grad():
        for n, p in trained.items():
            p.copy_(start[n])
        for n, p in m.merge_and_unload().named_parameters():
            if ".1." in n and any(f".{hf}.weight" in n for hf in names):
                matrix = p.T if base == "tied" else p
                expected["merged." + nib_name(n, names)] = rows(nib_name(n, names), matrix.contiguous()).clone()
    write_gguf(OUT / (name + ".gguf"), {"general.architecture": "golden"}, expected)


def main():
    OUT.mkdir(exist_ok=True)
    save("gpt2", "tied", GPT2, 1, r=3, lora_alpha=6, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)
    save("llama", "llama", LLAMA, 2, r=2, lora_alpha=5, target_modules=[name.split(".")[-1] for name in LLAMA])
    save("llama_rslora", "llama", LLAMA, 3, r=4, lora_alpha=3, use_rslora=True, target_modules=["q_proj", "v_proj"])


if __name__ == "__main__":
    main()
