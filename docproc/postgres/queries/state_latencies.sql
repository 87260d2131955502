SELECT from_status AS status, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS p50,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds) AS p95
  FROM docproc.job_events
 WHERE at > clock_timestamp() - interval '1 hour' AND from_status <> to_status
 GROUP BY from_status
