"""Post-training static quantisation to int8, of an ONNX graph: weights per channel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchbench.cases import Case
from benchbench.inputs import calibration_batches


def quantise(case: Case, path: Path) -> None:
    """Replace a graph by one that multiplies in int8, its ranges seen on calibration images."""
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = path.with_name("prepared.onnx")
    quant_pre_process(path, prepared)
    quantize_static(
        prepared,
        path,
        _Reader(case),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=CalibrationMethod.MinMax,
    )
    prepared.unlink()


class _Reader:
    """Calibration batches, as the quantiser asks for them."""

    def __init__(self, case: Case) -> None:
        self.batches = self._batches(case)

    @staticmethod
    def _batches(case: Case) -> Iterator[dict[str, Any]]:
        for images in calibration_batches(case):
            yield {"images": images.numpy()}

    def get_next(self) -> dict[str, Any] | None:
        """The next batch by input name; None after the last."""
        return next(self.batches, None)
