"""TEST stand-in: `HBRuntime` of "compiled" files whose text is `stand-in INPUT OUTPUT`, or `sleep`."""

import os
import time

import numpy as np


class HBRuntime:
    """The output is the input times two; further outputs tell what the container can reach."""

    def __init__(self, model):
        with open(model) as file:  # noqa: PTH123
            words = file.read().split()
        if words[0] == "sleep":
            time.sleep(600)
        self.folder = os.path.dirname(model)  # noqa: PTH120
        self.input_names, self.output_names = [words[1]], [words[2], "networks", "writable", "secrets"]

    def run(self, output_names, input_info):
        networks = [name for name in os.listdir("/sys/class/net") if name != "lo"]  # noqa: PTH208
        secrets = [name for name in os.environ if "SECRET" in name]
        figures = [np.array([n]) for n in (len(networks), self.writable(), len(secrets))]
        return [input_info[self.input_names[0]] * 2, *figures]

    def writable(self):
        try:
            open(os.path.join(self.folder, "written"), "w").close()  # noqa: PTH118, PTH123
        except OSError:
            return 0
        return 1
