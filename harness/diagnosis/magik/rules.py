"""Rules of Ingenic's boards with Venus; they join the table of rules.py when diagnosis is loaded."""

from __future__ import annotations

from harness.diagnosis.rules import Rule

MAGIK_RULES = (
    Rule("M-501", "error", "the board was fed another input than the PC",
         "feed the PC's own input_data_shape_N_H_W_C.bin; another letterbox, size or scaler gives other bytes"),
    Rule("M-502", "note", "board and PC pack 4-bit values in opposite order",
         "no fault: the PC's executor puts the first value high, the board low; compare with the halves exchanged"),
    Rule("M-503", "warning", "the soc-nna driver is too old", "load the soc-nna.ko of the libraries' release"),
    Rule("M-504", "note", "nmem_memory.txt holds bytes of an earlier write",
         "the figures are those of the first lines; what follows them is left over"),
    Rule("M-505", "warning", "little of Venus' memory (nmem) is left",
         "raise nmem= in the kernel's arguments before the model or the picture grows"),
    Rule("M-506", "warning", "some layers could not be dumped", "rename these tensors in the model: no slashes"),
    Rule("M-507", "error", "a program ran with the library of another build type",
         "release is libvenus.so, profile .p.so, debug .d.so, nmem .m.so (NNA2: libdrivers.m.so)"),
    Rule("M-601", "warning", "symptom A: the first layer is lossy on the PC already",
         "the input is wrong: 1) format RGB or BGR in the json; 2) mean and var; both as in training"),
    Rule("M-602", "warning", "symptom B: fine at first, falling from one layer on", "raise bits, skip, or report"),
    Rule("M-603", "warning", "symptom C: only the last layers fall",
         "1) weight_fake_quant and feature_fake_quant tell which side loses; 2) bias_corr: weight_corr or "
         "feature_corr with corr_dir and vali_dir; 3) raise the bit width (feature 12, weight 10)"),
    Rule("M-604", "error", "symptom D: fine on the PC, wrong on the board",
         "1) feed ./result/path/input_uint8.bin to the board and compare every layer with result/path/ptq_model; "
         "2) run the float network on it and compare with float_model; 3) send the differing layer's inputs and "
         "outputs to the tool's makers"),
)  # fmt: skip
