-- The views of what was spent, from a time on; the columns are those of the views, with what is summed by as ``key``.
SELECT key, provider, unit, count(DISTINCT call_id) AS calls, sum(units)::bigint AS units,
       round(sum(usd_estimated), 12) AS usd_estimated, round(sum(usd_reported), 12) AS usd_reported,
       round(sum(usd), 12) AS usd, round(sum(perhaps_paid), 12) AS perhaps_paid, round(sum(difference), 12) AS difference
  FROM (SELECT s.*, CASE %(by)s::text WHEN 'day' THEN day::text WHEN 'document' THEN document_id::text
                                      WHEN 'source' THEN source WHEN 'model' THEN model END AS key
          FROM docproc.spend_parts s WHERE s.started_at >= coalesce(%(since)s::timestamptz, '-infinity')) parts
 GROUP BY key, provider, unit
 ORDER BY key NULLS FIRST, provider, unit
