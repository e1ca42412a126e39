"""What users see, held against files that were made with commit 8b022be (see `record`).

All of it, those that `just test` leaves out included: `pytest tests/compatibility -m ""`.
"""
