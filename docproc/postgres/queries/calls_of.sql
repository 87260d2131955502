-- The paid calls in which a job took part, from its beginning on: ``units`` are its own where they are known, else those of
-- all ``jobs``. What was refused costs nothing.
SELECT a.started_at, a.provider, a.operation, a.unit, a.outcome, a.usd_per_unit::float8 AS usd_per_unit,
       CASE WHEN a.outcome = 'refused' THEN 0 WHEN own.share IS NULL THEN coalesce(a.units_reported, a.units_estimated) ELSE own.share END AS units,
       CASE WHEN own.share IS NULL THEN cardinality(a.job_ids) ELSE 1 END AS jobs
  FROM docproc.api_calls a
  LEFT JOIN LATERAL (SELECT u.share FROM unnest(a.job_ids, a.shares) AS u (job_id, share)
                      WHERE u.job_id = %(job_id)s::uuid LIMIT 1) own ON true
 WHERE a.started_at >= %(since)s AND a.job_ids @> ARRAY[%(job_id)s::uuid]
 ORDER BY a.started_at
