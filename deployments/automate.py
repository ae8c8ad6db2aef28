"""Make or update the automations of files, with names in place of the ids that Prefect wants.

    python deployments/automate.py --notify slack-webhook/evals deployments/automations/*.yaml

What tells people needs a notification block (`prefect block ls` shows those there are); without ``--notify`` it is left
out. Doing it twice changes nothing: an automation is known by its name.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

import yaml
from prefect import get_client
from prefect.client.orchestration import PrefectClient
from prefect.events.schemas.automations import AutomationCore
from prefect.exceptions import ObjectNotFound

TO_FILL_IN = "00000000-0000-0000-0000-000000000000"
DEPLOYMENT = "deployment-evaluation/on-model-deployed"


async def main(files: list[Path], notify: str | None, evaluate: str) -> None:
    """Make or update every automation of the files."""
    async with get_client() as client:
        for path in files:
            for automation in automations_in(path):
                lacking = await fill_in(automation, client, notify, evaluate)
                if lacking:
                    print(f"left out  {automation['name']}: it needs {lacking}")
                    continue
                print(f"{await put(client, AutomationCore.model_validate(automation))}  {automation['name']}")


def automations_in(path: Path) -> list[dict[str, Any]]:
    """What a file holds: one automation, or a list of them."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    several = content.get("automations") if isinstance(content, dict) else content
    return several if isinstance(several, list) else [content]


async def fill_in(automation: dict[str, Any], client: PrefectClient, notify: str | None, evaluate: str) -> str:
    """Put the ids of what is named where the zeros stand; what is lacking for that, if anything is."""
    automation["actions"] = [dict(action) for action in automation["actions"]]  # YAML's anchors share them
    for action in automation["actions"]:
        if action.get("block_document_id") == TO_FILL_IN:
            if notify is None:
                return "--notify"
            action["block_document_id"] = await block_id(client, notify)
        if action.get("deployment_id") == TO_FILL_IN:
            try:
                action["deployment_id"] = str((await client.read_deployment_by_name(evaluate)).id)
            except ObjectNotFound:
                return f"the deployment {evaluate!r}, which there is not"
    return ""


async def block_id(client: PrefectClient, slug: str) -> str:
    """The id of a saved block such as ``slack-webhook/evals``."""
    kind, _, name = slug.partition("/")
    try:
        return str((await client.read_block_document_by_name(name, kind)).id)
    except ObjectNotFound:
        sys.exit(f"there is no block {slug!r}; `prefect block ls` shows those there are, as TYPE/NAME")


async def put(client: PrefectClient, automation: AutomationCore) -> str:
    """Update the automation of that name, or make it; which of the two."""
    known = await client.read_automations_by_name(automation.name)
    if not known:
        await client.create_automation(automation)
        return "made     "
    await client.update_automation(known[0].id, automation)
    return "updated  "


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--notify", metavar="TYPE/NAME", help="the notification block that tells people")
    parser.add_argument("--evaluate", metavar="FLOW/NAME", default=DEPLOYMENT, help=f"default {DEPLOYMENT}")
    given = parser.parse_args()
    asyncio.run(main(given.files, given.notify, given.evaluate))
