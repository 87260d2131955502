-- What a provider has not told is estimated, by the tokens that were counted or the pages that the file was seen to have.
-- A call that was refused is not paid for; one that failed is when the provider says so.
WITH call AS (
  SELECT a.provider, a.operation, a.unit, a.units_reported, a.usd_counted,
         coalesce(a.units_reported, a.units_estimated,
                  (SELECT (j.progress ->> 'pages_in_file')::bigint
                     FROM docproc.upload_jobs j WHERE j.job_id = a.job_ids[1])) AS units
    FROM docproc.api_calls a
    JOIN docproc.runs r USING (run_id)
   WHERE r.run_id = %(run_id)s AND a.started_at >= r.started_at AND (a.outcome IN ('open', 'accepted', 'ok') OR a.units_reported IS NOT NULL)
)
SELECT provider, operation, unit, count(*) AS calls, coalesce(sum(units), 0)::bigint AS units,
       count(*) FILTER (WHERE units IS NULL) AS unknown,
       count(*) FILTER (WHERE units_reported IS NULL AND units IS NOT NULL) AS estimated,
       coalesce(sum(usd_counted), 0)::float8 AS usd,
       coalesce(sum(units) FILTER (WHERE usd_counted IS NULL), 0)::bigint AS unpriced
  FROM call
 GROUP BY provider, operation, unit
 ORDER BY provider, operation
