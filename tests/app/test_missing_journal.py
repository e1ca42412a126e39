"""A registry without its journal."""

from pathlib import Path

from levitrio.app.run import missing_journal
from tests.app.virtual import write_fleet

SAVED: dict[str, object] = {"BTCUSDT": None}


def test_a_journal_that_is_gone_is_missed(tmp_path: Path) -> None:
    """There is a snapshot: the text says what to do; a live fleet is refused."""
    config = write_fleet(tmp_path)
    text = missing_journal(config, SAVED)
    assert text.startswith(f"{config.fleet.data_dir}/journal.db: expected the journal beside ")
    assert "put it back" in text


def test_what_is_whole_or_new_is_fine(tmp_path: Path) -> None:
    """Neither is there, or the journal is, even as a rescued copy."""
    config = write_fleet(tmp_path)
    assert missing_journal(config, {}) == ""
    config.fleet.data_dir.mkdir(parents=True)
    for name in ("journal.db.rescue", "journal.db"):
        file = config.fleet.data_dir / name
        file.touch()
        assert missing_journal(config, SAVED) == ""
        file.unlink()
