"""Sessions, inputs and outputs of the runner. Python >= 3.8, numpy and onnxruntime."""

# ruff: noqa: PTH103, PTH105, PTH110, PTH118, PTH123, UP031, UP036

import hashlib
import json
import os
import platform
import sys
import time

LEVELS = {"disabled": 0, "basic": 1, "extended": 2, "all": 99}
NUMPY = {"f32": "<f4", "f16": "<f2", "f64": "<f8", "bool8": "|b1"}
ORT_DTYPES = {"float": "f32", "float16": "f16", "double": "f64", "bool": "bool8"}
for _bits, _code in (("8", "1"), ("16", "2"), ("32", "4"), ("64", "8")):
    NUMPY.update({"s" + _bits: "<i" + _code, "u" + _bits: "<u" + _code})
    ORT_DTYPES.update({"int" + _bits: "s" + _bits, "uint" + _bits: "u" + _bits})


class RunnerError(Exception):
    """Ends the run with `error: kind: text`."""

    def __init__(self, kind, text):
        super().__init__(text)
        self.kind = kind


def emit(key, value):
    sys.stdout.write("%s: %s\n" % (key, json.dumps(value, sort_keys=True)))
    sys.stdout.flush()


def write_json(folder, name, value):
    path = os.path.join(folder, name)
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, sort_keys=True)
    os.replace(path + ".part", path)


def pairs(rows):
    for row in rows:
        if "=" not in row:
            raise RunnerError("bad_option", "expected key=value, got %s" % row)
    return dict(row.split("=", 1) for row in rows)


# ------------------------------------------------------------------ what is installed


def libraries():
    if sys.version_info < (3, 8):
        raise RunnerError("old_python", "Python %s; 3.8 or newer is needed" % platform.python_version())
    try:
        import numpy
    except ImportError as error:
        raise RunnerError("no_numpy", "%s in %s" % (error, sys.executable)) from error
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when it is imported: nothing of a measurement leaves the board
    try:
        import onnxruntime
    except ImportError as error:
        raise RunnerError("no_onnxruntime", "%s in %s" % (error, sys.executable)) from error
    getattr(onnxruntime, "disable_telemetry_events", list)()  # of releases that do not read the variable
    return numpy, onnxruntime


def cpu_flags():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            lines = [line.split(":", 1) for line in file if line.startswith(("flags", "Features"))]
    except OSError:
        return []
    return sorted(lines[0][1].split()) if lines else []


def banner(numpy, ort):
    versions = {"runtime": ort.__version__, "onnxruntime": ort.__version__, "numpy": numpy.__version__}
    versions.update(python=platform.python_version(), machine=platform.machine(), kernel=platform.release())
    emit("versions", versions)
    emit("cpu", {"flags": cpu_flags(), "count": os.cpu_count()})
    emit("providers", ort.get_available_providers())


# ------------------------------------------------------------------ sessions


def provider_names(ort, wanted):
    known = {name.lower(): name for name in ort.get_available_providers()}
    names = []
    for word in wanted.split(","):
        name = known.get(word.lower()) or known.get(word.lower() + "executionprovider")
        if name is None:
            have = ", ".join(n.replace("ExecutionProvider", "") for n in known.values())
            raise RunnerError("unknown_provider", "this onnxruntime has no %s provider; it has %s" % (word, have))
        names.append(name)
    return names


def session_options(ort, args, trace):
    options = ort.SessionOptions()
    options.intra_op_num_threads = args.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = ort.GraphOptimizationLevel(LEVELS[args.optimizations])
    options.log_severity_level = 3
    for key, value in pairs(args.config).items():
        options.add_session_config_entry(key, value)
    if trace:
        options.enable_profiling = True
        options.profile_file_prefix = trace
    return options


def open_session(ort, args, model, trace=""):
    """(session, load time in us). `trace` is the prefix of a profile to write, "" for none."""
    names = provider_names(ort, args.provider)
    providers = [(names[0], pairs(args.provider_option))] + names[1:]
    if "CPUExecutionProvider" not in names:
        providers.append("CPUExecutionProvider")
    options = session_options(ort, args, trace)
    start = time.perf_counter()
    try:
        session = ort.InferenceSession(model, options, providers=providers)
    except Exception as error:  # onnxruntime's exceptions share no other base
        raise RunnerError(load_kind(error), "onnxruntime cannot load it: %s" % error) from error
    for name in names:
        if name not in session.get_providers():
            raise RunnerError("provider_failed", "%s did not start; onnxruntime fell back to CPU" % name)
    return session, (time.perf_counter() - start) * 1e6


def load_kind(error):
    kinds = {"NoSuchFile": "missing_model", "NotImplemented": "unsupported_op"}
    return "memory" if is_memory(error) else kinds.get(type(error).__name__, "bad_model")


def is_memory(error):
    words = str(error).lower()
    return isinstance(error, MemoryError) or "bad_alloc" in words or "failed to allocate memory" in words


def run_session(session, feed, names=None):
    try:
        return session.run(names, feed)
    except Exception as error:
        raise RunnerError("memory" if is_memory(error) else "run_failed", str(error)) from error


def tensor_dtype(arg):
    """Our name of a tensor type; onnxruntime's own word where we have none."""
    inner = arg.type[7:-1] if arg.type.startswith("tensor(") else arg.type
    return ORT_DTYPES.get(inner, inner)


def tensor_bytes(arg, unknown):
    """Size by the inferred shape; an eighth of `unknown` where onnxruntime could not infer it."""
    size = int("".join(c for c in tensor_dtype(arg) if c.isdigit()) or 64) // 8
    for dim in arg.shape or []:
        if not isinstance(dim, int):
            return unknown // 8
        size *= dim
    return size


# ------------------------------------------------------------------ inputs


def read_inputs(numpy, session, rows):
    """Feeds by name: `name=file`, or files in the model's input order; .npy or raw bytes."""
    inputs = {row.name: row for row in session.get_inputs()}
    feed, free = {}, list(inputs)
    for row in rows:
        name, _, path = row.partition("=")
        if name not in inputs or os.path.exists(row):
            name, path = (free[0] if free else ""), row
        if name not in free:
            raise RunnerError("too_many_inputs", "%s: the model takes %d inputs" % (row, len(inputs)))
        free.remove(name)
        feed[name] = read_array(numpy, inputs[name], path)
    if free:
        raise RunnerError("missing_input", "no file for input %s" % ", ".join(free))
    return feed


def read_array(numpy, arg, path):
    dtype = NUMPY.get(tensor_dtype(arg))
    if dtype is None:
        raise RunnerError("input_type", "input %s is %s; only numbers can be fed" % (arg.name, arg.type))
    try:
        with open(path, "rb") as file:
            is_npy = file.read(6) == b"\x93NUMPY"
        data = numpy.load(path, allow_pickle=False) if is_npy else numpy.fromfile(path, dtype="u1")
    except (OSError, ValueError) as error:
        raise RunnerError("missing_input", "input %s: %s" % (arg.name, error)) from error
    if is_npy:
        return data.astype(dtype, copy=False)
    shape = input_shape(arg, data.size, numpy.dtype(dtype).itemsize)
    return data.view(dtype).reshape(shape)


def input_shape(arg, size_bytes, item_bytes):
    """The model's shape. Open dimensions: the last one follows from the file's size, those before it are 1."""
    shape = [d if isinstance(d, int) and d > 0 else 0 for d in arg.shape]
    open_axes = [i for i, d in enumerate(shape) if not d]
    rest = 1
    for d in shape:
        rest *= d or 1
    count = size_bytes // item_bytes
    if size_bytes % item_bytes or not count or (count % rest if open_axes else count != rest):
        wanted = "x".join(str(d) for d in arg.shape)
        text = "input %s is %s %s, the file has %d bytes" % (arg.name, wanted, arg.type, size_bytes)
        raise RunnerError("input_size", text)
    for axis in open_axes:
        shape[axis] = count // rest if axis == open_axes[-1] else 1
    return shape


# ------------------------------------------------------------------ outputs


class Sink:
    """Writes tensors to numbered files and remembers what they are; holds one array at a time."""

    def __init__(self, numpy, folder):
        self.numpy, self.folder, self.rows, self.skipped = numpy, folder, [], []
        self.dtypes = {numpy.dtype(code).name: name for name, code in NUMPY.items()}
        os.makedirs(folder, exist_ok=True)

    def put(self, name, value, extra):
        dtype = self.dtypes.get(str(getattr(value, "dtype", "")))
        if dtype is None:
            kind = getattr(value, "dtype", type(value).__name__)
            self.skipped.append({"name": name, "reason": "%s is not written" % kind})
            return
        data = self.numpy.ascontiguousarray(value, dtype=NUMPY[dtype])
        file = "t%05d.bin" % len(self.rows)
        data.tofile(os.path.join(self.folder, file))
        row = dict(extra, name=name, file=file, dtype=dtype, shape=list(value.shape))
        row.update(bytes=data.nbytes, md5=digest(self.numpy, data))
        self.rows.append(row)

    def close(self, mode, **more):
        manifest = dict(more, format=1, mode=mode, tensors=self.rows, skipped=self.skipped)
        write_json(self.folder, "manifest.json", manifest)


def digest(numpy, value):
    """md5 of the elements in C order; "" for what is no array."""
    if not hasattr(value, "dtype") or value.dtype.hasobject:
        return ""
    return hashlib.md5(memoryview(numpy.ascontiguousarray(value).reshape(-1).view("u1"))).hexdigest()
