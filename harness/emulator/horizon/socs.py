"""Horizon's chips: march, cores, figures for the estimate, versions and dialects of runtimes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.emulator.cost.model import COMPUTE
from harness.emulator.socs import Runtime, ScaledBand, Soc, StepNames

STEPS = StepNames("BPU_{}", "Quantize_{}_HzQuantize", "Dequantize_{}_HzDequantize", "HZ_PREPROCESS_FOR_{}")


@dataclass(frozen=True)
class HorizonSoc(Soc):
    """A chip with what Horizon's toolchain says of itself."""

    horizon_nn: str = ""  # version in the toolchain's log; "" for hb_compile


# CPU ops are priced (`emulator/cost/cpu.py`) on one Cortex-A55 at 1.5 GHz; another core by its clock times Dhrystone
# MIPS per MHz, the figure published of all. Clocks are those at which the vendor's zoo measured ("optimal state",
# rdk_model_zoo and rdk_model_zoo_s), else of the board manuals.
# D-Robotics/rdk_model_zoo_s, samples/Vision/ultralytics_yolo, "Platform Details": X5 8 x A55 at 1.5 GHz, 38K DMIPS;
# S100 6 x A78AE at 1.5 GHz, 100K DMIPS (S100P at 2.0 GHz, 137K: 11.4). Arm says of the A55 that it does 18 % more than
# an A53 at the same clock.
_A55, _A78AE = 38_000 / 8 / 1500, 100_000 / 6 / 1500
DMIPS_PER_MHZ = {"Cortex-A53": _A55 / 1.18, "Cortex-A55": _A55, "Cortex-A78AE": _A78AE}


@dataclass(frozen=True)
class Cpu:
    """One core of a chip's CPU."""

    core: str  # a key of DMIPS_PER_MHZ
    ghz: float

    @property
    def scale(self) -> float:
        """How much longer it takes than a Cortex-A55 at 1.5 GHz."""
        return DMIPS_PER_MHZ["Cortex-A55"] * 1.5 / (DMIPS_PER_MHZ[self.core] * self.ghz)


# X3: rdk_model_zoo, "4 x A53@1.8G". J5: 8 x A55, 26K DMIPS in all, so 1.03 GHz by the figures above; Ultra 1.2 GHz
# (manual). J6E and J6M have the cores of S100 and S100P; J6P 18 x A78AE, 410K DMIPS in all, so 2 GHz too. That J6H and
# S600 are like J6P is an assumption. Of J6B nothing is public.
_S100, _S100P = Cpu("Cortex-A78AE", 1.5), Cpu("Cortex-A78AE", 2.0)
CPUS = {
    "x3": Cpu("Cortex-A53", 1.8),
    "x5": Cpu("Cortex-A55", 1.5),
    "j5": Cpu("Cortex-A55", 1.03),
    "ultra": Cpu("Cortex-A55", 1.2),
    **dict.fromkeys(("j6e", "s100"), _S100),
    **dict.fromkeys(("j6m", "j6p", "j6h", "s100p", "s600"), _S100P),
}

# Versions as seen in captures of such boards: libdnn or UCP, HBRT, model builder, BPU platform.
_X3_OLD = Runtime("1.1.49", "3.13.4", "1.1.49", "1.3.2", "hbdnn_old")
_X3 = Runtime("1.9.5", "3.14.5", "1.9.3", "1.3.3", "hbdnn")
_X5 = Runtime("1.24.5", "3.15.55.0", "1.24.3", "1.3.6", "hbdnn")
_X5_2024 = Runtime("1.23.5", "3.15.47.0", "1.23.5", "1.3.6", "hbdnn")
_J5 = Runtime("1.18.6", "3.15.29.0", "1.16.2", "1.3.3", "hbdnn")  # runtime and HBRT assumed: no capture is public
_UCP_OLD = Runtime("3.0.17", "4.0.21", "3.0.17", "2.0.1", "ucp_old")
_UCP = Runtime("3.3.3", "4.1.17", "3.3.3", "2.1.2", "ucp")
_UCP_NEW = Runtime("3.13.6", "4.7.5", "3.5.16", "2.1.2", "ucp")


def _hbdnn(
    name: str, march: str, cores: int, tops: float, gb_s: float, hbdk: str, horizon_nn: str, *runtimes: Runtime
) -> HorizonSoc:
    return HorizonSoc(
        name,
        march,
        "hbdnn",
        cores,
        tops,
        gb_s,
        hbdk,
        runtimes,
        "BPU",
        step_names=STEPS,
        horizon_nn=horizon_nn,
        cpu_scale=CPUS[name].scale,
        price_factors=_PRICES.get(name, {}),
        table_channels=_X3_TABLE_CHANNELS if name == "x3" else 1,
        scaled_band=_BANDS.get(name),
    )


def _ucp(name: str, march: str, cores: int, tops: float, gb_s: float, hbdk: str, *runtimes: Runtime) -> HorizonSoc:
    return HorizonSoc(
        name,
        march,
        "ucp",
        cores,
        tops,
        gb_s,
        hbdk,
        runtimes,
        "BPU",
        cpu_scale=CPUS[name].scale if name in CPUS else 1.0,
        suffix=".hbm",
        joins_cores=True,
        has_planes=True,
        step_names=STEPS,
        price_factors=_PRICES.get(name, {}),
        hands_over_float=march.startswith(_FLOAT_MARCHES),
        scaled_band=_BANDS.get(name),
        not_estimated=_NOT_ESTIMATED.get(name, ""),
    )


# Their last convolution's result leaves as float32; nash-e and nash-m hand over int32 for the CPU to dequantize (the
# vendor's article on high-precision output of linear layers, which calls the marches 6P/H and 6E/M).
_FLOAT_MARCHES = ("nash-b", "nash-h", "nash-p")
_NOT_ESTIMATED = {"j6b": "neither a latency nor its CPU and memory are published"}

# Over X5, fitted by `benchmarks/chips.py` (docs/cost-model.md). X3's tables take 128 channels at a time: what makes the
# YOLOs with SiLU of every width slow there, and not those with LeakyReLU.
_X3_TABLE_CHANNELS = 128
_X3_PRICES = dict.fromkeys((*COMPUTE, "ops"), 7.61) | {
    "dense_macs": 6.27,
    "depthwise_macs": 1.62,
    "lookup_elements": 85.0,
    "weight_bytes": 0.417,
    "spilled_bytes": 0.417,
    "call": 0.843,
}


def _nash(dense: float, others: float, memory: float, call: float) -> dict[str, float]:
    return dict.fromkeys((*COMPUTE, "ops"), others) | {
        "dense_macs": dense,
        "weight_bytes": memory,
        "spilled_bytes": memory,
        "call": call,
    }


_S100_PRICES = _nash(0.163, 0.0511, 0.313, 3.22)
_S100P_PRICES = _nash(0.109, 0.0348, 0.221, 2.73)
# J6E and J6M are the cores of S100 and S100P. J6P, J6H and S600 have cores of 140 TOPS for S100P's 128.
_J6P_PRICES = _nash(0.109 * 128 / 140, 0.0348 * 128 / 140, 0.221 * 76.8 / 137, 2.73)
_PRICES: dict[str, dict[str, float]] = {
    "x3": _X3_PRICES,
    **dict.fromkeys(("s100", "j6e"), _S100_PRICES),
    **dict.fromkeys(("s100p", "j6m"), _S100P_PRICES),
    **dict.fromkeys(("j6p", "j6h", "s600"), _J6P_PRICES),
}
# Published over estimated, 80 % of each: X3, S100 and S100P by fits that left the network out; J6E and J6M as far as
# S100 and S100P by each other's prices and ResNet50 on a J6 lay; J5 and Ultra by what scaling by peak gave elsewhere.
_ALIKE = ScaledBand(0.87, 1.09, "30 figures of YOLOs on S100 and S100P, each by the other's prices")
_SAME_CORE = ScaledBand(0.82, 1.13, "YOLOs on S100 and S100P, the same cores, and ResNet50 on a J6")
_BY_PEAK = ScaledBand(0.79, 3.27, "46 networks of X3, S100 and S100P scaled alike; none is published of this chip")
_BANDS = {
    "x3": ScaledBand(0.84, 1.50, "16 networks of X3, each left out of the fit"),
    "s100": ScaledBand(0.85, 1.10, "15 YOLOs of S100, each left out of the fit"),
    "s100p": ScaledBand(0.89, 1.10, "15 YOLOs of S100P, each left out of the fit"),
    **dict.fromkeys(("j6e", "j6m"), _SAME_CORE),
    **dict.fromkeys(("j6p", "j6h", "s600"), _ALIKE),
    **dict.fromkeys(("j5", "ultra"), _BY_PEAK),
}
# Cores, TOPS and march: the vendor's board tables (RDK X3/X5/Ultra, J5, J6, S100 manuals). Bandwidth is the peak of the
# memory type on the module where the manual tells it (X3 LPDDR4 32 bit 3200, X5 LPDDR4 32 bit 4266); of S100 and S100P
# LPDDR5 96 bit, taken as 6400; the others are assumptions in the same class, and that of J6B is open. J6H, J6B: 420 and
# 18 TOPS (the vendor's board notes), 3 and 1 cores (its table of marches; its yaml reference allows nash-h 1 to 4).
_TABLE = (
    _hbdnn("x3", "bernoulli2", 2, 5.0, 12.8, "3.16.6", "0.9.7", _X3_OLD, _X3),
    _hbdnn("x5", "bayes-e", 1, 10.0, 17.0, "3.49.15", "1.1.0", _X5, _X5_2024),
    _hbdnn("j5", "bayes", 2, 128.0, 34.0, "3.44.7", "0.17.1", _J5),
    _hbdnn("ultra", "bayes", 2, 96.0, 34.0, "3.44.7", "0.17.1", _J5),
    _ucp("j6e", "nash-e", 1, 80.0, 51.0, "4.0.21", _UCP_OLD, _UCP),
    _ucp("j6m", "nash-m", 1, 128.0, 68.0, "4.1.17", _UCP, _UCP_OLD),
    _ucp("j6p", "nash-p", 4, 560.0, 137.0, "4.1.17", _UCP),
    _ucp("s600", "nash-p", 4, 560.0, 137.0, "4.7.5", _UCP_NEW),
    _ucp("j6h", "nash-h", 3, 420.0, 137.0, "4.11.11", _UCP),
    _ucp("j6b", "nash-b", 1, 18.0, math.inf, "4.11.11", _UCP),
    _ucp("s100", "nash-e", 1, 80.0, 76.8, "4.7.5", _UCP_NEW, _UCP),
    _ucp("s100p", "nash-m", 1, 128.0, 76.8, "4.7.5", _UCP_NEW),
)

SOCS: dict[str, HorizonSoc] = {soc.name: soc for soc in _TABLE}
DEFAULT = SOCS["x5"]  # of a tool that lies on no board


def socs_of_march(march: str) -> tuple[str, ...]:
    """Names of the boards that run code of `march`."""
    return tuple(soc.name for soc in _TABLE if soc.march == march)
