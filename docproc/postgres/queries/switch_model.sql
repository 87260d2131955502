-- Every source of a user changes over to one model at once, or none does: not while one that is shown would be lost.
WITH candidates AS MATERIALIZED (
  SELECT s.source_id, s.live_job_id, coalesce(
           (SELECT j.job_id FROM docproc.upload_jobs j
             WHERE j.document_id = s.document_id AND j.status = %(complete)s
               AND j.embed_model = %(embed_model)s AND j.embed_version = %(embed_version)s
             ORDER BY (j.chunks_version = %(chunks_version)s) DESC, j.created_at DESC LIMIT 1),
           (SELECT j.job_id FROM docproc.upload_jobs was
             JOIN docproc.upload_jobs j ON j.document_id = was.document_id AND j.status = %(complete)s
              AND j.embed_model = %(embed_model)s AND j.embed_version = %(embed_version)s
             WHERE was.job_id = s.live_job_id
             ORDER BY (j.chunks_version = %(chunks_version)s) DESC, j.created_at DESC LIMIT 1)) AS job_id
    FROM docproc.sources s
   WHERE s.user_id = %(user)s AND s.withdrawn_at IS NULL
), missing AS MATERIALIZED (
  SELECT count(*) AS sources FROM candidates WHERE live_job_id IS NOT NULL AND job_id IS NULL
), switched AS (
  UPDATE docproc.sources s
     SET live_job_id = c.job_id
    FROM candidates c, missing
   WHERE missing.sources = 0 AND s.source_id = c.source_id AND c.job_id IS NOT NULL
     AND s.live_job_id IS DISTINCT FROM c.job_id
  RETURNING 1
), told AS (
  UPDATE docproc.serving SET embed_model = %(embed_model)s, embed_version = %(embed_version)s, since = now()
    FROM missing
   WHERE user_id = %(user)s AND missing.sources = 0
)
SELECT missing.sources AS missing, (SELECT count(*) FROM switched) AS switched FROM missing
