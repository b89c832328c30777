"""What every kind of test shares: the plugin modules that hold the fixtures."""

pytest_plugins = ["tests.llamacpp"]
