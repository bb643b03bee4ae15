"""The policy of a run: found again on this PC, and the limits of a user's own file as they leave with a bundle."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from harness.consistency.policy import ErrorLimits, Policy, PolicyRule, built_in_names, load_policy
from harness.files.safe import write_file
from harness.files.yaml_nodes import dumped
from harness.handover.contents import located
from harness.records import Run

FILE = "ops/policy.yaml"  # in a bundle, of a run with a policy file of its own
_LISTS = ("op_kinds", "dtypes", "units", "platforms", "toolchains")


@dataclass(frozen=True)
class FoundPolicy:
    """`source` is what `load_policy` takes, "" for the one that harness chooses; `gone` says what is in its place."""

    source: str
    is_file: bool = False
    gone: str = ""


def found_policy(run: Run) -> FoundPolicy:
    """The policy that was asked for; one that was found by the values is found again."""
    name = run.case.policy
    if name in built_in_names():
        return FoundPolicy("" if name == "default" else name)
    file = next((file for file in run.case.files if file.role == "policy"), None)
    path = located(run, file) if file is not None else None
    if path is None:
        return FoundPolicy("", gone=f"{name}, the policy of the run, is not where it was, or is another file")
    return FoundPolicy(str(path), is_file=True)


def write_limits(policy: Policy, target: Path) -> None:
    """The limits alone, below `target`: no words of the user's and no waiver, as a waived op is blamed by nobody.

    Errors: OSError.
    """
    rules = [_rule(rule, number) for number, rule in enumerate(policy.rules, 1)]
    names = ("note", "look", "bad")
    plain = {"policy": "the run's", "rules": rules, "three_way": dict(zip(names, policy.three_way, strict=True))}
    plain |= {"precision": policy.precision} if policy.precision else {}
    write_file(target / FILE, dumped(plain).encode(), target)


def _rule(rule: PolicyRule, number: int) -> dict[str, object]:
    limits = {one.name: getattr(rule.limits, one.name) for one in fields(ErrorLimits) if one.name != "names"}
    kept = {name: value for name, value in limits.items() if value not in (None, {})}
    if "metrics" in kept:
        kept["metrics"] = dict(kept["metrics"])
    lists = {name: list(getattr(rule, name)) for name in _LISTS if getattr(rule, name)}
    return {"name": f"rule {number}", "limits": kept, **lists}


def policy_in(root: Path, name: str) -> Policy:
    """The policy of an op in a bundle that was unpacked into `root`. Errors: ConfigError for a file that is none."""
    if name == FILE and (root / FILE).is_file():
        return load_policy(root / FILE)
    return load_policy(name if name in built_in_names() else "")
