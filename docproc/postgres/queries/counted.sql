-- The counters that a call is part of, in the order of their periods, with what it counts for itself.
SELECT p.period, s.usd, a.usd_counted AS cost, coalesce(a.mock, false) AS mock
  FROM docproc.api_calls a
 CROSS JOIN LATERAL unnest(docproc.spending_periods(a.started_at, a.budget_group)) WITH ORDINALITY AS p (period, n)
  JOIN docproc.spending s ON s.period = p.period
 WHERE a.call_id = %(call_id)s
 ORDER BY p.n
