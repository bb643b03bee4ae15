"""Rules of Ingenic's boards with Venus; they join the table of rules.py when diagnosis is loaded."""

from __future__ import annotations

from harness.diagnosis.explained import explained
from harness.records.running import Rule

WHEN = {
    "M-501": "the md5 of the fed file is none of the inputs in the PC's dump folder",
    "M-502": "a pair is equal with the nibbles of each byte swapped",
    "M-503": "venus prints its request to upgrade it",
    "M-504": "truncated lines after the text",
    "M-505": "the peak is over 90 % of the total",
    "M-506": "`Open file [...] failed` of the debug library",
    "M-507": "a mode left no dump, no table or no nmem file",
    "M-601": "its cosine is below 99 %",
    "M-602": "a cosine below 98 % before the end, the last below 95 %",
    "M-603": "the first cosine below 98 % is among the last tenth",
    "M-604": "no cosine below 98 %, and the board's layers differ",
}
SOURCES = {
    "M-50": "the board's files and what venus printed",
    "M-501": "the md5 of what was fed, and of the inputs in the PC's dump folder",
    "M-502": "the board's dumps held against those of the PC",
    "M-6": "Magik post-quantization guide 1.0.1, 8.1 and 8.2; the transform tool's cosine table",
}
_TABLE = (
    Rule("M-501", "error", "board and PC got different inputs",
         "use the PC's input_data_shape_N_H_W_C.bin as input; other letterboxes, sizes or scalers differ"),
    Rule("M-502", "note", "board and PC use opposite nibble orders for 4-bit values",
         "not a fault: the PC has the first value in the high nibble, the board in the low"),
    Rule("M-503", "warning", "the soc-nna driver is too old",
         "load the soc-nna.ko of the same release as the libraries"),
    Rule("M-504", "note", "nmem_memory.txt has leftover bytes of an earlier write",
         "only the first lines are used; the rest is leftover"),
    Rule("M-505", "warning", "little Magik memory (nmem) is left",
         "raise nmem= in the kernel's arguments before using a larger model or image"),
    Rule("M-506", "warning", "some layers could not be dumped", "rename these tensors in the model, without slashes"),
    Rule("M-507", "error", "a program ran with a library of another build type",
         "release is libvenus.so, profile .p.so, debug .d.so, nmem .m.so (NNA2: libdrivers.m.so)"),
    Rule("M-601", "warning", "symptom A: the first layer is already inaccurate on the PC",
         "the input is wrong: 1) format RGB or BGR in the json; 2) mean and var; both as in training"),
    Rule("M-602", "warning", "symptom B: accuracy drops from one layer on", "raise bits, skip, or report"),
    Rule("M-603", "warning", "symptom C: only the last layers are inaccurate",
         "1) weight_fake_quant and feature_fake_quant tell which side loses; 2) bias_corr: weight_corr or "
         "feature_corr with corr_dir and vali_dir; 3) raise the bit width (feature 12, weight 10)"),
    Rule("M-604", "error", "symptom D: accurate on the PC, wrong on the board",
         "1) feed ./result/path/input_uint8.bin to the board and compare every layer with result/path/ptq_model; "
         "2) run the float network on it and compare with float_model; 3) send the differing layer's inputs and "
         "outputs to the tool's vendor"),
)  # fmt: skip
MAGIK_RULES = tuple(explained(rule, WHEN, SOURCES) for rule in _TABLE)
