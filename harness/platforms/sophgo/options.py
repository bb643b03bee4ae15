"""Options of platform sophgo, and the lines that a board runs.

On BM168x a run is `bmrt_test` in a context folder, which is made on the board: the model as compilation.bmodel, the
inputs one after the other in input_ref_data.dat, and zeros as output_ref_data.dat, for the tool feeds inputs only where
it compares (and its comparison with zeros means nothing). On CV18xx it is `model_runner` with an .npz.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from harness.errors import InputError
from harness.platforms.options import merged_options
from harness.records import BoardIdentity, Job

OPTIONS: Mapping[str, str] = {
    "tool": "the vendor's runner on the board (default bmrt_test; on CV18xx model_runner)",
    "model_tool": "what prints a model's inputs and outputs on the board (default model_tool)",
    "soc_tools": "folder of soc_bmodel_infer.py on the board, for layers of BM168x (debug)",
    "python": "the Python of soc_bmodel_infer.py on the board (default python3)",
    "device": "number of the device (default 0)",
    "cores": "cores of one inference: 0,1 uses both together (default: as the model was compiled)",
}
DEFAULTS: Mapping[str, object] = {
    "tool": "", "model_tool": "model_tool", "soc_tools": "", "python": "python3", "device": 0, "cores": "",
}  # fmt: skip
TOOLS = {"bm": "bmrt_test", "cv": "model_runner"}
# Pickles of the vendor's PC checker and what the compiler left: a board that dumps layers needs one or the other.
CONTEXT_FILES = ("final.mlir", "tensor_location.json", "cmds.pkl", "values_in.pkl", "values_out.pkl")
NAMES_OF_LAYERS = "_tpu_outputs.npz"
_ZEROS_BYTES = 2**30  # of the reference of zeros, a sparse file: more than any model's outputs

# $1 model, then links (file, name) up to --, then inputs up to --, then the tool's command line.
_CONTEXT = f"""\
mkdir -p context || exit 125
take() {{ rm -f "$2"; ln "$1" "$2" 2>/dev/null || cp "$1" "$2" || exit 125; }}
take "$1" context/compilation.bmodel; shift
while [ "$1" != -- ]; do take "$1" "context/$2"; shift 2; done; shift
: > context/input_ref_data.dat
while [ "$1" != -- ]; do cat "$1" >> context/input_ref_data.dat || exit 125; shift; done; shift
dd if=/dev/zero of=context/output_ref_data.dat bs=1 count=0 seek={_ZEROS_BYTES} 2>/dev/null
"""
# The tool ends with 255 after its comparison with zeros; outputs are cut out of output.dat by the sizes that it prints.
_RUN = """\
"$@" > tool.log 2>&1
code=$?
cat tool.log
[ -e context/output.dat ] || exit $code
n=0 at=1
sed -n 's/.*reading output #\\([0-9]*\\), bytesize=\\([0-9]*\\).*/\\1 \\2/p' tool.log | while read -r index size; do
  [ "$index" = "$n" ] || break
  tail -c +$at context/output.dat | head -c "$size" > "output_$n.bin"
  n=$((n + 1)) at=$((at + size))
done
rm -f context/output.dat context/output_ref_data.dat
case $(cat tool.log) in *"output_data +++"*) [ $code = 255 ] && code=0 ;; esac
"""
RUN_BM = f"{_CONTEXT}{_RUN}exit $code\n"
# After the timed launches once more under the profiler, which slows them down: its folder is flattened.
PROFILE_BM = (
    _CONTEXT
    + """\
flags=$1; shift
"$@" > tool.log 2>&1
code=$?
cat tool.log
rm -f context/output_ref_data.dat
case $(cat tool.log) in *"output_data +++"*) [ $code = 255 ] && code=0 ;; esac
[ $code = 0 ] || exit $code
# shellcheck disable=SC2086
BMRUNTIME_ENABLE_PROFILE=1 "$1" --bmodel context/compilation.bmodel $flags > profiler.log 2>&1 || cat profiler.log
for file in bmprofile_data-*/global.profile bmprofile_data-*/iter*.profile bmprofile_data-*/net_stat.sim \\
  context/tensor_location.json context/emulated.json bmprofile_data-*/emulated.json; do
  [ ! -e "$file" ] || cp "$file" .
done
exit 0
"""
)
# The model's outputs first, as in a release run, then its layers.
DEBUG_BM = (
    _CONTEXT
    + """\
tools=$1 python=$2; shift 2
"""
    + _RUN
    + """\
[ $code = 0 ] || exit $code
set -- soc_bmodel_infer.py
if [ -n "$tools" ]; then # as the vendor's envsetup.sh, which wants bash
  export PROJECT_ROOT="$tools" USING_CMODEL=False PYTHONPATH="$tools:$tools/debugger"
  export LD_LIBRARY_PATH="$tools/debugger/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  set -- "$python" "$tools/soc_bmodel_infer.py"
fi
cp context/tensor_location.json . 2>/dev/null # which op makes each layer
set -- "$@" --path "$PWD/context" --bmodel compilation.bmodel --input input_ref_data.dat --ref names.npz
exec "$@" --tool_path "$PWD"
"""
)
INFO = """\
tool=$1 model=$2 net=$3
[ -z "$net" ] || echo "harness: net $net"
for one in "$tool" tpu_model model_tool; do
  command -v "$one" >/dev/null 2>&1 && exec "$one" --info "$model"
done
echo "sh: $tool: not found" >&2
exit 127
"""


def merged(board: BoardIdentity, job: Job) -> dict[str, object]:
    """Defaults under the board's options under the job's. Errors: ConfigError for an unknown key of the board."""
    return merged_options("sophgo", OPTIONS, DEFAULTS, board, job)


def refuse_without_effect(job: Job) -> None:
    """Options that these tools do not have. Errors: InputError for one that was given."""
    given = {"--threads": job.threads != 1, "--time": bool(job.time_s), "--core": str(job.core) not in ("", "0")}
    for name in (name for name, is_given in given.items() if is_given):
        hint = "--option cores=0,1 uses both cores for one inference" if name == "--core" else f"omit {name}"
        raise InputError(f"{name} does not apply to platform sophgo: its tools have no such option", hint)


def context_words(job: Job) -> list[str]:
    """The script's words about files: the model, what lies beside it under its own names, the inputs."""
    links = [
        part
        for place, name in zip(job.support, job.support_names, strict=True)
        for part in (place, "names.npz" if name.endswith(NAMES_OF_LAYERS) else name)
    ]
    return [job.model, *links, "--", *job.inputs, "--"]


def tool_flags(values: Mapping[str, object], loops: int) -> list[str]:
    """bmrt_test's own options. Errors: InputError for a value that it does not take."""
    flags = ["--devid", _integer(values, "device"), "--loopnum", str(loops)]
    cores = str(values["cores"]).replace(" ", "")
    if cores and not re.fullmatch(r"[0-9]{1,3}([,:][0-9]{1,3})*", cores):
        raise InputError(f"option cores={cores}: expected numbers", "--option cores=0,1")
    return [*flags, "--core_list", cores] if cores else flags


def _integer(values: Mapping[str, object], name: str) -> str:
    text = str(values[name]).strip()
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise InputError(f"option {name}={text}: expected a number", f"--option {name}=0")
    return text
