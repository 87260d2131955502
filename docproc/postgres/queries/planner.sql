-- How large the queue is for the planner, and which ways of planning are switched off, by whom.
SELECT (SELECT reltuples FROM pg_class WHERE relname = 'upload_jobs' AND relnamespace = to_regnamespace('docproc')) AS rows,
       (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM pg_settings
         WHERE name LIKE 'enable\_%scan' AND setting = 'off') AS switched_off,
       quote_ident(current_database()) AS quoted_database
