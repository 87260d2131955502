SELECT relname AS name, n_dead_tup AS dead, n_live_tup AS live
  FROM pg_stat_user_tables
 WHERE schemaname = 'docproc' AND n_dead_tup > %(least)s AND n_dead_tup > n_live_tup / 2
 ORDER BY n_dead_tup DESC
