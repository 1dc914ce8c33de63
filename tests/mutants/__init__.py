"""Small mistakes in every line of the core, and whether the tests notice: ``nox -s mutants``.

`making` writes the mistakes with mutmut, `running` is the pytest plugin that runs the tests for
each, `report` judges what came out of it, and `reasons.toml` says why the survivors may live.
"""
