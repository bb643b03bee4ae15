"""Rules of the PC's own side: is its reference sound, and was it made as the board's run was?"""

from __future__ import annotations

from harness.records.running import Rule

SOURCE = "the manifest of the reference, and its ops run alone on this PC"
PC_RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in (
        Rule("P-401", "error", "the reference is wrong: 8-bit sums saturated on this PC",
             "create the reference with optimizations off (the default), or on a CPU with avx512_vnni or avx_vnni",
             "no VNNI, optimizations on, and ops that give other values alone", SOURCE),
        Rule("P-402", "warning", "this PC's CPU has no VNNI, and the reference ran with optimizations on",
             "create the reference with optimizations off (the default)",
             "no VNNI, optimizations on, but no op saturated", SOURCE),
        Rule("P-403", "warning", "ops of the reference give different results when run alone without optimizations",
             "create the reference with optimizations off (the default)",
             "optimizations on, and an op beyond a tie", SOURCE),
        Rule("P-404", "note", "the reference ran with graph optimizations",
             "with optimizations off, integer results were the same on every CPU tested",
             "recorded in the reference's manifest", SOURCE),
        Rule("P-405", "warning", "dumping the layers changed the network's outputs",
             "run with --option optimizations=disabled; where activations are int8, "
             "--option config=session.qdqisint8allowed=1 does too",
             "outputs differ on the PC or the board", SOURCE),
        Rule("P-406", "note", "more than one thread",
             "float differences of about 1e-6 are expected; use one thread on both sides to exclude this",
             "on either side", SOURCE),
        Rule("P-407", "note", "PC and board run different versions of onnxruntime",
             "kernels and fusions change between versions: install the same version on both",
             "both are known and differ", SOURCE),
    )
}  # fmt: skip
