# SPDX-License-Identifier: Apache-2.0
"""Affordances: a few annotated images say what regions of an object are for.

`transfer` carries them over: annotated images -> features (`sources`) -> classes of pixels
(`rules`) -> scores of Gaussians (`lifting`, `smoothing`).
"""
