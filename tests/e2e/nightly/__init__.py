"""End-to-end tests that take too long to run for every change; tox -e nightly runs them."""
