-- Of the latest 5,000 of each failure state: every one of them has to be read. ``documents`` are those that
-- count_documents counts, or all where ``every`` job counts.
WITH failed AS MATERIALIZED (
  SELECT latest.*
    FROM unnest(%(failed)s::text[]) AS f (status)
   CROSS JOIN LATERAL (
     SELECT j.document_id, j.job_id, j.created_at, j.status, j.last_error, j.user_id
       FROM docproc.upload_jobs j WHERE j.status = f.status AND (%(only)s::text IS NULL OR j.user_id = %(only)s)
      ORDER BY j.state_since DESC LIMIT 5000) latest
   WHERE latest.user_id NOT LIKE 'docproc-trial-%%'
), marked AS (
  SELECT f.status, f.last_error, %(every)s OR
         NOT EXISTS (SELECT FROM docproc.upload_jobs newer WHERE newer.document_id = f.document_id
                        AND (newer.created_at, newer.job_id) > (f.created_at, f.job_id))
     AND EXISTS (SELECT FROM docproc.sources s WHERE s.document_id = f.document_id AND s.withdrawn_at IS NULL) AS counts
    FROM failed f
)
SELECT last_error ->> 'code' AS code, count(*) AS jobs, count(*) FILTER (WHERE counts) AS documents,
       array_agg(DISTINCT status ORDER BY status) AS states, min(last_error ->> 'remedy') AS remedy
  FROM marked GROUP BY 1 ORDER BY 3 DESC, 1
