-- The one place where a status changes. No row comes back when the lease was lost: the caller rolls back.
-- sources and targets are the steps of the table that the job takes; a retry in place is a step to the same state.
WITH held AS MATERIALIZED (
  SELECT job_id, state_since
    FROM docproc.upload_jobs
   WHERE job_id = %(job_id)s AND fence = %(fence)s AND claimed_by = %(owner)s AND status = %(from)s
     FOR NO KEY UPDATE
), moved AS (
  UPDATE docproc.upload_jobs j
     SET status = %(to)s,
         claimed_by = CASE WHEN %(keep)s THEN j.claimed_by END,
         lease_until = CASE WHEN %(keep)s THEN j.lease_until END,
         attempt = CASE WHEN %(reset)s THEN 0 ELSE greatest(j.attempt + %(attempt_change)s, 0) END,
         run_at = clock_timestamp() + make_interval(secs => coalesce(%(after)s::float8,
                    least(%(cap)s::float8, %(base)s::float8 * 2 ^ (j.attempt - 1)) * (0.5 + random() / 2))),
         last_error = CASE WHEN %(keep_error)s THEN j.last_error ELSE %(error)s::jsonb END,
         failed_from = CASE WHEN %(failed)s THEN j.status END,
         progress = j.progress || %(progress)s::jsonb,
         parsed_path = coalesce(%(parsed_path)s, j.parsed_path),
         parsed_sha = coalesce(%(parsed_sha)s, j.parsed_sha),
         state_since = CASE WHEN j.status = %(to)s THEN j.state_since ELSE clock_timestamp() END,
         updated_at = clock_timestamp()
    FROM held
   WHERE j.job_id = held.job_id
  RETURNING j.job_id, j.attempt
), told AS (
  INSERT INTO docproc.job_events (job_id, from_status, to_status, seconds, worker, attempt, fence, code, note)
  SELECT %(job_id)s, step.from_status, step.to_status,
         CASE WHEN step.n = 1 THEN extract(epoch FROM clock_timestamp() - held.state_since) ELSE 0 END,
         %(owner)s, %(attempt)s, %(fence)s, %(code)s, %(note)s
    FROM held, unnest(%(sources)s::text[], %(targets)s::text[]) WITH ORDINALITY AS step (from_status, to_status, n)
   ORDER BY step.n
)
SELECT job_id, attempt FROM moved
