"""Gates that CUDA kernels pass without a GPU: what the compiler makes of their text, and what the text does to memory.

`running` puts kernels through the gates, `toolchain` finds and calls NVIDIA's compiler and disassembler, `machine_code`
and `measuring` read what they write, `rules` says what has to hold, `memory` runs the text on the CPU under sanitizers.
"""
