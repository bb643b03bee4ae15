"""Rules of Ingenic's boards with Venus; they join the table of rules.py when diagnosis is loaded."""

from __future__ import annotations

from harness.diagnosis.rules import Rule

MAGIK_RULES = (
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
