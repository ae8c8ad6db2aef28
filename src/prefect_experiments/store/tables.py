"""The store's tables. A change here needs a migration in `migrations/versions`.

JSON is kept as text, so that what comes back is what went in on every database; times are
seconds since the epoch as doubles, because converting dates would be the slowest part of
writing a row.
"""

import functools

from sqlalchemy import (
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    make_url,
)
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

metadata = MetaData()


def _of(parent: str, column: str) -> Column[str]:
    return Column(column, String(64), ForeignKey(f"{parent}.id", ondelete="CASCADE"), nullable=False)


datasets = Table(
    "datasets",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("id", String(64), primary_key=True),
    _of("datasets", "dataset_id"),
    Column("number", Integer, nullable=False),
    Column("example_count", Integer, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("dataset_id", "number"),
)

# A row holds from version `since` until before version `until` (null: still). So a version costs
# only what it changed, and an example keeps its position in all of them.
examples = Table(
    "examples",
    metadata,
    Column("dataset_id", String(64), ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("since", Integer, primary_key=True),
    Column("until", Integer),
    Column("example_id", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("output", Text),
    Column("metadata", Text, nullable=False),
    Column("splits", Text, nullable=False),
    Column("span_id", String(32)),
)

experiments = Table(
    "experiments",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("metadata", Text, nullable=False),
    Column("dataset_id", String(64), ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
    Column("dataset_version_id", String(64), ForeignKey("dataset_versions.id"), nullable=False),
    Column("splits", Text, nullable=False),
    Column("positions", Text),  # JSON list of the examples' positions; null: all of the version
    Column("example_count", Integer, nullable=False),
    Column("repetitions", Integer, nullable=False),
    Column("task", Text, nullable=False),
    Column("task_fingerprint", String(64)),
    Column("task_reference", Text),
    Column("project_name", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("logged", String(64)),  # fingerprint of the results, where they were made elsewhere and logged
    # Counts the experiments as they are made: clocks are set, and those of two machines differ.
    Column("number", Integer, nullable=False, server_default="0"),
    Column("replaced_cost", Double),  # of results that were made again since; null: none of a known cost
    Index("ix_experiments_dataset", "dataset_id", "created_at"),
    Index("ix_experiments_name", "name"),
    Index("ix_experiments_number", "number", unique=True),
)

experiment_evaluators = Table(
    "experiment_evaluators",
    metadata,
    Column("experiment_id", String(64), ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("reference", Text),
    Column("positions", Text),
)

experiment_runs = Table(
    "experiment_runs",
    metadata,
    Column("experiment_id", String(64), ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("repetition_number", Integer, primary_key=True),
    Column("example_id", Text, nullable=False),
    Column("output", Text),
    Column("error", Text),
    Column("start_time", Double, nullable=False),
    Column("end_time", Double, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("token_count", Integer),
    Column("total_cost", Double),
    Column("trace_id", String(32)),
    Column("metadata", Text),  # JSON object: what else is known of a run that was made elsewhere
    Column("latency_ms", Double),  # as measured or given: two times do not tell it exactly; null: unknown
    Column("unpriced", Text),  # JSON object: by model, the calls whose cost is not known
)

_RUN_KEY = ["experiment_id", "position", "repetition_number"]
_RUN_COLUMNS = [f"experiment_runs.{name}" for name in _RUN_KEY]

evaluations = Table(
    "evaluations",
    metadata,
    Column("experiment_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("repetition_number", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("evaluator", Text, nullable=False),
    Column("annotator_kind", String(8), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("score", Double),
    Column("label", Text),
    Column("explanation", Text),
    Column("metadata", Text),
    Column("error", Text),
    Column("start_time", Double, nullable=False),
    Column("end_time", Double, nullable=False),
    Column("trace_id", String(32)),
    Column("token_count", Integer),  # of the evaluator's call; where it gave several evaluations, on one of them
    Column("total_cost", Double),
    Column("unpriced", Text),
    ForeignKeyConstraint(_RUN_KEY, _RUN_COLUMNS, ondelete="CASCADE"),
)

run_annotations = Table(
    "annotations",
    metadata,
    Column("experiment_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("repetition_number", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("score", Double),
    Column("label", Text),
    Column("text", Text),
    Column("annotator", Text),
    Column("updated_at", Double, nullable=False),
    ForeignKeyConstraint(_RUN_KEY, _RUN_COLUMNS, ondelete="CASCADE"),
)

# One tag names one experiment of a dataset: giving it to another moves it.
experiment_tags = Table(
    "experiment_tags",
    metadata,
    Column("dataset_id", String(64), ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Column("experiment_id", String(64), ForeignKey("experiments.id", ondelete="CASCADE"), nullable=False),
    Index("ix_experiment_tags_experiment", "experiment_id"),
)

# When a tag moved, and where to: to no experiment (null) where it was taken away, or the one that had it was deleted.
# An experiment that was deleted stays named here. Tags that are idempotency keys never move, and are not in it.
tag_moves = Table(
    "tag_moves",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),  # counts the moves as they are made
    Column("dataset_id", String(64), ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
    Column("tag", Text, nullable=False),
    Column("experiment_id", String(64)),
    Column("moved_at", Double, nullable=False),
    Index("ix_tag_moves_dataset", "dataset_id"),
)

# What a gate has said of an experiment when it was done, the last time that it was. `checks` is a JSON list of objects,
# `moved` an object: by metric, how the comparison with the baseline calls it, such as "regressed". `baseline` is what
# people call it; its id is null where it is a table of results, and may be one of an experiment that was deleted since.
judgements = Table(
    "judgements",
    metadata,
    Column("experiment_id", String(64), ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("status", String(16), nullable=False),
    Column("exit_code", Integer, nullable=False),
    Column("reasons", Text, nullable=False),
    Column("checks", Text, nullable=False),
    Column("moved", Text, nullable=False),
    Column("baseline_id", String(64)),
    Column("baseline", Text),
    Column("judged_at", Double, nullable=False),
    Column("pool", Text),
    Column("pool_means", Text),
)

# What a backend calls the things that are kept here, too. `target` is the backend and where it is,
# such as "phoenix http://localhost:6006".
linked_versions = Table(
    "linked_versions",
    metadata,
    Column("target", String(255), primary_key=True),
    Column("remote_version_id", String(255), primary_key=True),
    Column("remote_dataset_id", Text, nullable=False),
    _of("dataset_versions", "dataset_version_id"),
    Column("linked_at", Double, nullable=False),
    Column("remote_made_at", Double),  # when the dataset was made there: its id may be another one's after a deletion
    Index("ix_linked_versions_version", "dataset_version_id"),
)

linked_experiments = Table(
    "linked_experiments",
    metadata,
    Column("id", String(64), primary_key=True),
    _of("experiments", "experiment_id"),
    Column("target", String(255), nullable=False),
    Column("remote_id", String(255), nullable=False),
    Column("remote_dataset_id", Text, nullable=False),
    Column("remote_version_id", Text, nullable=False),
    Column("project_name", Text),
    Column("url", Text),
    Column("linked_at", Double, nullable=False),
    UniqueConstraint("experiment_id", "target"),
    UniqueConstraint("target", "remote_id"),
)

# What the backend has of an experiment's results. `stamp` is the end time of what was pushed: a
# result that is made again has another one, and is pushed again. `refused` says why it was not taken.
pushed_runs = Table(
    "pushed_runs",
    metadata,
    Column("link_id", String(64), ForeignKey("linked_experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("repetition_number", Integer, primary_key=True),
    Column("remote_id", Text),
    Column("stamp", Double, nullable=False),
    Column("refused", Text),
)

# Who works on an experiment just now: makes its calls, or pushes it to a backend where pushing a result twice would
# make two of it. `beat` is what the holder's own clock said when it last showed that it lives. Where
# nobody does, the holder is empty.
leases = Table(
    "leases",
    metadata,
    Column("experiment_id", String(64), ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("purpose", String(80), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("beat", Double, nullable=False),
    Column("since", Double, nullable=False),
    Column("flow_run_id", String(64)),
)

# What is known of the limits of providers that several processes call at once, and by the database's own clock since
# when. It is of use for minutes; what is older is nobody's business any more.
provider_limits = Table(
    "provider_limits",
    metadata,
    Column("provider", Text, primary_key=True),
    Column("rate", Double),  # call starts a second, of all together; null: not limited
    Column("pause", Double, nullable=False),
    Column("hold", Double, nullable=False),
    Column("since_cut", Double),  # null: never cut
    Column("as_of", Double, nullable=False),
)

# The processes that make calls of one experiment together, for as long as they do. `seen` is when one last showed
# that it is there, by the database's clock; `observed` how many calls it has begun a second, lately.
limit_sharers = Table(
    "limit_sharers",
    metadata,
    Column("experiment_id", String(64), primary_key=True),
    Column("process", Text, primary_key=True),
    Column("observed", Double),
    Column("providers", Text, nullable=False),
    Column("seen", Double, nullable=False),
)

# An experiment that several workers share: where the next range of its examples begins, and what leads them: the holder
# of its lease on calls. Ranges count its examples, not their positions.
shared_work = Table(
    "shared_work",
    metadata,
    Column("experiment_id", String(64), ForeignKey("experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("leader", Text, nullable=False),
    Column("workers", Integer, nullable=False),
    Column("next", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("smallest", Integer, nullable=False),
    Column("largest", Integer, nullable=False),
    Column("stopped", Text),  # why nothing further is to be called; null: it is
)

work_ranges = Table(
    "work_ranges",
    metadata,
    Column("experiment_id", String(64), ForeignKey("shared_work.experiment_id", ondelete="CASCADE"), primary_key=True),
    Column("first", Integer, primary_key=True),
    Column("after", Integer, nullable=False),
    Column("worker", Integer, nullable=False),
    Column("done", Integer, nullable=False),
)

# What the workers have done, as they last told. `part` is what a worker is to do that is started elsewhere, and `error`
# what it met, both as JSON.
workers = Table(
    "workers",
    metadata,
    Column("experiment_id", String(64), ForeignKey("shared_work.experiment_id", ondelete="CASCADE"), primary_key=True),
    Column("worker", Integer, primary_key=True),
    Column("part", Text),
    Column("runs", Integer, nullable=False),
    Column("run_errors", Integer, nullable=False),
    Column("evaluations", Integer, nullable=False),
    Column("abandoned", Integer, nullable=False),
    Column("spent", Double, nullable=False),
    Column("trouble", Text, nullable=False),
    Column("error", Text),
)

pushed_evaluations = Table(
    "pushed_evaluations",
    metadata,
    Column("link_id", String(64), ForeignKey("linked_experiments.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("repetition_number", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("stamp", Double, nullable=False),
    Column("refused", Text),
)


@functools.cache  # a process may make many stores: each dry run has one of its own
def statements_for(driver: str) -> tuple[str, ...]:
    """What makes all tables and their indexes, for a driver as a URL names it."""
    statements: list[ExecutableDDLElement] = []
    for table in metadata.sorted_tables:
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        statements += [CreateTable(table), *map(CreateIndex, indexes)]
    dialect = make_url(f"{driver}://").get_dialect()()
    return tuple(str(statement.compile(dialect=dialect)) for statement in statements)
