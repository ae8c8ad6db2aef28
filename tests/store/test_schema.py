"""Opening a store: its schema, and databases that cannot be used."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from prefect_experiments.errors import InvalidSetting, StoreUnavailable
from prefect_experiments.store import Store, database, looking_at, migrations
from prefect_experiments.store.database import Database
from prefect_experiments.store.tables import metadata
from prefect_experiments.store.urls import parse_url, shown

from .samples import new_experiment, record, run_row, verdict


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A transaction on a database that need not be a store."""
    engine = sa.create_engine(parse_url(url))
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def describe(connection: sa.Connection) -> dict[str, Any]:
    """Everything that SQLAlchemy can tell of a schema."""
    inspector = sa.inspect(connection)
    return {
        table: {
            "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "foreign keys": sorted(
                (f["constrained_columns"], f["referred_table"], f["referred_columns"], sorted(f["options"].items()))
                for f in inspector.get_foreign_keys(table)
            ),
            "unique": sorted(u["column_names"] for u in inspector.get_unique_constraints(table)),
            "indexes": sorted((i["name"], i["column_names"], i["unique"]) for i in inspector.get_indexes(table)),
        }
        for table in sorted(inspector.get_table_names())
    }


def test_the_migrations_make_the_tables(store_url: str) -> None:
    with connected(store_url) as connection:
        migrations.upgrade(connection)
    with connected(store_url) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        migrated = describe(connection)
        connection.execute(sa.text("DROP TABLE alembic_version"))
        metadata.drop_all(connection)
    Store(store_url).close()
    with connected(store_url) as connection:
        made_at_once = describe(connection)
    assert made_at_once == migrated
    assert set(metadata.tables) | {"alembic_version"} == set(migrated)


def test_the_newest_version_is_the_one_that_is_made() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [database.HEAD]


def test_opening_again_changes_nothing(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(store_url)
    experiment_id = new_experiment(store).experiment.id
    record(store, experiment_id, [run_row(0)], [verdict(0)])
    store.close()
    for method in ("_create", "_upgrade"):
        monkeypatch.setattr(Database, method, None)
    store = Store(store_url)
    assert len(store.results.runs(experiment_id)[0]) == 1
    assert len(store.results.evaluations(experiment_id)) == 1
    store.close()


def test_an_older_store_is_migrated(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    Store(store_url).close()
    monkeypatch.setattr(database, "HEAD", "9999")  # as a later version of the package has it
    monkeypatch.setattr(migrations, "upgrade", lambda connection: seen.append(connection.dialect.name))
    Store(store_url).close()
    assert seen == [store_url.split(":")[0]]


OLD_STORE = Path(__file__).parent / "store_0005.sql"  # what `.dump` says of a file that was made with schema 0005


def test_a_store_that_was_made_before_latencies_were_kept(store_url: str) -> None:
    """It is opened, and tells what its times still tell: to the microsecond."""
    script = OLD_STORE.read_text(encoding="utf-8")
    if store_url.startswith("sqlite"):
        with contextlib.closing(sqlite3.connect(parse_url(store_url).database or "")) as file:
            file.executescript(script)
    else:
        rows = re.findall(r'^INSERT INTO "(\w+)" (VALUES\(.*?\));$', script, re.DOTALL | re.MULTILINE)
        with connected(store_url) as connection:
            migrations.upgrade(connection, "0005")
            for table in metadata.sorted_tables:
                for name, values in rows:
                    if name == table.name:
                        connection.exec_driver_sql(f"INSERT INTO {name} {values}".replace("%", "%%"))
    store = Store(store_url)
    ran, logged = (store.experiments.get(name).experiment.id for name in ("tag:baseline", "logged"))
    assert [run.latency_ms for run in store.results.runs(ran)[0]] == [245.0, 1.0, 250.0]
    assert [run.latency_ms for run in store.results.runs(logged)[0]] == [245.0, 57.3, None]
    assert store.results.run_figures(logged).latencies_ms == [57.3, 245.0]
    first = store.results.runs(ran)[0][0]
    assert (first.total_cost, first.token_count, first.output) == (0.1 + 0.2, 12, {"said": 0})
    assert store.results.evaluations(ran)[1].metadata == {"z": 1.0, "a": [1]}
    link = store.links.of_experiment(ran)
    assert link is not None
    assert store.outbox.waiting(link).runs == 0  # what was pushed is not pushed again
    store.close()
    Store(store_url).close()


def test_a_store_that_was_made_before_experiments_were_counted(store_url: str) -> None:
    """They are counted by their times, and what is made now comes after them, whatever its time."""
    with connected(store_url) as connection:
        migrations.upgrade(connection, "0007")
        connection.exec_driver_sql("INSERT INTO datasets VALUES ('ds', 'dataset', NULL, '{}', 1.0)")
        connection.exec_driver_sql("INSERT INTO dataset_versions VALUES ('dsv', 'ds', 1, 0, 'f', 1.0)")
        for name, made_at in (("c", 3e9), ("a", 1e9), ("b2", 2e9), ("b1", 2e9)):
            values = f"'exp-{name}', '{name}', '{{}}', 'ds', 'dsv', '[]', 0, 1, 'task', {made_at}, {made_at}"
            columns = "id, name, metadata, dataset_id, dataset_version_id, splits, example_count, repetitions, task"
            connection.exec_driver_sql(f"INSERT INTO experiments ({columns}, created_at, updated_at) VALUES ({values})")
    store = Store(store_url)
    assert [experiment.name for experiment in store.experiments.page()[0]] == ["c", "b2", "b1", "a"]
    new_experiment(store, name="new")
    assert store.experiments.get("latest").experiment.name == "new"
    lease = store.leases.of_calls("exp-c")
    assert lease.try_to_take()
    lease.release()
    store.close()


def test_a_store_of_a_newer_version_is_refused(store_url: str) -> None:
    store = Store(store_url)
    experiment_id = new_experiment(store).experiment.id
    store.close()
    with connected(store_url) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0042'"))
    with pytest.raises(InvalidSetting) as raised:
        Store(store_url)
    text = str(raised.value)
    assert (
        f"was made by a newer version of prefect-experiments: its schema is 0042, this version knows {database.HEAD}"
        in text
    )
    assert "pip install -U prefect-experiments" in text
    assert "s3cret" not in text
    with connected(store_url) as connection:
        assert connection.execute(sa.text("SELECT id FROM experiments")).scalar() == experiment_id
        connection.execute(sa.text(f"UPDATE alembic_version SET version_num = '{database.HEAD}'"))
    store = Store(store_url)
    assert store.experiments.get("latest").experiment.id == experiment_id
    store.close()


def test_the_database_of_another_application_is_left_alone(store_url: str) -> None:
    """Prefect's own database, say: it has an `alembic_version`, too."""
    with connected(store_url) as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('9e83011d1f2a')"))
        connection.execute(sa.text("CREATE TABLE flow_run (id INTEGER)"))
    with pytest.raises(InvalidSetting, match=r"belongs to another application \(its alembic_version is 9e83011d1f2a"):
        Store(store_url)
    with connected(store_url) as connection:
        connection.execute(sa.text("DROP TABLE alembic_version"))
        connection.execute(sa.text("CREATE TABLE experiments (x INTEGER)"))
    with pytest.raises(InvalidSetting, match=r"tables of another application .* as the store's: experiments; give"):
        Store(store_url)
    with connected(store_url) as connection:
        assert sorted(sa.inspect(connection).get_table_names()) == ["experiments", "flow_run"]
        connection.execute(sa.text("DROP TABLE experiments"))
    Store(store_url).close()  # beside tables that are called otherwise there is room


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all\n" * 200)
    with pytest.raises(
        InvalidSetting, match=r"the store at .*notes.txt cannot be used: file is not a database\. It is damaged, or"
    ):
        Store(f"sqlite:///{path}")
    assert path.read_text() == "not a database at all\n" * 200


def test_a_damaged_store_is_said(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = Store(f"sqlite:///{path}")
    experiment_id = new_experiment(store, 500).experiment.id
    record(store, experiment_id, [run_row(position) for position in range(500)])
    store.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises((InvalidSetting, StoreUnavailable), match="malformed"):
        Store(f"sqlite:///{path}").results.runs(experiment_id)


def test_a_folder_as_the_path(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match=r"is a folder; name a file in it, such as .*store\.db"):
        Store(f"sqlite:///{tmp_path}")


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidSetting, match=r"cannot make the folder for the store .*/file/store\.db"):
        Store(f"sqlite:///{tmp_path}/file/store.db")


@contextmanager
def not_root() -> Iterator[None]:
    """Root may write anywhere: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    nobody = pwd.getpwnam("nobody")
    os.seteuid(nobody.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_place_that_may_not_be_written_to() -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        store = Store(f"sqlite:///{place / 'store.db'}")
        store.close()
        (place / "open").mkdir()
        (place / "open").chmod(0o777)
        (place / "open" / "store.db").touch()
        (place / "open" / "store.db").chmod(0o444)
        place.chmod(0o555)
        try:
            for path in ("new.db", "store.db", "open/store.db"):
                with not_root(), pytest.raises(InvalidSetting, match="cannot be written to: no permission to write to"):
                    Store(f"sqlite:///{place / path}")
            with not_root(), pytest.raises(InvalidSetting, match=r"cannot make the folder .*: Permission denied"):
                Store(f"sqlite:///{place / 'sub' / 'store.db'}")
        finally:
            place.chmod(0o755)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("", "is not a database URL"),
        ("store.db", "not a database URL"),
        ("mysql://u:s3cret@host/db", "the store can be SQLite or PostgreSQL, not 'mysql'; write sqlite:///path/to/exp"),
        ("oracle://u:s3cret@host/db", "the store can be SQLite or PostgreSQL, not 'oracle'"),
        ("sqlite://relative/store.db", "a file's path stands behind three slashes in the store's URL"),
        ("sqlite:///file:store.db?uri=true", "the store takes no file: URIs"),
        ("sqlite:////dev/null", "/dev/null is a device or a pipe, which cannot hold a store; name a file"),
        ("nonsense://u:s3cret@host/db", "not a database URL"),
        (
            "postgresql://u:s3cret@host:port/db",
            "is not a database URL that can be used; .* is special in a password is",
        ),
        ("postgresql://host:s3cret/db", "not a database URL"),
        ("sqlite:///~nobody-of-that-name/store.db", "the store's path .* leads nowhere: "),
    ],
)
def test_urls_that_cannot_be_used(url: str, fault: str) -> None:
    with pytest.raises(InvalidSetting, match=fault) as raised:
        Store(url)
    assert "s3cret" not in str(raised.value)


def test_any_driver_may_be_named(tmp_path: Path, postgres_url: str) -> None:
    """As in the URLs of Prefect's own database."""
    new_experiment(Store(f"sqlite+aiosqlite:///{tmp_path / 'store.db'}"))
    assert len(Store(f"sqlite:///{tmp_path / 'store.db'}").experiments.page()[0]) == 1
    store = Store(postgres_url.replace("postgresql:", "postgresql+asyncpg:"))
    assert store.shown_url.startswith("postgresql+psycopg://tester:***@")
    store.close()


def test_the_driver_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(
        InvalidSetting, match=r"a store in PostgreSQL needs psycopg: pip install 'prefect-experiments\[postgres\]'"
    ):
        Store("postgresql://u:s3cret@127.0.0.1/db")


@pytest.mark.parametrize("place", ["in its place", "as an option"])
def test_a_wrong_password_is_not_shown(postgres_url: str, place: str) -> None:
    url = parse_url(postgres_url)
    url = url.set(password="wr0ng") if place == "in its place" else url.set(password=None, query={"password": "wr0ng"})
    with pytest.raises(StoreUnavailable, match="password authentication failed") as raised:
        Store(url.render_as_string(hide_password=False))
    assert "wr0ng" not in str(raised.value)
    assert "***" in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(StoreUnavailable, match=r"refused.*Is the database running"):
        Store("postgresql://u:s3cret@127.0.0.1:1/db")


def test_a_user_who_may_not_make_tables(postgres_server: Any, postgres_url: str) -> None:
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server.execute(f"CREATE ROLE {name}_reader LOGIN PASSWORD 'x'")
    url = parse_url(postgres_url).set(username=f"{name}_reader", password="x").render_as_string(hide_password=False)
    with pytest.raises(InvalidSetting, match="cannot be used: permission denied for schema public"):
        Store(url)


def test_a_user_who_may_only_read(postgres_server: Any, postgres_url: str) -> None:
    Store(postgres_url).close()
    name = postgres_url.rsplit("/", 1)[1]
    postgres_server.execute(f"CREATE ROLE {name}_looks LOGIN PASSWORD 'x'")
    url = parse_url(postgres_url).set(username=f"{name}_looks", password="x")
    with looking_at(url.render_as_string(hide_password=False)) as seen, pytest.raises(InvalidSetting) as refused:
        seen.check_writable()
    assert str(refused.value) == f"the store at {shown(url)} cannot be written to: this user may only read it"


def test_stores_that_others_have_open_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    Store(f"sqlite:///{path}").close()
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        store = Store(f"sqlite:///{path}")  # reading needs no lock
        assert store.experiments.page()[0] == []
        store.close()
        other.execute("ROLLBACK")
    other.close()


OPENING = """
import sys
from prefect_experiments.store import Store
Store(sys.argv[1]).close()
print("alembic" in sys.modules)
"""


@pytest.mark.thorough
def test_a_new_store_is_made_without_alembic(tmp_path: Path) -> None:
    """0.01 s instead of 0.17."""
    command = [sys.executable, "-c", OPENING, f"sqlite:///{tmp_path / 'store.db'}"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_what_one_transaction_reads_is_of_one_moment(store: Store, open_another: Callable[[], Store]) -> None:
    new_experiment(store)
    count = sa.select(sa.func.count()).select_from(metadata.tables["experiments"])
    with store.database.read() as connection:
        assert connection.execute(count).scalar() == 1
        other = open_another()
        new_experiment(other)
        assert connection.execute(count).scalar() == 1
        assert len(other.experiments.page()[0]) == 2
    assert len(store.experiments.page()[0]) == 2
    new_experiment(store)  # connections that were read with can be written with
    assert len(other.experiments.page()[0]) == 3
