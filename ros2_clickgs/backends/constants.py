# SPDX-License-Identifier: Apache-2.0
"""The compositing rule, as in gsplat 1.5.3.

Its sources: RasterizeToPixels3DGSFwd.cu, ProjectionEWA3DGSFused.cu.

gsplat's main branch clamps alpha at 0.99; 1.5.3 clamps at 0.999. These are 1.5.3's.
"""

MAX_ALPHA = 0.999
"""No Gaussian is fully opaque, so that light behind it is never lost to rounding."""
ALPHA_THRESHOLD = 1.0 / 255.0
"""Fainter contributions are skipped: an 8-bit screen could not show them."""
TRANSMITTANCE_THRESHOLD = 1e-4
"""A pixel is finished before the Gaussian that would take its transmittance to this or below."""
EPS2D = 0.3
"""Added to the projected covariance's diagonal, in px^2: nothing is thinner than a pixel."""
NEAR_PLANE = 0.01
"""Gaussians closer than this along the optical axis are skipped, in m (of the map)."""
FAR_PLANE = 1e10
"""Gaussians farther than this are skipped, in m (of the map)."""
FRUSTUM_MARGIN = 0.3
"""How far outside the image, in half image widths, the projection's Jacobian is still followed."""
MAX_EXTENT = 3.33
"""Standard deviations at which the most opaque Gaussian falls below ALPHA_THRESHOLD."""
