"""Build of ppcds. Paddle itself is an extra, so that neither build (cpu, gpu) replaces the other."""

from pathlib import Path

from setuptools import find_packages, setup

EXTRAS = {
    "cpu": ["paddlepaddle>=2.6.2"],
    "gpu": ["paddlepaddle-gpu>=2.6.2"],
    "demo": ["ale-py>=0.10,!=0.11.*"],  # 0.11 cannot be imported without gymnasium, which it does not require
    "test": [
        "pytest>=7.4",
        "pytest-xdist>=3.3",
        "hypothesis>=6.80",
        "coverage>=7.10",
        "ruff>=0.4",
    ],
    "report": ["altair>=6.0", "vl-convert-python>=1.9", "jinja2>=3.1", "imagehash>=4.3"],
    # 2 takes Paddle 3, 1 takes Paddle 2; the onnx it requires has no wheel for 3.13
    "export": ["paddle2onnx>=1.3; python_version<'3.13'", "onnxruntime>=1.15"],
    "notebooks": ["nbformat>=5.7", "nbclient>=0.8", "ipykernel>=6.20"],
}
EXTRAS["test"] += EXTRAS["report"] + EXTRAS["export"]

setup(
    name="ppcds",
    version="0.1.0",
    description="Image classifiers with contrastive supervision on PaddlePaddle",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.9",
    packages=find_packages(include=["ppcds", "ppcds.*"]),
    package_data={"ppcds": ["recipes/*.yaml", "report/page/templates/*"]},
    install_requires=[
        "numpy>=1.22",
        "pandas>=1.5",
        "opencv-python>=4.6",
        "pillow>=9",
        "matplotlib>=3.6",
        "visualdl>=2.5.3",
        "tqdm>=4.64",
        "PyYAML>=6.0",
        "pydantic>=2.5",
        "safetensors>=0.4",
        "scikit-learn>=1.2",
    ],
    extras_require=EXTRAS,
)
