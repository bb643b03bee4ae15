"""A TEST package, not the vendor's: Hz ops played by onnxruntime's own, for a real interpreter to import.

`tests/vendor_stand_in/older` and `newer` each hold a package `horizon_tc_ui` whose HB_ONNXRuntime has the methods of an
older and of a newer toolchain release. Python 3.6 on; onnx and onnxruntime as in the vendor's images.
"""

import ctypes
import os
import sys
import time

import numpy as np
import onnx
import onnxruntime

PLAYED = {"HzRelu": "Relu", "HzAdd": "Add", "HzCast": "Cast", "HzIdentity": "Identity", "HzMul": "Mul"}


class Session:
    """What both releases share."""

    def __init__(self, model_file=None, onnx_model=None):
        model = onnx.load(model_file) if onnx_model is None else onnx_model
        self.onnx_model = model
        for node in model.graph.node:
            self._play(node)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)
        print("a vendor's runtime prints on stdout")

    def _play(self, node):
        if node.op_type == "HzCrash":
            ctypes.string_at(0)
        if node.op_type == "HzSleep":
            sys.stderr.write("asleep\n")
            time.sleep(600)
        if node.op_type == "HzAllocate":
            raise MemoryError("std::bad_alloc")
        if node.op_type == "HzExit":
            sys.stderr.write("licence \x1b[31mexpired\x1b[0m\n")
            sys.stderr.flush()
            os._exit(7)
        if node.op_type == "HzEnvironment":
            raise ValueError("environment: " + " ".join(sorted(os.environ)))
        if node.domain == "horizon":
            if node.op_type not in PLAYED:
                raise RuntimeError(f"No Op registered for {node.op_type} \x1b[31mwith\x1b[0m domain\nsecond line")
            node.op_type, node.domain = PLAYED[node.op_type], ""

    @property
    def input_names(self):
        return [one.name for one in self.session.get_inputs()]

    @property
    def output_names(self):
        return [one.name for one in self.session.get_outputs()]

    def get_inputs(self):
        return self.session.get_inputs()

    def get_outputs(self):
        return self.session.get_outputs()

    def shifted(self, feed, offset):
        """As the vendor's runtime: uint8 of an int8 input is shifted; the caller's dict is written into."""
        types = {one.name: one.type for one in self.session.get_inputs()}
        for name, value in list(feed.items()):
            if types[name] == "tensor(int8)":
                feed[name] = (value.astype(np.int16) - int(offset)).astype(np.int8)
        return feed
