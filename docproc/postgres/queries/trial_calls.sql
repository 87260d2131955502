-- What the documents of one user cost so far, by provider and operation, whoever bought it.
-- A call that was refused is not paid for; one that failed is when the provider says so.
WITH jobs AS MATERIALIZED (
  SELECT job_id, created_at FROM docproc.upload_jobs
   WHERE document_id IN (SELECT document_id FROM docproc.sources WHERE user_id = %(user)s) AND user_id = %(user)s
)
SELECT provider, operation, unit, count(*) AS calls, coalesce(sum(coalesce(units_reported, units_estimated)), 0) AS units,
       coalesce(sum(usd_counted), 0)::float8 AS usd,
       coalesce(sum(coalesce(units_reported, units_estimated)) FILTER (WHERE usd_counted IS NULL), 0)::bigint AS unpriced
  FROM docproc.api_calls
 WHERE started_at >= (SELECT min(created_at) FROM jobs) AND (outcome IN ('open', 'accepted', 'ok') OR units_reported IS NOT NULL)
   AND job_ids && ARRAY (SELECT job_id FROM jobs)
 GROUP BY provider, operation, unit
 ORDER BY provider, operation
