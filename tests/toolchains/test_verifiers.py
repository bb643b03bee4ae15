"""What estimators, verifiers and debuggers of toolchains print."""

from __future__ import annotations

from harness.toolchains.horizon.perf import read_perf
from harness.toolchains.horizon.verifier import read_verifier
from harness.toolchains.records import Check, LayerCost, SegmentEstimate
from tests.support.toolchain_samples import read, sample

# --------------------------------------------------------------------------- estimates, verifiers, debuggers


def test_the_printed_perf_dict_of_a_batch_of_256() -> None:
    perf = read("bayes_doc_perf_model_dict.txt")
    assert (perf.kind, perf.march, perf.versions) == ("hb_perf", "bayes", {"hbdk": "3.46.4"})
    assert perf.estimates == (SegmentEstimate("FxQATReadyMobileNetV2", 5722.98, 44731.9, 359319552, None, 256),)
    assert len(perf.layers) == 54
    assert perf.layers[0] == LayerCost("_features_0_0_hz_conv2d", 113246208, 29.0, 267.0)
    assert perf.layers[-2].load_store_us == 0.0


def test_hbm_perf_json_of_j6() -> None:
    text = """{"summary": {"performance": {"FPS": 500.0, "latency (us)": 2000.5},
      "DDR access data": {"DDR bytes per run": 1000}, "model info": {"BPU march": "nash-m"},
      "layer details": [{"layer name": "conv", "computing cost (no DDR)": "12 us (3% of model)",
                         "load cost": "5 us", "store cost": "2 us"}]}}"""
    perf = read_perf(text)
    assert perf.march == "nash-m" and perf.estimates[0].latency_us == 2000.5 and perf.estimates[0].ddr_bytes == 1000
    assert perf.layers[0].compute_us == 12.0 and perf.layers[0].load_store_us == 7.0


def test_half_a_perf_dict_gives_no_number() -> None:
    text = sample("bayes_doc_perf_model_dict.txt").read_text()
    perf = read_perf(text[: len(text) // 2])
    assert perf.estimates == () and perf.layers == () and perf.problems


def test_verifier_outputs() -> None:
    bad = read("x5_doc_hb_verifier_mismatch.txt")
    assert bad.finished is False
    check = bad.checks[0]
    assert (check.mismatched, check.total, check.max_abs_error, check.passed) == (1000, 1000, 8.36695, False)
    good = read("x5_doc_hb_verifier_pass.txt")
    assert good.finished is True and len(good.checks) == 2
    old = read("x3_doc_hb_model_verifier_mismatch.txt")
    assert (old.finished, old.checks[0].mismatched, old.checks[0].total) == (False, 39, 327680)
    assert read("x3_doc_hb_model_verifier_pass.txt").finished is True
    cosines = read("j6p_hb_verifier_onnx_vs_bc.log")
    assert cosines.versions == {"hb_verifier": "3.5.16"} and len(cosines.similarities) == 16
    assert cosines.similarities[4].metrics == {"cosine": 0.996878}
    assert cosines.finished is None  # cosines are shown, nothing was judged


def test_verifier_consistency_table_of_j6() -> None:
    text = "\n".join(
        [
            "+------+-------+-----------------+--------------+--------------+",
            "| output_name | ret | mismatched | max_abs_diff | max_rel_diff |",
            "+------+-------+-----------------+--------------+--------------+",
            "| a | True | 0/10 (0.0%) | 0.0 | 0.0 |",
            "| b | False | 3/10 (30.0%) | 0.5 | 0.1 |",
            "+------+-------+-----------------+--------------+--------------+",
            "",
        ]
    )
    result = read_verifier(text)
    assert result.checks == (Check("a", True, 0, 10, 0.0, 0.0), Check("b", False, 3, 10, 0.5, 0.1))
    assert result.finished is False


def test_sensitivity_tables_and_dicts_agree() -> None:
    printed, returned = read("x3_doc_sensitivity_table.txt"), read("x3_doc_sensitivity_dict.txt")
    assert [(s.name, s.metrics) for s in printed.similarities] == [(s.name, s.metrics) for s in returned.similarities]
    assert printed.similarities[0].name == "Conv_3" and printed.similarities[0].metrics["mse"] == 0.027825591154396534
    excerpt = read("x5_doc_sensitivity_table_excerpt.txt")
    assert len(excerpt.similarities) == 6 and "'...'" in excerpt.problems[0]


def test_qat_tables() -> None:
    for name in ("bayes_doc_qat_similarity.txt", "bayes_doc_qat_ordered_op_error_similarity.txt"):
        table = read(name)
        row = next(s for s in table.similarities if s.name == "quantized_ops.2.reciprocal")
        assert len(table.similarities) == 19
        assert (row.kind, row.metrics["cosine"], row.metrics["error_out_scales"]) == ("SegmentLUT", 1.0000001, 5.0)
    weights = read("bayes_doc_qat_weight_comparsion.txt")
    assert weights.similarities[-1].metrics == {"cosine": 1.0, "atol": 0.0000172}
    assert read("vec_diff_csv_header.txt").problems == ("no rows",)


def test_qat_check_and_compile_consoles_say_success() -> None:
    assert read("bayes_doc_check_model.txt").finished is True
    assert read("bayes_doc_compile_model.txt").finished is True
    assert {m.severity for m in read("x3_doc_hb_perf_no_layer_warning.txt").messages} == {"warning", "note"}
