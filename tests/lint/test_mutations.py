"""`harness lint` over mutations of good configs: what tools refuse is found, what they take is no error, fixes hold."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness.lint.findings import LintFinding
from harness.lint.horizon.check import lint_file, lint_text
from tests.lint.fixes import apply
from tests.lint.mutations import BASES, M, Mutation, every
from tests.support.toolchain_samples import SAMPLES

MOST_MISSED = 0.03
SCHEMAS = SAMPLES / "vendor-skills"
# What a fix cannot write: the model, its data, the order of its inputs, the numbers of its training.
BY_HAND = ("H-201", "H-204", "H-214", "H-301", "H-306", "H-312", "H-314", "H-315", "H-316", "H-317", "H-503")


# One in twelve in the fast suite, all of them in the slow one.
SHARES = pytest.mark.parametrize("step", [12, pytest.param(1, marks=pytest.mark.slow)])


@cache
def judged(step: int) -> list[tuple[Mutation, str, tuple[LintFinding, ...]]]:
    texts = [(one, yaml.safe_dump(one.config(), sort_keys=False)) for one in every()[::step]]
    return [(one, text, lint_text(text)) for one, text in texts]


def errors(findings: tuple[LintFinding, ...]) -> list[LintFinding]:
    return [one for one in findings if one.severity == "error"]


@pytest.mark.parametrize("base", BASES)
def test_every_base_is_clean(base: str) -> None:
    findings = lint_text(yaml.safe_dump(BASES[base]))
    assert [one for one in findings if one.severity != "note" and one.rule != "H-302"] == []


@SHARES
def test_what_the_tool_refuses_is_found(step: int) -> None:
    refused = [(one, errors(findings)) for one, _, findings in judged(step) if one.refused]
    missed = [one.name for one, blames in refused if not blames]
    assert len(refused) > 500 / step
    assert len(missed) <= MOST_MISSED * len(refused) and missed == [], "\n".join(missed)


@SHARES
def test_what_the_tool_takes_is_no_error(step: int) -> None:
    taken = [(one, errors(findings)) for one, _, findings in judged(step) if not one.refused]
    blamed = [f"{one.name}: {blames[0].rule} {blames[0].message}" for one, blames in taken if blames]
    assert len(taken) > 250 / step and blamed == [], "\n".join(blamed)


@SHARES
def test_every_fix_applied_makes_the_config_clean(step: int) -> None:
    """Fix after fix, until no error is left that has one."""
    stuck = []
    for one, text, findings in judged(step):
        left = _mended(text, findings)
        if [finding for finding in left if finding.rule not in BY_HAND]:
            stuck.append(f"{one.name}: {left[0].rule} {left[0].message} | {left[0].fix}")
    assert stuck == [], "\n".join(stuck)


def _mended(text: str, findings: tuple[LintFinding, ...]) -> list[LintFinding]:
    tried: set[LintFinding] = set()
    for _ in range(12):
        to_do = [one for one in errors(findings) if one not in tried]
        if not to_do:
            break
        tried.add(to_do[0])
        changed = apply(text, to_do[0])
        if changed is not None:
            text, findings = changed, lint_text(changed)
    return errors(findings)


@SHARES
def test_a_fix_has_no_figure_in_short_form_and_no_bound_for_a_default(step: int) -> None:
    fixes = {finding.fix for _, _, findings in judged(step) for finding in findings}
    assert not [fix for fix in fixes if "e+" in fix]
    for wrong in ("jobs: 1024", "max_l2m_size: 25165824", "balance_factor: 100", "core_num: 2", "max_percentile: 1"):
        assert wrong not in fixes
    of_j6 = [
        several for one, _, several in judged(step) if one.base.startswith("j6") and (M, "march") not in one.change
    ]
    assert "optimize_level: O3" not in {finding.fix for findings in of_j6 for finding in findings}


# --------------------------------------------------------------------------- by the official schema

WRONG: dict[str, list[Any]] = {
    "string": [["a", "b"], {"a": {"b": 1}}],
    "boolean": ["true", "nonsense"],
    "integer": ["a", "7", 7.5, [7]],
    "number": ["a", [0.5]],
    "object": ["a", [1]],
}


def schema_mutations() -> Iterator[tuple[str, dict[str, Any]]]:
    """A value of the wrong type at every key of the official schema of hb_compile."""
    path = SCHEMAS / "j6" / "schemas" / "yaml_schema.json"
    if not path.is_file():
        pytest.skip(f"the official schema is not here: {path} (set HARNESS_SAMPLES)")
    deprecated = ("input_layout_rt", "norm_type", "preprocess_on", "hbdk3_compatible_mode")
    for group, keys in json.loads(path.read_text("utf-8"))["properties"].items():
        for key, field in keys["properties"].items():
            types = [field["type"]] if isinstance(field["type"], str) else field["type"]
            kind = "boolean" if "boolean" in types else next(one for one in types if one != "null")
            takes_map = "object" in types
            for value in WRONG[kind] if key not in deprecated else ():
                if (takes_map and isinstance(value, dict)) or (kind == "string" and takes_map):
                    continue
                mutated = Mutation("j6", {(group, key): value}, True)
                yield mutated.name, mutated.config()


def test_wrong_types_by_the_official_schema_are_found() -> None:
    missed = [name for name, config in schema_mutations() if not errors(lint_text(yaml.safe_dump(config)))]
    assert missed == [], "\n".join(missed)


def official(*folders: str) -> list[Path]:
    """Recipes and templates as the vendors hand them out."""
    files = [file for folder in folders for file in sorted((SAMPLES.parent / folder).glob("*.yaml"))]
    if not files:
        pytest.skip(f"the official recipes are not here: {SAMPLES} (set HARNESS_SAMPLES)")
    return files


def test_official_recipes_and_templates_have_no_error() -> None:
    files = official("samples/vendor-skills/j6/recipes", "samples/vendor-skills/x5/ptq", "cases/readers/lint/md")
    blamed = {path.name: bad for path in files if (bad := errors(lint_file(path)))}
    assert len(files) >= 7 and blamed == {}
    files = official("samples/horizon-toolchain")
    blamed = {path.name: bad for path in files if (bad := errors(lint_file(path)))}
    assert len(files) >= 5 and blamed == {}
