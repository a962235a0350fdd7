# SPDX-License-Identifier: Apache-2.0
"""Image and CompressedImage to RGB arrays, and arrays to Image."""

import zlib
from array import array
from io import BytesIO

import numpy as np
from jaxtyping import Float32, Int32, UInt8
from PIL import Image as Picture
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ros2_clickgs.errors import ClickGSError, ShapeError

RGB_CHANNELS = {
    "rgb8": (3, [0, 1, 2]),
    "bgr8": (3, [2, 1, 0]),
    "rgba8": (4, [0, 1, 2]),
    "bgra8": (4, [2, 1, 0]),
    "mono8": (1, [0, 0, 0]),
}
"""Encoding -> (bytes per pixel, which of them are red, green and blue)."""
MAX_PIXELS = 50_000_000
"""Larger pictures are refused before they are decoded."""
COLOR_MODES = ("RGB", "RGBA", "L", "P")
"""Kinds of 8-bit picture, in Pillow's words."""
BROKEN_PICTURE = (
    OSError, SyntaxError, ValueError, zlib.error,
    Picture.DecompressionBombError, Picture.DecompressionBombWarning,
)  # fmt: skip
"""What Pillow raises on bytes that are no picture."""


def image_from_msg(msg: Image) -> UInt8[np.ndarray, "H W 3"]:
    """Return the RGB picture of an uncompressed image.

    Raises:
        ClickGSError: the encoding is none of RGB_CHANNELS.
        ShapeError: height, width and step do not describe the bytes that came.
    """
    if msg.encoding not in RGB_CHANNELS:
        raise ClickGSError(
            f"image encoding {msg.encoding!r} is not supported; "
            f"publish one of " + ", ".join(RGB_CHANNELS)
        )
    depth, channels = RGB_CHANNELS[msg.encoding]
    pixels = pixels_from_msg(msg, np.dtype(np.uint8), depth)
    return np.ascontiguousarray(pixels[:, :, channels])


def pixels_from_msg(msg: Image, dtype: np.dtype, channels: int) -> np.ndarray:
    """Return a view [H, W, channels] of an image's bytes; the row padding is left out."""
    row = msg.width * channels * dtype.itemsize
    if not msg.height or not msg.width or msg.step < row or len(msg.data) != msg.step * msg.height:
        raise ShapeError(
            "image",
            expected=f"{msg.height} rows of {msg.step} bytes, each at least {row}, not empty",
            actual=f"{len(msg.data)} bytes",
        )
    rows = np.frombuffer(msg.data, np.uint8).reshape(msg.height, msg.step)[:, :row]
    return np.ascontiguousarray(rows).view(dtype).reshape(msg.height, msg.width, channels)


def image_from_compressed_msg(msg: CompressedImage) -> UInt8[np.ndarray, "H W 3"]:
    """Return the RGB picture of a JPEG or PNG image.

    Raises:
        ClickGSError: the bytes are neither, are broken, or claim more than MAX_PIXELS.
    """
    try:
        with Picture.open(BytesIO(msg.data), formats=("JPEG", "PNG")) as picture:
            if picture.width * picture.height > MAX_PIXELS or picture.mode not in COLOR_MODES:
                size = f"{picture.width}x{picture.height} px"
                raise ClickGSError(
                    f"compressed image of {size} and mode {picture.mode} is not supported; "
                    f"publish 8-bit colour of at most {MAX_PIXELS} px"
                )
            return np.array(picture.convert("RGB"))
    except BROKEN_PICTURE as error:
        raise ClickGSError(
            f"compressed image ({msg.format!r}, {len(msg.data)} bytes) is no whole JPEG or PNG: "
            f"{error}; publish one of these"
        ) from error


def msg_from_image(image: UInt8[np.ndarray, "H W 3"], header: Header) -> Image:
    """Return an rgb8 message."""
    return _msg_from_pixels(image, "rgb8", header)


def msg_from_mono(pixels: UInt8[np.ndarray, "H W"], header: Header) -> Image:
    """Return a mono8 message."""
    return _msg_from_pixels(pixels, "mono8", header)


def msg_from_depth(depth: Float32[np.ndarray, "H W"], header: Header) -> Image:
    """Return a 32FC1 message (REP-118): m along the optical axis, NaN where nothing is."""
    return _msg_from_pixels(depth.astype(np.float32), "32FC1", header)


def msg_from_labels(labels: Int32[np.ndarray, "H W"], header: Header) -> Image:
    """Return a 32SC1 message with one label per pixel."""
    return _msg_from_pixels(labels.astype(np.int32), "32SC1", header)


def _msg_from_pixels(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    height, width = pixels.shape[:2]
    msg = Image(header=header, height=height, width=width, encoding=encoding)
    msg.step = pixels.nbytes // max(height, 1)
    msg.data = bytes_array(pixels)
    return msg


def bytes_array(values: np.ndarray) -> array:
    """Return an array's bytes as rclpy takes them fastest."""
    filled = array("B")
    filled.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return filled
