# SPDX-License-Identifier: Apache-2.0
"""Messages to the core's types and back: functions only, each validates what it takes."""
