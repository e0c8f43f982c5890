"""Property tests: enough examples to find what is wrong, few enough to be run on every change.

More of them, after a change of the parts they test: `pytest tests/unit --hypothesis-profile=thorough`.
"""

from hypothesis import HealthCheck, settings

settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("thorough", max_examples=1000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quick")
