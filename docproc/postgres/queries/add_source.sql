-- A changed file points at its new document at once, but readers see the old version until the new one is complete.
-- The job's row is locked, whatever its state: or it could complete meanwhile without seeing this source.
WITH job AS MATERIALIZED (
  SELECT job_id, status FROM docproc.upload_jobs
   WHERE document_id = %(document_id)s AND chunks_version = %(chunks_version)s
     AND embed_model = %(embed_model)s AND embed_version = %(embed_version)s
     FOR SHARE
)
INSERT INTO docproc.sources AS s (user_id, uri, document_id, live_job_id)
VALUES (%(user)s, %(uri)s, %(document_id)s, (SELECT job_id FROM job WHERE status = %(complete)s))
ON CONFLICT (user_id, uri) DO UPDATE
   SET document_id = excluded.document_id,
       live_job_id = coalesce(excluded.live_job_id, s.live_job_id),
       changed_at = clock_timestamp(),
       withdrawn_at = NULL
RETURNING (xmax = 0) AS is_new
