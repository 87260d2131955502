-- Ends with the transaction: of runs that begin at the same moment one comes after the other, and sees it.
SELECT pg_advisory_xact_lock(hashtextextended('docproc.runs', 0))
