-- Everything of one user. The ledger of calls and runs too: what a trial cost is told by whoever made it.
WITH jobs AS MATERIALIZED (
  SELECT job_id, document_id, created_at FROM docproc.upload_jobs WHERE user_id = %(user)s
), sources AS (
  DELETE FROM docproc.sources WHERE user_id = %(user)s
), chunks AS (
  DELETE FROM docproc.document_chunk_buffer WHERE document_id IN (SELECT document_id FROM jobs)
), parses AS (
  DELETE FROM docproc.parse_calls WHERE document_id IN (SELECT document_id FROM jobs)
), runs AS MATERIALIZED (
  SELECT run_id, started_at FROM docproc.runs WHERE command = %(command)s
), calls AS (
  -- The times make an index of the ledger do.
  DELETE FROM docproc.api_calls
   WHERE started_at >= (SELECT min(at) FROM (SELECT created_at FROM jobs UNION ALL SELECT started_at FROM runs) b (at))
     AND (job_ids && ARRAY (SELECT job_id FROM jobs) OR run_id IN (SELECT run_id FROM runs))
), receipts AS (
  DELETE FROM docproc.runs WHERE run_id IN (SELECT run_id FROM runs)
), serving AS (
  DELETE FROM docproc.serving WHERE user_id = %(user)s
)
DELETE FROM docproc.upload_jobs WHERE job_id IN (SELECT job_id FROM jobs)
