-- Ends with the transaction, so it is safe behind a pooler, and a deploy that is killed lets go of it.
SELECT pg_try_advisory_xact_lock(hashtextextended('docproc.deploy', 0)) AS ours,
       set_config('idle_in_transaction_session_timeout', '0', true), set_config('statement_timeout', '0', true), set_config('application_name', 'docproc deploy', true)
