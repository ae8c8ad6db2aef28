"""The description of the work on one experiment, in a form that travels: to a worker process, to another machine."""

from __future__ import annotations

import base64
import pickle
from typing import Any, Self

import cloudpickle
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError, model_serializer

from prefect_experiments.allowed import allowed_references
from prefect_experiments.backends import Remote
from prefect_experiments.errors import InvalidEvaluator, InvalidInput, InvalidSetting, InvalidTask
from prefect_experiments.evaluators import BoundEvaluator, as_before, resolve_evaluators
from prefect_experiments.experiment.places import remote_of
from prefect_experiments.options import CallOptions
from prefect_experiments.references import whole_path
from prefect_experiments.store import Link, Store, reopen_store
from prefect_experiments.tasks import Task, resolve_task


class CallableSpec(BaseModel):
    """A task or an evaluator: where it is found again, or, where it has no such place, the thing itself.

    Attributes:
        name: what it is called in the experiment.
        fingerprint: of the state in which the experiment knows it.
        reference: an import reference, or a built-in evaluator's name.
        pickled: the bytes that cloudpickle made of it, in base64. Made only when the spec leaves its process, and only
            where there is no reference. Loading it runs code: take specs from your own processes only.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    fingerprint: str | None = None
    reference: str | None = None
    pickled: str | None = None
    _here: Task | BoundEvaluator | None = PrivateAttr(None)

    @classmethod
    def of(cls, found: Task | BoundEvaluator, **more: Any) -> Self:
        """The description of a task or an evaluator, which in this process stays the very object."""
        reference = found.reference and whole_path(found.reference)
        spec = cls(name=found.name, fingerprint=found.fingerprint, reference=reference, **more)
        object.__setattr__(spec, "_here", found)
        return spec

    @model_serializer
    def _portable(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in type(self).model_fields}, "pickled": self._bytes()}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).model_validate, (self._sendable().model_dump(),)

    def _sendable(self) -> Self:
        """The same, with all in it that another process needs."""
        return self.model_copy(update={"pickled": self._bytes()})

    def _bytes(self) -> str | None:
        if self.reference is not None or self._here is None:
            return self.pickled
        try:
            return base64.b64encode(cloudpickle.dumps(self._here)).decode()
        except Exception as error:  # what objects raise when they cannot be pickled is anything
            raise InvalidInput(
                f"{self.name!r} cannot be sent to another process ({type(error).__name__}: {error!s:.200}); "
                "put it into a module and pass it as a reference 'package.module:name'"
            ) from error

    def task(self) -> Task:
        """The task.

        Raises:
            InvalidReference: it is not where it was.
            InvalidTask: what was sent is none.
        """
        found = self._here or (self._unpickled() if self.reference is None else resolve_task(self.reference))
        if not isinstance(found, Task):
            raise InvalidTask(f"the spec of task {self.name!r} leads to a {type(found).__name__}")
        if self._is_another(found):
            raise InvalidTask(f"task {self.name!r} {_ANOTHER}")
        return found

    def evaluator(self) -> BoundEvaluator:
        """The evaluator, by its name and in its state in the experiment.

        Raises:
            InvalidReference: it is not where it was.
            InvalidEvaluator: what was sent is none.
        """
        if self._here is None and self.reference is not None:
            known = {} if self.fingerprint is None else {self.name: self.fingerprint}
            [found] = as_before(resolve_evaluators({self.name: self.reference}), known)
            if self._is_another(found):
                raise InvalidEvaluator(f"evaluator {self.name!r} {_ANOTHER}")
            return found
        here = self._here or self._unpickled()
        if not isinstance(here, BoundEvaluator):
            raise InvalidEvaluator(f"the spec of evaluator {self.name!r} leads to a {type(here).__name__}")
        return here

    def _is_another(self, found: Task | BoundEvaluator) -> bool:
        return self.fingerprint is not None and found.fingerprint != self.fingerprint

    def _unpickled(self) -> Any:
        if self.pickled is None:
            raise InvalidInput(f"the spec says neither where {self.name!r} is, nor what it is")
        if (allowed := allowed_references()) is not None:
            raise allowed.refuse(self.name, "it has come pickled, and such code is not limited by")
        try:
            return pickle.loads(base64.b64decode(self.pickled))  # noqa: S301 - see `pickled`
        except Exception as error:  # what pickles raise is anything
            raise InvalidInput(
                f"{self.name!r} cannot be read from the spec ({type(error).__name__}: {error!s:.200})"
            ) from error


_ANOTHER = (
    "is not in the state here that it has in the experiment; bring the code to that state, or go on with the "
    "experiment by resume_experiment"
)


class EvaluatorSpec(CallableSpec):
    """An evaluator of an experiment.

    Attributes:
        positions: the examples that it is meant for; ``None`` for all of the experiment's.
    """

    positions: tuple[int, ...] | None = None


class ExperimentSpec(BaseModel):
    """The work on one experiment that is in a store: what to call, how, and where the results go.

    It travels as JSON or as a pickle, and holds no secret of this package: the store's password and the backend's key
    are the environment's, or a block's, where the work is done. A task or an evaluator without a reference travels with
    what it holds, be it a key: one that holds a secret is better given by a reference.

    Attributes:
        store: URL of the store, without its password.
        experiment_id: the experiment's id in the store, which knows the rest: the examples, what is done already.
        dataset_version_id: the version that it is pinned to.
        task: what to run; ``None`` to run evaluators only.
        evaluators: what to evaluate with.
        passed: names of the evaluators that the caller has given by themselves; what they may have given in a state
            that is not known is made again.
        options: how hard to work.
        backend: the name of the backend that gets the results, or a saved block's; ``None`` for the store alone.
        set_global_tracer_provider: whether OpenTelemetry's global provider is to be ours.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: str
    experiment_id: str
    dataset_version_id: str
    task: CallableSpec | None = None
    evaluators: tuple[EvaluatorSpec, ...] = ()
    passed: tuple[str, ...] = ()
    options: CallOptions = CallOptions()
    backend: str | None = None
    set_global_tracer_provider: bool = False

    def to_json(self) -> str:
        """The spec as JSON.

        Raises:
            InvalidInput: the task or an evaluator has no reference and cannot be pickled.
        """
        task = self.task and self.task._sendable()
        evaluators = tuple(evaluator._sendable() for evaluator in self.evaluators)
        return self.model_copy(update={"task": task, "evaluators": evaluators}).model_dump_json()

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The spec that `to_json` wrote; take it from your own processes only, see `CallableSpec.pickled`.

        Raises:
            InvalidInput: it is something else.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise InvalidInput(f"this is no spec of an experiment: {where}: {first['msg']}") from None

    def open_store(self) -> Store:
        """The store, with the password of the settings where they name the same one.

        Raises:
            InvalidSetting: a store in memory, which no other process has.
            StoreUnavailable: the database does not answer.
        """
        if self.store == "sqlite://":
            raise InvalidSetting("the spec is of a store in memory, which only the process that made it has")
        return reopen_store(self.store)

    def open_remote(self, store: Store) -> tuple[Remote | None, Link | None]:
        """The backend, and the experiment's counterpart there.

        Raises:
            InvalidSetting: the experiment was begun in another place than the settings of this process name.
        """
        if self.backend is None:
            return None, None
        remote = remote_of(self.backend)
        link = None if remote is None else store.links.of_experiment(self.experiment_id, remote.target)
        if remote is not None and link is None:
            known = store.links.of_experiment(self.experiment_id)
            raise InvalidSetting(
                f"experiment {self.experiment_id} is kept in {known.target if known else 'the store alone'}, and the "
                f"settings of this process lead to {remote.target}; set here what was set where it was begun"
            )
        return remote, link
