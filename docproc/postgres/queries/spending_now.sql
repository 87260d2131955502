-- What was spent today, this month, and by the runs that go on: those that this run shares its budget with.
WITH this AS (
  SELECT docproc.spending_periods(now(), (
           SELECT coalesce(budget_group, run_id) FROM docproc.runs WHERE run_id = %(run_id)s OR finished_at IS NULL
            ORDER BY run_id = %(run_id)s DESC, started_at, run_id LIMIT 1)) AS period
), perhaps AS (
  SELECT day, mock, perhaps_paid FROM docproc.spend_by_call
   WHERE started_at >= date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'
     AND outcome = 'uncertain'
)
SELECT coalesce((SELECT usd FROM docproc.spending WHERE period = this.period[1]), 0)::float8 AS today,
       coalesce((SELECT usd FROM docproc.spending WHERE period = this.period[2]), 0)::float8 AS month,
       CASE WHEN cardinality(this.period) = 3
            THEN coalesce((SELECT usd FROM docproc.spending WHERE period = this.period[3]), 0)::float8 END AS run,
       (SELECT coalesce(sum(perhaps_paid), 0) FROM perhaps
         WHERE day = (now() AT TIME ZONE 'UTC')::date)::float8 AS perhaps_today,
       (SELECT coalesce(sum(perhaps_paid), 0) FROM perhaps)::float8 AS perhaps_month,
       coalesce((SELECT 'mock' IN (parser_kind, embedder_kind) FROM docproc.installation), false) AS mock
  FROM this
