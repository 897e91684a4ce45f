#!/usr/bin/env python3
"""Training steps in PyTorch eager, the peer of our training graphs: forward, cross-entropy, backward, AdamW (lr 1e-3, decay 0.01).

Needs python3-torch, python3-torchvision and OpenBLAS (Debian: apt-get install python3-torch python3-torchvision libopenblas0-pthread).

Usage: /usr/bin/python3 scripts/torch-baselines.py CASE [--steps N] [--threads N] [--serve]
  CASE     vit-s (ViT-S/16, 224 px, batch 8) | resnet-18 (224 px, batch 8)
           | llama-60m (d 512, 8 layers, ffn 1376, vocabulary 32000, batch 4 x sequence 128) | llama-60m-lora (r 8, alpha 16, on q and v)
  --steps  timed steps after two of warm-up; prints one line of JSON with all of them
  --serve  prints {"ready": true, ...}, then runs one step per line read from stdin and prints its JSON, so that another
           process can time its own steps in turn with these

Seconds are wall time of one step. Peak memory in bytes is VmHWM of the process: `peak_rss` from its start, `peak_rss_steps` counted anew
once model and optimiser are there. The script starts itself again with glibc told to keep freed memory (else
every step pays page faults for its large tensors), with as many BLAS threads as --threads, and with OpenBLAS's kernels for the vectors
that this processor has: one that is newer than OpenBLAS gets those of 2004 otherwise, five times slower.
"""
import argparse
import json
import math
import os
import re
import subprocess
import sys
import time

KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
}

parser = argparse.ArgumentParser()
parser.add_argument("case", choices=["vit-s", "resnet-18", "llama-60m", "llama-60m-lora"])
parser.add_argument("--steps", type=int, default=5)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--serve", action="store_true")
args = parser.parse_args()


def core_type():
    """OpenBLAS's name for kernels that fit this processor, where it does not know the processor itself."""
    code = "import torch; torch.ones(64, 64) @ torch.ones(64, 64)"
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "OPENBLAS_VERBOSE": "2"}, capture_output=True, text=True, check=True
    )
    core = re.search(r"Core: (\w+)", told.stderr + told.stdout)
    with open("/proc/cpuinfo", encoding="ascii") as info:
        flags = re.search(r"^flags\s*:(.*)$", info.read(), re.M)
    has = set(flags.group(1).split()) if flags else set()
    if not core or core.group(1) not in ("Prescott", "Core2", "Penryn", "Nehalem"):
        return {}
    if {"avx512f", "avx512bw", "avx512vl"} <= has:
        return {"OPENBLAS_CORETYPE": "SkylakeX"}
    return {"OPENBLAS_CORETYPE": "Haswell"} if {"avx2", "fma"} <= has else {}


wanted = {**KEEP_FREED_MEMORY, "OMP_NUM_THREADS": str(args.threads), "OPENBLAS_NUM_THREADS": str(args.threads)}
if any(os.environ.get(name) != value for name, value in wanted.items()):
    core = {} if "OPENBLAS_CORETYPE" in os.environ else core_type()
    os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **wanted, **core})

import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(args.threads)


class Attention(nn.Module):
    """Self-attention with one product for q, k and v, as image classifiers have it."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weights = torch.softmax(q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5, dim=-1)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, c))


class VitBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """ViT-S/16: pre-norm, learnt positions, class token; 22.05M parameters."""

    def __init__(self, width=384, layers=12, heads=6, patch=16, size=224, classes=1000):
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) * 0.02)
        self.blocks = nn.Sequential(*[VitBlock(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def forward(self, images):
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class RmsNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


class LoraLinear(nn.Module):
    """A frozen product and its low-rank update: W x + (alpha / r) B A x, B starting at zero."""

    def __init__(self, base, r=8, alpha=16):
        super().__init__()
        self.base = base
        self.a = nn.Parameter(torch.empty(r, base.in_features))
        self.b = nn.Parameter(torch.zeros(base.out_features, r))
        self.scale = alpha / r
        nn.init.kaiming_uniform_(self.a, a=math.sqrt(5))

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.a), self.b) * self.scale


def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat([-b, a], dim=-1)


class LlamaBlock(nn.Module):
    def __init__(self, width, heads, ffn):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = RmsNorm(width), RmsNorm(width)
        self.q, self.k, self.v, self.o = [nn.Linear(width, width, bias=False) for _ in range(4)]
        self.gate, self.up = nn.Linear(width, ffn, bias=False), nn.Linear(width, ffn, bias=False)
        self.down = nn.Linear(ffn, width, bias=False)

    def forward(self, x, cos, sin, mask):
        b, n, c = x.shape
        y = self.norm1(x)
        q, k, v = [f(y).view(b, n, self.heads, c // self.heads).transpose(1, 2) for f in (self.q, self.k, self.v)]
        q, k = q * cos + rotate_half(q) * sin, k * cos + rotate_half(k) * sin
        weights = torch.softmax(q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5 + mask, dim=-1)
        x = x + self.o((weights @ v).transpose(1, 2).reshape(b, n, c))
        y = self.norm2(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


class Llama(nn.Module):
    """RMSNorm, rotary embedding, SwiGLU, untied head: 58.1M parameters, of which 32.8M are embedding and head."""

    def __init__(self, width=512, layers=8, heads=8, ffn=1376, vocabulary=32000, sequence=128):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList([LlamaBlock(width, heads, ffn) for _ in range(layers)])
        self.norm = RmsNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        d = width // heads
        angles = torch.outer(torch.arange(sequence), 10000.0 ** (-torch.arange(0, d, 2) / d)).repeat(1, 2)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        self.register_buffer("mask", torch.full((sequence, sequence), float("-inf")).triu(1))

    def forward(self, ids):
        x = self.embed(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin, self.mask)
        return self.head(self.norm(x))


def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name + ":"))


def make(case):
    """The model and one batch of it: (model, inputs, labels)."""
    torch.manual_seed(0)
    if case == "vit-s" or case == "resnet-18":
        if case == "vit-s":
            model = Vit()
        else:
            import torchvision

            model = torchvision.models.resnet18(weights=None)
        return model.train(), torch.randn(8, 3, 224, 224), torch.randint(0, 1000, (8,))
    model = Llama()
    if case == "llama-60m-lora":
        model.requires_grad_(False)
        for block in model.blocks:
            block.q, block.v = LoraLinear(block.q), LoraLinear(block.v)
    return model.train(), torch.randint(0, 32000, (4, 128)), torch.randint(0, 32000, (4, 128))


model, inputs, labels = make(args.case)
trained = [p for p in model.parameters() if p.requires_grad]
optimiser = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01)
before_steps = memory("VmHWM")
with open("/proc/self/clear_refs", "w") as clear:
    clear.write("5")


def step():
    start = time.perf_counter()
    optimiser.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(inputs).flatten(0, -2), labels.flatten())
    loss.backward()
    optimiser.step()
    seconds = time.perf_counter() - start
    peak = memory("VmHWM")
    return {"seconds": seconds, "loss": loss.item(), "peak_rss": max(before_steps, peak), "peak_rss_steps": peak}


about = {
    "case": args.case,
    "parameters": sum(p.numel() for p in model.parameters()),
    "trained": sum(p.numel() for p in trained),
    "threads": args.threads,
    "torch": torch.__version__,
}
if args.serve:
    print(json.dumps({"ready": True, **about, "rss_loaded": memory("VmRSS")}), flush=True)
    for _ in sys.stdin:
        print(json.dumps(step()), flush=True)
else:
    warm = [step() for _ in range(2)]
    timed = [step() for _ in range(args.steps)]
    print(
        json.dumps(
            {
                **about,
                "seconds": [round(s["seconds"], 4) for s in timed],
                "losses": [round(s["loss"], 5) for s in warm + timed],
                "peak_rss": timed[-1]["peak_rss"],
                "peak_rss_steps": timed[-1]["peak_rss_steps"],
            }
        )
    )
