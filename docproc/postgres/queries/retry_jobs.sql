-- Sends failed jobs back to the state in which they failed, with fresh attempts. Where the parser's job is of no more use
-- (failed, or never accepted in all the submits allowed), or the parse itself is (barren: it would be refused again), going
-- on means paying again: only with priced. A parse that is gone from the storage is had again from the service, for free.
WITH wanted AS MATERIALIZED (
  SELECT j.job_id, j.status, j.failed_from, j.state_since, j.last_error ->> 'code' AS code, p.parse_call_id,
         p.parse_call_id IS NOT NULL AND (j.job_id = ANY (%(barren)s) OR j.parsed_path IS NULL AND (p.state = 'failed'
           OR p.state IN ('intent', 'submitting') AND p.submits >= %(max_submits)s)) AS is_priced,
         j.failed_from = %(judged)s AND (j.job_id = ANY (%(barren)s) AND p.parse_call_id IS NOT NULL
           OR j.last_error ->> 'code' = ANY (%(lost_codes)s)) AS is_parsed_anew
    FROM docproc.upload_jobs j
    LEFT JOIN docproc.parse_calls p ON p.document_id = j.document_id AND p.parser = %(parser)s
   WHERE j.failed_from IS NOT NULL AND (%(only)s::text IS NULL OR j.user_id = %(only)s)
     AND (%(codes)s::text[] IS NULL OR j.last_error ->> 'code' = ANY (%(codes)s))
     AND (%(states)s::text[] IS NULL OR j.status = ANY (%(states)s))
     AND (%(document_ids)s::uuid[] IS NULL OR j.document_id = ANY (%(document_ids)s))
   ORDER BY j.job_id
     FOR NO KEY UPDATE OF j SKIP LOCKED
), going AS (
  SELECT * FROM wanted WHERE %(priced)s OR NOT is_priced
), anew AS (
  -- A new reference, so that the service's list does not bring back the job that was given up. What failed stays failed,
  -- for the submit to ask for a fresh parse: the service gives a failure again from its cache.
  UPDATE docproc.parse_calls p
     SET state = CASE WHEN p.state IN ('failed', 'collected') THEN 'failed' ELSE 'intent' END, submits = 0, external_id = NULL, submitting_at = NULL,
         client_ref = 'docproc-' || gen_random_uuid(), updated_at = clock_timestamp()
    FROM going WHERE p.parse_call_id = going.parse_call_id AND going.is_priced
), moved AS (
  UPDATE docproc.upload_jobs j
     SET status = CASE WHEN going.is_parsed_anew THEN %(handed_in)s ELSE j.failed_from END, failed_from = NULL,
         parsed_path = CASE WHEN going.is_parsed_anew THEN NULL ELSE j.parsed_path END,
         parsed_sha = CASE WHEN going.is_parsed_anew THEN NULL ELSE j.parsed_sha END, attempt = 0, run_at = clock_timestamp(), last_error = NULL,
         state_since = clock_timestamp(), updated_at = clock_timestamp()
    FROM going WHERE j.job_id = going.job_id
  RETURNING j.job_id, going.status AS from_status, j.status AS to_status, going.state_since, going.code, j.fence
), told AS (
  INSERT INTO docproc.job_events (job_id, from_status, to_status, seconds, worker, fence, note)
  SELECT job_id, from_status, to_status, extract(epoch FROM clock_timestamp() - state_since), %(owner)s, fence,
         'retry of ' || code
    FROM moved
)
SELECT (SELECT count(*) FROM moved) AS sent, (SELECT count(*) FROM wanted) - (SELECT count(*) FROM going) AS priced
