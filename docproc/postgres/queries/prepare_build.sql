-- For the whole session, because CREATE INDEX CONCURRENTLY refuses to stand in a transaction. A build waits for locks and
-- for transactions that are older than itself; a run shall not wait for them for ever.
SELECT set_config('maintenance_work_mem', %(memory_kb)s || 'kB', false), set_config('statement_timeout', '0', false),
       set_config('lock_timeout', '60s', false)
