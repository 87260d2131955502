-- Frees what the dead hold. The fence goes up, so that a zombie's late settle is refused; a job that keeps killing its
-- workers ends in its failure state instead of going round for ever.
WITH lost AS MATERIALIZED (
  SELECT job_id, status, state_since, claimed_by, attempt, attempt >= %(max_attempts)s AS used_up
    FROM docproc.upload_jobs
   WHERE claimed_by IS NOT NULL
     AND (lease_until < coalesce(%(now)s::timestamptz, clock_timestamp()) OR claimed_by = ANY (%(dead)s))
   LIMIT %(limit)s
     FOR NO KEY UPDATE SKIP LOCKED
), freed AS (
  UPDATE docproc.upload_jobs j
     SET status = CASE WHEN lost.used_up THEN give_up.failure ELSE j.status END,
         failed_from = CASE WHEN lost.used_up THEN j.status END,
         last_error = CASE WHEN lost.used_up THEN %(error)s::jsonb ELSE j.last_error END,
         state_since = CASE WHEN lost.used_up THEN clock_timestamp() ELSE j.state_since END,
         claimed_by = NULL, lease_until = NULL, fence = j.fence + 1, run_at = clock_timestamp(),
         updated_at = clock_timestamp()
    FROM lost
    JOIN unnest(%(sources)s::text[], %(failures)s::text[]) AS give_up (source, failure) ON give_up.source = lost.status
   WHERE j.job_id = lost.job_id
  RETURNING j.job_id, lost.status AS from_status, j.status AS to_status, lost.state_since, lost.claimed_by, j.fence,
            lost.attempt
)
INSERT INTO docproc.job_events (job_id, from_status, to_status, seconds, worker, attempt, fence, code, note)
SELECT job_id, from_status, to_status, extract(epoch FROM clock_timestamp() - state_since), claimed_by, attempt, fence,
       %(code)s, 'the lease was freed'
  FROM freed
RETURNING job_id
