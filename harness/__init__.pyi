from harness.notebook.loaded import LoadedComparison as LoadedComparison
from harness.notebook.loaded import LoadedRun as LoadedRun
from harness.notebook.loaded import load_run as load_run
from harness.notebook.measuring import compare as compare
from harness.notebook.measuring import run as run

__version__: str
