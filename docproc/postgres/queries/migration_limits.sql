-- How long a migration waits for a lock, and for a statement; both end with the transaction.
SELECT set_config('lock_timeout', %(lock)s, true), set_config('statement_timeout', %(statement)s, true)
