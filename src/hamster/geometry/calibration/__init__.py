"""Calibrate a camera from the known poses of a tool that it sees. Needs OpenCV (extra `data`)."""

from hamster.geometry.calibration.fit import CameraFit, UndeterminedCameraError, fit_camera

__all__ = ["CameraFit", "UndeterminedCameraError", "fit_camera"]
