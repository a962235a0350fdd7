# SPDX-License-Identifier: Apache-2.0
"""2D segmenters behind `core.segmenter.Segmenter`: classical ones, and pretrained networks."""
