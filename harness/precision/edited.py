"""A model with its mask constants clipped: a new ONNX, proved on every sample to give the same floats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from harness.emulator.compiler.prepare_model import load
from harness.errors import InputError
from harness.files.safe import write_file
from harness.precision.changed import ChangedModel
from harness.precision.masks import MaskEdit, mask_edits
from harness.precision.prepared import PreparedModel, prepare

SAME = 1e-4  # of the largest value of an output: more is another model
MOST_BYTES = 2**31 - 1  # of one ONNX file


@dataclass(frozen=True)
class EditedModel:
    """The edits that were made. `difference` is the largest of the float outputs over all samples, over the largest
    value of that output; `subject` is the edited model, held against the float outputs of the model as it was."""

    subject: PreparedModel
    edits: tuple[MaskEdit, ...]
    difference: float

    @property
    def is_same(self) -> bool:
        """Whether the float outputs stay what they are, within SAME."""
        return self.difference <= SAME


def edits_of(subject: PreparedModel) -> tuple[MaskEdit, ...]:
    """Mask constants of a model that set a scale, as far as they lie in its file as constants."""
    known = _constants(load(subject.path))
    return tuple(one for one in mask_edits(subject.network, subject.ranges) if one.constant in known)


def write_edited(subject: PreparedModel, edits: Sequence[MaskEdit], path: Path) -> EditedModel:
    """Write the model with the edits to `path` and run both on every sample. Errors: InputError for a model too large
    for one file."""
    model = with_edits(load(subject.path), edits)
    if model.ByteSize() > MOST_BYTES:
        raise InputError(f"{subject.path}: over 2 GB, an edited copy cannot be one file", "edit the mask by hand")
    write_file(path, model.SerializeToString())
    network = subject.network
    shapes = {name: network.shape(name) or () for name in network.input_names}
    edited = prepare(path, subject.soc, subject.samples_folder, shapes, len(subject.feeds))
    difference = _difference(subject, edited)
    return EditedModel(replace(edited, reference=subject.model), tuple(edits), difference)


def with_edits(model: onnx.ModelProto, edits: Sequence[MaskEdit]) -> onnx.ModelProto:
    """A copy with each constant clipped for its own op: others that read the same constant keep it."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    constants = _constants(model)
    for edit in edits:
        value = numpy_helper.to_array(constants[edit.constant])
        name = f"{edit.constant}_clipped_for_{edit.op}"
        result.graph.initializer.append(
            numpy_helper.from_array(np.maximum(value, np.asarray(edit.after, value.dtype)), name)
        )
        for node in result.graph.node:
            if edit.output in node.output:
                node.input[:] = [name if one == edit.constant else one for one in node.input]
    return result


def _constants(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Initializers, and what Constant nodes hold."""
    held = {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    return held | {tensor.name: tensor for tensor in model.graph.initializer}


def _difference(subject: PreparedModel, edited: PreparedModel) -> float:
    """Largest difference of an output's value over the largest value of that output; infinite with NaN."""
    worst = 0.0
    pairs = zip(ChangedModel.exact_outputs(subject), ChangedModel.exact_outputs(edited), strict=True)
    for before, after in pairs:
        for name, value in before.items():
            if value.dtype.kind == "f" and value.size:
                largest = float(np.max(np.abs(value))) or 1.0
                share = float(np.max(np.abs(after[name] - value))) / largest
                worst = max(worst, share if np.isfinite(share) else float("inf"))
    return worst
