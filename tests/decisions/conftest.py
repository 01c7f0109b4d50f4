"""What tests of decisions share."""

import pytest

# What differs is shown in full, as in a test itself.
pytest.register_assert_rewrite("reconcile_rows")
