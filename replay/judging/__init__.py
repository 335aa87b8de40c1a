"""Judging answers: what differs, why, what follows from what, and what is excused or known."""
