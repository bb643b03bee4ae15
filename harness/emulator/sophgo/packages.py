"""What tpu-mlir's compiler, runner and checker import, in the releases with which they were tried.

Its own list takes packages that no ONNX model needs, one of which must be compiled; without the list pip resolves for
minutes. Where these cannot be had, the package's own list is taken.
"""

from __future__ import annotations

VERSION = "1.30.2"
WHOLE = (f"tpu_mlir[onnx]=={VERSION}", "psutil")
NEEDED = (
    f"tpu_mlir=={VERSION}", "numpy==1.24.3", "scipy==1.11.1", "onnx==1.14.1", "onnxruntime==1.16.3",
    "onnxruntime_extensions==0.14.0", "onnxsim==0.4.17", "opencv-python-headless==4.8.0.74", "Pillow==10.0.0",
    "pandas==2.0.3", "python-dateutil", "pytz", "tzdata", "six", "plotly==5.15.0", "tenacity", "packaging",
    "scikit-learn==1.6.1", "joblib", "threadpoolctl", "protobuf==3.20.3", "flatbuffers", "coloredlogs", "humanfriendly",
    "sympy", "mpmath", "filelock", "tqdm==4.65.0", "psutil", "graphviz==0.20.1", "rich", "markdown-it-py", "mdurl",
    "Pygments", "PyYAML", "transformers==5.6.2", "tokenizers==0.22.2", "huggingface_hub==1.33.0", "safetensors",
    "regex", "fsspec", "httpx", "httpcore", "h11", "anyio", "idna", "certifi", "exceptiongroup", "typing_extensions",
    "typer", "click", "shellingham", "hf-xet", "annotated-doc", "pydantic", "pydantic_core", "annotated-types",
    "typing-inspection", "cloudpickle", "tomli",
)  # fmt: skip
