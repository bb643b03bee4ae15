"""A package named `torch` that is not PyTorch: tpu-mlir imports one at its top, and ONNX models need none of it.

The real package for CPython 3.10 is a CUDA build of several GB. Whatever is not in here resolves to a class that takes
anything; `tensor(x).numpy()` is the one thing that is called.
"""

from __future__ import annotations

TORCH = '''\
"""Not PyTorch: a stand-in that harness made, so that tpu-mlir can be imported for ONNX models."""

import sys
import types


class _Meta(type):
    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class Anything(metaclass=_Meta):
    """Every name of the package: a base class, a decorator, a context, a function."""

    def __init__(self, *args, **kwargs):
        pass

    def __call__(self, *args, **kwargs):
        return args[0] if len(args) == 1 and callable(args[0]) else self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return False


class _Tensor:
    def __init__(self, values):
        self.values = values

    def numpy(self):
        import numpy

        return numpy.asarray(self.values)


def tensor(values, *args, **kwargs):
    return _Tensor(values)


class _Module(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


__version__ = "0.0.0"
__path__ = []


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)
    return Anything


for _name in ("nn", "nn.functional", "utils", "utils.data", "fx", "onnx", "autograd", "jit", "cuda"):
    _module = _Module(f"torch.{_name}")
    _module.__path__ = []
    sys.modules[f"torch.{_name}"] = _module
'''
