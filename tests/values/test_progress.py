import pytest

from replican.values.progress import Traffic, show_size


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (34_512_000, "34.5 MB"),
        (5 * 10**12, "5.0 TB"),
        (10**16, "10000.0 TB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert show_size(count) == shown


def test_what_went_over_the_wire() -> None:
    assert Traffic(1_234_567, 340_000, 0, 0, 2.0).words() == "1.2 MB received, 340.0 kB sent"
    assert Traffic(400, 1, 5000, 0, 0.0).words() == "400 bytes received, 1 byte sent, 5.0 kB saved"
    assert Traffic(3_000_000, 1_000_000, 0, 1, 2.0).words() == "3.0 MB received, 1.0 MB sent, 1 file, 2.0 MB/s"
    assert Traffic(9, 1, 1, 1234, 0.0).words() == "9 bytes received, 1 byte sent, 1 byte saved, 1,234 files, 0 bytes/s"
