"""How a trained network leaves the project: as files that run without it."""

FORMATS = ("json", "pdmodel", "onnx")  # what the files of a model end in
