-- The whole ledger, as sums that only grow: a call counts from when it is made, its units once they are final. The calls
-- of trials are left out, because they are removed again.
SELECT provider, operation, unit, count(*) AS calls,
       coalesce(sum(coalesce(units_reported, units_estimated)) FILTER (WHERE outcome = 'ok'), 0)::bigint AS units
  FROM docproc.api_calls
 WHERE run_id IS NULL
    OR run_id NOT IN (SELECT run_id FROM docproc.runs WHERE command LIKE 'trial docproc-trial-%')
 GROUP BY provider, operation, unit
 ORDER BY provider, operation, unit
