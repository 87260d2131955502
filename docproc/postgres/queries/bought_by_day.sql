-- What was bought on each of the last 14 days (UTC); day 0 is today. ``unknown`` are calls whose units nobody knows yet.
-- A call that was refused is not paid for; one that failed is when the provider says so.
SELECT (date_trunc('day', now() AT TIME ZONE 'UTC')::date - (started_at AT TIME ZONE 'UTC')::date) AS day,
       unit, count(*) AS calls, coalesce(sum(coalesce(units_reported, units_estimated)), 0)::bigint AS units,
       count(*) FILTER (WHERE coalesce(units_reported, units_estimated) IS NULL) AS unknown,
       coalesce(sum(usd_counted), 0)::float8 AS usd,
       coalesce(sum(coalesce(units_reported, units_estimated)) FILTER (WHERE usd_counted IS NULL), 0)::bigint AS unpriced
  FROM docproc.api_calls
 WHERE started_at >= (date_trunc('day', now() AT TIME ZONE 'UTC') - interval '13 days') AT TIME ZONE 'UTC'
   AND (outcome IN ('open', 'accepted', 'ok') OR units_reported IS NOT NULL)
 GROUP BY 1, 2
 ORDER BY 1, 2
