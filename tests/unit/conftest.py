"""Properties are tried on the same examples each time, however slow the machine: a red run can be repeated."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "here", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
settings.load_profile("here")
