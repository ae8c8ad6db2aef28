"""The only place with Prefect: the flow, its Prefect tasks, blocks, artifacts."""
