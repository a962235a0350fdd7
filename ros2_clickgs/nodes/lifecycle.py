# SPDX-License-Identifier: Apache-2.0
"""What all our nodes share: parameters, transitions that fail with one line, bugs that surface."""

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ros2_clickgs.errors import ClickGSError
from ros2_clickgs.nodes.diagnostics import Diagnostics
from ros2_clickgs.nodes.params import accept_live, declare, read

NAMESPACE = "clickgs"


class ClickGSNode(LifecycleNode):
    """A lifecycle node that fills in four steps: configure, activate, deactivate, cleanup.

    A step raises ClickGSError when it cannot be done; that is logged and the transition fails.
    Any other exception is a bug and is raised out of the executor's `spin`.
    """

    def __init__(self, name: str, config_type: type, **kwargs: Any) -> None:
        super().__init__(name, namespace=NAMESPACE, **kwargs)
        self.config_type = config_type
        declare(self, config_type)
        self.config: Any = None
        """Parameters as they were at `configure`, live ones as they are now; None before."""
        self.diagnostics = Diagnostics(f"{self.get_fully_qualified_name()}")
        accept_live(self, config_type, lambda: self.config is not None, self._set_config)
        self.patience_s: float | None = None
        """How long leaving may take; None: until the job in hand is done."""
        self._failure: ClickGSError | None = None
        self._bug: Exception | None = None
        group = ReentrantCallbackGroup()
        self._bug_guard = self.create_guard_condition(self._raise_bug, callback_group=group)

    def start(self) -> None:
        """Configure and activate, unless `autostart` is false.

        Raises:
            ClickGSError: what a transition failed of.
        """
        if not self.get_parameter("autostart").value:
            return
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self._bug or self._failure

    def configure(self) -> None:
        """Load what is needed."""
        raise NotImplementedError

    def activate(self) -> None:
        """Begin to listen and answer."""
        raise NotImplementedError

    def deactivate(self) -> None:
        """Stop listening, free memory."""
        raise NotImplementedError

    def cleanup(self) -> None:
        """Forget what `configure` loaded."""
        raise NotImplementedError

    def apply_live(self) -> None:
        """Take over live parameters from `self.config`."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See configure."""
        return self._step(self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See activate."""
        return self._step(self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See deactivate."""
        return self._step(self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """See cleanup."""
        return self._step(self._cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and cleanup, as far as there is something to."""
        return self._step(self.close)

    def close(self, patience_s: float | None = None) -> None:
        """Leave whatever state the node is in; harmless when called again."""
        self.patience_s = patience_s
        if self.config is not None:
            self.deactivate()
            self._cleanup()

    def drop(self, stream: str, error: ClickGSError | str) -> None:
        """Count an input that is not used, and log it now and then."""
        if self.diagnostics.dropped(stream, error):
            self.get_logger().warning(f"{stream} dropped: {error}")

    def on_bug(self, bug: Exception) -> None:
        """Let an exception of another thread end the executor's `spin`."""
        self._bug = bug
        self._bug_guard.trigger()

    def _configure(self) -> None:
        self.config = read(self, self.config_type)
        try:
            self.configure()
        except BaseException:  # Ctrl-C too: there is nothing to leave then
            self.config = None
            raise

    def _cleanup(self) -> None:
        self.cleanup()
        self.config = None

    def _set_config(self, config: Any) -> None:
        if self.config is not None:
            self.config = config
            self.apply_live()

    def _step(self, step: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            step()
        except ClickGSError as error:
            self._failure = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception as bug:  # rclpy would swallow it
            self.on_bug(bug)
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _raise_bug(self) -> None:
        raise self._bug


def drops_bad_input(callback: Callable) -> Callable:
    """Decorate `on_<stream>`: a ClickGSError drops the message, is counted and logged.

    Its object has a `node`, and a `stream` that tells what the node calls one of its inputs.
    """
    name = callback.__name__.removeprefix("on_")

    def checked(self: Any, msg: Any, *about: Any) -> None:
        stream = self.stream(name)
        self.node.diagnostics.received(stream)
        try:
            callback(self, msg, *about)
        except ClickGSError as error:
            self.node.drop(stream, error)

    checked.__name__ = callback.__name__
    return checked
