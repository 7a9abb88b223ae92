"""End-to-end tests that are too long for every change; tox -e nightly runs them."""
