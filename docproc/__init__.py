"""docproc takes documents through a state machine in Postgres until every one is searchable in pgvector."""

__version__ = "0.1.0"
