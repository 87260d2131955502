-- Documents that come in again: what counted as superseded no longer does. Their bytes have just been stored, so a job
-- that lacked them lacks them no more, and one that failed for that goes on where it failed; one whose parse was
-- missing has it fetched again.
WITH taken AS MATERIALIZED (
  SELECT job_id, document_id, status, failed_from, state_since, raw_lost_at IS NOT NULL AS was_lost,
         failed_from IS NOT NULL AND last_error ->> 'code' = ANY (%(lost_codes)s) AS had_failed
    FROM docproc.upload_jobs
   WHERE document_id = ANY (%(document_ids)s::uuid[])
     AND (superseded_at IS NOT NULL OR raw_lost_at IS NOT NULL
          OR failed_from IS NOT NULL AND last_error ->> 'code' = ANY (%(lost_codes)s))
   ORDER BY job_id
     FOR NO KEY UPDATE
), kept AS (
  UPDATE docproc.upload_jobs j SET superseded_at = NULL, raw_lost_at = NULL
    FROM taken t WHERE j.job_id = t.job_id AND NOT t.had_failed
), sent AS (
  UPDATE docproc.upload_jobs j
     SET superseded_at = NULL, raw_lost_at = NULL, attempt = 0, run_at = clock_timestamp(), last_error = NULL,
         status = CASE WHEN t.failed_from = %(judged)s THEN %(handed_in)s ELSE t.failed_from END, failed_from = NULL,
         parsed_path = CASE WHEN t.failed_from = %(judged)s THEN NULL ELSE j.parsed_path END,
         parsed_sha = CASE WHEN t.failed_from = %(judged)s THEN NULL ELSE j.parsed_sha END,
         state_since = clock_timestamp(), updated_at = clock_timestamp()
    FROM taken t WHERE j.job_id = t.job_id AND t.had_failed
  RETURNING j.job_id, t.status AS from_status, j.status AS to_status, t.state_since, j.fence
), told AS (
  INSERT INTO docproc.job_events (job_id, from_status, to_status, seconds, worker, fence, note)
  SELECT job_id, from_status, to_status, extract(epoch FROM clock_timestamp() - state_since), %(owner)s, fence,
         'its file came in again'
    FROM sent
)
SELECT DISTINCT document_id FROM taken WHERE was_lost OR had_failed
