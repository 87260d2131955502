-- Everything of one user. Jobs are found by their sources, which an index has. The ledger of calls and runs goes too: what
-- a trial cost is told by whoever made it. A call that others' documents share stays theirs.
WITH jobs AS MATERIALIZED (
  SELECT job_id, document_id, created_at FROM docproc.upload_jobs
   WHERE document_id IN (SELECT document_id FROM docproc.sources WHERE user_id = %(user)s) AND user_id = %(user)s
), gone AS (
  DELETE FROM docproc.sources WHERE user_id = %(user)s
), chunks AS (
  DELETE FROM docproc.document_chunk_buffer WHERE document_id IN (SELECT document_id FROM jobs)
), parses AS (
  DELETE FROM docproc.parse_calls WHERE document_id IN (SELECT document_id FROM jobs)
), runs AS MATERIALIZED (
  SELECT run_id, started_at FROM docproc.runs WHERE command = %(command)s
), since AS (
  -- The time makes an index of the ledger do.
  SELECT min(at) AS at FROM (SELECT created_at FROM jobs UNION ALL SELECT started_at FROM runs) b (at)
), calls AS (
  DELETE FROM docproc.api_calls
   WHERE started_at >= (SELECT at FROM since)
     AND (job_ids <@ ARRAY (SELECT job_id FROM jobs) AND job_ids <> '{}' OR run_id IN (SELECT run_id FROM runs))
), shared AS (
  UPDATE docproc.api_calls
     SET (job_ids, document_ids, shares) = (
           SELECT coalesce(array_agg(p.job_id), '{}'), array_agg(p.document_id), array_agg(p.share)
             FROM unnest(job_ids, document_ids, shares) AS p (job_id, document_id, share)
            WHERE p.job_id NOT IN (SELECT job_id FROM jobs))
   WHERE started_at >= (SELECT at FROM since) AND run_id NOT IN (SELECT run_id FROM runs)
     AND job_ids && ARRAY (SELECT job_id FROM jobs) AND NOT job_ids <@ ARRAY (SELECT job_id FROM jobs)
), receipts AS (
  DELETE FROM docproc.runs WHERE run_id IN (SELECT run_id FROM runs)
), serving AS (
  DELETE FROM docproc.serving WHERE user_id = %(user)s
)
DELETE FROM docproc.upload_jobs WHERE job_id IN (SELECT job_id FROM jobs)
