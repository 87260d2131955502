-- What was bought since midnight UTC, from the latest 100,000 calls; ``unknown`` are those whose units nobody knows yet.
-- A call that was refused is not paid for; one that failed is when the provider says so.
WITH latest AS (
  SELECT unit, units_reported, units_estimated FROM docproc.api_calls
   WHERE started_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
     AND (outcome IN ('open', 'accepted', 'ok') OR units_reported IS NOT NULL)
   ORDER BY started_at DESC LIMIT 100000
)
SELECT unit, count(*) AS calls, coalesce(sum(coalesce(units_reported, units_estimated)), 0)::bigint AS units,
       count(*) FILTER (WHERE coalesce(units_reported, units_estimated) IS NULL) AS unknown
  FROM latest GROUP BY unit ORDER BY unit
