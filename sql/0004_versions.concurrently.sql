CREATE INDEX CONCURRENTLY IF NOT EXISTS upload_jobs_superseded ON docproc.upload_jobs (superseded_at)
  WHERE superseded_at IS NOT NULL
-- next
CREATE INDEX CONCURRENTLY IF NOT EXISTS sources_withdrawn ON docproc.sources (withdrawn_at)
  WHERE withdrawn_at IS NOT NULL
-- next
CREATE INDEX CONCURRENTLY IF NOT EXISTS api_calls_by_run ON docproc.api_calls (run_id)
  WHERE run_id IS NOT NULL
-- next
CREATE INDEX CONCURRENTLY IF NOT EXISTS parse_calls_by_call ON docproc.parse_calls (call_id)
  WHERE call_id IS NOT NULL
-- next
CREATE INDEX CONCURRENTLY IF NOT EXISTS upload_jobs_canonical ON docproc.upload_jobs (parsed_path)
  WHERE parsed_path <> 'storage://parsed/' || user_id || '/' || document_id::text || '.md'
