"""Datasets of pixie-qa: their files, the applications they are for, and their evaluators."""
