-- The paid calls in which a job took part, from its beginning on.
SELECT a.started_at, a.provider, a.operation, a.unit, coalesce(a.units_reported, a.units_estimated) AS units,
       cardinality(a.job_ids) AS jobs, a.outcome
  FROM docproc.api_calls a
 WHERE a.started_at >= %(since)s AND a.job_ids @> ARRAY[%(job_id)s::uuid]
 ORDER BY a.started_at
