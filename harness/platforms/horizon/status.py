"""Status codes of the board's runtimes: hbDNN (seven digits) and UCP (six), by their official names."""

from __future__ import annotations

import re

# hb_dnn_status.h of the X5 DDK, hb_sys (cdev_dnn_api/model_debug.md), hbUCPStatus.md of the J6 toolchain.
STATUS_CODES: dict[int, tuple[str, str]] = {
    -6000001: ("HB_DNN_INVALID_ARGUMENT", "an argument is not valid"),
    -6000002: ("HB_DNN_INVALID_MODEL", "the model file is not valid"),
    -6000003: ("HB_DNN_MODEL_NUMBER_EXCEED_LIMIT", "too many models are loaded"),
    -6000004: ("HB_DNN_INVALID_PACKED_DNN_HANDLE", "the packed model's handle is not valid"),
    -6000005: ("HB_DNN_INVALID_DNN_HANDLE", "the model's handle is not valid"),
    -6000006: ("HB_DNN_CAN_NOT_OPEN_FILE", "a file cannot be opened"),
    -6000007: ("HB_DNN_OUT_OF_MEMORY", "the board is out of memory"),
    -6000008: ("HB_DNN_TIMEOUT", "the task timed out"),
    -6000009: ("HB_DNN_TASK_NUM_EXCEED_LIMIT", "too many tasks run at once"),
    -6000010: ("HB_DNN_TASK_BATCH_SIZE_EXCEED_LIMIT", "too many batches in one task"),
    -6000011: ("HB_DNN_INVALID_TASK_HANDLE", "the task's handle is not valid"),
    -6000012: ("HB_DNN_RUN_TASK_FAILED", "the task failed on the BPU"),
    -6000013: ("HB_DNN_MODEL_IS_RUNNING", "the model is running"),
    -6000014: ("HB_DNN_INCOMPATIBLE_MODEL", "the model is built for another BPU or runtime"),
    -6000015: ("HB_DNN_API_USE_ERROR", "invalid use of the runtime"),
    -6000016: ("HB_DNN_MULTI_PROGRESS_USE_ERROR", "several processes use the BPU in a way that is not allowed"),
    -6000129: ("HB_SYS_INVALID_ARGUMENT", "an argument is not valid"),
    -6000130: ("HB_SYS_OUT_OF_MEMORY", "the board is out of memory"),
    -6000131: ("HB_SYS_REGISTER_MEM_FAILED", "memory could not be registered for the BPU"),
    -100001: ("HB_UCP_INVALID_ARGUMENT", "an argument is not valid"),
    -100002: ("HB_UCP_API_USE_ERROR", "invalid use of the runtime"),
    -100003: ("HB_UCP_INIT_FAILED", "the runtime could not start"),
    -100004: ("HB_UCP_UNKNOWN_ERROR", "unknown failure in the runtime"),
    -100005: ("HB_UCP_VERSION_INCOMPATIBLE", "model and runtime are of incompatible versions"),
    -200001: ("HB_UCP_TASK_NUMBER_EXCEED_LIMIT", "too many tasks run at once"),
    -200002: ("HB_UCP_TASK_TIMEOUT", "the task timed out"),
    -200003: ("HB_UCP_TASK_RUN_FAILED", "the task failed during execution"),
    -200004: ("HB_UCP_TASK_HANDLE_INVALID", "the task's handle is not valid"),
    -300001: ("HB_UCP_OP_NUMBER_EXCEED_LIMIT", "too many operators in one task"),
    -300002: ("HB_UCP_OP_NOT_REGISTER", "the operator is not registered"),
    -300003: ("HB_UCP_OP_CMD_UNAVAILABLE", "the operator's command is not available"),
    -400001: ("HB_UCP_MEM_ALLOC_FAIL", "memory could not be allocated"),
    -400002: ("HB_UCP_MEM_FREE_FAIL", "memory could not be freed"),
    -400003: ("HB_UCP_MEM_FLUSH_FAIL", "the cache could not be written to memory"),
    -400004: ("HB_UCP_MEM_INVALIDATE_FAIL", "the cache could not be invalidated"),
    -400005: ("HB_UCP_MEM_IS_INVALID", "the memory is not valid"),
    -400006: ("HB_UCP_MEM_MAP_FAIL", "memory could not be mapped"),
    -400007: ("HB_UCP_MEM_UNMAP_FAIL", "memory could not be unmapped"),
    -500001: ("HB_UCP_FILE_OPEN_FAILED", "a file cannot be opened"),
    -600001: ("HB_UCP_MODEL_NUMBER_EXCEED_LIMIT", "too many models are loaded"),
    -600002: ("HB_UCP_MODEL_INVALID", "the model file is not valid"),
    -600003: ("HB_UCP_MODEL_IS_INUSE", "the model is in use"),
    -600004: ("HB_UCP_MODEL_INCOMPATIBLE", "the model is built for another BPU or runtime"),
    -700001: ("HB_UCP_DSP_UNAVAILABLE", "the DSP is not available"),
    -700002: ("HB_UCP_DSP_XV_ALLOC_FAIL", "the DSP could not allocate memory"),
    -700003: ("HB_UCP_DSP_XV_FREE_FAIL", "the DSP could not free memory"),
    -700004: ("HB_UCP_DSP_IDMA_COPY_FAIL", "a DMA copy of the DSP failed"),
    -700005: ("HB_UCP_DSP_IDMA_BAD_INIT", "the DMA of the DSP could not start"),
    -700006: ("HB_UCP_DSP_MMAP_FAIL", "the DSP could not map memory"),
    -700007: ("HB_UCP_DSP_INVALID_SCALE", "a scale is not valid for the DSP"),
    -700008: ("HB_UCP_DSP_UNMAP_FAIL", "the DSP could not unmap memory"),
    -700009: ("HB_UCP_DSP_OFFLINE", "the DSP is offline"),
    -800001: ("HB_UCP_CODEC_OPERATION_NOT_ALLOWED", "the codec does not allow this operation"),
    -800002: ("HB_UCP_CODEC_INSUFFICIENT_RES", "the codec has not enough resources"),
    -800003: ("HB_UCP_CODEC_NO_FREE_INSTANCE", "the codec has no free instance"),
    -800004: ("HB_UCP_CODEC_INVALID_INSTANCE", "the codec's instance is not valid"),
    -800005: ("HB_UCP_CODEC_BUFFER_WAIT_TIMEOUT", "the codec waited too long for a buffer"),
    -800006: ("HB_UCP_CODEC_IS_INUSE", "the codec is in use"),
    -900001: ("HB_UCP_ISP_NO_AVAILABLE_SLOT", "the ISP has no free slot"),
    -900002: ("HB_UCP_ISP_CTX_INUSE", "the ISP's context is in use"),
}
# First digits of the UCP codes, for a code that is newer than the list.
_FAMILIES = {3: "an operator", 4: "memory", 7: "the DSP", 8: "the codec", 9: "the ISP"}
_KINDS = {
    -6000007: "memory", -6000130: "memory", -6000131: "memory", -6000006: "missing_file", -500001: "missing_file",
    -6000014: "wrong_march", -600004: "wrong_march", -6000008: "timeout", -200002: "timeout", -800005: "timeout",
    -6000002: "bad_model", -600002: "bad_model", -100005: "version_skew", -400001: "memory", -400006: "memory",
    -700002: "memory", -700006: "memory",
}  # fmt: skip
_CODE = re.compile(r"(?<![0-9.])-(?:6000[0-9]{3}|[1-9]0000[0-9]|[789]000[0-9][0-9])(?![0-9])")


def status_in(line: str) -> int | None:
    """The first status code in a line; None for none."""
    match = _CODE.search(line)
    return int(match[0]) if match else None


def kind_of_code(code: int) -> str:
    """The kind of failure that a status code stands for."""
    return _KINDS.get(code, "task_failed")


def explain_code(code: int) -> str:
    """A status code as `HB_DNN_TIMEOUT (-6000008): the task timed out`; an unlisted one says so."""
    if code in STATUS_CODES:
        name, meaning = STATUS_CODES[code]
        return f"{name} ({code}): {meaning}"
    what = _FAMILIES.get(-code // 100_000) if -code < 1_000_000 else None
    return f"status {code}: failure in {what}" if what else f"status {code}: not in the vendor's published list"
