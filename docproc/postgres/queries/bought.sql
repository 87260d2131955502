-- What was bought since midnight UTC; ``unknown`` are those whose units nobody knows yet.
-- ``usd`` is what the ledger knows; of ``unpriced`` units it has no price.
-- What has an uncertain end is told apart.
-- A call that was refused is not paid for; one that failed is when the provider says so.
WITH today AS (
  SELECT unit, units_reported, units_estimated, usd_counted FROM docproc.api_calls
   WHERE started_at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
     AND (outcome IN ('open', 'accepted', 'ok') OR units_reported IS NOT NULL)
)
SELECT unit, count(*) AS calls, coalesce(sum(coalesce(units_reported, units_estimated)), 0)::bigint AS units,
       count(*) FILTER (WHERE coalesce(units_reported, units_estimated) IS NULL) AS unknown,
       coalesce(sum(usd_counted), 0)::float8 AS usd,
       coalesce(sum(coalesce(units_reported, units_estimated)) FILTER (WHERE usd_counted IS NULL), 0)::bigint AS unpriced
  FROM today GROUP BY unit ORDER BY unit
