"""Evaluation experiments on AI applications, run as Prefect flows.

Importing this package is cheap and starts nothing: each public name is loaded when it is used.
"""
