"""From images to raw numbers: ONNX Runtime on CPU or CUDA, TensorRT, or a function (the shipped fake).

In: a bundle, a device, a precision; then arrays by name. Out: arrays by name, checked; never another device in silence.
Must not know what the numbers mean.
"""
