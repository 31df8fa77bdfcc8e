#!/usr/bin/env python3
"""Makes the golden files of tests/golden_test.cpp: tiny models of every family in PyTorch (>= 2.0, CPU), in double.

    python3 tests/goldens/make_goldens.py        # writes gpt*.gguf, llama_*.gguf, qwen2_*.gguf and bert_*.gguf beside itself

Each file is a GGUF model as nib and llama.cpp name things, and beside the weights it holds
    ids, targets (B,T) int32      the batch; target -1 does not count
    logits (B,T,V), loss (1)      of the forward pass
    grad.NAME                     gradient of the loss by every weight
    source_ids (B,S), source_lengths (B) int32   what the encoder reads, where there is one
    losses (11)                   the loss before each of 10 AdamW steps on that batch, and after the last
"""
import math
import pathlib
import struct

import torch
import torch.nn.functional as F

STEPS, LR, BETAS, EPS, DECAY, CLIP = 10, 1e-2, (0.9, 0.95), 1e-8, 0.1, 1.0


def write_gguf(path, metadata, tensors):
    """GGUF v3: strings, uint32, float32, bools and lists of them as metadata, float32 and int32 tensors, 32-byte aligned."""
    text = lambda s: struct.pack("<Q", len(s.encode())) + s.encode()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        kind, data = {str: (8, lambda v: text(v)), int: (4, lambda v: struct.pack("<I", v)), bool: (7, lambda v: struct.pack("<?", v)),
                      list: (9, lambda v: struct.pack(f"<IQ{len(v)}?", 7, len(v), *v)),
                      float: (6, lambda v: struct.pack("<f", v))}[type(value)]
        head += text(key) + struct.pack("<I", kind) + data(value)
    body = b""
    for name, t in tensors.items():
        integer = not t.is_floating_point()
        t = t.detach().to(torch.int32 if integer else torch.float32).contiguous()
        head += text(name) + struct.pack(f"<I{t.dim()}QIQ", t.dim(), *reversed(t.shape), 26 if integer else 0, len(body))
        body += t.numpy().tobytes()
        body += b"\0" * (-len(body) % 32)
    path.write_bytes(head + b"\0" * (-len(head) % 32) + body)


def random_weights(shapes):
    # Larger than initial values, so that nothing is near zero; rounded to float32 as the file stores them.
    gain = lambda name: 1.0 if name.endswith("norm.weight") else 0.0
    return {n: (gain(n) + 0.3 * torch.randn(s)).float().double().requires_grad_() for n, s in shapes.items()}


def gpt_shapes(arch, layers, channels, vocab, context, tied):
    shapes = {"token_embd.weight": (vocab, channels), "position_embd.weight": (context, channels)}
    for i in range(layers):
        norm = lambda name: {f"blk.{i}.{name}.weight": (channels,), f"blk.{i}.{name}.bias": (channels,)}
        linear = lambda name, n, c: {f"blk.{i}.{name}.weight": (n, c), f"blk.{i}.{name}.bias": (n,)}
        feed_forward = linear("ffn_up", 4 * channels, channels) | linear("ffn_down", channels, 4 * channels)
        qkv = linear("attn_qkv", 3 * channels, channels)
        if arch == "gptneo":
            qkv = {f"blk.{i}.attn_{x}.weight": (channels, channels) for x in "qkv"}
        attention = qkv | linear("attn_output", channels, channels)
        if arch == "openai-gpt":
            shapes |= attention | norm("attn_output_norm") | feed_forward | norm("layer_output_norm")
        else:
            shapes |= norm("attn_norm") | attention | norm("ffn_norm") | feed_forward
    if arch != "openai-gpt":
        shapes |= {"output_norm.weight": (channels,), "output_norm.bias": (channels,)}
    return shapes if tied else shapes | {"output.weight": (vocab, channels)}


def gpt(w, ids, arch, layers, heads, act, windows, scale, by_layer):
    """`windows`: of each layer, 0 for none; `scale`: of scores, 0 for 1/sqrt(D); `by_layer`: they are divided by the layer's number, too."""
    (B, T), C = ids.shape, w["token_embd.weight"].shape[1]
    linear = lambda x, name: F.linear(x, w[name + ".weight"], w.get(name + ".bias"))
    norm = lambda x, name: F.layer_norm(x, (C,), w[name + ".weight"], w[name + ".bias"], 1e-5)
    split = lambda t: t.view(B, T, heads, C // heads).transpose(1, 2)
    back = torch.arange(T)[:, None] - torch.arange(T)  # how far a key is behind a query

    def attention(h, i):
        qkv = [linear(h, f"blk.{i}.attn_{x}") for x in "qkv"] if arch == "gptneo" else linear(h, f"blk.{i}.attn_qkv").split(C, dim=2)
        q, k, v = map(split, qkv)
        divisor = (1 / scale if scale else math.sqrt(C // heads)) * (i + 1 if by_layer else 1)
        scores = (q @ k.transpose(2, 3) / divisor).masked_fill((back < 0) | (back >= (windows[i] or T)), -math.inf)
        return linear((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C), f"blk.{i}.attn_output")

    def feed_forward(h, i):
        return linear(act(linear(h, f"blk.{i}.ffn_up")), f"blk.{i}.ffn_down")

    x = w["token_embd.weight"][ids] + w["position_embd.weight"][:T]
    for i in range(layers):
        if arch == "openai-gpt":
            x = norm(x + attention(x, i), f"blk.{i}.attn_output_norm")
            x = norm(x + feed_forward(x, i), f"blk.{i}.layer_output_norm")
        else:
            x = x + attention(norm(x, f"blk.{i}.attn_norm"), i)
            x = x + feed_forward(norm(x, f"blk.{i}.ffn_norm"), i)
    if arch != "openai-gpt":
        x = norm(x, "output_norm")
    return F.linear(x, w.get("output.weight", w["token_embd.weight"]))


def llama_shapes(layers, channels, heads, kv_heads, ffn, vocab, tied, biases):
    D, shapes = channels // heads, {"token_embd.weight": (vocab, channels)}
    for i in range(layers):
        shapes[f"blk.{i}.attn_norm.weight"] = (channels,)
        for name, n in (("attn_q", channels), ("attn_k", kv_heads * D), ("attn_v", kv_heads * D)):
            shapes[f"blk.{i}.{name}.weight"] = (n, channels)
            if biases:
                shapes[f"blk.{i}.{name}.bias"] = (n,)
        shapes |= {f"blk.{i}.attn_output.weight": (channels, channels), f"blk.{i}.ffn_norm.weight": (channels,),
                   f"blk.{i}.ffn_gate.weight": (ffn, channels), f"blk.{i}.ffn_up.weight": (ffn, channels),
                   f"blk.{i}.ffn_down.weight": (channels, ffn)}
    shapes["output_norm.weight"] = (channels,)
    return shapes if tied else shapes | {"output.weight": (vocab, channels)}


def llama(w, ids, layers, heads, kv_heads, eps, base, scale, interleaved):
    (B, T), C = ids.shape, w["token_embd.weight"].shape[1]
    D = C // heads
    linear = lambda x, name: F.linear(x, w[name + ".weight"], w.get(name + ".bias"))
    norm = lambda x, name: x * (x.pow(2).mean(-1, keepdim=True) + eps).rsqrt() * w[name + ".weight"]
    frequency = scale(base ** (-torch.arange(0, D, 2).double() / D))
    turns = torch.polar(torch.ones(T, D // 2).double(), torch.arange(T).double()[:, None] * frequency)  # (T,D/2)
    turned = lambda x: torch.view_as_real(torch.view_as_complex(x.unflatten(-1, (-1, 2))) * turns).flatten(-2)  # pairs 2i, 2i+1
    halves = lambda x: x.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)  # pairs i, i+D/2 become those; the sum is the same
    rope = turned if interleaved else lambda x: turned(halves(x).contiguous())
    x = w["token_embd.weight"][ids]
    for i in range(layers):
        h = norm(x, f"blk.{i}.attn_norm")
        split = lambda t, n: t.view(B, T, n, D).transpose(1, 2).contiguous()
        q = rope(split(linear(h, f"blk.{i}.attn_q"), heads))
        k, v = rope(split(linear(h, f"blk.{i}.attn_k"), kv_heads)), split(linear(h, f"blk.{i}.attn_v"), kv_heads)
        k, v = (t.repeat_interleave(heads // kv_heads, dim=1) for t in (k, v))
        scores = (q @ k.transpose(2, 3) / math.sqrt(D)).masked_fill(~torch.ones(T, T).tril().bool(), -math.inf)
        x = x + linear((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, C), f"blk.{i}.attn_output")
        h = norm(x, f"blk.{i}.ffn_norm")
        x = x + linear(F.silu(linear(h, f"blk.{i}.ffn_gate")) * linear(h, f"blk.{i}.ffn_up"), f"blk.{i}.ffn_down")
    return F.linear(norm(x, "output_norm"), w.get("output.weight", w["token_embd.weight"]))


def bert_shapes(layers, channels, ffn, vocab, context, segments, tied):
    norm = lambda name: {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
    linear = lambda name, n, c: {f"{name}.weight": (n, c), f"{name}.bias": (n,)}
    shapes = {"token_embd.weight": (vocab, channels), "position_embd.weight": (context, channels),
              "token_types.weight": (segments, channels)} | norm("token_embd_norm")
    for i in range(layers):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            shapes |= linear(f"blk.{i}.{name}", channels, channels)
        shapes |= norm(f"blk.{i}.attn_output_norm") | linear(f"blk.{i}.ffn_up", ffn, channels)
        shapes |= linear(f"blk.{i}.ffn_down", channels, ffn) | norm(f"blk.{i}.layer_output_norm")
    shapes |= linear("mlm.dense", channels, channels) | norm("mlm.norm") | {"output.bias": (vocab,)}
    return shapes if tied else shapes | {"output.weight": (vocab, channels)}


def bert(w, ids, layers, heads, eps, act):
    """The logits of the masked words' head, all tokens of the first segment."""
    (B, T), C = ids.shape, w["token_embd.weight"].shape[1]
    linear = lambda x, name: F.linear(x, w[name + ".weight"], w[name + ".bias"])
    norm = lambda x, name: F.layer_norm(x, (C,), w[name + ".weight"], w[name + ".bias"], eps)
    x = norm(w["token_embd.weight"][ids] + w["position_embd.weight"][:T] + w["token_types.weight"][0], "token_embd_norm")
    for i in range(layers):
        q, k, v = (linear(x, f"blk.{i}.attn_{n}").view(B, T, heads, C // heads).transpose(1, 2) for n in "qkv")
        mixed = ((q @ k.transpose(2, 3) / math.sqrt(C // heads)).softmax(-1) @ v).transpose(1, 2).reshape(B, T, C)
        x = norm(x + linear(mixed, f"blk.{i}.attn_output"), f"blk.{i}.attn_output_norm")
        x = norm(x + linear(act(linear(x, f"blk.{i}.ffn_up")), f"blk.{i}.ffn_down"), f"blk.{i}.layer_output_norm")
    x = norm(act(linear(x, "mlm.dense")), "mlm.norm")
    return F.linear(x, w.get("output.weight", w["token_embd.weight"]), w["output.bias"])


def transformer_shapes(encoder_layers, layers, channels, ffn, vocab, source_vocab, tied, head_bias, pre_norm):
    linear = lambda name, n, c: {name + ".weight": (n, c), name + ".bias": (n,)}
    norm = lambda name: {name + ".weight": (channels,), name + ".bias": (channels,)}
    shapes = {"token_embd.weight": (vocab, channels)} | ({"enc.token_embd.weight": (source_vocab, channels)} if source_vocab else {})
    for block, attentions in [(f"enc.blk.{i}.", ["attn"]) for i in range(encoder_layers)] + [(f"blk.{i}.", ["attn", "cross_attn"]) for i in range(layers)]:
        for attention in attentions:
            for part in ("q", "k", "v", "output"):
                shapes |= linear(block + attention + "_" + part, channels, channels)
            shapes |= norm(block + attention + ("_norm" if pre_norm else "_output_norm"))
        shapes |= linear(block + "ffn_up", ffn, channels) | linear(block + "ffn_down", channels, ffn)
        shapes |= norm(block + ("ffn_norm" if pre_norm else "layer_output_norm"))
    if pre_norm:
        shapes |= norm("enc.output_norm") | norm("output_norm")
    shapes |= {} if tied else {"output.weight": (vocab, channels)}
    return shapes | ({"output.bias": (vocab,)} if head_bias else {})


def transformer(w, ids, source, lengths, encoder_layers, layers, heads, act, scale, pre_norm):
    C = w["token_embd.weight"].shape[1]
    linear = lambda x, name: F.linear(x, w[name + ".weight"], w[name + ".bias"])
    norm = lambda x, name: F.layer_norm(x, (C,), w[name + ".weight"], w[name + ".bias"], 1e-5)
    split = lambda t: t.view(*t.shape[:2], heads, C // heads).transpose(1, 2)

    def embed(tokens, table):
        angle = torch.arange(tokens.shape[1]).double()[:, None] / 10000 ** (2 * torch.arange(C // 2).double() / C)
        return table[tokens] * (math.sqrt(C) if scale else 1) + torch.cat([angle.sin(), angle.cos()], 1)

    def attention(h, keys, hidden, name):
        q, k, v = split(linear(h, name + "_q")), split(linear(keys, name + "_k")), split(linear(keys, name + "_v"))
        scores = (q @ k.transpose(2, 3) / math.sqrt(C // heads)).masked_fill(hidden, -math.inf)
        return linear((scores.softmax(-1) @ v).transpose(1, 2).reshape(h.shape), name + "_output")

    def part(x, before, after, f):
        return x + f(norm(x, before)) if pre_norm else norm(x + f(x), after)

    def block(x, name, parts):
        for kind, f in parts.items():
            x = part(x, name + kind + "_norm", name + kind + "_output_norm", f)
        feed_forward = lambda h: linear(act(linear(h, name + "ffn_up")), name + "ffn_down")
        return part(x, name + "ffn_norm", name + "layer_output_norm", feed_forward)

    padding = (torch.arange(source.shape[1]) >= lengths[:, None])[:, None, None]
    future = torch.ones(ids.shape[1], ids.shape[1]).triu(1).bool()
    y = embed(source, w.get("enc.token_embd.weight", w["token_embd.weight"]))
    for i in range(encoder_layers):
        y = block(y, f"enc.blk.{i}.", {"attn": lambda h: attention(h, h, padding, f"enc.blk.{i}.attn")})
    y = norm(y, "enc.output_norm") if pre_norm else y
    x = embed(ids, w["token_embd.weight"])
    for i in range(layers):
        x = block(x, f"blk.{i}.", {"attn": lambda h: attention(h, h, future, f"blk.{i}.attn"),
                                   "cross_attn": lambda h: attention(h, y, padding, f"blk.{i}.cross_attn")})
    x = norm(x, "output_norm") if pre_norm else x
    return F.linear(x, w.get("output.weight", w["token_embd.weight"]), w.get("output.bias"))


def make(name, w, forward, metadata, context, batch, ignored, extra={}):
    vocab = w["token_embd.weight"].shape[0]
    ids, targets = torch.randint(vocab, (batch, context)), torch.randint(vocab, (batch, context))
    targets[torch.rand(batch, context) < ignored] = -1
    loss_of = lambda logits: F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    run = lambda: forward(w, ids)

    tensors = extra | {n: t.clone() for n, t in w.items()} | {"ids": ids, "targets": targets, "logits": run()}
    loss = loss_of(tensors["logits"])
    loss.backward()
    tensors |= {"loss": loss.reshape(1)} | {"grad." + n: t.grad.clone() for n, t in w.items()}

    groups = [{"params": [t for t in w.values() if (t.dim() == 2) == matrix], "weight_decay": DECAY * matrix}
              for matrix in (True, False)]
    optimizer = torch.optim.AdamW(groups, lr=LR, betas=BETAS, eps=EPS)
    losses = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss = loss_of(run())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(w.values(), CLIP)
        optimizer.step()
        losses.append(loss.detach())
    tensors["losses"] = torch.stack(losses + [loss_of(run()).detach()])
    arch = metadata["general.architecture"]
    sizes = {f"{arch}.context_length": context, f"{arch}.embedding_length": w["token_embd.weight"].shape[1]}
    write_gguf(pathlib.Path(__file__).parent / f"{name}.gguf", metadata | {"general.name": name} | sizes, tensors)
    print(name, "loss", tensors["loss"].item(), "losses", [round(x.item(), 6) for x in losses])


ACTS = {"gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "gelu_erf": F.gelu, "relu": F.relu, "silu": F.silu}


def make_gpt(name, seed, arch, layers, heads, channels, vocab, context, batch, tied, act, ignored, windows=None, scale=0.0, by_layer=False):
    torch.manual_seed(seed)
    metadata = {"general.architecture": arch, f"{arch}.feed_forward_length": 4 * channels, f"{arch}.block_count": layers,
                f"{arch}.attention.head_count": heads, f"{arch}.attention.layer_norm_epsilon": 1e-5}
    if act != "gelu_tanh":
        metadata["nib.activation"] = act
    if windows:
        metadata |= {f"{arch}.attention.sliding_window": max(windows), f"{arch}.attention.sliding_window_pattern": [x > 0 for x in windows]}
    if scale:
        metadata[f"{arch}.attention.scale"] = scale
    if by_layer:
        metadata["nib.attention.divide_by_layer"] = True
    w = random_weights(gpt_shapes(arch, layers, channels, vocab, context, tied))
    forward = lambda w, ids: gpt(w, ids, arch, layers, heads, ACTS[act], windows or [0] * layers, scale, by_layer)
    make(name, w, forward, metadata, context, batch, ignored)


def llama3_scale(factor, low, high, original):
    def scale(frequency):
        turns = original * frequency / (2 * math.pi)
        share = ((turns - low) / (high - low)).clamp(0, 1)
        return (1 - share) * frequency / factor + share * frequency
    return scale


def make_llama(name, seed, arch, layers, heads, kv_heads, channels, ffn, vocab, context, batch, tied, biases, base, scaling, ignored):
    torch.manual_seed(seed)
    D = channels // heads
    metadata = {"general.architecture": arch, f"{arch}.feed_forward_length": ffn, f"{arch}.block_count": layers,
                f"{arch}.attention.head_count": heads, f"{arch}.attention.head_count_kv": kv_heads,
                f"{arch}.attention.layer_norm_rms_epsilon": 1e-5, f"{arch}.rope.dimension_count": D,
                f"{arch}.rope.freq_base": base}
    scale, extra = lambda frequency: frequency, {}
    if scaling == "linear":
        metadata |= {f"{arch}.rope.scaling.type": "linear", f"{arch}.rope.scaling.factor": 4.0}
        scale = lambda frequency: frequency / 4
    if scaling == "llama3":
        metadata |= {"nib.rope.scaling.type": "llama3", "nib.rope.scaling.factor": 8.0,
                     "nib.rope.scaling.low_freq_factor": 1.0, "nib.rope.scaling.high_freq_factor": 4.0,
                     "nib.rope.scaling.original_context_length": 64}
        scale = llama3_scale(8.0, 1.0, 4.0, 64)
        frequency = base ** (-torch.arange(0, D, 2).double() / D)
        extra = {"rope_freqs.weight": frequency / scale(frequency)}
    w = random_weights(llama_shapes(layers, channels, heads, kv_heads, ffn, vocab, tied, biases))
    forward = lambda w, ids: llama(w, ids, layers, heads, kv_heads, 1e-5, base, scale, interleaved=arch == "llama")
    make(name, w, forward, metadata, context, batch, ignored, extra)


def make_bert(name, seed, layers, heads, channels, ffn, vocab, context, batch, segments, tied, act, ignored):
    torch.manual_seed(seed)
    metadata = {"general.architecture": "bert", "bert.feed_forward_length": ffn, "bert.block_count": layers,
                "bert.attention.head_count": heads, "bert.attention.layer_norm_epsilon": 1e-5}
    if act == F.relu:
        metadata["nib.activation"] = "relu"
    w = random_weights(bert_shapes(layers, channels, ffn, vocab, context, segments, tied))
    make(name, w, lambda w, ids: bert(w, ids, layers, heads, 1e-5, act), metadata, context, batch, ignored)


def make_transformer(name, seed, encoder_layers, layers, heads, channels, ffn, vocab, source_vocab, context, batch, tied, act, ignored,
                     scale, head_bias, pre_norm):
    torch.manual_seed(seed)
    arch = "transformer"
    metadata = {"general.architecture": arch, f"{arch}.feed_forward_length": ffn, f"{arch}.block_count": layers,
                f"{arch}.encoder_block_count": encoder_layers, f"{arch}.attention.head_count": heads,
                f"{arch}.attention.layer_norm_epsilon": 1e-5, f"{arch}.decoder_start_token_id": 1}
    metadata |= {"nib.activation": act} if act != "gelu_tanh" else {}
    metadata |= {f"{arch}.norm_first": True} if pre_norm else {}
    metadata |= {} if scale else {f"{arch}.embedding_scale": False}
    w = random_weights(transformer_shapes(encoder_layers, layers, channels, ffn, vocab, source_vocab, tied, head_bias, pre_norm))
    size = context - 2
    source, lengths = torch.randint(source_vocab or vocab, (batch, size)), torch.randint(size // 2, size + 1, (batch,))
    forward = lambda w, ids: transformer(w, ids, source, lengths, encoder_layers, layers, heads, ACTS[act], scale, pre_norm)
    make(name, w, forward, metadata, context, batch, ignored, {"source_ids": source, "source_lengths": lengths})


if __name__ == "__main__":
    make_gpt("gpt_tied", 1, "gpt2", layers=2, heads=2, channels=16, vocab=23, context=12, batch=3, tied=True, act="gelu_tanh", ignored=0)
    make_gpt("gpt_untied", 2, "gpt2", layers=2, heads=3, channels=15, vocab=19, context=7, batch=5, tied=False, act="gelu_erf", ignored=0.2)
    make_llama("llama_tied", 3, "llama", layers=2, heads=4, kv_heads=2, channels=24, ffn=40, vocab=23, context=11, batch=3, tied=True,
               biases=False, base=10000.0, scaling="linear", ignored=0.2)
    make_llama("llama_untied", 4, "llama", layers=2, heads=3, kv_heads=1, channels=24, ffn=28, vocab=19, context=13, batch=2, tied=False,
               biases=True, base=500.0, scaling="llama3", ignored=0)
    make_llama("qwen2_tied", 5, "qwen2", layers=2, heads=4, kv_heads=2, channels=24, ffn=28, vocab=17, context=9, batch=3, tied=True,
               biases=True, base=1000.0, scaling="none", ignored=0.1)
    make_gpt("gpt_scaled", 6, "gpt2", layers=3, heads=2, channels=12, vocab=17, context=8, batch=3, tied=True, act="gelu_tanh", ignored=0.1,
             scale=1.0, by_layer=True)
    make_gpt("gpt1", 7, "openai-gpt", layers=2, heads=3, channels=18, vocab=21, context=11, batch=3, tied=True, act="gelu_tanh", ignored=0.1)
    make_gpt("gpt1_untied", 8, "openai-gpt", layers=2, heads=2, channels=14, vocab=19, context=9, batch=2, tied=False, act="silu", ignored=0)
    make_gpt("gpt3", 9, "gpt3", layers=3, heads=2, channels=16, vocab=23, context=13, batch=3, tied=True, act="gelu_tanh", ignored=0.1,
             windows=[0, 4, 0])
    make_gpt("gptneo", 10, "gptneo", layers=4, heads=2, channels=12, vocab=19, context=12, batch=3, tied=True, act="gelu_tanh", ignored=0.1,
             windows=[5, 0, 0, 5], scale=1.0)
    make_bert("bert_tied", 6, layers=2, heads=4, channels=16, ffn=24, vocab=23, context=11, batch=3, segments=2, tied=True, act=F.gelu,
              ignored=0.6)
    make_bert("bert_untied", 7, layers=2, heads=3, channels=15, ffn=20, vocab=19, context=7, batch=4, segments=3, tied=False, act=F.relu,
              ignored=0)
    make_transformer("transformer", 11, encoder_layers=3, layers=2, heads=3, channels=18, ffn=28, vocab=23, source_vocab=0, context=11, batch=3,
                     tied=True, act="relu", ignored=0.2, scale=True, head_bias=True, pre_norm=False)
    make_transformer("transformer_pre_norm", 12, encoder_layers=1, layers=2, heads=2, channels=16, ffn=24, vocab=19, source_vocab=26, context=13,
                     batch=2, tied=False, act="silu", ignored=0, scale=False, head_bias=False, pre_norm=True)
