"""B118: registry and journal, one of them gone."""

from pathlib import Path

from levitrio.app.run import missing_journal
from tests.app.virtual import write_fleet

SAVED: dict[str, object] = {"BTCUSDT": None}


def test_a_journal_that_is_gone_is_missed(tmp_path: Path) -> None:
    """A fleet was here: what to do is said; live it is refused before a new one is made."""
    config = write_fleet(tmp_path)
    text = missing_journal(config, SAVED)
    assert text.startswith(f"{config.fleet.data_dir}/journal.db: expected the journal beside ")
    assert "put it back" in text


def test_what_is_whole_or_new_is_fine(tmp_path: Path) -> None:
    """No fleet was here; or its journal is, be it a rescued copy."""
    config = write_fleet(tmp_path)
    assert missing_journal(config, {}) == ""
    config.fleet.data_dir.mkdir(parents=True)
    for name in ("journal.db.rescue", "journal.db"):
        file = config.fleet.data_dir / name
        file.touch()
        assert missing_journal(config, SAVED) == ""
        file.unlink()
