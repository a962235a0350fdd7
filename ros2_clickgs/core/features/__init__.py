# SPDX-License-Identifier: Apache-2.0
"""Click-Gaussian (Choi et al., ECCV 2024, arXiv:2407.11793): two-level features on a frozen map.

After a training of minutes one click answers in milliseconds without any 2D network, and the whole
scene is segmented at once.
"""
