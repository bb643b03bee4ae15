"""Does the board compute what the PC toolchain promised, layer by layer, and where does the time go?"""

__version__ = "0.1.0"
