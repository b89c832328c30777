"""What every kind of test shares: the plugin modules that hold the fixtures."""

from hypothesis import settings

pytest_plugins = ["tests.llamacpp", "tests.sandboxes"]

# A busy machine makes single examples slow, which says nothing about the property.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
