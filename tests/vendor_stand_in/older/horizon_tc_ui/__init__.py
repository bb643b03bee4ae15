"""TEST stand-in of an older release: `run` subtracts an offset, `run_feature` is for feature maps."""

from stand_in_session import Session

__version__ = "1.9.9-stand-in"


class HB_ONNXRuntime(Session):
    def run(self, output_name, input_info, input_offset=128):
        return self.session.run(output_name, self.shifted(input_info, input_offset))

    def run_feature(self, output_name, input_info, input_offset=128):
        if input_offset:
            raise ValueError("a feature map takes input_offset=0")
        return self.session.run(output_name, input_info)
