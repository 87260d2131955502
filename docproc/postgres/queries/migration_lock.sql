-- Ends with the transaction, so it is safe behind a pooler.
SELECT pg_advisory_xact_lock(hashtextextended('docproc.migrate', 0))
