"""Errors of hb_compile, hb_verifier and their libraries: which yaml key or cause a text names, and what to change.

The tools print hundreds of texts in a few forms. A pattern stands for a form, not for one text: the key, value and
allowed values are taken from the text. A log file has no level word, so a text counts as an error by its form alone;
a text of no known form counts where the tool itself marks it: as an exception, or as the last record of a failed build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# A key of the yaml: words joined by underscores, and the few keys of one word.
KEY = r"['\"`]?(?P<subject>[a-z][a-z0-9]*(?:_[a-z0-9]+)+|march|jobs|debug|advice|prototxt)['\"`]?"
EXCEPTION = re.compile(r"^(?:[\w.]+\.)?(?P<kind>[A-Z]\w*(?:Error|Exception|Exit|Interrupt)): ?(?P<text>.*)$")
ANY = r"['\"`]?(?P<subject>[A-Za-z_]\w*)['\"`]?"  # where the form itself says that a key follows
ALLOWED = re.compile(
    r"(?:values? in(?: range)?:?|av[ai]+l[ai]*able range:|specified as(?: values in(?: range)?)?|in range"
    r"|supports?(?: specifying it as| values in)?|following format:|must be(?: an?)?|should be(?: an?)?)"
    r"\s*(?P<values>[\[\(].+[\]\)]|.+?)\s*(?:,? please .*)?$"
)
REQUIRED = re.compile(r"(?P<values>\w+) value is required")
TOOL_VALUE = re.compile(r"'([^']*)'")
LONGEST = 2000  # characters of one text
# Nearly every line of a log has none of these, and looking for all forms takes long.
WORDS_OF_ERRORS = (
    "invalid", "wrong", "not", "only", "please", "must", "fail", "duplicat", "unsupport", "missing", "deprecat", "same",
    "illegal", "exist", "skip", "empty", "differ", "connected", "board", "remote_root", "dynamic", "equal", "error",
    "specif", "compare", "parse", "inserted",
)  # fmt: skip
LINT = "harness lint checks this before the build"


@dataclass(frozen=True)
class Form:
    """A form of error texts. `advice` may use the groups of the pattern and `{allowed}`."""

    pattern: re.Pattern[str]
    advice: str
    rule: str = ""  # of harness lint, where it finds the same in the yaml
    severity: str = "error"
    subject: str = ""  # where the text names no key


def _f(pattern: str, advice: str, rule: str = "", severity: str = "error", subject: str = "") -> Form:
    return Form(re.compile(pattern), advice, rule, severity, subject)


RULES = {  # by key, where the rule of a wrong value is a special one
    "march": "H-107", "core_num": "H-502", "input_source": "H-503", "max_l2m_size": "H-605", "cache_path": "H-606",
    "input_space_and_range": "H-304", "input_shape": "H-310", "input_batch": "H-313", "mean_value": "H-314",
    "scale_value": "H-314", "optimization": "H-407", "quant_config": "H-703",
    "cal_data_dir": "H-403",
}  # fmt: skip

YAML_FORMS = (
    _f(
        r"[Mm]odel file has not been correctly specified",
        "give exactly one of onnx_model and caffe_model (with prototxt)",
        "H-110",
        subject="onnx_model",
    ),
    _f(
        r"not supported to specify both " + KEY + r" and (?P<other>\w+)",
        "give only one of {subject} and {other}",
        "H-110",
    ),
    _f(r"Only one of " + KEY + r" and (?P<other>\w+) can be", "give only one of {subject} and {other}", "H-602"),
    _f(r"The " + KEY + r" and (?P<other>\w+) can ?not both", "give only one of {subject} and {other}", "H-602"),
    _f(r"do not use both " + KEY + r" and (?P<other>\w+)", "give only {other}"),
    _f(
        r"suffix (?:of the calibration dir name )?is not the same as the value \S+ specified by the parameter " + KEY,
        "only a note: {subject} wins over the folder's suffix",
        "",
        "note",
    ),
    _f(r"parameter " + ANY + r" has been deprecated", "the key has no effect; delete it", "H-108", "note"),
    _f(r"is set to \w+, please set " + KEY, "set {subject}"),
    _f(r"please specify the " + KEY, "set {subject}", "H-106"),
    _f(r"[Pp]lease specify the " + KEY + r" parameter", "set {subject}", "H-106"),
    _f(r"explicitly specify all the " + KEY, "list every input in {subject}, separated by `;`", "H-106"),
    _f(r"Please provide " + KEY + r" parameter", "give {subject}"),
    _f(r"\b(?:[Tt]he )?" + KEY + r" must be specified when", "set {subject}", "H-606"),
    _f(r"\b(?:[Tt]he )?" + KEY + r" (?:cannot|can not|must not) be empty", "set {subject}, or delete the key", "H-106"),
    _f(r"\b(?:[Tt]he )?" + KEY + r" value is missing", "set {subject}", "H-106"),
    _f(
        r"input_type_train .*not supported to be transformed to (?P<subject>input_type_rt)",
        "choose an input_type_rt that the trained type can be converted to",
        "H-301",
    ),
    _f(
        r"input_type_rt \S+ with (?P<subject>input_layout_train) \w+ is not supported on",
        "this march does not take the type in this layout: change input_layout_train or input_type_rt",
        "H-303",
    ),
    _f(
        r"specified (?P<subject>input_space_and_range)\b.* combination is invalid",
        "this range is for nv12 only: use regular, or input_type_rt: nv12",
        "H-304",
    ),
    _f(
        r"(?P<subject>input_type_rt) \S+ is featuremap, configuration of (?P<other>[\w/]+) is not supported",
        "delete {other} of this input: a feature map has no preprocessing",
    ),
    _f(
        r"(?P<subject>input_type_rt) is \S+, but the input_shape is not four-dimensional",
        "image inputs have four dimensions: use featuremap for this input",
    ),
    _f(
        r"(?:[Ii]nput[ _]shape).*nv12 type does not support odd",
        "height and width of an nv12 input must be even",
        "H-311",
        subject="input_shape",
    ),
    _f(
        r"The specified (?P<other>input_\w+?) is:? \S+, but the channel dim of (?P<subject>input_shape)",
        "channels, layout and type of this input do not match: check input_layout_train and input_type_train",
    ),
    _f(
        r"[Nn]um(?:ber)? of " + KEY + r" (?:specified|given)\b",
        "give one value per input of the model, separated by `;`",
        "H-312",
    ),
    _f(r"Wrong (?:num of )?" + ANY + r" (?:num )?received", "give one value per input, separated by `;`", "H-312"),
    _f(r"Wrong num of " + KEY, "give one value per input of the model, separated by `;`", "H-312"),
    _f(
        r"number of (?:your )?specified input names \S+ is not equal",
        "list every input of the model once",
        "H-312",
        subject="input_name",
    ),
    _f(r"Input names? duplicated", "name each input once", subject="input_name"),
    _f(r"Wrong format of " + KEY, "write numbers separated by blanks or commas, inputs separated by `;`", "H-105"),
    _f(
        r"The " + KEY + r" (?:parameter )?can only be specified as a single value",
        "give one value for all inputs",
        "H-313",
    ),
    _f(r"first dimension of " + KEY + r" must be 1", "with input_batch every shape begins with 1", "H-313"),
    _f(r"The " + KEY + r" parse failed", "write a shape as 1x3x224x224, inputs separated by `;`", "H-310"),
    _f(
        r"The length of specified " + KEY + r" .*is not equal to the input_shape",
        "give as many dimensions as the model's input has",
    ),
    _f(
        r"Your input shape .*input shape is|has the dynamic (?P<subject>input_shape)|dynamically input model",
        "only a dynamic first dimension (batch) can be set by input_shape; export the model with fixed sizes else",
        subject="input_shape",
    ),
    _f(
        r"Wrong " + KEY + r" specified\. .*does not support input_source",
        "choose a source that this input type takes",
        "H-503",
    ),
    _f(r"march \S+ does not support setting " + KEY, "delete {subject}: this march does not have it", "H-605"),
    _f(
        r"(?:specified )?" + KEY + r" \S+ (?:is not in|does not exist in|is not found in) (?:the )?(?:model|input)",
        "use the names of the model's inputs: harness inspect MODEL.onnx lists them",
    ),
    _f(r"specified " + KEY + r" \S+ does not exist", "correct the path in {subject}; create the folder first"),
    _f(
        r"[Ii]nput name \S+ (?:is )?not found in model|Wrong index: .*Model has \S+ inputs|does not have input index",
        "use the names of the model's inputs: harness inspect MODEL.onnx lists them",
        subject="input_name",
    ),
    _f(r"custom op method \S+ is invalid", "write custom_op_method: register", "H-104", subject="custom_op_method"),
    _f(
        r"read mode (?:is )?\S+.*(?:invalid|not installed)",
        "give the calibration data in a format that this tool reads: .npy files",
        subject="cal_data_dir",
    ),
    _f(
        r"Unsupport removing",
        "remove_node_type takes Quantize, Transpose, Dequantize, Cast, Reshape, Softmax",
        "H-104",
        subject="remove_node_type",
    ),
    _f(r"currently we only support the following format", "write {allowed}", "H-204", subject="node_info"),
    _f(r"currently we only support specifying it as", "keys of a node are {allowed}", "H-202", subject="node_info"),
    _f(r"[Cc]urrently we only support values in", "use one of {allowed}", "H-205", subject="node_info"),
    _f(r"[Ww]rong parameter " + ANY + r" specified", "write a value of the right type: {allowed}", "H-105"),
    _f(r"[Ii]nvalid value for " + ANY, "{allowed}", "H-105"),
    _f(r"[Pp]arameter " + KEY + r" must be", "write {allowed}", "H-105"),
    _f(r"[Ww]rong " + KEY + r"\b.*(?:specified|must be|can only be)", "{allowed}", "H-105"),
    _f(r"[Ss]pecified " + KEY + r"\b.*(?:is|are) (?:invalid|not supported|wrong|illegal)", "{allowed}", "H-104"),
    _f(r"[Ss]pecified " + ANY + r" is invalid, the (?P=subject):", "{allowed}", "H-104"),
    _f(r"[Ii]nput layout \S+ is invalid", "use NCHW or NHWC", "H-104", subject="input_layout_train"),
    _f(r"[Kk]ey " + ANY + r" error", "the yaml breaks the schema at this key", "H-105"),
)

OTHER_FORMS = (
    _f(r"is a packed model", "give a single model: unpack it, or build it alone", subject="model"),
    _f(r"[Ff]ile invalid: (?P<subject>\S+)\. It should be a (?P<other>\S+)", "give a file that ends in {other}"),
    _f(
        r"[Cc]an ?not find (?:the )?file specified: (?P<subject>[^,\s]+)",
        "correct this path; it is relative to the yaml",
    ),
    _f(
        r"(?:Directory|[Cc]al(?:ibration)? (?:dir|folder)) (?P<subject>\S+) is empty",
        "put calibration samples into this folder",
        "H-409",
    ),
    _f(
        r"[Dd]ata shape does not match|[Tt]he file (?P<subject>\S+) load failed|[Ff]ailed to open (?P<other>\S+) with",
        "a calibration or input file does not fit: its shape, type and format must be those of the input",
        "H-409",
        subject="input data",
    ),
    _f(
        r"[Dd]ata ?type (?P<subject>\S+) (?:is (?:invalid|illegal)|of the input_data is not supported)"
        r"|[Uu]nsupported dtype: ?(?P<other>\S+)|expects type is",
        "the input file has another data type than the model's input",
        subject="data type",
    ),
    _f(
        r"[Ff]ailed to generate node info",
        "the build itself may be good: only the node table was not made",
        "",
        "warning",
        "node info",
    ),
    _f(
        r"[Pp]ackage '?(?P<subject>[\w.-]+?)'? ?==? ?(?P<other>\S+) does not satisfy version spec '?(?P<spec>[^']+)'?",
        "install {subject} {spec}: version {other} is installed",
    ),
    _f(
        r"[Pp]ackage '?(?P<subject>[\w.-]+?)'? is (?:not installed|required but not found)"
        r"|the (?P<other>\S+) package is not installed",
        "install this package into the toolchain's environment",
        subject="package",
    ),
    _f(
        r"[Cc]an ?not (?:import symbol|find (?:the )?(?:function|module)(?: named)?) '?(?P<subject>[\w.]+)'?",
        "the toolchain's packages do not belong together: install one release as a whole",
    ),
    _f(r"Invalid IP address: ?(?P<subject>\S+)", "give the board's IPv4 address"),
    _f(
        r"Connect to (?P<subject>\S+) .*failed",
        "try ssh user@{subject} by hand; then give a login that the board accepts",
    ),
    _f(
        r"(?P<subject>\S+) is connected successfully|Set remote_root to default value|Receive board info",
        "the tool runs inference on the board",
        "",
        "note",
        "board",
    ),
    _f(
        r"[Oo]nly support HBM model run with board",
        "inference on a board needs .hbm models; this pair runs on the PC",
        "",
        "warning",
        "board",
    ),
    _f(
        r"[Ee]xpected two board IPs|number of (?P<subject>\S+) and board ip is not equal",
        "give one address per model, separated by a comma",
        subject="--ip",
    ),
    _f(r"hbm models should have the same march", "compare models of one march", subject="march"),
    _f(
        r"[Mm]odel output consistency compare was failed",
        "the two models' outputs differ beyond the tolerance: compare them layer by layer with harness run",
        subject="consistency",
    ),
    _f(r"No output to compare", "every output was skipped, so nothing was verified", "", "error", "outputs"),
    _f(r"The output of (?P<subject>\S+) is empty, skip", "this output was not compared", "", "warning"),
    _f(
        r"The model \[?(?P<subject>[^\]\s]+)\]? has different shapes, skip",
        "this output was not compared: shapes differ",
        "",
        "warning",
    ),
    _f(
        r"image preprocess op will not be inserted",
        "types of training and runtime are equal: the model does no conversion",
        "",
        "note",
        "input_type_rt",
    ),
    _f(
        r"model (?:type )?(?P<subject>\S+?)(?: under \S+)? is (?:invalid|not supported now)"
        r"|Wrong model type (?P<other>[^\s.]+)|is not the onnx or caffe model",
        "give a model of the kind that this tool takes (ONNX or Caffe to compile, .bc to recompile, .hbm to run)",
        subject="model",
    ),
    _f(
        r"[Ff]ast[ -]?perf mode (?:is turned on, the|(?:currently )?only supports)|--core-num option is only"
        r"|specify (?:either )?(?:the )?-[cm]/--|[Oo]nly the bc model supports"
        r"|provide either model file or onnx model",
        "the options do not go together: give -c CONFIG, or -m MODEL --march MARCH with or without --fast-perf",
        subject="command line",
    ),
    _f(r"[Mm]odel desc parse failed", "the model is damaged, or of another toolchain version", subject="model"),
    _f(r"(?P<subject>workspace|model|hbm model|file) (?:\S+ )?does not exist", "correct this path"),
    _f(r"^The (?P<subject>\S+) does not exist", "correct this path"),
    _f(
        r"[Ii]nvalid parameter configuration",
        "the yaml breaks the schema: harness lint names the key",
        "",
        "error",
        "yaml",
    ),
)


@dataclass(frozen=True)
class BuildError:
    """What an error text of the toolchain is about. `subject` is the yaml key, file, package or address."""

    severity: str
    subject: str
    advice: str


@lru_cache(4096)  # lines of a log repeat
def explain(text: str) -> BuildError | None:
    """The error that a text names; None for a text of no known form. An exception's name in front is left out."""
    match = EXCEPTION.match(text)
    message = match["text"] if match else text
    if not _may_be_one(message):
        return _unknown(match["kind"], message[:LONGEST]) if match else None
    for form in (*YAML_FORMS, *OTHER_FORMS):
        hit = form.pattern.search(message)
        if hit is not None:
            return _explained(form, hit, message)
    return _unknown(match["kind"], message) if match else None


def _may_be_one(message: str) -> bool:
    lowered = message.lower()
    return len(message) <= LONGEST and any(word in lowered for word in WORDS_OF_ERRORS)


@lru_cache(4096)
def is_known_error(text: str) -> bool:
    """Whether a text has the form of an error of these tools; an exception of another program is none."""
    match = EXCEPTION.match(text)
    message = match["text"] if match else text
    if not _may_be_one(message):
        return False
    return any(form.pattern.search(message) for form in (*YAML_FORMS, *OTHER_FORMS))


def _explained(form: Form, hit: re.Match[str], message: str) -> BuildError:
    groups = {key: value for key, value in hit.groupdict().items() if value}
    subject = groups.get("subject") or form.subject or groups.get("other", "")
    allowed = _allowed(message)
    words = {
        "other": "",
        "spec": "",
        **groups,
        "subject": subject,
        "allowed": allowed,
    }
    advice = form.advice.format(**{key: value.strip("'\"") for key, value in words.items()})
    if "{allowed}" in form.advice:
        advice = f"allowed: {allowed}" if form.advice == "{allowed}" else advice
        advice = advice if allowed else "the tool does not take this value"
    rule = RULES.get(subject, form.rule) if form.rule in ("H-104", "H-105") else form.rule
    return BuildError(form.severity, subject, f"{advice}; {LINT} ({rule})" if rule else advice)


def _allowed(message: str) -> str:
    """The values that the text itself allows, as a list to choose from."""
    hit = REQUIRED.search(message) or ALLOWED.search(message)
    if hit is None:
        return ""
    values = hit["values"].strip(" .!")
    quoted = TOOL_VALUE.findall(values)
    return ", ".join(quoted) if quoted else values.strip("[]()")


def _unknown(kind: str, message: str) -> BuildError:
    """An exception of no known form: a key that it names is better than nothing."""
    key = re.search(KEY, message)
    subject = key["subject"] if key else kind
    return BuildError("error", subject, "the build ended with this exception")
