"""Set-up of the whole suite: how hard hypothesis tries."""

import os

from hypothesis import HealthCheck, settings

# No deadlines anywhere: how long an example takes says more about the machine than about the code.
settings.register_profile(
    "dev",
    max_examples=50,
    stateful_step_count=30,
    deadline=None,
    print_blob=True,
)
# As many examples, but the same ones each time: the same commit gets the same verdict.
settings.register_profile(
    "ci",
    settings.get_profile("dev"),
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no reason to fail
)
# For an hour of looking for trouble: HYPOTHESIS_PROFILE=thorough nox -s tests -- --timeout=0
settings.register_profile(
    "thorough",
    settings.get_profile("dev"),
    max_examples=2_000,
    stateful_step_count=100,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))
