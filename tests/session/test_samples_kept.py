"""What stays of samples, and which are refused before one is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from harness.errors import InputError
from harness.files.samples import open_samples
from harness.platforms import load
from harness.records import Case, InputFacts, ModelInfo, Sample, SamplesPlan, SequencePlan, TensorSpec
from harness.reference.outputs import OutputsOf
from harness.review.case_reference import CaseReference, Fed
from harness.review.samples import kept
from harness.review.samples.trajectories import Trajectories
from harness.session.samples.batches import PreparedSample
from harness.session.samples.evaluating import SampleReferences, Stages, keep_outputs
from harness.session.samples.fitting import refuse_unfit
from harness.session.samples.running import SamplesPass
from tests.consistency.checks.quantization_nets import SIDE, attention

BESIDE = {"reference": "by name", "float": "by name"}
FACTS = (InputFacts("x", 16, "f32", "float32 2x2", ((2, 2),)),)


def test_outputs_of_samples_with_one_safe_name_stay_apart(tmp_path: Path) -> None:
    stems = ["a b", "a_b", "a  b", "x" * 90, "x" * 90 + "y"]
    places = []
    for number, stem in enumerate(stems):
        local = tmp_path / f"left{number}"
        local.mkdir()
        (local / "out.bin").write_text(stem)
        places.append(keep_outputs(tmp_path / "run", Sample(stem, "differs"), local, number, number))
    assert places[0] == "samples/s000000-a_b"
    assert [(tmp_path / "run" / place / "out.bin").read_text() for place in places] == stems


def refusal(folder: Path, sequence: SequencePlan | None = None) -> str:
    samples = open_samples(SamplesPlan((("", folder),), sequence=sequence))
    with pytest.raises(InputError) as raised:
        refuse_unfit(samples, range(len(samples.stems)), FACTS, raw=True)
    return raised.value.message


def test_every_sample_that_does_not_fit_is_named(tmp_path: Path) -> None:
    (folder := tmp_path / "samples").mkdir()
    for place in range(12):
        np.save(folder / f"good{place}.npy", np.zeros((2, 2), np.float32))
        (folder / f"raw{place}.bin").write_bytes(bytes(16))
    samples = open_samples(SamplesPlan((("", folder),)))
    refuse_unfit(samples, range(24), FACTS, raw=True)
    bad = {
        "dtype": np.zeros((2, 2)),
        "shape": np.zeros((4, 2), np.float32),
        "empty": np.zeros((0, 2), np.float32),
        "words": np.array(["a"]),
    }
    for name, array in bad.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "size.bin").write_bytes(bytes(17))
    (folder / "none.bin").write_bytes(b"")
    (folder / "cut.npy").write_bytes((folder / "good0.npy").read_bytes()[:-4])
    (folder / "head.npy").write_bytes((folder / "good0.npy").read_bytes()[:40])
    for place in range(5):
        (folder / f"more{place}.bin").write_bytes(bytes(15))
    message = refusal(folder)
    assert message.startswith("13 of 37 samples do not fit the model's inputs, and none was sent")
    for name in (*bad, "size", "none", "cut", "head", *(f"more{place}" for place in range(5))):
        assert name in message


def test_a_stack_of_another_shape_is_named_itself(tmp_path: Path) -> None:
    np.save(tmp_path / "frames.npy", np.zeros((9, 3), np.float32))
    message = refusal(tmp_path / "frames.npy", SequencePlan(window=2))
    assert f"{tmp_path / 'frames.npy'}: is f32 1x2x3" in message


def test_samples_without_a_reference_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.savez(tmp_path / "b.npz", x=np.zeros(2))
    OutputsOf(tmp_path).refuse_missing(["a", "b"])
    with pytest.raises(InputError, match="no reference for 2 of 3 samples: c, d"):
        OutputsOf(tmp_path).refuse_missing(["a", "c", "d"])


def references_of(case: Case, folder: Path) -> tuple[dict[str, str], SampleReferences]:
    """Which stages were left out, and what the PC says of one sample of 1x3x8x8 floats."""
    info = ModelInfo("net", inputs=(TensorSpec("x", "f32", (1, 3, SIDE, SIDE), "NCHW"),))
    expected = CaseReference(case, load("hbdnn"), lambda *_: None)
    stages = Stages(expected, info)
    stages.refuse_missing(["s0"])
    (folder / "x.bin").write_bytes(np.zeros((3, SIDE, SIDE), np.float32).tobytes())
    sample = PreparedSample("s0", "s000000", (), (), (Fed("x", folder / "x.bin"),))
    stages.references(sample, folder / "first")
    return expected.left_out, stages.references(sample, folder / "second")


def test_a_stage_that_cannot_be_fed_is_left_out_and_samples_go_on(tmp_path: Path) -> None:
    onnx.save(attention(-20.0), tmp_path / "net.onnx")
    wide = attention(-20.0)
    wide.graph.input[0].type.tensor_type.shape.dim[2].dim_value = SIDE + 2
    onnx.save(wide, tmp_path / "wide.onnx")
    (tmp_path / "none.onnx").write_bytes(b"no model")
    net, other, none = (str(tmp_path / f"{name}.onnx") for name in ("net", "wide", "none"))
    case = Case("samples", tmp_path / "net.bin", reference=net, floats=other)
    left_out, references = references_of(case, tmp_path)
    assert list(left_out) == ["float"] and left_out["float"].startswith("wide.onnx: ")
    assert references.reference is not None and references.floats is None
    assert list(references_of(replace(case, floats=none), tmp_path)[0]) == ["float"]
    left_out, references = references_of(replace(case, floats=net, reference=other, automatic=BESIDE), tmp_path)
    assert list(left_out) == ["reference"] and references.floats is not None and references.reference is None
    left_out, _ = references_of(replace(case, reference=none, floats=none, automatic=BESIDE), tmp_path)
    assert list(left_out) == ["reference", "float"]
    for given in (other, none):
        with pytest.raises(InputError):
            references_of(replace(case, reference=given), tmp_path)


def bare(folder: Path) -> SamplesPass:
    """A pass that has no board; only what it keeps on this PC."""
    one = SamplesPass.__new__(SamplesPass)
    one.folder, one.finished, one._trajectories = folder, {}, None
    return one


def test_what_was_forgotten_runs_again(tmp_path: Path) -> None:
    """Samples failed in a row on a damaged model: once it is repaired, they do not count."""
    one = bare(tmp_path)
    one._failures, one._usual_s = 9, 5.0
    one._trajectories = Trajectories(tmp_path, 2, SequencePlan(window=1))
    one._trajectories.add(0, {"board": {"pose": np.zeros(3)}})
    one._add([Sample("a", "failed")])
    one.forget()
    assert (one._failures, one._usual_s, one.finished, kept.read(tmp_path)) == (0, 0.0, {}, {})
    assert not list((tmp_path / "jitter").glob("*.npy"))


@pytest.mark.parametrize("ends", [KeyboardInterrupt, InputError, None])
def test_nothing_is_left_in_the_folder_of_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: type[BaseException] | None
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one = bare(tmp_path / "run")
    try:
        with one._in_scratch():
            (one._scratch / "inputs.tar").write_bytes(b"1")
            if ends is not None:
                raise ends("ended")
    except (KeyboardInterrupt, InputError):
        pass
    assert list(tmp_path.iterdir()) == []
