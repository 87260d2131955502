-- A claim need not outlive a crash of the server by itself: what matters is committed after it, and takes it along.
-- MATERIALIZED, or the LIMIT may be planned away and more rows be locked than it says.
WITH unhurried AS MATERIALIZED (
  SELECT set_config('synchronous_commit', 'off', true)
), due AS MATERIALIZED (
  SELECT job_id
    FROM docproc.upload_jobs
   WHERE claimed_by IS NULL AND NOT is_final
     AND run_at <= coalesce(%(now)s::timestamptz, clock_timestamp())
     AND status = ANY (%(states)s)
     AND (%(only)s::text IS NULL OR user_id = %(only)s) AND priority >= %(least)s::integer
   ORDER BY priority DESC, run_at, job_id
   LIMIT %(limit)s
     FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE docproc.upload_jobs j
   SET claimed_by = %(owner)s,
       lease_until = coalesce(%(now)s::timestamptz, clock_timestamp()) + make_interval(secs => %(lease)s),
       fence = j.fence + 1,
       attempt = j.attempt + 1
  FROM due, unhurried
 WHERE j.job_id = due.job_id
RETURNING j.job_id, j.document_id, j.user_id, j.source, j.status, j.extension, j.raw_path, j.raw_sha, j.raw_bytes,
          j.parsed_path, j.parsed_sha, j.chunks_version, j.embed_model, j.embed_version, j.progress, j.attempt, j.fence
