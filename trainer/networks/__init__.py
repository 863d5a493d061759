"""The networks, as torch modules.

In: a network's name and arguments, or a run folder. Out: a module whose forward pass ONNX can hold.
It knows no film, no settings and no training.
"""
