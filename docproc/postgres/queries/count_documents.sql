-- A document counts once: by its newest job, while a source names it; what is still worked on counts in any case.
-- ``jobs`` are all that there are.
WITH ranked AS (
  SELECT status, state_since, is_final, document_id,
         row_number() OVER (PARTITION BY document_id ORDER BY created_at DESC, job_id DESC) AS place
    FROM docproc.upload_jobs WHERE user_id NOT LIKE 'docproc-trial-%%'
       AND (%(only)s::text IS NULL OR user_id = %(only)s)
), named AS (
  SELECT DISTINCT document_id FROM docproc.sources WHERE withdrawn_at IS NULL
), marked AS (
  SELECT status, state_since, NOT is_final OR place = 1 AND named.document_id IS NOT NULL AS counts
    FROM ranked LEFT JOIN named USING (document_id)
)
SELECT status, count(*) AS jobs, count(*) FILTER (WHERE counts) AS documents,
       extract(epoch FROM now() - min(state_since) FILTER (WHERE counts))::float8 AS oldest
  FROM marked GROUP BY status
