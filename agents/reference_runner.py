#!/usr/bin/env python3
"""Computes every layer of a model beside a vendor's runtime. Needs Python >= 3.6 and numpy; onnx is not needed.

    python3 reference_runner.py REQUEST_FOLDER RESULT_FOLDER

REQUEST_FOLDER holds request.json, the model and one .npy per input; nothing is written there. RESULT_FOLDER gets
t00000.npy, t00001.npy ... and, last, result.json. The script ends when its stdin does: so it never outlives the host.
The original stdout carries `progress DONE TOTAL` lines only: what the runtime prints goes to stderr. Exit status 0 with
tensors, 1 with an `error` in result.json.
"""

# ruff: noqa: PTH105, PTH107, PTH118, PTH123, PTH202, UP031, B905

import hashlib
import importlib
import json
import os
import platform
import shutil
import sys
import threading

PLACES = {
    "HB_ONNXRuntime": ("horizon_tc_ui", "horizon_tc_ui.hb_onnxruntime"),
    "HBRuntime": ("horizon_tc_ui.hb_runtime", "horizon_tc_ui", "hbdk4.runtime"),
    "onnxruntime": ("onnxruntime",),
}
CLASSES = {"onnxruntime": "InferenceSession"}
PACKAGES = ("horizon_tc_ui", "horizon_nn", "hmct", "hbdk", "hbdk4", "onnxruntime", "onnx", "numpy")
LEVELS = {"disabled": 0, "basic": 1, "extended": 2, "all": 99}
PIXEL_OFFSET = 128  # what older releases of HB_ONNXRuntime subtract from uint8 pixels for an int8 input
TEXT_LIMIT = 2000
MEMORY_WORDS = ("bad_alloc", "bad allocation", "out of memory", "failed to allocate", "unable to allocate")


class RunnerError(Exception):
    """Ends the run; `kind` is a word that the host knows, `tried` is what was looked for."""

    def __init__(self, kind, text, tried=()):
        super().__init__(text)
        self.kind, self.text, self.tried = kind, text, list(tried)


# ------------------------------------------------------------------ runtimes


class Horizon:
    """HB_ONNXRuntime or HBRuntime: arrays go in as the model's inputs take them, whatever the release subtracts."""

    def __init__(self, cls, name, path, _request):
        self.session = cls(model_file=path) if name == "HB_ONNXRuntime" else cls(path)
        self.inputs = [str(one) for one in self.session.input_names]
        self.outputs = [str(one) for one in self.session.output_names]

    def run(self, names, feed):
        session, feed = self.session, dict(feed)  # the runtime writes into the dict that it is given
        if hasattr(session, "run_direct"):
            return session.run_direct(names, feed)
        if not hasattr(session, "run_feature"):
            return session.run(names, feed)
        pixels = [value.dtype == "int8" for value in feed.values()]
        if not any(pixels):
            return session.run_feature(names, feed, input_offset=0)
        if not all(pixels):
            text = "this release of HB_ONNXRuntime takes pictures or feature maps, not both in one model"
            raise RunnerError("bad_inputs", text)
        unsigned = {name: (value.astype("int16") + PIXEL_OFFSET).astype("uint8") for name, value in feed.items()}
        return session.run(names, unsigned, input_offset=PIXEL_OFFSET)


class Plain:
    """onnxruntime of any version, on the CPU."""

    def __init__(self, cls, _name, path, request):
        module = importlib.import_module("onnxruntime")
        if hasattr(module, "disable_telemetry_events"):
            module.disable_telemetry_events()
        options = module.SessionOptions()
        options.graph_optimization_level = module.GraphOptimizationLevel(LEVELS[request["optimizations"]])
        options.intra_op_num_threads = request["threads"]
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.session = cls(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    def run(self, names, feed):
        return self.session.run(names, feed)


def find_runtime(names):
    """(class, name, module) of the first runtime that can be imported."""
    tried = []
    for name in names:
        for place in PLACES[name]:
            try:
                cls = getattr(importlib.import_module(place), CLASSES.get(name, name), None)
            except BaseException as error:  # a half-installed package fails in its own ways, sys.exit included
                tried.append("%s of %s: %s" % (name, place, describe(error)))
                continue
            if cls is not None:
                return cls, name, place
            tried.append("%s of %s: the module has no such class" % (name, place))
    raise RunnerError("no_runtime", "no runtime for this model can be imported", tried)


def import_numpy():
    try:
        return importlib.import_module("numpy")
    except Exception as error:
        raise RunnerError("no_runtime", "numpy cannot be imported", ["numpy: %s" % describe(error)]) from error


def versions():
    """Versions of the packages that decide the values, where they are imported."""
    known = {}
    for name in PACKAGES:
        version = getattr(sys.modules.get(name), "__version__", None)
        if isinstance(version, str):
            known[name] = version[:80]
    return known


# ------------------------------------------------------------------ layers


class Layers:
    """Runs the model as it is, then once per batch of tensors that are marked as outputs."""

    def __init__(self, request, folder, out, report):
        self.request, self.folder, self.out, self.report = request, folder, out, report
        self.numpy = import_numpy()
        self.cls, self.name, self.module = find_runtime(request["runtimes"])
        self.path = os.path.join(folder, request["model"])
        self.marked = os.path.join(out, "marked.onnx")
        self.rows, self.skipped, self.changed, self.own_md5 = [], [], None, []
        self.size_bytes = 0  # of what was written

    def open(self, path):
        runtime = Plain if self.name == "onnxruntime" else Horizon
        return runtime(self.cls, self.name, path, self.request)

    def go(self):
        model = self.attempt("model_refused", lambda: self.open(self.path))
        self.feed = self.read_inputs(model.inputs)
        self.own = model.outputs
        self.total = len(self.own) + sum(len(batch) for batch in self.request["batches"])
        values = self.attempt("run_failed", lambda: list(model.run(self.own, self.feed)))
        if len(values) != len(self.own):
            raise RunnerError("run_failed", "%d values for %d outputs" % (len(values), len(self.own)))
        self.own_md5 = [self.md5(value) for value in values]
        for name, value in zip(self.own, values):
            self.put(name, value)
        batches = [[name for name in batch if name not in self.own] for batch in self.request["batches"]]
        if any(batches):
            self.dump_all([batch for batch in batches if batch])

    def dump_all(self, todo):
        shutil.copyfile(self.path, self.marked)
        self.model_bytes = os.path.getsize(self.marked)
        try:
            while todo:
                batch = todo.pop(0)
                mark_outputs(self.marked, self.model_bytes, batch)
                try:
                    values = self.marked_values(batch)
                except Exception as error:  # one tensor that cannot be an output: its halves are tried
                    todo[:0] = self.halves(batch, error)
                    continue
                for name, value in zip(batch, values):
                    self.put(name, value)
        finally:
            os.remove(self.marked)

    def marked_values(self, batch):
        values = list(self.open(self.marked).run(self.own + batch, self.feed))
        count = len(self.own)
        if len(values) != count + len(batch):
            raise RunnerError("run_failed", "%d values for %d tensors" % (len(values), count + len(batch)))
        same = [self.md5(value) for value in values[:count]] == self.own_md5
        self.changed = bool(self.changed) or not same
        return values[count:]

    def halves(self, batch, error):
        if len(batch) > 1:
            return [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
        self.skipped.append({"name": batch[0], "reason": describe(error)})
        return []

    def attempt(self, kind, step):
        try:
            return step()
        except RunnerError:
            raise
        except Exception as error:
            text = describe(error)
            short = isinstance(error, MemoryError) or any(word in text.lower() for word in MEMORY_WORDS)
            raise RunnerError("out_of_memory" if short else kind, text) from error

    def read_inputs(self, expected):
        given = {row["name"]: row["file"] for row in self.request["inputs"]}
        if set(given) != set(expected):
            text = "the model takes %s; given %s" % (", ".join(expected), ", ".join(given) or "nothing")
            raise RunnerError("bad_inputs", text)
        load = self.numpy.load
        return {name: load(os.path.join(self.folder, given[name]), allow_pickle=False) for name in expected}

    def put(self, name, value):
        numpy = self.numpy
        value = numpy.asarray(value)
        if value.dtype.kind not in "iufb" or value.dtype.itemsize > 8:
            self.skipped.append({"name": name, "reason": "holds %s, which no dump can hold" % value.dtype})
            return
        value = numpy.ascontiguousarray(value, value.dtype.newbyteorder("<")).reshape(value.shape)
        self.size_bytes += value.nbytes
        if self.size_bytes > self.request["max_bytes"]:
            raise RunnerError("too_large", "the tensors exceed %d bytes" % self.request["max_bytes"])
        file = "t%05d.npy" % len(self.rows)
        numpy.save(os.path.join(self.out, file), value, allow_pickle=False)
        self.rows.append({"name": name, "file": file, "dtype": value.dtype.name, "shape": list(value.shape)})
        self.report("progress %d %d\n" % (len(self.rows) + len(self.skipped), self.total))

    def md5(self, value):
        data = self.numpy.ascontiguousarray(value)
        return hashlib.md5(data.tobytes()).hexdigest() if data.dtype.kind in "iufb" else ""

    def result(self):
        facts = {"name": self.name, "module": self.module, "versions": versions()}
        facts.update(python=platform.python_version(), machine=platform.machine())
        if self.name == "onnxruntime":
            facts.update(optimizations=self.request["optimizations"], threads=self.request["threads"])
        return {
            "runtime": facts,
            "outputs": self.own,
            "dumping_changed_outputs": self.changed,
            "tensors": self.rows,
            "skipped": self.skipped,
        }


def length_delimited(number, body):
    size, head = len(body), bytearray([number << 3 | 2])
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body


def mark_outputs(path, size, names):
    """Makes `names` outputs of the ONNX at `path`, whose own content is its first `size` bytes.

    A second `graph` field behind a protobuf message is merged into the first, so nothing is rewritten.
    """
    rows = [length_delimited(12, length_delimited(1, name.encode("utf-8"))) for name in names]
    with open(path, "r+b") as file:
        file.truncate(size)
        file.seek(size)
        file.write(length_delimited(7, b"".join(rows)))


# ------------------------------------------------------------------ command line


def describe(error):
    """Type and text of an exception, bounded."""
    if isinstance(error, RunnerError):
        return error.text
    return ("%s: %s" % (type(error).__name__, error)).strip()[:TEXT_LIMIT]


def divert_stdout():
    """stdout for this script alone: what a runtime prints on it goes to stderr. Gives the function that writes."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return lambda text: os.write(kept, text.encode("ascii"))


def end_with_host(seconds):
    """Ends this process with its stdin, which the host holds open, or after `seconds`: no run outlives the host."""
    kept, null = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)

    def watch():
        while os.read(kept, 1):
            pass
        os._exit(124)

    for thread in (threading.Thread(target=watch), threading.Timer(seconds, lambda: os._exit(124))):
        thread.daemon = True
        thread.start()


def write_result(out, value):
    path = os.path.join(out, "result.part")
    with open(path, "w") as file:
        json.dump(dict(value, format=1), file)
    os.replace(path, os.path.join(out, "result.json"))


def compute(folder, out, report):
    with open(os.path.join(folder, "request.json")) as file:
        request = json.load(file)
    end_with_host(request["timeout_s"])
    layers = Layers(request, folder, out, report)
    layers.go()
    return layers.result()


def main(argv):
    if len(argv) != 2:
        sys.stderr.write("usage: reference_runner.py REQUEST_FOLDER RESULT_FOLDER\n")
        return 2
    os.umask(0o022)
    # read by ONNX Runtime when it is imported, also from within a vendor's package
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    report = divert_stdout()
    try:
        result = compute(argv[0], argv[1], report)
    except RunnerError as error:
        result = {"error": {"kind": error.kind, "text": error.text[:TEXT_LIMIT], "tried": error.tried}}
    except MemoryError:
        result = {"error": {"kind": "out_of_memory", "text": "out of memory", "tried": []}}
    except Exception as error:
        result = {"error": {"kind": "failed", "text": describe(error), "tried": []}}
    write_result(argv[1], result)
    return 1 if "error" in result else 0


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # a runtime's threads and exit handlers change nothing any more
