"""Measures of engine.md §16, each against a floor of its own run: `python -m tests.bench NAME`.

Knows the product only from inside worlds of its own; pytest runs nothing here but one cheap test.
"""
