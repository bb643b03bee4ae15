#!/usr/bin/env python3
"""Runs one ONNX model with ONNX Runtime on a board. Needs Python >= 3.8, numpy and onnxruntime.

Every line on stdout is `key: JSON`; the last is `result: ...`, or `error: kind: text` with exit status 1.
Tensors go to t00000.bin, t00001.bin ... (C order, little endian); manifest.json says what each one is.
"""

# ruff: noqa: PTH107, PTH111, PTH113, PTH118, PTH202, PTH105, PTH123, UP031, B905

import argparse
import json
import mmap
import os
import platform
import resource
import shutil
import sys
import time

from ort_io import (
    LEVELS,
    RunnerError,
    Sink,
    banner,
    cpu_flags,
    digest,
    emit,
    libraries,
    open_session,
    pairs,
    read_inputs,
    run_session,
    tensor_bytes,
    tensor_dtype,
    write_json,
)
from ort_model import Graph, ModelError, mark_outputs

TRACE_LIMIT_BYTES = 16 * 2**20  # onnxruntime's own trace is kept up to this size
GONE = 2**31 - 1


class Run:
    """What every mode needs: the libraries, the arguments, an open session of the model as it is."""

    def __init__(self, args):
        self.args = args
        self.numpy, self.ort = libraries()
        banner(self.numpy, self.ort)
        self.import_rss = peak_rss_bytes()
        if not os.path.isfile(args.model):
            raise RunnerError("missing_model", "no file %s" % args.model)
        self.session, load_us = open_session(self.ort, args, args.model)
        self.load_rss = peak_rss_bytes()
        self.names = [row.name for row in self.session.get_outputs()]
        self.describe(load_us)

    def describe(self, load_us):
        meta = self.session.get_modelmeta()
        emit("model", {"graph": meta.graph_name, "producer": meta.producer_name, "load_us": load_us})
        for key, rows in (("input", self.session.get_inputs()), ("output", self.session.get_outputs())):
            for row in rows:
                emit(key, {"name": row.name, "dtype": tensor_dtype(row), "shape": list(row.shape or [])})

    def feed(self):
        return read_inputs(self.numpy, self.session, self.args.input)

    def sink(self):
        return Sink(self.numpy, self.args.out)

    def digests(self, values):
        return [digest(self.numpy, value) for value in values]

    def graph(self):
        with open(self.args.model, "rb") as file:
            return Graph(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def settings(self):
        args = self.args
        return {
            "optimizations": args.optimizations,
            "threads": args.threads,
            "providers": self.session.get_providers(),
            "config": pairs(args.config),
            "onnxruntime": self.ort.__version__,
            "machine": platform.machine(),
            "cpu_flags": cpu_flags(),
        }


def run_info(run):
    return {"inputs": len(run.session.get_inputs()), "outputs": len(run.names)}


def run_release(run):
    feed, sink = run.feed(), run.sink()
    start = time.perf_counter()
    values = run_session(run.session, feed)
    emit("run", {"us": (time.perf_counter() - start) * 1e6})
    for name, value in zip(run.names, values):
        sink.put(name, value, {"is_output": True, "index": -1})
    sink.close("release", settings=run.settings())
    return {"files": len(sink.rows), "skipped": len(sink.skipped)}


# ------------------------------------------------------------------ debug


def run_debug(run):
    feed, graph, sink = run.feed(), run.graph(), run.sink()
    plain = run.digests(run_session(run.session, feed))
    batches = Batches(run, graph, feed, sink)
    batches.go(graph.tensors(run.args.dump))
    debug_vs_release = "same" if all(outputs == plain for outputs in batches.outputs) else "different"
    sink.rows.sort(key=lambda row: row["index"] if row["index"] >= 0 else GONE)
    more = {"debug_vs_release": debug_vs_release, "batches": len(batches.outputs), "dump": run.args.dump}
    sink.close("debug", settings=run.settings(), **more)
    emit("debug_vs_release", debug_vs_release)
    counts = {"files": len(sink.rows), "skipped": len(sink.skipped), "batches": len(batches.outputs)}
    return dict(counts, peak_bytes=peak_rss_bytes())


class Batches:
    """Runs the model once per batch of marked tensors, so that no more than --dump-bytes are held at a time."""

    def __init__(self, run, graph, feed, sink):
        self.run, self.graph, self.feed, self.sink = run, graph, feed, sink
        self.marked = os.path.join(run.args.out, "marked.onnx")
        self.outputs = []  # digests of the model's own outputs, one list per batch

    def go(self, rows):
        shutil.copyfile(self.run.args.model, self.marked)
        self.size = os.path.getsize(self.marked)
        self.order = {name: i for i, name in rows}
        todo = [[row for row in rows if row[1] not in self.run.names]]
        try:
            while todo:
                todo[:1] = self.parts(todo[0])
        finally:
            os.remove(self.marked)
        if not self.outputs:
            raise RunnerError("dump_failed", "onnxruntime accepts no tensor as an extra output")

    def parts(self, batch):
        """Dumps the batch; or says into which parts it falls, and dumps nothing."""
        try:
            mark_outputs(self.marked, self.size, [name for _, name in batch])
            session, _ = open_session(self.run.ort, self.run.args, self.marked)
        except RunnerError as error:
            if len(batch) > 1:
                return [batch[: len(batch) // 2], batch[len(batch) // 2 :]]
            self.sink.skipped += [{"name": name, "reason": str(error)} for _, name in batch]
            return []
        parts = self.by_size(session, batch)
        if len(parts) > 1:
            return parts
        self.dump(session, batch)
        return []

    def by_size(self, session, batch):
        """Parts of at most --dump-bytes each, by the shapes that onnxruntime inferred."""
        shapes = {row.name: row for row in session.get_outputs()}
        limit = self.run.args.dump_bytes
        parts, room = [[]], limit
        for row in batch:
            size = tensor_bytes(shapes[row[1]], limit)
            if parts[-1] and size > room:
                parts.append([])
                room = limit
            parts[-1].append(row)
            room -= size
        return parts

    def dump(self, session, batch):
        names = [name for _, name in batch]
        values = run_session(session, self.feed, self.run.names + names)
        count = len(self.run.names)
        if not self.outputs:
            for name, value in zip(self.run.names, values):
                self.put(name, value)
        self.outputs.append(self.run.digests(values[:count]))
        for name, value in zip(names, values[count:]):
            self.put(name, value)

    def put(self, name, value):
        facts = self.graph.describe(name) if name in self.graph.producer else {}
        facts.update(index=self.order.get(name, -1), is_output=name in self.run.names)
        self.sink.put(name, value, facts)


# ------------------------------------------------------------------ profile


def run_profile(run):
    feed, args = run.feed(), run.args
    sink = run.sink()
    for _ in range(args.warmup):
        run_session(run.session, feed)
    samples, begin = [], time.perf_counter()
    while len(samples) < args.frames and not (args.time and time.perf_counter() - begin > args.time):
        start = time.perf_counter()
        values = run_session(run.session, feed)
        samples.append((time.perf_counter() - start) * 1e6)
    latency = {"mean_us": sum(samples) / len(samples), "min_us": min(samples), "max_us": max(samples)}
    latency.update(frames=len(samples), total_us=(time.perf_counter() - begin) * 1e6)
    latency.update(threads=args.threads, warmup=args.warmup)
    emit("latency", latency)
    for name, value in zip(run.names, values):
        sink.put(name, value, {"is_output": True, "index": -1})
    sink.close("profile", settings=run.settings())
    write_json(args.out, "latency.json", dict(latency, format=1, samples_us=samples))
    return profile_ops(run, feed, run.digests(values))


def profile_ops(run, feed, plain):
    """Times of every op in a second session under onnxruntime's own profiler, which costs time itself."""
    args = run.args
    frames = min(args.frames, args.profile_frames)
    session, _ = open_session(run.ort, args, args.model, os.path.join(args.out, "trace"))
    for _ in range(args.warmup + frames):
        values = run_session(session, feed)
    trace = session.end_profiling()
    ops, seen = read_trace(trace, args.warmup)
    kept = keep_trace(trace, args.out)
    debug_vs_release = "same" if run.digests(values) == plain else "different"
    emit("debug_vs_release", debug_vs_release)
    facts = {
        "format": 1,
        "frames": frames,
        "frames_seen": seen,
        "trace_kept": kept,
        "debug_vs_release": debug_vs_release,
    }
    write_json(args.out, "ops.json", dict(facts, ops=ops, settings=run.settings()))
    return {"ops": len(ops), "profile_frames": frames}


def keep_trace(trace, folder):
    kept = os.path.getsize(trace) <= TRACE_LIMIT_BYTES
    if kept:
        os.replace(trace, os.path.join(folder, "trace.json"))
    else:
        os.remove(trace)
    return kept


def trace_events(path):
    """Events of a trace, one per line as onnxruntime writes them."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            line = line.strip().rstrip(",")
            if line.startswith("{"):
                yield json.loads(line)


def read_trace(path, warmup):
    """([row per op], frames seen): events of the first `warmup` runs are left out."""
    starts = sorted(event["ts"] for event in trace_events(path) if event.get("name") == "model_run")
    if len(starts) <= warmup:
        raise RunnerError("bad_trace", "the profiler saw %d runs" % len(starts))
    ops = {}
    for event in trace_events(path):
        is_op = event.get("cat") == "Node" and event["name"].endswith("_kernel_time")
        if is_op and event["ts"] >= starts[warmup]:
            add_event(ops, event)
    rows = [dict(row, mean_us=row["total_us"] / row["count"]) for row in ops.values()]
    return rows, len(starts) - warmup


def add_event(ops, event):
    facts, duration_us = event.get("args", {}), float(event["dur"])
    name, kind = event["name"][: -len("_kernel_time")], facts.get("op_name", "")
    key = (name, facts.get("node_index"), kind)
    fresh = {"name": name, "kind": kind, "provider": facts.get("provider", ""), "index": len(ops)}
    fresh.update(count=0, total_us=0.0, min_us=duration_us, max_us=duration_us)
    row = ops.setdefault(key, fresh)
    row["count"] += 1
    row["total_us"] += duration_us
    row["min_us"], row["max_us"] = min(row["min_us"], duration_us), max(row["max_us"], duration_us)
    for source, target in (("output_size", "output_bytes"), ("parameter_size", "parameter_bytes")):
        if str(facts.get(source, "")).isdigit():
            row[target] = int(facts[source])


# ------------------------------------------------------------------ memory


def run_memory(run):
    feed = run.feed()
    for _ in range(max(1, run.args.warmup)):
        run_session(run.session, feed)
    figures = {"import_bytes": run.import_rss, "load_bytes": run.load_rss, "peak_bytes": peak_rss_bytes()}
    figures["model_bytes"] = os.path.getsize(run.args.model)
    run.sink()
    write_json(run.args.out, "memory.json", dict(figures, format=1, settings=run.settings()))
    emit("memory", figures)
    return {"peak_bytes": figures["peak_bytes"]}


def peak_rss_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


# ------------------------------------------------------------------ command line

MODES = {"info": run_info, "release": run_release, "debug": run_debug, "profile": run_profile, "memory": run_memory}


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise RunnerError("bad_option", message)


def arguments(argv):
    parser = Parser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--mode", choices=sorted(MODES), default="release")
    parser.add_argument("--input", action="append", default=[], metavar="[NAME=]FILE")
    parser.add_argument("--out", default=".")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--optimizations", choices=sorted(LEVELS), default="all")
    parser.add_argument("--provider", default="CPU", help="names with commas, first choice first")
    parser.add_argument("--provider-option", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--config", action="append", default=[], metavar="KEY=VALUE", help="session config entry")
    parser.add_argument("--frames", type=int, default=50, help="timed inferences of mode profile")
    parser.add_argument("--time", type=float, default=0.0, help="stop timing after so many seconds")
    parser.add_argument("--profile-frames", type=int, default=20, help="inferences under the profiler, at most")
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--dump", default="layers", help="layers, all, or tensor names with commas")
    parser.add_argument("--dump-bytes", type=int, default=256 * 2**20, help="tensors held in memory at a time")
    parser.add_argument("--site", default="", help="folder with numpy and onnxruntime, looked into first")
    return check(parser.parse_args(argv))


def check(args):
    for name, least in (("threads", 0), ("frames", 1), ("profile_frames", 1), ("warmup", 0), ("dump_bytes", 1)):
        if getattr(args, name) < least:
            raise RunnerError("bad_option", "--%s must be %d or more" % (name.replace("_", "-"), least))
    return args


def main(argv):
    start = time.perf_counter()
    try:
        args = arguments(argv)
        if args.site:
            sys.path.insert(0, os.path.expanduser(args.site))
        result = MODES[args.mode](Run(args))
        emit("result", dict(result, mode=args.mode, seconds=time.perf_counter() - start))
    except (RunnerError, ModelError) as error:
        return fail(error.kind, str(error))
    except MemoryError as error:
        return fail("memory", str(error) or "out of memory")
    except OSError as error:
        return fail("no_space" if error.errno == 28 else "files", str(error))
    return 0


def fail(kind, message):
    sys.stdout.write("error: %s: %s\n" % (kind, " ".join(message.split())))
    sys.stdout.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
