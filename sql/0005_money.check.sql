-- What budgets are held against must be the ledger's own sum, however calls ended.
SELECT 'the counter of ' || period || ' is ' || sum(usd) || ' USD off the sum of its calls' AS problem
  FROM (SELECT period, usd - removed AS usd FROM docproc.spending
        UNION ALL
        SELECT p.period, -coalesce(a.usd_counted, 0)
          FROM docproc.api_calls a, unnest(docproc.spending_periods(a.started_at, a.budget_group)) AS p (period)) both_sides
 GROUP BY period
HAVING sum(usd) <> 0
