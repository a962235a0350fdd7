# SPDX-License-Identifier: Apache-2.0
"""Click on a thing in a 3D Gaussian Splatting map; get its Gaussians, box and cloud."""

from pkgutil import extend_path

# With the source tree as working directory, this folder hides the installed package that holds the
# generated msg, srv and action modules: look in both.
__path__ = extend_path(__path__, __name__)
