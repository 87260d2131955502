SELECT pg_backend_pid() AS pid, clock_timestamp() AS now, pg_is_in_recovery() AS standby,
       current_setting('default_transaction_read_only') = 'on' AS read_only, current_database() AS database,
       quote_ident(current_database()) AS quoted_database, quote_ident(current_user) AS quoted_role,
       (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
       (SELECT concat_ws(', ', CASE WHEN rolcreaterole THEN 'CREATEROLE' END, CASE WHEN rolcreatedb THEN 'CREATEDB' END,
                         CASE WHEN rolbypassrls THEN 'BYPASSRLS' END, CASE WHEN rolreplication THEN 'REPLICATION' END)
          FROM pg_roles WHERE rolname = current_user) AS attributes
