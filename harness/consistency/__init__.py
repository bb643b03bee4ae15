"""Does the board compute what the PC said it would, which op is to blame, and what kind of fault is it?"""
