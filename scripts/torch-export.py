#!/usr/bin/env python3
"""Exports torchvision classifiers with torch.onnx.export, the peer of scripts/bench-graphs.ts.

Needs python3-torch and python3-torchvision (Debian: apt-get install python3-torch python3-torchvision libopenblas0-pthread).
Usage: /usr/bin/python3 scripts/torch-export.py OUT_DIR [resnet50 vit_b_16 ...]
"""
import os
import sys

import torch
import torchvision

out = sys.argv[1]
names = sys.argv[2:] or ["resnet50", "vit_b_16", "swin_t", "convnext_tiny"]
os.makedirs(out, exist_ok=True)
for name in names:
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(weights=None).eval()
    path = os.path.join(out, name + ".onnx")
    torch.onnx.export(
        model,
        torch.zeros(1, 3, 224, 224),
        path,
        opset_version=17,
        input_names=["pixel_values"],
        output_names=["logits"],
        do_constant_folding=True,
    )
    print(path)
