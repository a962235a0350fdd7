# SPDX-License-Identifier: Apache-2.0
"""Everything that can go wrong, as facts: each error takes what it saw and writes the sentence."""


class ClickGSError(Exception):
    """Bad input or a missing piece, told in one line: what, where, and what to do."""


class ConfigError(ClickGSError, ValueError):
    """A parameter has a value that it cannot have."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"parameter '{name}' is {value!r}; allowed: {allowed}")


class ShapeError(ClickGSError, ValueError):
    """An array has another shape, type or size than its partner asks for."""

    def __init__(self, name: str, *, expected: str, actual: object) -> None:
        super().__init__(f"'{name}' should be {expected}, but is {actual}")


class FileFormatError(ClickGSError, ValueError):
    """A file cannot be read as what it claims to be."""

    def __init__(self, path: object, problem: str, remedy: str = "") -> None:
        super().__init__(f"{path}: {problem}" + (f"; {remedy}" if remedy else ""))


class MapFormatError(FileFormatError):
    """A map file is broken, truncated or not a 3D Gaussian Splatting map."""


class CameraFormatError(FileFormatError):
    """A camera file is broken, or describes a camera that is not a rectified pinhole."""


class MapMismatchError(ClickGSError, ValueError):
    """Labels or features belong to another map."""

    def __init__(self, path: object, *, made_for: str, given: str) -> None:
        super().__init__(
            f"{path} was made for the map with sha256 {made_for}, not for {given}; "
            "pass the map that it was made for, or make it again"
        )


class SessionInUseError(ClickGSError, RuntimeError):
    """Another process has the session."""

    def __init__(self, path: object) -> None:
        super().__init__(f"{path} is in use by another process; end that, or name another session")


class TransformError(ClickGSError, LookupError):
    """No pose is known for a stamp, or a pose is not a rigid transform."""


class NotFoundError(ClickGSError, LookupError):
    """Something was asked for by a name or id that does not exist."""

    def __init__(self, kind: str, wanted: object, available: object) -> None:
        super().__init__(f"no {kind} {wanted!r}; there are: {available}")


class BackendUnavailableError(ClickGSError, RuntimeError):
    """A library or device that was asked for by name cannot be used here."""

    def __init__(self, wanted: str, reason: str, remedy: str) -> None:
        super().__init__(f"'{wanted}' cannot be used: {reason}; {remedy}")
