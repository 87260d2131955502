-- loses: nothing
DROP INDEX IF EXISTS docproc.upload_jobs_superseded;
DROP INDEX IF EXISTS docproc.upload_jobs_canonical;
DROP INDEX IF EXISTS docproc.sources_withdrawn;
DROP INDEX IF EXISTS docproc.api_calls_by_run;
DROP INDEX IF EXISTS docproc.parse_calls_by_call;
-- What they held is found again: the next cleanup looks at every document and every stored object.
ALTER TABLE docproc.upload_jobs
  DROP COLUMN superseded_at,
  DROP COLUMN raw_lost_at;
