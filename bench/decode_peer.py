#!/usr/bin/env python3
"""The decoders' peer: vectorised torch into reused memory. Prints seconds per call (the median): decode_peer.py CODEC ROWS COLS"""
import os
import sys
import time

import torch

torch.set_num_threads(len(os.sched_getaffinity(0)))
torch.manual_seed(1)
E2M1 = [0, .5, 1, 1.5, 2, 3, 4, 6]


def fp8(rows, cols):
    codes = torch.randint(120, (rows, cols), dtype=torch.uint8).view(torch.float8_e4m3fn)
    scales = torch.rand(rows // 128, cols // 128)
    wide, out = torch.empty(rows, cols), torch.empty(rows, cols, dtype=torch.bfloat16)

    def decode():
        wide.copy_(codes)
        wide.view(rows // 128, 128, cols // 128, 128).mul_(scales[:, None, :, None])
        out.copy_(wide)
    return decode


def mxfp4(rows, cols):
    """As transformers does it: a table for each nibble, then ldexp."""
    blocks = torch.randint(120, (rows * cols // 32, 16), dtype=torch.uint8)
    exponents = (torch.randint(120, (rows * cols // 32, 1), dtype=torch.uint8).to(torch.int32) - 127)
    table = torch.tensor(E2M1 + [-x for x in E2M1], dtype=torch.bfloat16)
    out = torch.empty(rows * cols // 32, 32, dtype=torch.bfloat16)

    def decode():
        out[:, 0::2] = table[(blocks & 15).to(torch.int32)]
        out[:, 1::2] = table[(blocks >> 4).to(torch.int32)]
        torch.ldexp(out, exponents, out=out)
    return decode


def int4(rows, cols):
    words = torch.randint(2**31 - 1, (rows, cols // 8), dtype=torch.int32)
    scales = torch.rand(rows, cols // 32).bfloat16()
    shifts = torch.arange(0, 32, 4, dtype=torch.int32)
    out = torch.empty(rows, cols, dtype=torch.bfloat16)

    def decode():
        codes = (words[:, :, None] >> shifts) & 15
        out.copy_(codes.view(rows, cols))
        out.sub_(8)
        out.view(rows, cols // 32, 32).mul_(scales[:, :, None])
    return decode


decode, times = {"fp8": fp8, "mxfp4": mxfp4, "int4": int4}[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])), []
for _ in range(12):
    start = time.monotonic()
    decode()
    times.append(time.monotonic() - start)
print(f"{sorted(times)[6]:.6f}")
