# SPDX-License-Identifier: Apache-2.0
"""Files: maps, cameras, images and labels. The only folder that knows formats on disk."""
