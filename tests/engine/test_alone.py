"""The engine is asyncio only: no Prefect, no HTTP, no database."""

import pytest

from .harness import python


def printed(script: str) -> str:
    done = python(script)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_it_works_without_prefect_http_and_database():
    assert (
        printed(
            """
        import sys

        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in {"prefect", "httpx", "sqlalchemy", "pandas", "numpy", "scipy"}:
                    raise ImportError(f"the engine imported {name}")

        sys.meta_path.insert(0, Refuse())
        import asyncio
        from prefect_experiments.engine import CallPolicy, Engine, EvaluationItem, RunItem
        from prefect_experiments.evaluators import resolve_evaluators
        from prefect_experiments.tasks import resolve_task

        class Sink:
            async def write_run(self, row):
                print(row.output_json)
            async def write_evaluations(self, rows):
                print([row.score for row in rows])
            async def flush(self):
                pass

        async def main():
            task = resolve_task(lambda x: {"answer": x})
            engine = Engine(task, resolve_evaluators(lambda output: 1.0), sink=Sink(), policy=CallPolicy(retries=0))
            item = RunItem(0, "ex-1", 1, '"q"', None, "{}")
            await engine.run([item])
            await engine.evaluate([EvaluationItem(item, '{"answer": "q"}', None, ["lambda"])])

        asyncio.run(main())
        """
        )
        == '{"answer":"q"}\n[1.0]\n'
    )


@pytest.mark.thorough
def test_one_engine_serves_several_loops_one_after_the_other():
    assert (
        printed(
            """
        import asyncio
        from tests.engine.harness import engine_of, run_items

        engine, sink = engine_of(lambda x: x, concurrency=2)
        for start in range(3):
            asyncio.run(engine.run(run_items(range(10))))
        print(len(sink.runs))
        """
        )
        == "30\n"
    )
