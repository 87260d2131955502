-- The one place where a status changes. A job that does not come back had lost its lease: nothing of it was changed.
-- The steps of a change are the rows of the table that the job takes; a retry in place is a step to the same state.
WITH change AS MATERIALIZED (
  SELECT *
    FROM jsonb_to_recordset(%(changes)s::jsonb) AS c (
           job_id uuid, fence bigint, attempt integer, from_status text, to_status text, steps jsonb,
           attempt_change integer, reset boolean, keep boolean, failed boolean, after float8,
           keep_error boolean, error jsonb, code text, note text, progress jsonb, parsed_path text, parsed_sha text)
), held AS MATERIALIZED (
  -- In one order, so that no two settles wait for each other.
  SELECT c.*, j.state_since
    FROM change c
    JOIN docproc.upload_jobs j ON j.job_id = c.job_id AND j.fence = c.fence AND j.claimed_by = %(owner)s
     AND j.status = c.from_status
   ORDER BY j.job_id
     FOR NO KEY UPDATE OF j
), moved AS (
  UPDATE docproc.upload_jobs j
     SET status = c.to_status,
         claimed_by = CASE WHEN c.keep THEN j.claimed_by END,
         lease_until = CASE WHEN c.keep THEN j.lease_until END,
         attempt = CASE WHEN c.reset THEN 0 ELSE greatest(j.attempt + c.attempt_change, 0) END,
         run_at = clock_timestamp() + make_interval(secs => coalesce(c.after,
                    least(%(cap)s::float8, %(base)s::float8 * 2 ^ (j.attempt - 1)) * (0.5 + random() / 2))),
         last_error = CASE WHEN c.keep_error THEN j.last_error ELSE c.error END,
         failed_from = CASE WHEN c.failed THEN j.status END,
         progress = j.progress || c.progress,
         parsed_path = coalesce(c.parsed_path, j.parsed_path),
         parsed_sha = coalesce(c.parsed_sha, j.parsed_sha),
         state_since = CASE WHEN j.status = c.to_status THEN j.state_since ELSE clock_timestamp() END,
         updated_at = clock_timestamp()
    FROM held c
   WHERE j.job_id = c.job_id
  RETURNING j.job_id
), told AS (
  INSERT INTO docproc.job_events (job_id, from_status, to_status, seconds, worker, attempt, fence, code, note)
  SELECT c.job_id, step.value ->> 0, step.value ->> 1,
         CASE WHEN step.n = 1 THEN extract(epoch FROM clock_timestamp() - c.state_since) ELSE 0 END,
         %(owner)s, c.attempt, c.fence, c.code, c.note
    FROM held c, jsonb_array_elements(c.steps) WITH ORDINALITY AS step (value, n)
   ORDER BY c.job_id, step.n
)
SELECT job_id FROM moved
