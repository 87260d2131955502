-- Sessions that sit in an open transaction, and old snapshots: both keep dead rows from being removed. A deploy holds its
-- turn in a transaction without a snapshot.
SELECT pid, coalesce(nullif(application_name, ''), 'a session') AS name, state = 'active' AS active,
       extract(epoch FROM clock_timestamp() - CASE state WHEN 'active' THEN xact_start ELSE state_change END)::float8
         AS seconds
  FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
   AND application_name <> 'docproc deploy'
   AND ((state LIKE 'idle in transaction%%' AND state_change < clock_timestamp() - make_interval(secs => %(idle)s))
        OR (state = 'active' AND backend_xmin IS NOT NULL
            AND xact_start < clock_timestamp() - make_interval(secs => %(snapshot)s)))
 ORDER BY seconds DESC
