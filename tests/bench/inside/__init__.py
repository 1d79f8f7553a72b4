"""What runs inside a world: the product's own verbs, called by name from `tests.bench.client`.

Knows the product and tests.factories; Django is ready before any module here is imported.
"""
