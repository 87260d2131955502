-- Whether much was written since the server last looked: its own look comes up to minutes later, and until then it plans
-- joins of these tables for a few rows.
SELECT coalesce(bool_or(n_mod_since_analyze > 1000 + 0.1 * n_live_tup), false) AS needed
  FROM pg_stat_user_tables
 WHERE relid IN ('docproc.document_chunk_buffer'::regclass, 'docproc.document_vector_buffer'::regclass)
